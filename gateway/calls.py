"""One governed call: what it asks, what was decided, what it took, and its end.

A call that was admitted ends exactly once: it is settled with what it took, or its
hold is freed because the upstream did nothing (CONTRACT H3). If this process dies
first, the hold is charged when its time is over (B7).
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from accounts.errors import DomainError, Overloaded, Unavailable
from gateway import protocol
from gateway.filters import PASS, Filters
from gateway.protocol import Asked, Usage
from gateway.routes import Route
from usage.entries import CallerKey, EventIn, Gate, Item, Outcome, ReleaseIn

SOURCE: Final = "gateway"
# Beyond an upstream's total time, so that a call in progress never expires (B7).
MARGIN_SECONDS: Final = 60
_LOG = logging.getLogger(__name__)


class Ledger(Protocol):
    """The door to the ledger."""

    async def submit(self, item: Item) -> Outcome:
        """Answer an item. Raises DomainError."""
        ...


@dataclass(slots=True)
class Taken:
    """What a call took: as the upstream said it, and as it was counted.

    `began` says that an upstream took it on; else there is nothing to charge.
    """

    began: bool = False
    usage: Usage | None = None
    output_tokens: int = 0


@dataclass(slots=True)
class Call:
    """A request that was admitted, on its way."""

    caller: CallerKey
    asked: Asked
    path: str
    bot: str
    conversation: str | None
    routes: list[Route]
    body: dict[str, Any]
    raw: bytes | None
    decision: dict[str, Any]
    deadline: float
    filters: Filters = PASS
    route: Route | None = None
    taken: Taken = field(default_factory=Taken)

    @property
    def reservation(self) -> str | None:
        """The id of the hold; None if the ledger let the call pass without one."""
        held = self.decision["reservation"]
        return None if held is None else held["id"]

    def usage(self) -> tuple[Usage, bool]:
        """Return what the call took, and whether that is an estimate."""
        if self.taken.usage is not None:
            return self.taken.usage, False
        return Usage(self.asked.input_tokens, self.taken.output_tokens), True


class Books:
    """Ends calls at the ledger, also when it cannot be reached at first."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._late: set[asyncio.Task[None]] = set()

    async def end(self, call: Call) -> None:
        """Settle a call, or free its hold; it is over when this returns.

        Without a database it is tried again in the background.
        """
        request = _event(call) if call.taken.began else _release(call)
        if request is None:
            return
        item = Item(call.caller.account_id, [request], call.caller, admitted=True)
        try:
            # From here on it is the ledger's: a cancelled wait does not undo it.
            outcome = await self._ledger.submit(item)
        except (Unavailable, Overloaded):
            self._try_again(item)
        else:
            _look_at(outcome)

    def _try_again(self, item: Item) -> None:
        task = asyncio.create_task(self._until_written(item))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _until_written(self, item: Item) -> None:
        seconds = 0.5
        while seconds < 120:
            await asyncio.sleep(seconds)
            seconds *= 1.5
            try:
                _look_at(await self._ledger.submit(item))
            except (Unavailable, Overloaded):
                continue
            return
        _LOG.error("a call could not be settled; its hold will be charged")

    async def close(self) -> None:
        """Give up what is still to be written."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


def _look_at(outcome: Outcome) -> None:
    for answer in outcome.answers:
        error: DomainError | None = answer.error
        if error is not None:
            _LOG.error("a call could not be settled: %s", error.code)


def _event(call: Call) -> EventIn:
    usage, estimated = call.usage()
    found = call.filters.answer()
    gate = Gate(
        priced_as=call.route.model if call.route else None,
        findings=found.findings,
        triggered_categories=found.triggered_categories,
        allowlist_hits=found.allowlist_hits,
        denylist_hits=found.denylist_hits,
        decision=call.decision["id"],
    )
    held = call.reservation
    return EventIn(
        bot=call.bot,
        id=None if held else call.decision["id"],
        user=None if held else call.asked.user,
        model=None if held else call.asked.model,
        conversation=call.conversation,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        messages=1 if call.asked.kind == protocol.CHAT else 0,
        calls=1,
        reservation=held,
        source=SOURCE,
        estimated=estimated,
        gate=gate,
    )


def _release(call: Call) -> ReleaseIn | None:
    held = call.reservation
    return None if held is None else ReleaseIn(held)
