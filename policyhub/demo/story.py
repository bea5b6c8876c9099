"""Who is in the demo: accounts, projects, bots and what was written down for them.

Every policy is scoped to one of these bots, so a bot that is registered later meets
none of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "demo"
EMAIL = "demo@example.com"
RUNAWAY = "crawler"


@dataclass(frozen=True, slots=True)
class DemoBot:
    """A bot and how it works.

    `rhythm` names its day and week, `peak` the events of its busiest hour, `tokens` the
    usual input and output of one event. `talks` is the share of events that belong to a
    conversation; 0 for a bot that talks to nobody.
    """

    external_id: str
    name: str
    description: str
    rhythm: str
    peak: float
    tokens: tuple[int, int]
    models: tuple[str, ...]
    users: int = 0
    talks: float = 0.0
    project: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class DemoPolicy:
    """A policy for one bot; `rule` is its document without name and scope."""

    bot: str
    name: str
    rule: Mapping[str, Any]
    description: str = ""


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account with everything in it. `late` policies are written at the end."""

    slug: str
    name: str
    owner: str
    bots: tuple[DemoBot, ...]
    policies: tuple[DemoPolicy, ...]
    late: tuple[DemoPolicy, ...] = ()
    projects: Mapping[str, str] = field(default_factory=dict)


def _window(unit: str) -> dict[str, Any]:
    return {"kind": "calendar", "unit": unit, "timezone": "UTC"}


