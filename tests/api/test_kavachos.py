"""KavachOS's form of a budget policy does what its page promises (CONTRACT F2)."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import ApiKey
from tests.api.client import assert_problem, key_api
from usage.entries import CallIn, EventIn
from usage.ledger import authorize, record_events


@pytest.fixture
def desk(api, acme, bot):
    return Desk(api, acme, bot)


class Desk:
    """Writes policies in their form; records and asks at a moment of its own."""

    def __init__(self, api, account, bot):
        self.api, self.account, self.bot = api, account, bot
        self.now = timezone.now()

    def write(self, **body):
        answer = self.api.post("/policies", body)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def read(self, policy):
        return self.api.get(f"/policies/{policy['id']}").json()

    def record(self, tokens=0, *, bot=None, user=None, at=None):
        event = EventIn(bot=(bot or self.bot).public_id, user=user, tokens=tokens)
        (result,) = record_events(
            account=self.account, events=[event], now=at or self.now
        )
        assert result.status == "recorded"

    def ask(self, *, bot=None, user=None, tokens=1, at=None):
        call = CallIn(
            bot=(bot or self.bot).public_id, user=user, estimate={"tokens": tokens}
        )
        return authorize(account=self.account, call=call, now=at or self.now).body

    def new_bot(self, **fields):
        from accounts.actors import SYSTEM
        from accounts.services import create_bot

        return create_bot(
            account=self.account, name="x", actor=SYSTEM, now=self.now, **fields
        )


def test_warn_at_800_and_block_at_1000_really_blocks(desk):
    agent = desk.bot.public_id
    for threshold, action in ((800, "warn"), (1000, "block")):
        limits = {"maxTokensCostPerDay": threshold}
        desk.write(agentId=agent, limits=limits, action=action)

    desk.record(799)
    assert desk.ask()["reason_code"] == "ok"
    desk.record(101)
    warned = desk.ask()
    assert (warned["allowed"], warned["reason_code"]) == (True, "warned")
    desk.record(100)
    refused = desk.ask()
    assert (refused["allowed"], refused["reason_code"]) == (False, "blocked")


def test_exactly_the_remainder_passes(desk):
    limits = {"maxTokensCostPerDay": 1000}
    desk.write(agentId=desk.bot.public_id, limits=limits, action="throttle")
    desk.record(900)

    assert desk.ask(tokens=100)["allowed"]
    assert desk.ask(tokens=101)["reason_code"] == "throttled"


def test_scopes_of_agent_user_and_tenant_apply(desk, api, project):
    limits = {"maxCallsPerDay": 1}
    other = desk.new_bot(external_id="ext-1")
    member = desk.new_bot(project=project)
    by_agent = desk.write(agentId="ext-1", limits=limits, action="block")
    by_user = desk.write(userId="u-1", limits=limits, action="block")
    by_tenant = desk.write(tenantId="europe", limits=limits, action="block")

    assert by_agent["agentId"] == other.public_id
    assert by_user["userId"] == "u-1"
    assert by_tenant["tenantId"] == project.public_id
    for who in ({"bot": other}, {"user": "u-1"}, {"bot": member}):
        assert desk.ask(**who)["allowed"]
        desk.record(**who)
        assert desk.ask(**who)["reason_code"] == "blocked"
    assert desk.ask()["allowed"]
    assert desk.ask(user="u-2")["allowed"]
    for policy in (by_agent, by_user, by_tenant):
        assert desk.read(policy)["currentUsage"]["callsToday"] == 1


def test_a_policy_of_the_tenant_is_about_all_its_agents(desk, acme):
    for tenant in (acme.public_id, acme.slug):
        made = desk.write(
            tenantId=tenant, limits={"maxCallsPerMonth": 2}, action="throttle"
        )
        assert made["tenantId"] == acme.public_id
        assert made["scope"] == {}
    desk.record()
    desk.record(bot=desk.new_bot())
    assert desk.ask()["reason_code"] == "throttled"


def test_revoke_takes_the_bot_and_its_keys(desk, acme):
    bound = key_api(acme, bot=desk.bot)
    agent = desk.bot.public_id
    desk.write(agentId=agent, limits={"maxTokensCostPerDay": 10}, action="revoke")
    assert bound.get("/policies").status_code == 200

    desk.record(10)
    assert desk.ask()["reason_code"] == "revoked"
    assert_problem(bound.get("/policies"), 401, "invalid_key")
    assert ApiKey.objects.get(bot=desk.bot).revoked_at is not None
    assert desk.api.get(f"/bots/{agent}").json()["state"] == "revoked"
    path = f"/bots/{agent}/restore"
    assert desk.api.post(path, {}).json()["state"] == "active"


def test_days_and_months_reset_by_themselves(desk):
    limits = {"maxTokensCostPerDay": 10, "maxTokensCostPerMonth": 1_000}
    desk.write(agentId=desk.bot.public_id, limits=limits, action="block")
    desk.record(10)
    assert not desk.ask()["allowed"]

    tomorrow = desk.now + timedelta(days=1)
    assert desk.ask(at=tomorrow)["allowed"]


def test_current_usage_names_what_is_limited(desk):
    limits = {
        "maxTokensCostPerDay": 100,
        "maxTokensCostPerMonth": 1_000,
        "maxCallsPerDay": 10,
        "maxCallsPerMonth": 100,
    }
    policy = desk.write(userId="u-1", limits=limits, action="warn")
    for _ in range(2):
        desk.record(7, user="u-1")

    assert desk.read(policy)["currentUsage"] == {
        "tokensCostToday": 14,
        "tokensCostThisMonth": 14,
        "callsToday": 2,
        "callsThisMonth": 2,
    }


@pytest.mark.parametrize(
    ("command", "left"),
    [
        (["reset_counters", "--period", "day"], (0, 14)),
        (["resetdaily"], (0, 14)),
        (["resetmonthly"], (14, 0)),
        (["reset_counters", "--period", "all"], (0, 0)),
    ],
)
def test_commands_reset_what_was_counted(desk, acme, capsys, command, left):
    limits = {"maxTokensCostPerDay": 14, "maxTokensCostPerMonth": 1_000}
    policy = desk.write(agentId=desk.bot.public_id, limits=limits, action="block")
    desk.record(14)
    assert not desk.ask()["allowed"]

    call_command(*command, "--account", "acme", "--policy", policy["id"])
    usage = desk.read(policy)["currentUsage"]
    assert (usage["tokensCostToday"], usage["tokensCostThisMonth"]) == left
    assert desk.ask()["allowed"] is (left[0] == 0)
    assert "1 policy" in capsys.readouterr().out


def test_put_and_patch_take_their_form_too(desk):
    agent = desk.bot.public_id
    policy = desk.write(limits={"maxCallsPerDay": 5}, action="warn")
    path = f"/policies/{policy['id']}"

    body = {"agentId": agent, "limits": {"maxCallsPerMonth": 6}, "action": "throttle"}
    put = desk.api.put(path, body, If_Match='"1"').json()
    assert (put["agentId"], put["action"], put["revision"]) == (agent, "throttle", 2)
    assert put["limits"][0]["window"]["unit"] == "month"
    change = {"userId": "u-1", "agentId": None, "action": "block"}
    patched = desk.api.patch(path, change, If_Match='"2"').json()
    assert patched["scope"] == {"user": "u-1"}
    assert patched["actions"] == {"block": {"duration_seconds": None}}
    assert patched["limits"] == put["limits"]


def test_a_body_in_both_forms_is_refused(api, document):
    mixed = {**document, "action": "block"}
    answer = api.post("/policies", mixed)
    assert answer.status_code == 422
    told = {each["pointer"]: each["detail"] for each in answer.json()["errors"]}
    assert set(told) == {"/limits", "/actions"}
    assert all("KavachOS" in detail for detail in told.values())
    wrong = {"limits": {"maxCallsPerDay": 5}, "action": "warn"}
    for name, value in (
        ("scope", {}),
        ("rollout_mode", "shadow"),
        ("colour", "red"),
        ("type", "retention"),
    ):
        answer = api.post("/policies", {**wrong, name: value})
        assert_problem(answer, 422, "invalid_body", f"/{name}")
    for limits in ({}, {"maxCallsPerDay": -1}, {"maxCallsPerHour": 1}, None, 5):
        answer = api.post("/policies", {"limits": limits, "action": "warn"})
        assert answer.status_code == 422


def test_a_tenant_or_agent_that_is_unknown_is_422(api, stranger, bot, rival):
    body = {"limits": {"maxCallsPerDay": 5}, "action": "warn"}
    for name, foreign in (("tenantId", rival.public_id), ("agentId", "bot_x")):
        answer = api.post("/policies", {**body, name: foreign})
        assert_problem(answer, 422, "unknown_reference", f"/{name}")
    answer = stranger.post("/policies", {**body, "agentId": bot.public_id})
    assert_problem(answer, 422, "unknown_reference", "/agentId")
