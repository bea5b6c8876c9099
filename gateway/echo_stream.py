"""The echo's answers as a stream of events, and how they fail on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from gateway import protocol
from gateway.echo_script import (
    FOREVER,
    GIANT,
    Broken,
    Counted,
    Said,
    Script,
    head,
    tool_call,
    usage,
)
from gateway.protocol import Asked

_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


async def stream(
    asked: Asked, said: Said, script: Script, counted: Counted
) -> AsyncIterator[bytes]:
    """Send the answer piece by piece; every piece is one token."""
    base = head(asked, counted, "chat.completion.chunk")
    asks = asked.body.get("stream_options") or {}
    wants_usage = bool(asks.get("include_usage"))
    if wants_usage and script.name != "no-usage":
        base["usage"] = None
    choices = range(asked.body.get("n") or 1)
    if script.name == "slow":
        await asyncio.sleep(script.seconds)
    if script.name == "giant-line":
        yield b"data: " + b"x" * GIANT + b"\n\n"
    for index in choices:
        yield _chunk(base, index, _opening(said, counted), None)
    async for chunk in _pieces(base, said, script, counted, choices):
        yield chunk
    for index in choices:
        yield _chunk(base, index, {}, said.finish)
    taken = usage(script, counted)
    if taken is not None and wants_usage:
        yield b"data: " + _encode({**base, "choices": [], "usage": taken}) + b"\n\n"
    yield b"data: [DONE]\n\n"


async def _pieces(
    base: dict[str, Any], said: Said, script: Script, counted: Counted, choices: range
) -> AsyncIterator[bytes]:
    fails_at = len(said.pieces) // 2
    for number, piece in enumerate(said.pieces):
        if number and script.name == "drip":
            await asyncio.sleep(script.seconds)
        if number == fails_at:
            async for part in _failing(base, script):
                yield part
        for index in choices:
            counted.output_tokens += 1
            yield _chunk(base, index, _delta(said, piece), None)


def _opening(said: Said, counted: Counted) -> dict[str, Any]:
    if said.tool is None:
        return {"role": "assistant", "content": ""}
    call = {"index": 0, **tool_call(said, "", counted)}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _delta(said: Said, piece: str) -> dict[str, Any]:
    if said.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _chunk(
    base: dict[str, Any], index: int, delta: dict[str, Any], finish: str | None
) -> bytes:
    choice = {
        "index": index,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish,
    }
    return b"data: " + _encode({**base, "choices": [choice]}) + b"\n\n"


async def _failing(base: dict[str, Any], script: Script) -> AsyncIterator[bytes]:
    """Fail in the middle of a stream, if the script says so."""
    if script.name == "stall":
        await asyncio.sleep(FOREVER)
    if script.name == "cut-utf8":
        whole = _chunk(base, 0, {"content": "né"}, None)
        yield whole[: whole.index("é".encode()) + 1]
        raise Broken
    if script.name == "cut":
        raise Broken
    if script.name == "500-after-headers":
        failed = protocol.error_body("The echo was told to fail.", "server_error", None)
        yield b"data: " + _encode(failed) + b"\n\n"
        raise Broken
