"""Simulations over HTTP: forms of a draft, who may, bad input."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.models import Member
from accounts.services import create_bot
from audit.models import DecisionRecord
from tests.api.client import assert_problem, key_api, person_api
from usage.entries import EventIn
from usage.ledger import record_events
from usage.models import Counter

pytestmark = pytest.mark.django_db


@pytest.fixture
def used(acme, bot):
    """Say that so many tokens were used, some minutes apart."""

    def use(*tokens, by=bot, user="u-1"):
        start = timezone.now() - timedelta(minutes=len(tokens) + 1)
        for n, amount in enumerate(tokens):
            record_events(
                account=by.account,
                events=[EventIn(bot=by.public_id, tokens=amount, user=user)],
                now=start + timedelta(minutes=n),
            )

    return use


@pytest.fixture
def lifetime(document):
    return {
        **document,
        "limits": [{**document["limits"][0], "window": {"kind": "lifetime"}}],
    }


def test_a_draft_is_tried(api, bot, used, lifetime):
    used(600, 600, 600)
    answer = api.post("/policies/simulate", {"policy": lifetime, "days": 2})

    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["source"], found["truncated"]) == ("events", False)
    assert found["fired"] == 1
    assert found["fires"][0]["threshold"] == 1000
    assert found["first_fired_at"] == found["fires"][0]["at"]
    assert found["calls"]["calls"] == 3
    assert found["refused"] == {"calls": 2, "tokens": 1200, "cost": "0"}
    refused = {"calls": 2, "tokens": 1200, "cost": "0"}
    assert found["by_bot"] == [{"bot": bot.public_id, "name": "Support", **refused}]
    assert found["by_user"] == [{"user": "u-1", **refused}]
    assert (found["active"], found["tighter"]) == (None, [])
    bare = api.post("/policies/simulate", {**lifetime, "days": 2}).json()
    assert bare["refused"] == found["refused"]
    assert not Counter.objects.exists()
    assert not DecisionRecord.objects.exists()
    assert api.get("/policies").json()["data"] == []


def test_kavachs_form_is_tried(api, bot, used):
    used(600, 600)
    body = {"agentId": bot.public_id, "limits": {"maxCallsPerMonth": 1}}
    found = api.post("/policies/simulate", {**body, "action": "throttle"})

    assert found.status_code == 200, found.content
    assert found.json()["calls"]["calls"] == 2


def test_a_policy_and_a_draft_of_it(api, used, lifetime):
    policy = api.post("/policies", lifetime).json()
    path = f"/policies/{policy['id']}/simulate"
    used(600, 600, 600)

    alone = api.post(path).json()
    assert (alone["refused"]["calls"], alone["active"]) == (2, None)
    limits = [{**lifetime["limits"][0], "threshold": 10_000}]
    beside = api.post(path, {"policy": {**lifetime, "limits": limits}}).json()
    assert beside["refused"]["calls"] == 0
    assert beside["active"]["refused"]["calls"] == 2
    hourly = {**lifetime["limits"][0], "window": {"kind": "fixed", "seconds": 3600}}
    (tighter,) = api.post(
        "/policies/simulate", {**lifetime, "limits": [hourly]}
    ).json()["tighter"]
    assert tighter["policy_id"] == policy["id"]
    assert tighter["window"] == {"kind": "lifetime"}


@pytest.mark.parametrize(
    ("body", "code", "pointers"),
    [
        ([], "invalid_body", [""]),
        ({}, "invalid_body", ["/policy"]),
        ({"policy": 1}, "invalid_body", ["/policy"]),
        ({"policy": {}, "hours": 1}, "invalid_body", ["/hours"]),
        ({"days": 0}, "invalid_body", ["/days"]),
        ({"days": 91}, "invalid_body", ["/days"]),
        ({"days": True}, "invalid_body", ["/days"]),
        ({"days": "7"}, "invalid_body", ["/days"]),
    ],
)
def test_what_cannot_be_tried_is_refused(api, body, code, pointers):
    assert_problem(api.post("/policies/simulate", body), 422, code, *pointers)


def test_other_types_and_strange_scopes_are_refused(api, document):
    kept = {
        "type": "retention",
        "name": "Keep",
        "retention": {"target": "conversations", "max_age_days": 30},
    }
    assert_problem(api.post("/policies/simulate", kept), 422, "invalid_body")
    nowhere = {**document, "scope": {"bot": "nothing"}}
    answer = api.post("/policies/simulate", nowhere)
    assert_problem(answer, 422, "unknown_reference", "/scope/bot")


def test_nobody_tries_on_what_others_used(api, stranger, bot, used, lifetime):
    used(600, 600)
    policy = api.post("/policies", lifetime).json()

    assert stranger.post("/policies/simulate", lifetime).json()["calls"]["calls"] == 0
    foreign = stranger.post(f"/policies/{policy['id']}/simulate")
    assert_problem(foreign, 404, "not_found")
    absent = stranger.post("/policies/pol_01kjm3v5c0e8r9q2t4w6y8z0a3/simulate")
    assert foreign.content == absent.content
    scoped = {**lifetime, "scope": {"bot": bot.public_id}}
    refused = stranger.post("/policies/simulate", scoped)
    assert_problem(refused, 422, "unknown_reference", "/scope/bot")


def test_a_key_of_a_project_tries_on_its_own(
    api, acme, project, project_api, used, lifetime
):
    inner = create_bot(
        account=acme, name="In", project=project, actor=SYSTEM, now=timezone.now()
    )
    used(5000)
    used(10, by=inner)
    shared = api.post("/policies", lifetime).json()

    found = project_api.post("/policies/simulate", lifetime).json()
    assert found["calls"] == {"calls": 1, "tokens": 10, "cost": "0"}
    answer = project_api.post(f"/policies/{shared['id']}/simulate")
    assert_problem(answer, 403, "forbidden")
    bound = key_api(acme, bot=inner)
    assert_problem(bound.post("/policies/simulate", lifetime), 403, "forbidden")
    blind = key_api(acme, ["policies:read"])
    assert_problem(blind.post("/policies/simulate", lifetime), 403, "missing_scope")


@pytest.mark.parametrize("role", ["owner", "operator", "auditor", "viewer"])
def test_roles(bob, role, lifetime):
    Member.objects.filter(person=bob).update(role=role)
    answer = person_api(bob).post("/policies/simulate", lifetime)
    assert answer.status_code == 200
