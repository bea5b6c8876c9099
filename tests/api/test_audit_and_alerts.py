"""Decisions, changes, alerts and blocks over HTTP, as the ledger made them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.services import create_bot
from alerts.services import open_alert
from tests.api.client import assert_problem, key_api
from usage.entries import CallIn, EventIn
from usage.ledger import authorize, record_events


@pytest.fixture
def capped(api, bot, document):
    """A policy that blocks and warns at 1,000 tokens."""
    document["actions"] = {"block": {"duration_seconds": 3600}, "email": {}}
    document["scope"] = {"bot": bot.public_id}
    return api.post("/policies", document).json()


@pytest.fixture
def breached(acme, bot, capped):
    """The same after 1,200 tokens, and one call that was refused."""
    now = timezone.now()
    event = EventIn(bot=bot.public_id, tokens=1200)
    record_events(account=acme, events=[event], now=now)
    call = CallIn(bot=bot.public_id, estimate={"tokens": 1})
    authorize(account=acme, call=call, now=timezone.now())
    return capped


def test_a_breach_shows_everywhere(api, bot, breached):
    policy = api.get(f"/policies/{breached['id']}").json()
    assert policy["status"] == "triggered"
    reading = api.get(f"/policies/{breached['id']}/usage").json()["data"][0]
    assert (reading["used"], reading["remaining"]) == (1200, 0)
    assert (reading["status"], reading["exceeded"]) == ("triggered", True)
    paused = api.get(f"/bots/{bot.public_id}").json()
    assert paused["status"] == "paused"
    assert paused["block"]["policy_id"] == breached["id"]
    alert = api.get("/alerts").json()["data"][0]
    assert (alert["policy_id"], alert["step"]) == (breached["id"], 100)
    read = api.get(f"/alerts/{alert['id']}").json()
    (message,) = read.pop("deliveries")
    assert read == alert
    assert (message["channel"], message["state"]) == ("email", "pending")


def test_a_block_is_listed_and_cleared(api, bot, breached):
    path = f"/policies/{breached['id']}/blocks"
    block = api.get(f"{path}?live=true").json()["data"][0]
    assert (block["kind"], block["live"]) == ("policy", True)

    cleared = api.post(f"{path}/{block['id']}/clear", {"reason": "fixed"}).json()
    assert (cleared["live"], cleared["lift_reason"]) == (False, "fixed")
    assert api.get(f"{path}?live=true").json()["data"] == []
    assert len(api.get(path).json()["data"]) == 1
    assert api.get(f"/bots/{bot.public_id}").json()["status"] == "active"
    reading = api.get(f"/policies/{breached['id']}/usage").json()["data"][0]
    assert reading["used"] == 0
    again = api.post(f"{path}/{block['id']}/clear")
    assert_problem(again, 409, "conflict")
    assert_problem(api.post(f"{path}/blk_x/clear"), 404, "not_found")
    assert_problem(api.get(f"{path}?live=maybe"), 422, "invalid_query", "/live")


def test_a_reset_answers_with_the_readings(api, breached):
    answer = api.post(f"/policies/{breached['id']}/reset", {"period": "day"})

    assert answer.status_code == 200
    assert answer.json()["data"][0]["used"] == 0
    assert api.get(f"/policies/{breached['id']}").json()["status"] == "active"


def test_unblocking_lifts_what_concerns_the_bot_alone(api, bot, breached):
    freed = api.post(f"/bots/{bot.public_id}/unblock")

    assert freed.json()["status"] == "active"


def test_a_shared_block_is_cleared_on_its_policy(api, acme, bot, document):
    document["actions"] = {"block": {}}
    shared = api.post("/policies", document).json()["id"]
    event = EventIn(bot=bot.public_id, tokens=1200)
    record_events(account=acme, events=[event], now=timezone.now())

    answer = api.post(f"/bots/{bot.public_id}/unblock")
    assert_problem(answer, 409, "block_is_shared", "")
    assert shared in answer.json()["detail"]
    assert shared == answer.json()["errors"][0]["detail"]


def test_decisions_are_listed_filtered_and_read(api, bot, breached):
    rows = api.get("/audit/decisions").json()["data"]
    assert len(rows) == 1
    row = rows[0]
    assert (row["allowed"], row["decision"]) == (False, "deny")
    assert row["reason_code"] == "blocked"
    assert row["policy_target"] == bot.public_id
    assert row["policies"][0]["used"] == 1200
    assert "shared" not in row["policies"][0]
    one = api.get(f"/audit/decisions/{row['id']}").json()
    del one["explanation"]
    assert one == row
    for query in (
        f"bot={bot.public_id}",
        "reason_code=blocked",
        f"policy={breached['id']}",
        "decision=deny",
        "since=2020-01-01T00:00:00Z",
        "since=0001-01-01T00:00:00Z",
        "rollout_mode=enforce",
    ):
        assert len(api.get(f"/audit/decisions?{query}").json()["data"]) == 1, query
    for query in (
        "user=nobody",
        "until=2020-01-01T00:00:00Z",
        "model=x",
        "rollout_mode=shadow",
    ):
        assert api.get(f"/audit/decisions?{query}").json()["data"] == [], query
    wrong = api.get("/audit/decisions?since=yesterday")
    assert_problem(wrong, 422, "invalid_query", "/since")


def test_changes_name_who_did_what(api, breached):
    path = f"/policies/{breached['id']}"
    api.patch(path, {"name": "Renamed"}, If_Match="*")

    change = api.get(f"/audit/changes?target={breached['id']}").json()["data"][0]
    assert change["action"] == "policy.updated"
    assert change["actor"]["kind"] == "key"
    assert change["actor"]["id"].startswith("key_")
    assert change["changes"] == [
        {"field": "name", "before": "Daily cap", "after": "Renamed"}
    ]
    listed = api.get("/audit/changes?action=policy.created").json()["data"]
    assert [each["target"] for each in listed] == [breached["id"]]


def test_an_alert_is_acknowledged_once(api, breached):
    alert = api.get("/alerts?state=breached").json()["data"][0]
    path = f"/alerts/{alert['id']}"

    first = api.post(f"{path}/ack").json()
    assert first["acknowledged_at"] is not None
    assert api.post(f"{path}/ack", {}).json() == first
    assert first["acknowledged_by"]
    assert api.get("/alerts?state=resolved").json()["data"] == []
    for query in ("kind=limit", "state=breached"):
        assert len(api.get(f"/alerts?{query}").json()["data"]) == 1, query
    assert api.get("/alerts?kind=forecast").json()["data"] == []
    for name in ("state", "kind"):
        wrong = api.get(f"/alerts?{name}=lost")
        assert_problem(wrong, 422, "invalid_query", f"/{name}")
    wrong = api.post(f"{path}/ack", {"note": "seen"})
    assert_problem(wrong, 422, "invalid_body", "/note")


def test_what_an_alert_is_not_about_is_null(api, acme):
    now = datetime.now(UTC)
    given = {"message": "m", "recipients": [], "now": now, "window_start": now}
    open_alert(account=acme, kind="delivery_failing", policy_id="", **given)

    alert = api.get("/alerts?kind=delivery_failing").json()["data"][0]

    assert [alert[name] for name in ("policy_id", "bot", "metric")] == [None] * 3


def test_an_alert_is_put_aside_and_brought_back(api, breached):
    path = f"/alerts/{api.get('/alerts?state=breached').json()['data'][0]['id']}"
    now = datetime.now(UTC)
    until = (now + timedelta(hours=4)).strftime("%Y-%m-%dT%H:%M:%SZ")

    answer = api.post(f"{path}/snooze", {"until": until})
    assert answer.status_code == 200
    assert answer.json()["snoozed_until"] == until
    assert answer.json()["snoozed_by"]
    assert api.get(path).json() == answer.json()
    assert len(api.get("/alerts?state=breached").json()["data"]) == 1
    assert len(api.get("/alerts?snoozed=true").json()["data"]) == 1
    assert api.get("/alerts?snoozed=false&state=breached").json()["data"] == []
    assert_problem(api.get("/alerts?snoozed=1"), 422, "invalid_query", "/snoozed")
    for wrong in (
        "2001-01-01T00:00:00Z",
        "9001-01-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "soon",
        7,
    ):
        answer = api.post(f"{path}/snooze", {"until": wrong})
        assert_problem(answer, 422, "invalid_body", "/until")
    assert_problem(api.post(f"{path}/snooze", {}), 422, "invalid_body", "/until")

    woken = api.post(f"{path}/snooze", {"until": None}).json()
    assert (woken["snoozed_until"], woken["snoozed_by"]) == (None, "")
    api.post(f"{path}/ack")
    late = api.post(f"{path}/snooze", {"until": until})
    assert_problem(late, 409, "alert_not_open")


def test_what_is_foreign_is_absent_byte_for_byte(api, stranger, breached):
    alert = api.get("/alerts").json()["data"][0]["id"]
    decision = api.get("/audit/decisions").json()["data"][0]["id"]
    for method, path, absent in [
        ("GET", f"/alerts/{alert}", "/alerts/x"),
        ("POST", f"/alerts/{alert}/ack", "/alerts/x/ack"),
        ("POST", f"/alerts/{alert}/snooze", "/alerts/x/snooze"),
        ("GET", f"/audit/decisions/{decision}", "/audit/decisions/x"),
    ]:
        foreign = stranger.call(method, path)
        assert_problem(foreign, 404, "not_found")
        assert foreign.content == stranger.call(method, absent).content
    for path in ("/alerts", "/audit/decisions"):
        assert stranger.get(path).json()["data"] == []


def test_a_project_key_sees_its_projects_decisions_without_others_figures(
    api, acme, project, project_api, document
):
    shared = api.post("/policies", document).json()["id"]
    own = create_bot(
        account=acme, name="own", project=project, actor=SYSTEM, now=timezone.now()
    )
    other = create_bot(account=acme, name="other", actor=SYSTEM, now=timezone.now())
    for bot in (own, other):
        call = CallIn(bot=bot.public_id, estimate={"tokens": 5})
        authorize(account=acme, call=call, now=timezone.now())

    rows = project_api.get("/audit/decisions").json()["data"]
    assert [row["policy_target"] for row in rows] == [own.public_id]
    reading = rows[0]["policies"][0]
    assert reading["policy_id"] == shared
    assert (reading["used"], reading["held"], reading["remaining"]) == (None,) * 3
    foreign = api.get(f"/audit/decisions?bot={other.public_id}").json()["data"][0]
    answer = project_api.get(f"/audit/decisions/{foreign['id']}")
    assert_problem(answer, 404, "not_found")


def test_bindings_hide_the_alerts_of_others(api, acme, project_api, breached):
    alert = api.get("/alerts").json()["data"][0]["id"]

    assert project_api.get("/alerts").json()["data"] == []
    assert_problem(project_api.get(f"/alerts/{alert}"), 404, "not_found")
    other = create_bot(account=acme, name="other", actor=SYSTEM, now=timezone.now())
    assert key_api(acme, bot=other).get("/alerts").json()["data"] == []
