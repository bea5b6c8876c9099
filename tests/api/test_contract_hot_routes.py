"""CONTRACT G for authorize, usage, release and budget, over HTTP."""

import asyncio
from datetime import timedelta

import pytest
from django.utils.timezone import now as utc_now

from accounts.actors import SYSTEM
from accounts.services import create_project
from audit.models import DecisionRecord
from tests.api import test_lane
from tests.api.test_lane import AUTHORIZE, USAGE, Caller, in_thread, new_key
from usage.models import Reservation, UsageEvent

pytestmark = pytest.mark.django_db(transaction=True)

alice, charlie = test_lane.alice, test_lane.charlie
caller, client = test_lane.caller, test_lane.client

DECISION = {
    "id",
    "allowed",
    "decision",
    "reason_code",
    "message",
    "enforced",
    "rollout_mode",
    "policy_id",
    "policy_target",
    "policy_user",
    "policy_project_id",
    "model",
    "triggered_categories",
    "allowlist_hits",
    "denylist_hits",
    "retry_after",
    "created_at",
    "reservation",
    "policies",
}
READING = {
    "policy_id",
    "revision",
    "action",
    "metric",
    "threshold",
    "used",
    "held",
    "remaining",
    "resets_at",
    "exceeded",
    "enforced",
}


async def test_a_decision_has_exactly_the_fields_of_the_contract(caller, alice):
    await in_thread(alice.policy)(threshold=1000)
    call = {"bot": alice.bot.public_id, "estimate": {"tokens": 9}, "reserve": True}
    answer = await caller.post(AUTHORIZE, call)
    body = answer.json()

    assert answer.status_code == 200
    assert body.keys() == DECISION
    assert body["policies"][0].keys() == READING
    reservation = body["reservation"]
    assert reservation.keys() == {"id", "state", "expires_at", "ttl_seconds"}
    assert (reservation["state"], reservation["ttl_seconds"]) == ("open", 600)
    assert body["created_at"].endswith("Z")


async def test_a_refusal_is_a_200_that_says_when_to_come_back(caller, alice):
    lifetime = {"kind": "lifetime"}
    policy = await in_thread(alice.policy)(threshold=10, window=lifetime)
    await caller.post(USAGE, {"bot": alice.bot.public_id, "tokens": 10})
    answer = await caller.post(AUTHORIZE, {"bot": alice.bot.public_id})
    body = answer.json()

    assert (answer.status_code, body["allowed"]) == (200, False)
    assert (body["decision"], body["policy_id"]) == ("deny", policy.public_id)
    # Nobody knows when: null, and no header (C3).
    assert body["retry_after"] is None
    assert "retry-after" not in answer.headers
    limit = f'"{policy.public_id}-tokens"'
    assert answer.headers["RateLimit-Policy"] == f"{limit};q=10"
    assert answer.headers["RateLimit"] == f"{limit};r=0"


async def test_what_is_granted_has_no_rate_limit_fields(caller, alice):
    await in_thread(alice.policy)(threshold=10)
    answer = await caller.post(AUTHORIZE, {"bot": alice.bot.public_id})
    assert answer.json()["allowed"]
    assert "RateLimit" not in answer.headers


async def test_a_check_records_the_decision_and_nothing_else(caller, alice):
    body = {"bot": alice.bot.public_id, "estimate": {"tokens": 3}}
    await caller.post(AUTHORIZE, body)

    assert await DecisionRecord.objects.acount() == 1
    assert not await Reservation.objects.aexists()
    assert not await UsageEvent.objects.aexists()


async def test_one_events_error_is_the_answers_status(caller, alice):
    bot = alice.bot.public_id
    await caller.post(USAGE, {"bot": bot, "id": "e-1", "tokens": 1})
    later = (utc_now() + timedelta(minutes=7)).isoformat()
    bad = [
        ({"bot": bot, "id": "e-1", "tokens": 2}, 409, "event_id_reused"),
        ({"bot": "nobody"}, 404, "not_found"),
        ({"bot": bot, "occurred_at": later}, 422, "event_in_future"),
        ({"bot": bot, "tokens": 1, "input_tokens": 2}, 422, "invalid_body"),
        ({"bot": bot, "conversation": "cnv_" + "0" * 26}, 422, "unknown_reference"),
        ({"bot": bot, "reservation": "res_" + "0" * 26}, 422, "unknown_reference"),
    ]
    for event, status, code in bad:
        single = await caller.post(USAGE, event)
        listed = await caller.post(USAGE, {"events": [event]})

        assert (single.status_code, single.json()["code"]) == (status, code)
        assert listed.status_code == 202
        (row,) = listed.json()["data"]
        assert (row["status"], row["error"]["code"]) == ("error", code)
    assert await UsageEvent.objects.acount() == 1


async def test_a_thousand_events_are_taken_and_one_more_is_not(caller, alice):
    events = [{"bot": alice.bot.public_id, "tokens": 1}] * 1000
    taken = await caller.post(USAGE, {"events": events})
    refused = await caller.post(USAGE, {"events": [*events, events[0]]})
    empty = await caller.post(USAGE, {"events": []})

    assert taken.status_code == 202
    assert {row["status"] for row in taken.json()["data"]} == {"recorded"}
    assert (refused.status_code, empty.status_code) == (422, 422)
    assert refused.json()["errors"][0]["pointer"] == "/events"
    assert await UsageEvent.objects.acount() == 1000


