"""What a policy would have done: `/policies/simulate` and `/policies/{id}/simulate`."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import ids
from accounts.errors import Forbidden, InvalidBody
from accounts.selectors import bots
from api import examples
from api.callers import Caller
from api.endpoint import Endpoint
from api.moments import moment_text
from api.policies import visible_policies, visible_policy
from api.policy_answers import hides_figures
from api.policy_bodies import document_of
from api.schema import operation
from api.schema_components import ref
from policies.models import Policy
from policies.rules import Limit, micros_to_cost
from usage.simulating import DEFAULT_DAYS, MOST_DAYS, Simulation, Tighter, simulate
from usage.simulation import Fire, Outcome, Tally

_SHOWN: Final = 50
_OTHERS: Final = 200
_TALLY: Final = {"calls": 412, "tokens": 188_000, "cost": "2.1"}
_OUTCOME: Final = {
    "fired": 3,
    "first_fired_at": "2026-02-11T14:20:00Z",
    "fires": [
        {
            "at": "2026-02-11T14:20:00Z",
            "metric": "tokens",
            "threshold": 50_000,
            "subject": {},
            "window_start": "2026-02-11T00:00:00Z",
        }
    ],
    "calls": {"calls": 9_200, "tokens": 1_400_000, "cost": "16.4"},
    "refused": _TALLY,
    "first_refused_at": "2026-02-11T14:20:05Z",
    "warned": 0,
    "unestimated": 0,
    "by_bot": [{"bot": examples.BOT_ID, "name": "Support bot", **_TALLY}],
    "by_user": [{"user": "u-1", **_TALLY}],
}
_SIMULATION: Final = {
    "from": "2026-01-30T08:00:00Z",
    "to": examples.MORNING,
    "source": "rollups",
    "truncated": False,
    **_OUTCOME,
    "active": None,
    "tighter": [
        {
            "policy_id": examples.POLICY_ID,
            "name": "Daily cap",
            "metric": "tokens",
            "threshold": 1_000,
            "window": {"kind": "calendar", "unit": "day", "timezone": "UTC"},
        }
    ],
}


class Simulations(Endpoint):
    """A draft, tried on the recorded usage."""

    scopes = {"POST": "policies:read"}

    @operation(
        "policies_simulate",
        "Try a draft on the recorded usage",
        request=ref("SimulationDraft"),
        sends={"policy": examples.POLICY_SENT, "days": 30},
        answer=ref("Simulation"),
        shows=_SIMULATION,
    )
    def post(self, request: Request) -> Response:
        """Say what a draft would have done in the last days; nothing is changed."""
        caller = _reader(self.caller)
        draft, days = _asked(request.data)
        if draft is None:
            raise InvalidBody(errors=[{"pointer": "/policy", "detail": "is required"}])
        return _tried(caller, draft, days, None)


class PolicySimulation(Endpoint):
    """A policy, or another version of it, tried on the recorded usage."""

    scopes = {"POST": "policies:read"}

    @operation(
        "policies_simulate_one",
        "Try a policy on the recorded usage",
        request=ref("SimulationAsked"),
        sends={"days": 7},
        answer=ref("Simulation"),
        shows=_SIMULATION,
    )
    def post(self, request: Request, policy_id: str) -> Response:
        """Say what a policy, or a draft of it, would have done; nothing is changed."""
        caller = self.caller
        policy = visible_policy(caller, policy_id)
        if hides_figures(caller, policy):
            raise Forbidden("Keys of a project see a shared policy's rule alone.")
        draft, days = _asked(request.data)
        return _tried(_reader(caller), draft, days, policy)


def _reader(caller: Caller) -> Caller:
    """Who sees what was used may see what would have been refused of it."""
    caller.need("usage:read")
    caller.need_unbound()
    return caller


def _asked(body: object) -> tuple[dict[str, Any] | None, int]:
    """Return the draft and the days of a body, which may be the draft itself."""
    if not isinstance(body, Mapping):
        raise InvalidBody(errors=[{"pointer": "", "detail": "must be an object"}])
    given = dict(body)
    days = given.pop("days", DEFAULT_DAYS)
    if type(days) is not int or not 1 <= days <= MOST_DAYS:
        detail = f"must be a whole number from 1 to {MOST_DAYS}"
        raise InvalidBody(errors=[{"pointer": "/days", "detail": detail}])
    if "policy" not in given:
        return given or None, days
    draft = given.pop("policy")
    if given:
        name = next(iter(given))
        detail = "is not a known field"
        raise InvalidBody(errors=[{"pointer": f"/{name}", "detail": detail}])
    if not isinstance(draft, dict):
        raise InvalidBody(
            errors=[{"pointer": "/policy", "detail": "must be an object"}]
        )
    return draft, days


def _tried(
    caller: Caller, draft: dict[str, Any] | None, days: int, policy: Policy | None
) -> Response:
    if draft is not None:
        document = document_of(caller, draft)
    else:
        document = policy.document if policy is not None else {}
    found = simulate(
        account=caller.account,
        document=document,
        now=timezone.now(),
        others=list(visible_policies(caller)[:_OTHERS]),
        policy=policy,
        project=caller.project,
        days=days,
    )
    return Response(_shown(caller, found))


def _shown(caller: Caller, found: Simulation) -> dict[str, Any]:
    active = found.active
    return {
        "from": moment_text(found.since),
        "to": moment_text(found.until),
        "source": found.source,
        "truncated": found.truncated,
        **_outcome(caller, found.draft),
        "active": None if active is None else _outcome(caller, active),
        "tighter": [_tighter(each) for each in found.tighter],
    }


def _outcome(caller: Caller, outcome: Outcome) -> dict[str, Any]:
    fires = outcome.fires
    return {
        "fired": outcome.fired,
        "first_fired_at": moment_text(fires[0].at) if fires else None,
        "fires": [_fire(each) for each in fires],
        "calls": _tally(outcome.calls),
        "refused": _tally(outcome.refused),
        "first_refused_at": moment_text(outcome.first_refused_at),
        "warned": outcome.warned,
        "unestimated": outcome.unestimated,
        "by_bot": _by_bot(caller, outcome),
        "by_user": [
            {"user": user, **_tally(tally)} for user, tally in _largest(outcome.by_user)
        ],
    }


def _by_bot(caller: Caller, outcome: Outcome) -> list[dict[str, Any]]:
    shown = _largest(outcome.by_bot)
    keys: list[UUID] = [ids.decode_id("bot", bot) for bot, _ in shown]
    visible = bots(caller.account, project=caller.project, include_archived=True)
    rows = visible.filter(id__in=keys).values_list("id", "name")
    names = {ids.encode_id("bot", key): name for key, name in rows}
    return [
        {"bot": bot, "name": names.get(bot), **_tally(tally)} for bot, tally in shown
    ]


def _largest(tallies: Mapping[Any, Tally]) -> list[tuple[Any, Tally]]:
    ordered = sorted(tallies.items(), key=lambda pair: -pair[1].calls)
    return ordered[:_SHOWN]


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "calls": tally.calls,
        "tokens": tally.tokens,
        "cost": micros_to_cost(tally.cost),
    }


def _fire(fire: Fire) -> dict[str, Any]:
    return {
        "at": moment_text(fire.at),
        "metric": fire.metric,
        "threshold": _amount(fire.metric, fire.threshold),
        "subject": {str(pair[0]): pair[1] for pair in fire.subject},
        "window_start": moment_text(fire.window_start),
    }


def _tighter(found: Tighter) -> dict[str, Any]:
    limit: Limit = found.limit
    return {
        "policy_id": found.policy.public_id,
        "name": found.policy.name,
        "metric": limit.metric,
        "threshold": _amount(limit.metric, limit.threshold),
        "window": limit.window.document(),
    }


def _amount(metric: str, amount: int) -> int | str:
    return micros_to_cost(amount) if metric == "cost" else amount
