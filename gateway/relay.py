"""Pass an upstream's answer on: whole, or event by event, filtered and counted.

What leaves here has been through the call's filters. Usage that the client did not
ask for is taken out. Nothing of an upstream's own error text passes.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway import protocol, texts, tokens
from gateway.calls import Call
from gateway.exchange import Exchange
from gateway.filters import TextFilter
from gateway.metrics import FIRST_CHUNK_SECONDS
from gateway.protocol import BrokenStream, Events, Refusal
from gateway.upstreams import Answer, BrokeOff, TookTooLong, UpstreamError

ANSWER_MAX: Final = 32 * 1024 * 1024
LINE_MAX: Final = 1024 * 1024
# How long an upstream is heard out for its usage when the client has gone.
DRAIN_SECONDS: Final = 5.0
# How long an upstream may take to end its answer when it has said that it is done.
_END_SECONDS: Final = 1.0
DONE: Final = b"[DONE]"
_A_TOKEN: Final = 16

_decode = msgspec.json.decode
_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


async def whole(call: Call, answer: Answer) -> bytes:
    """Read a whole answer; note what it took; return what the client gets.

    Raises UpstreamError, and Refusal for what is no answer.
    """
    if not answer.content_type.endswith("json"):
        answer.close()
        raise broken_answer()
    call.taken.began = True
    parts: list[bytes] = []
    size = 0
    try:
        while part := await answer.chunk():
            parts.append(part)
            size += len(part)
            if size > ANSWER_MAX:
                answer.close()
                raise BrokeOff
    except UpstreamError:
        cut = b"".join(parts).partition(b'"content":')[2]
        call.taken.output_tokens = tokens.estimate(cut.decode("utf-8", "replace"))
        raise
    raw = b"".join(parts)
    try:
        document = _decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BrokeOff from error
    if not isinstance(document, dict):
        raise BrokeOff
    call.taken.usage = protocol.usage_in(document)
    if call.taken.usage is None:
        call.taken.output_tokens = protocol.output_tokens(document)
    if call.filters.reads_answers:
        return _encode(_filtered_whole(call, document))
    return raw


def broken_answer() -> Refusal:
    """Return the refusal when an upstream answers what is no answer."""
    return Refusal(
        502,
        "The upstream did not give a usable answer.",
        kind="server_error",
        code="upstream_error",
    )


def not_allowed() -> Refusal:
    """Return the refusal when a content policy denies what came as an answer."""
    return Refusal(
        403,
        "The content of this answer is not allowed.",
        kind="permission_error",
        code="denylist",
        retry=False,
    )


def _filtered_whole(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    for choice in document.get("choices") or ():
        if not isinstance(choice, dict):
            continue
        _forget_pieces(choice)
        message = choice.get("message")
        for text in texts.of_answer(message) if isinstance(message, dict) else ():
            reader = call.filters.text(source=text.source)
            text.put(reader.feed(text.value) + reader.flush())
    if call.filters.denies_answer:
        raise not_allowed()
    return document


def _forget_pieces(choice: dict[str, Any]) -> None:
    """Drop the tokens' own probabilities: they spell the text once more."""
    if choice.get("logprobs") is not None:
        choice["logprobs"] = None


