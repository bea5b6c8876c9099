"""What the lane says when the pages cannot: in the words of whoever asked.

A problem document (RFC 9457) for most; ChatBotKit's `message` and `code` on its routes;
a plain page for a browser that wanted one.
"""

import json
from html import escape

from starlette.types import Scope, Send

from api import chatbotkit_words
from api.request_ids import request_id_for

_TITLES = {
    400: "The request cannot be understood.",
    413: "The body is too large.",
    502: "The pages failed.",
    503: "The pages are not available.",
    504: "The pages are too slow.",
}
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title} · PolicyHub</title></head>
<body><main><h1>{title}</h1><p>{detail}</p>
<p>Calls of your bots are decided elsewhere and go on. Error {status} ({code}).</p>
<p><a href="">Try again</a></p></main></body></html>
"""
_NOTHING_FOREIGN = b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_TRY_AGAIN_SECONDS = {503: b"1"}


async def refuse(scope: Scope, send: Send, status: int, code: str, detail: str) -> None:
    """Answer an error of the forwarding itself."""
    document = {"type": "about:blank", "title": _TITLES[status], "status": status}
    problem = {**document, "detail": detail, "code": code, "errors": []}
    kind, body = _written(scope, status, problem)
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id_for(None).encode("ascii")),
        (b"content-security-policy", _NOTHING_FOREIGN),
    ]
    if status in _TRY_AGAIN_SECONDS:
        headers.append((b"retry-after", _TRY_AGAIN_SECONDS[status]))
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _written(scope: Scope, status: int, problem: dict) -> tuple[bytes, bytes]:
    path = scope["path"]
    if path.startswith(chatbotkit_words.ROUTES):
        told = chatbotkit_words.told(status, problem)
        return b"application/json", json.dumps(told).encode()
    accepted = next((v for n, v in scope["headers"] if n == b"accept"), b"")
    if b"text/html" in accepted and not path.startswith("/api/"):
        said = {name: escape(str(value)) for name, value in problem.items()}
        return b"text/html; charset=utf-8", _PAGE.format(**said).encode()
    return b"application/problem+json", json.dumps(problem).encode()