def _usage(
    metric: str,
    threshold: int | str,
    window: Mapping[str, Any],
    actions: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    limit = {"metric": metric, "threshold": threshold, "window": dict(window)}
    return {"type": "usage", "limits": [limit], "actions": dict(actions)} | more


def _keep(days: int, mode: str = "enforce") -> dict[str, Any]:
    retention = {"target": "conversations", "max_age_days": days}
    return {"type": "retention", "retention": retention, "rollout_mode": mode}


_TELL: dict[str, Any] = {"warn": {}, "email": {}}
_THROTTLE: dict[str, Any] = {"throttle": {}}
_EARLY: dict[str, Any] = {"alert_steps": [80, 100]}

DEMO = DemoAccount(
    slug=ACCOUNT,
    name="Demo",
    owner=EMAIL,
    projects={"care": "Customer care", "office": "Back office"},
    bots=(
        DemoBot(
            external_id="support-desk",
            name="Support desk",
            description="Answers customers on the web site.",
            rhythm="office",
            peak=6.0,
            tokens=(900, 350),
            models=("gpt-4o-mini", "gpt-4o"),
            users=60,
            talks=0.5,
            project="care",
        ),
        DemoBot(
            external_id="returns",
            name="Returns",
            description="Walks customers through a return.",
            rhythm="shop",
            peak=3.5,
            tokens=(500, 220),
            models=("gpt-4o-mini",),
            users=90,
            talks=0.6,
            project="care",
        ),
        DemoBot(
            external_id="voice",
            name="Voice line",
            description="Answers the phone, day and night.",
            rhythm="steady",
            peak=2.0,
            tokens=(420, 160),
            models=("gpt-4o-mini",),
            users=40,
            talks=0.4,
            project="care",
        ),
        DemoBot(
            external_id="invoices",
            name="Invoice reader",
            description="Reads what came in, every night.",
            rhythm="night",
            peak=9.0,
            tokens=(2600, 240),
            models=("gpt-4o",),
            project="office",
        ),
        DemoBot(
            external_id=RUNAWAY,
            name="Crawler",
            description="Reads the web for the sales team.",
            rhythm="office",
            peak=2.5,
            tokens=(2200, 300),
            models=("gpt-4o-mini",),
            project="office",
            owner="sales@example.com",
        ),
        DemoBot(
            external_id="copilot",
            name="Code copilot",
            description="Helps the developers.",
            rhythm="office",
            peak=5.0,
            tokens=(3200, 700),
            models=("claude-3-5-sonnet-latest", "gpt-4o"),
            users=12,
        ),
    ),
    policies=(
        DemoPolicy(
            "support-desk",
            "Support desk: tokens a day",
            _usage("tokens", 50_000, _window("day"), _TELL, **_EARLY),
            "Tells us early when the day will be expensive.",
        ),
        DemoPolicy(
            "support-desk",
            "Support desk: monthly budget",
            _usage("cost", "2", _window("month"), _THROTTLE | _TELL, **_EARLY),
        ),
        DemoPolicy(
            "returns",
            "Returns: messages a day for each customer",
            _usage(
                "messages",
                14,
                _window("day"),
                _THROTTLE,
                group_by=["user"],
            ),
        ),
        DemoPolicy(
            RUNAWAY,
            "Crawler: runaway guard",
            _usage(
                "tokens",
                120_000,
                _window("hour"),
                {"block": {"duration_seconds": 86_400}} | _TELL,
                **_EARLY,
            ),
            "A loop is stopped for a day, so that somebody looks at it.",
        ),
        DemoPolicy(
            "copilot",
            "Copilot: weekly cost",
            _usage(
                "cost",
                "3",
                _window("week"),
                _TELL,
                alert_steps=[50, 80, 100],
            ),
        ),
        DemoPolicy(
            "invoices",
            "Invoices: calls in an hour (trial)",
            _usage(
                "calls",
                10,
                {"kind": "rolling", "seconds": 3600},
                _THROTTLE,
                rollout_mode="shadow",
            ),
            "In shadow: shows what it would refuse, and refuses nothing.",
        ),
    ),
    late=(
        DemoPolicy("support-desk", "Keep support conversations 30 days", _keep(30)),
        DemoPolicy("voice", "Keep calls 14 days (trial)", _keep(14, "shadow")),
    ),
)

TRAVEL = DemoAccount(
    slug="demo-travel",
    name="Harbour Travel",
    owner="travel@example.com",
    bots=(
        DemoBot(
            external_id="concierge",
            name="Concierge",
            description="Plans journeys with guests.",
            rhythm="shop",
            peak=3.5,
            tokens=(1100, 480),
            models=("claude-3-5-sonnet-latest",),
            users=50,
            talks=0.5,
        ),
        DemoBot(
            external_id="bookings",
            name="Bookings",
            description="Changes and cancels.",
            rhythm="steady",
            peak=1.6,
            tokens=(600, 150),
            models=("gpt-4o-mini",),
            users=70,
        ),
        DemoBot(
            external_id="fares",
            name="Fare watcher",
            description="Compares fares on Monday mornings.",
            rhythm="monday",
            peak=8.0,
            tokens=(1500, 90),
            models=("in-house-7b",),
        ),
    ),
    policies=(
        DemoPolicy(
            "concierge",
            "Concierge: cost a day",
            _usage("cost", "0.4", _window("day"), _THROTTLE | _TELL, **_EARLY),
        ),
        DemoPolicy(
            "bookings",
            "Bookings: tokens in 24 h",
            _usage(
                "tokens",
                27_000,
                {"kind": "fixed", "seconds": 86_400},
                _TELL,
                **_EARLY,
            ),
        ),
    ),
    late=(DemoPolicy("concierge", "Keep journeys 30 days", _keep(30)),),
)

CLINIC = DemoAccount(
    slug="demo-clinic",
    name="Lumen Clinic",
    owner="clinic@example.com",
    bots=(
        DemoBot(
            external_id="triage",
            name="Triage",
            description="Asks patients what it is about.",
            rhythm="office",
            peak=4.0,
            tokens=(700, 260),
            models=("gpt-4o",),
            users=80,
            talks=0.6,
        ),
        DemoBot(
            external_id="summaries",
            name="Summaries",
            description="Sums up files at night.",
            rhythm="night",
            peak=6.0,
            tokens=(4200, 520),
            models=("gpt-4o-mini",),
        ),
        DemoBot(
            external_id="reminders",
            name="Reminders",
            description="Writes to patients.",
            rhythm="office",
            peak=2.0,
            tokens=(250, 90),
            models=("gpt-4o-mini",),
            users=120,
        ),
    ),
    policies=(
        DemoPolicy(
            "triage",
            "Triage: calls a day",
            _usage("calls", 26, _window("day"), _TELL, **_EARLY),
        ),
        DemoPolicy(
            "summaries",
            "Summaries: tokens a month",
            _usage("tokens", 2_000_000, _window("month"), _THROTTLE, **_EARLY),
        ),
    ),
    late=(DemoPolicy("triage", "Keep triage talks 30 days", _keep(30)),),
)

ACCOUNTS = (DEMO, TRAVEL, CLINIC)