class Relay:
    """A stream on its way from an upstream to a client."""

    def __init__(self, call: Call, exchange: Exchange, answer: Answer) -> None:
        self._call = call
        self._exchange = exchange
        self._answer = answer
        self._events = Events(LINE_MAX)
        self._texts: dict[tuple[int, texts.Path], TextFilter] = {}
        self._head: dict[str, Any] = {}
        self._is_done = False
        self._has_gone = False
        self._has_sent = False
        # What is wrong with the stream, as the client is told at its end.
        self.failure: Refusal | None = None

    async def run(self) -> None:
        """Pass everything on but the end, until the upstream has ended."""
        gone = asyncio.ensure_future(self._exchange.until_gone())
        gone.add_done_callback(self._leave)
        try:
            await self._pass_on()
        except (BrokenStream, msgspec.DecodeError, RecursionError):
            self.failure = self.failure or broken_answer()
        except UpstreamError as error:
            if not self._is_done:
                late = isinstance(error, TookTooLong)
                self.failure = self.failure or (too_late() if late else broken_off())
        finally:
            gone.cancel()
            self._answer.close()

    async def finish(self) -> None:
        """Send the end, now that the call is settled."""
        if self._has_gone:
            self._exchange.outcome = "gone"
            await self._exchange.end()
            return
        if self.failure is not None:
            self._exchange.outcome = self.failure.outcome
            await self._exchange.end(_event(_encode(self.failure.body())))
            return
        last = b""
        call = self._call
        if call.asked.wants_usage and call.taken.usage is None:
            usage, _ = call.usage()
            chunk = {**self._head, "choices": [], "usage": usage.document()}
            last = _event(_encode(chunk))
        await self._exchange.end(last + _event(DONE))

    def _leave(self, gone: asyncio.Future[None]) -> None:
        if not gone.cancelled() and not self._has_gone:
            self._has_gone = True
            self._answer.hurry(DRAIN_SECONDS)

    async def _pass_on(self) -> None:
        while chunk := await self._answer.chunk():
            out = [self._seen(data) for data in self._events.feed(chunk)]
            sent = b"".join(out)
            if self._is_done:
                self._answer.hurry(_END_SECONDS)
            if sent and not self._has_sent:
                self._has_sent = True
                FIRST_CHUNK_SECONDS.observe(self._exchange.age)
            if sent and not self._has_gone:
                taken = await self._exchange.write(sent)
                if not taken and not self._has_gone:
                    self._has_gone = True
                    self._answer.hurry(DRAIN_SECONDS)
        if self._events.is_cut or not self._is_done:
            raise BrokeOff

    def _seen(self, data: bytes) -> bytes:
        """Note what an event says; return it as the client gets it."""
        if self._is_done:
            return b""
        if data == DONE:
            self._is_done = True
            return self._rest()
        document = _decode(data)
        if not isinstance(document, dict) or document.get("error") is not None:
            raise BrokenStream("an error came in place of a chunk")
        taken = self._call.taken
        usage = protocol.usage_in(document)
        choices = document.get("choices")
        if usage is not None:
            taken.usage = usage
            if not choices and not self._call.asked.wants_usage:
                return b""
        if choices:
            taken.output_tokens += _output_tokens(document)
            self._head = document
        is_changed = False
        if not self._call.asked.wants_usage and "usage" in document:
            del document["usage"]
            is_changed = True
        if choices and self._call.filters.reads_answers:
            return self._filtered(document)
        return _event(_encode(document) if is_changed else data)

    def _filtered(self, document: dict[str, Any]) -> bytes:
        """Pass the chunk's texts through their filters; release what is held back."""
        before = b""
        for choice in document["choices"]:
            if not isinstance(choice, dict):
                continue
            _forget_pieces(choice)
            index = choice.get("index", 0)
            delta = choice.get("delta")
            for text in texts.of_answer(delta) if isinstance(delta, dict) else ():
                key = (index, text.path)
                reader = self._texts.get(key)
                if reader is None:
                    reader = self._call.filters.text(source=text.source)
                    self._texts[key] = reader
                text.put(reader.feed(text.value))
            if choice.get("finish_reason") is not None:
                before += self._flushed(document, index)
        return self._unless_denied(before + _event(_encode(document)))

    def _unless_denied(self, out: bytes) -> bytes:
        """Return what may be passed on: nothing more once a policy denies it.

        The upstream is heard out for its usage all the same.
        """
        if not self._call.filters.denies_answer:
            return out
        if self.failure is None:
            self.failure = not_allowed()
            self._answer.hurry(DRAIN_SECONDS)
        return b""

    def _rest(self) -> bytes:
        """Return what filters still hold back of choices that never finished."""
        indexes = dict.fromkeys(index for index, _ in self._texts)
        out = b"".join([self._flushed(self._head, index) for index in indexes])
        return self._unless_denied(out)

    def _flushed(self, document: dict[str, Any], index: int) -> bytes:
        out = b""
        for key in [key for key in self._texts if key[0] == index]:
            left = self._texts.pop(key).flush()
            if left:
                choice = {
                    "index": index,
                    "delta": texts.at_path(key[1], left),
                    "finish_reason": None,
                }
                out += _event(_encode({**document, "choices": [choice]}))
        return out


def _output_tokens(document: dict[str, Any]) -> int:
    """Count a chunk's tokens: most providers send one at a time."""
    choices = document["choices"]
    if len(choices) == 1 and isinstance(choices[0], dict):
        delta = choices[0].get("delta")
        if isinstance(delta, dict) and len(delta) == 1:
            text = delta.get("content")
            if isinstance(text, str) and len(text) <= _A_TOKEN:
                stripped = text.strip()
                if " " not in stripped:
                    return 1 if text else 0
    return protocol.output_tokens(document)


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def too_late() -> Refusal:
    """Return the refusal when an upstream takes too long."""
    return Refusal(
        504,
        "The upstream took too long.",
        kind="server_error",
        code="upstream_timeout",
    )


def broken_off() -> Refusal:
    """Return the refusal when an upstream ends before its answer does."""
    return Refusal(
        502,
        "The upstream broke off.",
        kind="server_error",
        code="upstream_error",
    )
