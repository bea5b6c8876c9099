"""What goes into a decision and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from policies.matching import Caller, Subject
from policies.rules import Limit, UsageRule, Window


@dataclass(slots=True)
class Reading:
    """Where one limit of one policy stands for one subject.

    `used` and `held` are in the metric's unit (micro-dollars for cost). `resets_at`
    is the window's end; `retry_at` is when this call's cost would fit, None if that is
    unknown or never. `cost` is what the call costs under this policy (its default
    hold may differ from another's), None for what the call itself says.
    """

    # Not frozen for the same reason as PolicyReading.
    rule: UsageRule
    limit: Limit
    subject: Subject
    used: int
    held: int
    resets_at: datetime | None
    retry_at: datetime | None
    cost: int | None = None

    @property
    def remaining(self) -> int:
        """What is left (B1); negative if the limit has been overrun."""
        return self.limit.threshold - self.used - self.held


@dataclass(frozen=True, slots=True)
class BlockView:
    """A live block that covers this call. `kind` is person, policy or revoke.

    `ends_at` is None if the end is not known; `enforced` is False in shadow.
    """

    id: str
    policy_id: str | None
    kind: str
    enforced: bool
    ends_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What somebody who read a call's content, or its model, says of it.

    `reason` is denylist, redacted, warned or model_not_allowed; `denies` says whether
    it refuses the call if it is `enforced`. `name` is the policy's.
    """

    reason: str
    enforced: bool
    denies: bool
    policy_id: str | None = None
    rollout_mode: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call to decide on. `amounts` maps a metric to its cost; None is unknown.

    `bot_state` is active, disabled or revoked.
    """

    caller: Caller
    bot_state: str
    amounts: Mapping[str, int | None]


@dataclass(slots=True)
class PolicyReading:
    """One policy's part in a decision, as the caller is told it.

    `remaining` is never below 0; `exceeded` says whether this call is over the limit.
    """

    # Not frozen only because dozens are made for each call: that costs three times
    # as much. Nobody changes one.
    policy_id: str
    revision: int
    action: str
    metric: str
    threshold: int
    used: int
    held: int
    remaining: int
    resets_at: datetime | None
    exceeded: bool
    enforced: bool
    window: Window
    subject: Subject


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided. `allowed` is what the caller must obey.

    `decision` is allow or deny as evaluated: a deny that is not `enforced` is allowed.
    `refusals` are the indexes of the readings that are over under an enforced refusing
    policy. `retry_at` is None if nobody knows when the call would pass.
    """

    allowed: bool
    decision: str
    reason_code: str
    message: str
    enforced: bool
    rollout_mode: str | None
    policy_id: str | None
    retry_at: datetime | None
    policies: tuple[PolicyReading, ...]
    refusals: tuple[int, ...]
