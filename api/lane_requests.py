"""What the hot routes read of a request besides its key: query, type and body."""

from typing import Any, Final
from urllib.parse import unquote

import msgspec

from accounts.errors import FieldError, MalformedJson, UnsupportedMediaType
from api.errors import InvalidQuery
from api.hot import HotRequest
from api.json import check_charset

JSON: Final = "application/json"
CLOUD_EVENT: Final = "application/cloudevents+json"
CLOUD_BATCH: Final = "application/cloudevents-batch+json"
_ENVELOPE: Final = ("specversion", "id", "source", "type", "time")
_YES: Final = ("1", "true", "yes")
_NO: Final = ("", "0", "false", "no")


async def body_of(request: HotRequest, most: int, *types: str) -> bytes:
    """Read a body of at most `most` bytes and of a type that the route takes."""
    encoding = request.header(b"content-encoding")
    if encoding is not None and encoding.lower() != "identity":
        raise UnsupportedMediaType("Send the body without a content encoding.")
    if content_type(request) not in types:
        raise UnsupportedMediaType(f"Send the body as {types[0]}.")
    return await request.body(most)


async def event_body(request: HotRequest, most: int) -> tuple[str, bytes]:
    """Return how events are written, and the body.

    A CloudEvent in binary mode (its envelope in `ce-` headers, its data the body) is
    read as if it had come in one piece.
    """
    raw = await body_of(request, most, JSON, CLOUD_EVENT, CLOUD_BATCH)
    given = content_type(request)
    if given != JSON or request.header(b"ce-specversion") is None:
        return given, raw
    envelope: dict[str, Any] = {}
    for name in _ENVELOPE:
        value = request.header(f"ce-{name}".encode())
        if value is not None:
            envelope[name] = unquote(value)
    try:
        envelope["data"] = msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson from None
    return CLOUD_EVENT, msgspec.json.encode(envelope)


def content_type(request: HotRequest) -> str:
    """Return the body's type; JSON if it is not said. Raises UnsupportedMediaType."""
    given = request.header(b"content-type")
    if given is None or given == JSON:
        return JSON
    check_charset(given)
    return given.partition(";")[0].strip().lower()


def query_of(request: HotRequest, *known: str) -> dict[str, str]:
    """Return the query parameters. Raises InvalidQuery for one that is not known."""
    given = request.query()
    problems: list[FieldError] = []
    for name, value in given.items():
        if name not in known:
            problems.append(
                {"pointer": f"/{name}", "detail": "is not a known parameter"}
            )
        elif len(value) > 256 or "\x00" in value:
            problems.append({"pointer": f"/{name}", "detail": "is not a usable value"})
    if problems:
        raise InvalidQuery(errors=problems)
    return given


def flag_of(query: dict[str, str], name: str) -> bool:
    """Return a parameter that says yes or no, no if absent. Raises InvalidQuery."""
    value = query.get(name, "").lower()
    if value not in _YES and value not in _NO:
        detail = "must be 1 or 0, true or false"
        raise InvalidQuery(errors=[{"pointer": f"/{name}", "detail": detail}])
    return value in _YES
