"""The export of decisions: whole, filtered, defused, bounded by the plan."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import DecisionRecord
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
    monkeypatch.setattr("api.audit_export._PAGE", 2)

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
