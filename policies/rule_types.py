"""The values a policy is made of: windows, limits, scopes, actions and usage rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

METRICS: Final = (
    "tokens",
    "input_tokens",
    "output_tokens",
    "messages",
    "conversations",
    "calls",
    "cost",
)
SCOPE_FIELDS: Final = ("project", "bot", "user", "model")
POLICY_TYPES: Final = ("usage", "retention", "content")
CALENDAR_UNITS: Final = ("hour", "day", "week", "month", "quarter", "year")
WINDOW_KINDS: Final = ("calendar", "fixed", "rolling", "lifetime")
ROLLOUT_MODES: Final = ("off", "shadow", "enforce")
# From the most to the least severe: the order a policy's action is named in.
ACTION_NAMES: Final = ("revoke", "block", "throttle", "warn", "email", "webhook")


class Problem(NamedTuple):
    """What is wrong with one field: `pointer` is a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


class InvalidPolicy(Exception):
    """A document is not a policy; `problems` lists everything that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.pointer or '/'}: {p.detail}" for p in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Window:
    """A span in which usage is summed: calendar, fixed, rolling or lifetime.

    `unit`, `timezone` and `week_start` (1 = Monday) belong to calendar windows,
    `seconds` to fixed and rolling ones.
    """

    kind: str
    unit: str | None = None
    seconds: int | None = None
    timezone: str = "UTC"
    week_start: int = 1

    def document(self) -> dict[str, object]:
        """Return the canonical JSON form: only the fields that mean something."""
        if self.kind == "calendar":
            canonical: dict[str, object] = {
                "kind": "calendar",
                "unit": self.unit,
                "timezone": self.timezone,
            }
            if self.unit == "week":
                canonical["week_start"] = self.week_start
            return canonical
        if self.kind == "lifetime":
            return {"kind": "lifetime"}
        return {"kind": self.kind, "seconds": self.seconds}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `threshold` of `metric` in a window; micro-dollars if it is cost.

    `key` is the limit's identity, which survives a change of threshold (B5).
    """

    metric: str
    threshold: int
    window: Window
    key: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a policy is about; None means all. `model` may end with `*` (B4)."""

    project: str | None = None
    bot: str | None = None
    user: str | None = None
    model: str | None = None

    def document(self) -> dict[str, str]:
        """Return the canonical JSON form: only the fields that are set."""
        named = ((field, getattr(self, field)) for field in SCOPE_FIELDS)
        return {field: value for field, value in named if value is not None}


@dataclass(frozen=True, slots=True)
class BlockAction:
    """Block for `duration_seconds`, or until the window's end if None (C3)."""

    duration_seconds: int | None


@dataclass(frozen=True, slots=True)
class Actions:
    """What a policy does when a limit is triggered (C2).

    `email` and `webhook` are None if not wanted; an empty `email` is the owner.
    """

    warn: bool = False
    throttle: bool = False
    block: BlockAction | None = None
    revoke: bool = False
    email: tuple[str, ...] | None = None
    webhook: tuple[str, ...] | None = None

    @property
    def refuses(self) -> bool:
        """Whether the policy can refuse a call; warn, email and webhook never do."""
        return self.throttle or self.revoke or self.block is not None

    @property
    def stopping(self) -> tuple[str, ...]:
        """The wanted actions that can refuse, the most severe first."""
        wanted = {
            "revoke": self.revoke,
            "block": self.block is not None,
            "throttle": self.throttle,
        }
        return tuple(name for name, is_wanted in wanted.items() if is_wanted)

    @property
    def strongest(self) -> str:
        """The most severe wanted action."""
        if self.revoke:
            return "revoke"
        if self.block is not None:
            return "block"
        if self.throttle:
            return "throttle"
        if self.warn:
            return "warn"
        return "email" if self.email is not None else "webhook"


@dataclass(frozen=True, slots=True)
class UsageRule:
    """A usage policy's revision, compiled for deciding.

    `group_by` is in the order of SCOPE_FIELDS; `default_hold` holds integers
    (micro-dollars for cost); `counting_since` maps a limit's key to the moment from
    which recorded events count (B5).
    """

    policy_id: str
    revision: int
    name: str
    scope: Scope
    group_by: tuple[str, ...]
    limits: tuple[Limit, ...]
    actions: Actions
    alert_steps: tuple[int, ...]
    rollout_mode: str
    rollout_percent: int
    fail_mode: str
    on_unpriced: str
    default_hold: Mapping[str, int] | None
    notify_in_shadow: bool = False
    counting_since: Mapping[str, datetime] | None = None
