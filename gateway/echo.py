"""The built-in upstream: it says again what it was told, and fails on demand.

The same request always gets the same text and the same usage. What goes wrong, and
how, is said by the model's name:

    echo                    the last user message
    echo-embedding          vectors made of the text's digest
    echo-tool               calls the first tool with the last user message
    echo-slow[-MS]          the first byte comes after MS milliseconds (2,000)
    echo-drip[-MS]          MS milliseconds between two chunks (100)
    echo-stall              half of the answer, then nothing more
    echo-cut                half of the answer, then the connection ends
    echo-cut-utf8           the same, in the middle of a character
    echo-no-usage           says nothing of usage
    echo-zero-usage         says that it took nothing
    echo-429, echo-500      refuses, or fails, at once
    echo-500-after-headers  fails when the answer has begun
    echo-giant-line         one line of four megabytes
    echo-wrong-type         a page instead of JSON

It runs in the lane's process as a function, or as a server of its own
(`gateway.echo_server`): `answer` is both.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import msgspec

from gateway import protocol, tokens
from gateway.echo_script import (
    FOREVER,
    GIANT,
    Broken,
    Counted,
    Said,
    Script,
    head,
    script_of,
    tool_call,
    usage,
)
from gateway.echo_stream import stream
from gateway.echo_vectors import embeddings
from gateway.protocol import Asked, Refusal

__all__ = ["Broken", "Counted", "Echo", "answer", "serves"]

CHAT_MODELS: Final = ("echo", "echo-tool")
EMBEDDING_MODELS: Final = ("echo-embedding",)
_JSON_FORMS: Final = ("json_object", "json_schema")
_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Echo:
    """An answer: `chunks` are its body's bytes, as they are sent."""

    status: int
    content_type: str
    chunks: AsyncIterator[bytes]
    counted: Counted
    headers: dict[str, str] = field(default_factory=dict)


def serves(kind: str, model: str) -> bool:
    """Whether the echo has a model of this name."""
    if kind == protocol.EMBEDDING:
        return model in EMBEDDING_MODELS
    return model == "echo" or script_of(model) is not None


def answer(path: str, raw: bytes) -> Echo:
    """Answer a request; `path` is what follows `/v1`."""
    try:
        return _answered(path, raw)
    except (msgspec.DecodeError, RecursionError):
        return _refused(Refusal(400, "The body is not JSON."))
    except Refusal as refusal:
        return _refused(refusal)


def _answered(path: str, raw: bytes) -> Echo:
    body = msgspec.json.decode(raw)
    if path == "/embeddings":
        asked = protocol.embedding(body)
        if asked.model not in EMBEDDING_MODELS:
            raise _unknown()
        counted = Counted(f"embd-{_digest(raw)}", asked.model, asked.input_tokens)
        whole = _encode(embeddings(asked))
        return Echo(200, "application/json", _once(whole), counted)
    if path != "/chat/completions":
        raise Refusal(404, "The echo has no such route.")
    asked = protocol.chat(body)
    script = Script() if asked.model == "echo" else script_of(asked.model)
    if script is None:
        raise _unknown()
    return _completed(asked, raw, script)


def _unknown() -> Refusal:
    return Refusal(404, "The echo has no such model.", code="model_not_found")


def _refused(refusal: Refusal) -> Echo:
    headers = {}
    if refusal.seconds is not None:
        headers["retry-after"] = str(refusal.seconds)
    body = _encode(refusal.body())
    none = Counted("", "")
    return Echo(refusal.status, "application/json", _once(body), none, headers)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _digest(raw: bytes) -> str:
    return blake2b(raw, digest_size=12).hexdigest()


def _completed(asked: Asked, raw: bytes, script: Script) -> Echo:
    if script.name == "429":
        refusal = Refusal(
            429,
            "The echo was told to refuse.",
            kind="requests",
            code="rate_limit_exceeded",
            seconds=7,
        )
        return _refused(refusal)
    if script.name == "500":
        return _refused(Refusal(500, "The echo was told to fail.", kind="server_error"))
    counted = Counted(f"chatcmpl-{_digest(raw)}", asked.model, asked.input_tokens)
    if script.name == "wrong-type":
        page = b"<html><body>This is no model.</body></html>"
        return Echo(200, "text/html", _once(page), counted)
    said = _said(asked, script)
    if asked.stream:
        chunks = stream(asked, said, script, counted)
        return Echo(200, "text/event-stream", chunks, counted)
    return Echo(200, "application/json", _whole(asked, said, script, counted), counted)


def _said(asked: Asked, script: Script) -> Said:
    text = _last_user_text(asked.body["messages"])
    tool = _tool_totool_call(asked.body, script)
    form = asked.body.get("response_format")
    if tool is not None:
        pieces = tokens.pieces(json.dumps({"text": text}, ensure_ascii=False))
        return Said(pieces, "tool_calls", tool)
    if isinstance(form, dict) and form.get("type") in _JSON_FORMS:
        text = _as_json(text)
    pieces = tokens.pieces(text)
    most = asked.body.get("max_completion_tokens") or asked.body.get("max_tokens")
    if most is not None and len(pieces) > most:
        return Said(pieces[:most], "length")
    return Said(pieces, "stop")


def _last_user_text(messages: list[dict[str, Any]]) -> str:
    for message in reversed(messages):
        if message["role"] == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            parts = [p.get("text") for p in content or () if isinstance(p, dict)]
            return "".join(part for part in parts if isinstance(part, str))
    return ""


def _as_json(text: str) -> str:
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    return text if is_object else json.dumps({"echo": text}, ensure_ascii=False)


def _tool_totool_call(body: dict[str, Any], script: Script) -> str | None:
    tools = [
        tool["function"]["name"]
        for tool in body.get("tools") or ()
        if isinstance(tool, dict)
        and isinstance(tool.get("function"), dict)
        and isinstance(tool["function"].get("name"), str)
    ]
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        return choice["function"].get("name") or None
    wanted = choice == "required" or (script.name == "tool" and choice != "none")
    return tools[0] if tools and wanted else None


async def _whole(
    asked: Asked, said: Said, script: Script, counted: Counted
) -> AsyncIterator[bytes]:
    if script.name in ("slow", "drip"):
        pauses = len(said.pieces) if script.name == "drip" else 1
        await asyncio.sleep(script.seconds * pauses)
    choices = asked.body.get("n") or 1
    counted.output_tokens = len(said.pieces) * choices
    text = "".join(said.pieces)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if said.tool is not None:
        message["content"] = None
        message["tool_calls"] = [tool_call(said, text, counted)]
    document = head(asked, counted, "chat.completion")
    document["choices"] = [
        {
            "index": index,
            "message": message,
            "logprobs": None,
            "finish_reason": said.finish,
        }
        for index in range(choices)
    ]
    taken = usage(script, counted)
    if taken is not None:
        document["usage"] = taken
    body = _encode(document)
    if script.name == "giant-line":
        body = body[:-1] + b',"filler":"' + b"x" * GIANT + b'"}'
    async for part in _failing_whole(body, script):
        yield part


async def _failing_whole(body: bytes, script: Script) -> AsyncIterator[bytes]:
    if script.name in ("stall", "cut", "cut-utf8", "500-after-headers"):
        yield body[: len(body) // 2]
        if script.name == "stall":
            await asyncio.sleep(FOREVER)
        raise Broken
    yield body
