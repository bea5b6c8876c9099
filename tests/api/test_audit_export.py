"""The exports of decisions and of changes: whole, filtered, defused, bounded."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actors import Actor
from audit.models import DecisionRecord
from policies.services import block_bot
from tests.api.client import assert_problem, key_api
from usage.entries import CallIn
from usage.ledger import authorize


def text_of(answer):
    assert answer.status_code == 200, answer
    return b"".join(answer.streaming_content).decode()


def lines_of(answer):
    return [json.loads(line) for line in text_of(answer).splitlines()]


@pytest.fixture
def decided(acme, bot):
    for number in range(5):
        call = CallIn(bot=bot.public_id, user=f"=u-{number}", model="gpt-x")
        authorize(account=acme, call=call, now=timezone.now())


def test_ndjson_is_what_the_list_shows(api, decided):
    answer = api.get("/audit/export?format=ndjson")

    assert answer["Content-Type"].startswith("application/x-ndjson")
    assert "attachment" in answer["Content-Disposition"]
    assert lines_of(answer) == api.get("/audit/decisions").json()["data"]
    assert len(lines_of(api.get("/audit/export"))) == 5


def test_csv_has_a_line_each_and_no_formulas(api, decided):
    for answer in (
        api.get("/audit/export?format=csv"),
        api.get("/audit/export", Accept="text/csv"),
    ):
        assert answer["Content-Type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(text_of(answer))))
        assert len(rows) == 5
        assert {row["policy_user"] for row in rows} == {f"'=u-{n}" for n in range(5)}
        assert {row["allowed"] for row in rows} == {"true"}


def test_filters_and_pages(api, decided, monkeypatch):
    monkeypatch.setattr("api.exports.PAGE", 2)

    assert len(lines_of(api.get("/audit/export"))) == 5
    found = lines_of(api.get("/audit/export?user==u-3".replace("==", "=%3D")))
    assert [one["policy_user"] for one in found] == ["=u-3"]
    assert lines_of(api.get("/audit/export?kind=gateway")) == []
    assert lines_of(api.get("/audit/export?category=email")) == []
    assert lines_of(api.get("/audit/export?tag=team%3Dblue")) == []


def test_the_plan_says_how_far_back(api, acme, decided):
    old = timezone.now() - timedelta(days=40)
    DecisionRecord.objects.filter(policy_user="=u-1").update(created_at=old)

    assert len(lines_of(api.get("/audit/export"))) == 4
    acme.plan = "plus"
    acme.save()
    assert len(lines_of(api.get("/audit/export"))) == 5


def test_who_may_not(api, stranger, acme, decided):
    assert lines_of(stranger.get("/audit/export")) == []
    reader = key_api(acme, ["usage:read"])
    assert_problem(reader.get("/audit/export"), 403, "missing_scope")
    assert api.get("/audit/export?colour=red").status_code == 422
    assert api.get("/audit/export?since=yesterday").status_code == 422


def test_two_are_read_at_once(api, decided):
    answers = [api.get("/audit/export") for _ in range(2)]
    assert api.get("/audit/export").status_code == 503
    for answer in answers:
        assert len(lines_of(answer)) == 5
    assert len(lines_of(api.get("/audit/export"))) == 5


@pytest.fixture
def edited(api, bot):
    """Three changes by a person with a name like a formula, and what came before."""
    person = Actor("person", "per_x", "=cmd|'/c calc'!A1@example.com")
    for number in range(3):
        block_bot(bot=bot, reason=f"@loop {number}", actor=person, now=timezone.now())
    api.patch(f"/bots/{bot.public_id}", {"name": "+New"}, If_Match="*")


def test_changes_are_what_the_list_shows(api, edited):
    answer = api.get("/audit/changes/export")

    assert answer["Content-Type"].startswith("application/x-ndjson")
    assert 'filename="changes.ndjson"' in answer["Content-Disposition"]
    assert answer["Cache-Control"] == "no-store"
    assert lines_of(answer) == api.get("/audit/changes").json()["data"]


def test_changes_in_a_table_have_no_formulas(api, edited, monkeypatch):
    monkeypatch.setattr("api.exports.PAGE", 2)
    answer = api.get("/audit/changes/export?format=csv")
    rows = list(csv.DictReader(io.StringIO(text_of(answer))))

    assert len(rows) == len(api.get("/audit/changes").json()["data"])
    blocked = [row for row in rows if row["action"] == "bot.blocked"]
    assert {row["reason"] for row in blocked} == {f"'@loop {n}" for n in range(3)}
    assert {row["actor_label"][:2] for row in blocked} == {"'="}
    renamed = next(row for row in rows if row["action"] == "bot.updated")
    assert json.loads(renamed["changes"])[0]["after"] == "+New"
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_changes_are_filtered(api, edited, bot):
    def found(query):
        rows = lines_of(api.get(f"/audit/changes/export?{query}"))
        assert rows == api.get(f"/audit/changes?{query}").json()["data"]
        return [row["action"] for row in rows]

    assert found("area=bot&actor=person") == ["bot.blocked"] * 3
    assert found(f"target={bot.public_id}&action=bot.updated") == ["bot.updated"]
    assert found("area=bo") == []
    assert found("actor=system&area=bot%25") == []
    assert found("until=2001-01-01T00:00:00Z") == []
    assert len(found("since=2001-01-01T00:00:00Z")) > 3
    for wrong in ("actor=nobody", "since=now", "colour=red"):
        answer = api.get(f"/audit/changes/export?{wrong}")
        assert answer.status_code == 422
        assert answer["Content-Type"] == "application/problem+json"


def test_changes_of_others(acme, stranger, edited, project_api):
    assert "@loop" not in text_of(stranger.get("/audit/changes/export"))
    assert "@loop" not in text_of(project_api.get("/audit/changes/export"))
    reader = key_api(acme, ["usage:read"])
    assert_problem(reader.get("/audit/changes/export"), 403, "missing_scope")
