"""The plainest calls of the hot routes, from their bytes to the ledger without a task.

Plain is what nearly every call is: a key that this process has met, JSON without an
encoding, no query, no `Idempotency-Key`, a body without a fault, room in the queue.
Anything else is declined before anything is done with it, and takes the way through
`api.lane`, which knows what to say.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from accounts.errors import DomainError
from api import lane_bodies as bodies
from api.hot import REQUEST_ID, Direct, Header, Reply, named
from api.lane import broken, decided, recorded, refusal
from api.lane_keys import KeyRing
from api.lane_requests import JSON
from usage.async_ledger import AsyncLedger
from usage.entries import CallerKey, CallIn, EventIn, Item, Outcome

_LOG: Final = logging.getLogger(__name__)
_JSON: Final = JSON.encode()
# Headers that change nothing about how a plain call is read.
_UNUSUAL: Final = frozenset(
    {b"content-encoding", b"idempotency-key", b"ce-specversion"}
)

Send = Callable[[Reply], None]


class DirectCalls:
    """Answers plain calls of one lane process."""

    def __init__(self, keys: KeyRing, ledger: AsyncLedger) -> None:
        self._keys = keys
        self._ledger = ledger
        self._telling: set[asyncio.Task[None]] = set()

    def by_path(self) -> dict[bytes, Direct]:
        """Return who answers directly, by the request's whole target."""
        return {
            b"/api/v1/authorize": partial(self._take, "decide", _call_of, decided),
            b"/api/v1/usage": partial(self._take, "usage:write", _event_of, recorded),
        }

    def _take(
        self,
        scope: str,
        read: Callable[[bytes], CallIn | EventIn | None],
        show: Callable[[Sequence[Any]], Reply],
        headers: Sequence[Header],
        body: bytes,
        send: Send,
    ) -> bool:
        caller = self._caller(headers, scope)
        if caller is None or self._ledger.is_full:
            return False
        request = read(body)
        if request is None:
            return False
        item = Item(caller.account_id, [request], caller)
        self._ledger.put(item, _Waiting(self, headers, show, send))
        return True

    def _caller(self, headers: Sequence[Header], scope: str) -> CallerKey | None:
        key = None
        for name, value in headers:
            if name == b"authorization":
                if key is not None:
                    return None
                key = value
            elif name == b"content-type":
                if value != _JSON:
                    return None
            elif name in _UNUSUAL:
                return None
        return None if key is None else self._keys.known_caller(key, scope)

    def refuse(
        self, headers: Sequence[Header], error: BaseException, send: Send
    ) -> None:
        """Tell of an error; a bad key comes before every other fault (G2)."""
        told = asyncio.ensure_future(self._refuse(dict(reversed(headers)), error, send))
        self._telling.add(told)
        told.add_done_callback(self._telling.discard)

    async def _refuse(
        self, headers: dict[bytes, bytes], error: BaseException, send: Send
    ) -> None:
        request_id = headers.get(REQUEST_ID, b"").decode("latin-1") or None
        fault = error
        if isinstance(error, DomainError):
            key = headers[b"authorization"].decode("latin-1")
            try:
                send(await refusal(self._keys, key, request_id, error))
            except Exception as another:  # noqa: BLE001 (nothing above says it better)
                fault = another
            else:
                return
        send(broken(request_id, fault))


class _Waiting:
    """One plain call in the ledger's queue."""

    __slots__ = ("_calls", "_done", "_headers", "_send", "_show")

    def __init__(
        self,
        calls: DirectCalls,
        headers: Sequence[Header],
        show: Callable[[Sequence[Any]], Reply],
        send: Send,
    ) -> None:
        self._calls = calls
        self._headers = headers
        self._show = show
        self._send = send
        self._done = False

    def done(self) -> bool:
        """Whether it was answered."""
        return self._done

    def set_result(self, outcome: Outcome) -> None:
        """Answer it."""
        self._done = True
        try:
            reply = self._show(outcome.answers)
        except Exception as error:  # noqa: BLE001 (each caller is told, whatever it is)
            self._calls.refuse(self._headers, error, self._send)
        else:
            self._send(named(reply, _request_id(self._headers)))

    def set_exception(self, error: BaseException) -> None:
        """Answer it with an error."""
        self._done = True
        self._calls.refuse(self._headers, error, self._send)


def _request_id(headers: Sequence[Header]) -> str | None:
    for name, value in headers:
        if name == REQUEST_ID:
            return value.decode("latin-1")
    return None


def _call_of(raw: bytes) -> CallIn | None:
    try:
        return bodies.call_of(raw, dry_run=False, idempotency_key=None)
    except DomainError:
        return None


def _event_of(raw: bytes) -> EventIn | None:
    try:
        return bodies.event_of(raw)
    except DomainError:
        return None
