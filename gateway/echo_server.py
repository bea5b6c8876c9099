"""The echo as a server of its own: `uvicorn gateway.echo_server:app`.

For measuring, and for trying what an upstream behind a network does.
`GET /v1/echo/counted` lists what it counted of the latest calls.
"""

from collections import deque
from typing import Final

import msgspec
from starlette.types import Receive, Scope, Send

from gateway import echo
from gateway.echo import Counted

_KEPT: Final = 10_000
_latest: deque[Counted] = deque(maxlen=_KEPT)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    path = scope["path"].removeprefix("/v1")
    if path == "/echo/counted":
        await _send_whole(send, msgspec.json.encode({"data": list(_latest)}))
        return
    raw = b""
    while True:
        message = await receive()
        raw += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = echo.answer(path, raw)
    if answer.counted.id:
        _latest.append(answer.counted)
    headers = [(b"content-type", answer.content_type.encode())]
    headers += [(k.encode(), v.encode()) for k, v in answer.headers.items()]
    start = {"type": "http.response.start", "status": answer.status}
    await send({**start, "headers": headers})
    async for chunk in answer.chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_whole(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