async def test_a_duplicate_answers_202_with_the_first_id(caller, alice):
    event = {"bot": alice.bot.public_id, "id": "e-1", "tokens": 1}
    first, again = [await caller.post(USAGE, event) for _ in range(2)]

    assert first.status_code == again.status_code == 202
    assert again.json()["data"][0]["status"] == "duplicate"
    assert again.json()["data"][0]["id"] == first.json()["data"][0]["id"] == "e-1"


async def test_an_estimate_that_is_needed_is_asked_for(caller, alice):
    await in_thread(alice.policy)(threshold=10)
    call = {"bot": alice.bot.public_id, "reserve": True}
    answer = await caller.post(AUTHORIZE, call)

    assert (answer.status_code, answer.json()["code"]) == (422, "estimate_required")
    assert answer.json()["errors"][0]["pointer"] == "/estimate/tokens"


async def test_a_release_answers_with_the_reservation_in_every_state(caller, alice):
    bot = alice.bot.public_id
    states = []
    for end in ("settled", "released", "expired"):
        ttl = 1 if end == "expired" else 60
        call = {"bot": bot, "reserve": True, "ttl_seconds": ttl}
        granted = (await caller.post(AUTHORIZE, call)).json()["reservation"]
        if end == "settled":
            await caller.post(USAGE, {"bot": bot, "reservation": granted["id"]})
        if end == "expired":
            await asyncio.sleep(1.05)
        for _ in range(2):
            path = f"/api/v1/reservations/{granted['id']}/release"
            answer = await caller.post(path)
            assert answer.status_code == 200
            assert answer.json() == granted | {"state": end}
        states.append(answer.json()["state"])

    assert states == ["settled", "released", "expired"]


async def test_g5_a_refusal_is_decided_anew_under_the_same_key(caller, alice):
    policy = await in_thread(alice.policy)(threshold=10)
    call = {"bot": alice.bot.public_id, "estimate": {"tokens": 11}, "reserve": True}
    key = {"Idempotency-Key": "k-1"}
    refused = await caller.post(AUTHORIZE, call, headers=key)
    assert refused.json()["allowed"] is False
    await in_thread(_raise)(alice, policy, 20)
    granted = await caller.post(AUTHORIZE, call, headers=key)
    again = await caller.post(AUTHORIZE, call, headers=key)

    assert granted.json()["allowed"] is True
    assert "idempotent-replayed" not in granted.headers
    assert again.json() == granted.json()


def _raise(house, policy, threshold):
    from usage.edits import patch_policy

    limits = [dict(limit) for limit in policy.document["limits"]]
    limits[0]["threshold"] = threshold
    patch_policy(
        policy=policy,
        patch={"limits": limits},
        actor=SYSTEM,
        now=house.now,
        expected_revision=None,
    )


async def test_g7_a_projects_budget_hides_what_is_shared(client, alice):
    project = await in_thread(create_project)(
        account=alice.account, name="P", actor=SYSTEM, now=utc_now()
    )
    await in_thread(alice.policy)(threshold=1000)
    mine = Caller(client, await in_thread(new_key)(alice, project=project))
    path = f"/api/v1/budget?bot={alice.bot.public_id}"
    (reading,) = (await mine.get(path)).json()["data"]

    hidden = [reading[name] for name in ("used", "held", "remaining")]
    assert hidden == [None, None, None]
    assert reading["exceeded"] is False
    assert reading["resets_at"] is not None


async def test_a_budget_of_a_foreign_bot_is_not_found(caller, charlie):
    foreign = await caller.get(f"/api/v1/budget?bot={charlie.bot.public_id}")
    absent = await caller.get("/api/v1/budget?bot=nobody")

    assert foreign.status_code == absent.status_code == 404
    assert foreign.content == absent.content


async def test_a_bot_registered_after_a_404_is_known_at_once(caller, alice):
    assert (await caller.post(AUTHORIZE, {"bot": "late"})).status_code == 404
    await in_thread(alice.add_bot)("late", external_id="late")

    answer = await caller.post(AUTHORIZE, {"bot": "late"})
    assert answer.status_code == 200
    assert answer.json()["policy_target"].startswith("bot_")


async def test_a_revoked_bots_own_key_is_401_and_others_are_told(client, alice):
    bound = Caller(client, await in_thread(new_key)(alice, bot=alice.bot))
    free = Caller(client, await in_thread(new_key)(alice))
    await in_thread(alice.policy)(threshold=10, actions={"revoke": {}})
    call = {"bot": alice.bot.public_id}
    assert (await bound.post(AUTHORIZE, call)).json()["allowed"] is True
    await bound.post(USAGE, call | {"tokens": 10})

    assert (await bound.post(AUTHORIZE, call)).status_code == 401
    assert (await bound.post(USAGE, call)).status_code == 401
    assert (await bound.get(f"/api/v1/budget?bot={call['bot']}")).status_code == 401
    assert (await free.post(AUTHORIZE, call)).json()["reason_code"] == "revoked"
