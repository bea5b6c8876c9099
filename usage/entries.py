"""What is put to the ledger, and what it answers.

An *entry* is one call to authorize, one usage event, one release. Amounts are whole
numbers; cost is micro-USD throughout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from accounts.errors import Conflict, DomainError
from policies.decision_types import Finding

AMOUNTS = (
    "tokens",
    "input_tokens",
    "output_tokens",
    "messages",
    "conversations",
    "calls",
    "cost",
)
DEFAULT_TTL_SECONDS = 600
MAX_TTL_SECONDS = 86_400
MAX_EVENTS = 1_000


@dataclass(frozen=True)
class CallerKey:
    """What the ledger has to know of the key that a call came with."""

    id: UUID
    public_id: str
    account_id: UUID
    project_id: UUID | None = None
    bot_id: UUID | None = None

    @cached_property
    def quoted(self) -> str:
        """Its id as JSON."""
        return f'"{self.id}"'


@dataclass(slots=True)
class Gate:
    """What the gateway says of a call, or of what became of it.

    `version` is the account's when its upstreams and content policies were read: with
    another one the call is answered RulesChanged. `assumed_output` are the tokens held
    for an answer that neither the call nor a policy's default hold bounds; they shrink
    with what is left. `priced_as` is the upstream's own name for the model.
    `decision` is the decision that an event's findings belong to.
    """

    version: int | None = None
    assumed_output: int = 0
    priced_as: str | None = None
    tags: dict[str, str] | None = None
    findings: Sequence[Finding] = ()
    triggered_categories: Sequence[str] = ()
    allowlist_hits: Sequence[str] = ()
    denylist_hits: Sequence[str] = ()
    decision: str | None = None


class RulesChanged(Conflict):
    """The call was read by rules that have been edited since: read it again."""

    code = "rules_changed"
    title = "The rules have changed; try again."


@dataclass(slots=True)
class CallIn:
    """A call to decide on. `bot` is a public or an external id.

    `estimate` maps a metric to an amount; what it leaves out is unknown, except that
    `calls` is 1 and `messages` 0 (CONTRACT A2). `ttl_seconds` bounds a reservation.
    """

    bot: str
    user: str | None = None
    model: str | None = None
    conversation: str | None = None
    estimate: dict[str, int] | None = None
    reserve: bool = False
    ttl_seconds: int = DEFAULT_TTL_SECONDS
    dry_run: bool = False
    idempotency_key: str | None = None
    request_digest: str | None = None
    kind: str = "authorize"
    gate: Gate | None = None


@dataclass(slots=True)
class EventIn:
    """One usage event. An amount that is None takes the default of CONTRACT A2."""

    bot: str
    id: str | None = None
    user: str | None = None
    model: str | None = None
    conversation: str | None = None
    tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    messages: int | None = None
    conversations: int | None = None
    calls: int | None = None
    cost: int | None = None
    occurred_at: datetime | None = None
    reservation: str | None = None
    source: str = "api"
    estimated: bool = False
    gate: Gate | None = None


@dataclass(slots=True)
class ReleaseIn:
    """A reservation to be freed, by its public id."""

    reservation: str


class ReservationInfo:
    """What never changes about a reservation: for whom it holds, what, and where."""

    __slots__ = ("_holds", "bot_id", "id", "model", "project_id", "user")

    def __init__(
        self,
        id: UUID,  # noqa: A002 (the column's name)
        bot_id: UUID,
        project_id: UUID | None,
        user: str | None,
        model: str | None,
        holds: list[dict[str, Any]] | tuple[str | int, ...],
    ) -> None:
        self.id = id
        self.bot_id = bot_id
        self.project_id = project_id
        self.user = user
        self.model = model
        self._holds = holds

    @property
    def holds(self) -> list[dict[str, Any]]:
        """Its holds; most that are remembered as parts are never asked for."""
        if isinstance(self._holds, tuple):
            self._holds = _read_holds(holding(self._holds))
        return self._holds


_read_holds = msgspec.json.Decoder(list[dict[str, Any]]).decode


def holding(parts: tuple[str | int, ...]) -> str:
    """Return holds as JSON, of what each begins with and its amount, in turn."""
    begun, amounts = parts[::2], parts[1::2]
    held = [f"{b}{amount}}}" for b, amount in zip(begun, amounts, strict=True)]
    return f"[{','.join(held)}]"


@dataclass(slots=True)
class ExpireIn:
    """A reservation whose time is over; made by the ledger and the sweep only."""

    reservation: ReservationInfo


Request = CallIn | EventIn | ReleaseIn | ExpireIn


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event: `status` is recorded, duplicate or error."""

    id: str | None
    status: str
    event_id: str | None = None
    error: DomainError | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The ledger's answer to one entry: a JSON body, or the error it ran into.

    `raw` is the body as it goes out; `retry_after` is what it says of that.
    """

    raw: bytes | None = None
    error: DomainError | None = None
    replayed: bool = False
    retry_after: int | None = None

    @property
    def body(self) -> dict[str, Any] | None:
        """The body, read again each time: the lane passes `raw` on unread."""
        if self.raw is None:
            return None
        read: dict[str, Any] = msgspec.json.decode(self.raw)
        return read


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What a request was answered: an HTTP status and a body."""

    request_digest: str
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Once:
    """The wish to do a request once: its name, its content, and how it is answered.

    `answer` returns status and body; None for what is not to be kept, as it did
    nothing.
    """

    id: UUID
    request_digest: str
    answer: Callable[[Sequence[Answer | EventResult]], tuple[int, str] | None]


@dataclass(slots=True)
class Item:
    """One caller's request: its entries are decided in order and answered together.

    `admitted` says that the key was good when the call began: it settles or releases
    what was held then, whatever became of the key.
    """

    account_id: UUID
    requests: Sequence[Request]
    key: CallerKey | None = None
    once: Once | None = None
    admitted: bool = False


@dataclass(slots=True)
class Outcome:
    """The answers to an item's entries, in their order.

    `first` stands for them if the item was a repeat; `error` if it cannot be one.
    """

    answers: list[Answer | EventResult] = field(default_factory=list)
    first: FirstAnswer | None = None
    error: DomainError | None = None


def parts_of(
    tokens: int | None, read: int | None, written: int | None
) -> tuple[int | None, int | None]:
    """Return input and output tokens; of one that is not said, what the whole leaves.

    Raises ValueError if they do not add up to `tokens` (A1).
    """
    if tokens is None or (read is None and written is None):
        return read, written
    if (read or 0) > tokens or (written or 0) > tokens:
        raise ValueError("tokens must not be less than its parts")
    read = tokens - (written or 0) if read is None else read
    written = tokens - read if written is None else written
    if read + written != tokens:
        raise ValueError("tokens must be input_tokens + output_tokens")
    return read, written


def checked_amounts(event: EventIn) -> dict[str, int | None]:
    """Return an event's amounts with `tokens` made whole (A1, A2).

    Raises ValueError if tokens and their parts do not add up.
    """
    tokens = event.tokens
    read, written = parts_of(tokens, event.input_tokens, event.output_tokens)
    if tokens is None:
        tokens = (read or 0) + (written or 0)
    return {
        "tokens": tokens,
        "input_tokens": read or 0,
        "output_tokens": written or 0,
        "messages": event.messages or 0,
        "conversations": event.conversations,
        "calls": 1 if event.calls is None else event.calls,
        "cost": event.cost,
    }
