"""The bodies of the hot routes: strict types in, the ledger's requests out.

msgspec decodes them; an unknown field, a number that is not whole, a text with a NUL
is an error with a JSON pointer, never a guess.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from accounts.errors import BodyTooLarge, FieldError, InvalidBody, MalformedJson
from api import json
from policies.rules import MAX_INTEGER, cost_to_micros
from usage.entries import (
    DEFAULT_TTL_SECONDS,
    MAX_EVENTS,
    MAX_TTL_SECONDS,
    CallIn,
    EventIn,
)

MAX_BODY: Final = 256 * 1024
MAX_BULK: Final = 2 * 1024 * 1024

Body = TypeVar("Body")
Whole = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
User = Annotated[str, Meta(min_length=1, max_length=256)]
Cost = str | int | float
Moment = Annotated[datetime, Meta(tz=True)]
Seconds = Annotated[int, Meta(ge=1, le=MAX_TTL_SECONDS)]


class EstimateBody(Struct, forbid_unknown_fields=True):
    """What a call is expected to consume."""

    tokens: Whole | None = None
    input_tokens: Whole | None = None
    output_tokens: Whole | None = None
    messages: Whole | None = None
    calls: Whole | None = None
    cost: Cost | None = None


class CallBody(Struct, forbid_unknown_fields=True):
    """The body of `POST /api/v1/authorize`."""

    bot: Name
    user: User | None = None
    model: Name | None = None
    conversation: Name | None = None
    estimate: EstimateBody | None = None
    reserve: bool = False
    ttl_seconds: Seconds = DEFAULT_TTL_SECONDS


class EventBody(Struct, forbid_unknown_fields=True):
    """One usage event of `POST /api/v1/usage`."""

    bot: Name
    id: Name | None = None
    user: User | None = None
    model: Name | None = None
    conversation: Name | None = None
    tokens: Whole | None = None
    input_tokens: Whole | None = None
    output_tokens: Whole | None = None
    messages: Whole | None = None
    conversations: Whole | None = None
    calls: Whole | None = None
    cost: Cost | None = None
    occurred_at: Moment | None = None
    reservation: Name | None = None


class CloudEvent(Struct):
    """A CloudEvents 1.0 envelope; extension attributes are ignored (CONTRACT G)."""

    specversion: str
    id: Name
    source: Name
    type: Name
    data: msgspec.Raw
    time: Moment | None = None
    datacontenttype: str | None = None


class EventData(Struct, forbid_unknown_fields=True):
    """The data of a CloudEvent: an event without what the envelope says."""

    bot: Name
    user: User | None = None
    model: Name | None = None
    conversation: Name | None = None
    tokens: Whole | None = None
    input_tokens: Whole | None = None
    output_tokens: Whole | None = None
    messages: Whole | None = None
    conversations: Whole | None = None
    calls: Whole | None = None
    cost: Cost | None = None
    reservation: Name | None = None


class _Named(Struct):
    """As much of an event as tells which one it is."""

    id: Name | None = None


class BatchBody(Struct, forbid_unknown_fields=True):
    """Several events at once; each is checked by itself."""

    events: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_EVENTS)]


class ReleaseBody(Struct, forbid_unknown_fields=True):
    """The empty body of a release."""


_call = msgspec.json.Decoder(CallBody).decode
_event = msgspec.json.Decoder(EventBody).decode
_data = msgspec.json.Decoder(EventData).decode
_cloud_event = msgspec.json.Decoder(CloudEvent).decode
_batch = msgspec.json.Decoder(BatchBody).decode
_release = msgspec.json.Decoder(ReleaseBody).decode
_cloud_batch = msgspec.json.Decoder(
    Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_EVENTS)]
).decode

_NAMED_FIELD: Final = re.compile(r"field `(?P<field>[^`]*)`")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def call_of(raw: bytes, *, dry_run: bool, idempotency_key: str | None) -> CallIn:
    """Read an authorize body. Raises MalformedJson, InvalidBody, BodyTooLarge."""
    body = read(_call, raw, MAX_BODY)
    _check_texts(body, raw)
    estimate = None
    if body.estimate is not None:
        said = msgspec.structs.asdict(body.estimate)
        said["cost"] = _micros(said["cost"], "/estimate/cost")
        estimate = {name: value for name, value in said.items() if value is not None}
    return CallIn(
        bot=body.bot,
        user=body.user,
        model=body.model,
        conversation=body.conversation,
        estimate=estimate,
        reserve=body.reserve and not dry_run,
        ttl_seconds=body.ttl_seconds,
        dry_run=dry_run,
        idempotency_key=idempotency_key if body.reserve else None,
        request_digest=sha256(raw).hexdigest() if idempotency_key else None,
    )


def is_batch(raw: bytes) -> bool:
    """Say whether a usage body carries `events` rather than one event."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return "events" in fields


def raw_events(raw: bytes) -> list[bytes]:
    """Return the events of a batch, each still to be read."""
    return [bytes(event) for event in read(_batch, raw, MAX_BULK).events]


def raw_cloud_events(raw: bytes) -> list[bytes]:
    """Return the events of a CloudEvents batch, each still to be read."""
    return [bytes(event) for event in read(_cloud_batch, raw, MAX_BULK)]


def id_of(raw: bytes) -> str | None:
    """Return the id of an event that could not be read, if it says a usable one."""
    try:
        name = msgspec.json.decode(raw, type=_Named).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if name is None or "\x00" in name else name


def event_of(raw: bytes) -> EventIn:
    """Read one usage event. Raises MalformedJson and InvalidBody."""
    body = read(_event, raw, MAX_BODY)
    _check_texts(body, raw)
    said = msgspec.structs.asdict(body)
    said["cost"] = _micros(body.cost, "/cost")
    return EventIn(**said)


def cloud_event_of(raw: bytes) -> EventIn:
    """Read one CloudEvent. Raises MalformedJson and InvalidBody."""
    envelope = read(_cloud_event, raw, MAX_BODY)
    if not raw.isascii() or raw.count(b"[") + raw.count(b"{") > json.MAX_DEPTH:
        # What is ignored must be JSON all the same.
        json.loads(raw)
    if envelope.specversion != "1.0":
        raise InvalidBody(errors=[_problem("/specversion", "must be 1.0")])
    _check_texts(envelope, raw)
    data = read(_data, bytes(envelope.data), MAX_BODY, prefix="/data")
    _check_texts(data, raw, prefix="/data")
    said = msgspec.structs.asdict(data)
    said["cost"] = _micros(data.cost, "/data/cost")
    return EventIn(
        id=envelope.id, source=envelope.source, occurred_at=envelope.time, **said
    )


def check_release(raw: bytes) -> None:
    """Accept no body, or an empty object. Raises MalformedJson and InvalidBody."""
    if raw.strip():
        read(_release, raw, MAX_BODY)


def read(
    decode: Callable[[bytes], Body], raw: bytes, most: int, prefix: str = ""
) -> Body:
    """Decode strictly. Raises MalformedJson, InvalidBody and BodyTooLarge."""
    if len(raw) > most:
        raise BodyTooLarge
    try:
        return decode(raw)
    except msgspec.ValidationError as invalid:
        raise InvalidBody(errors=[_from_msgspec(str(invalid), prefix)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson from None


def _from_msgspec(message: str, prefix: str) -> FieldError:
    """Turn ``Expected `int`, got `str` - at `$.a[0]` `` into a pointer and a detail."""
    detail, _, path = message.partition(" - at `$")
    pointer = prefix
    for name, index in _STEP.findall(path.rstrip("`")):
        pointer += f"/{name or index}"
    named = _NAMED_FIELD.search(detail)
    if named:
        pointer += "/" + named["field"].replace("~", "~0").replace("/", "~1")
        unknown = "unknown" in detail
        return _problem(pointer, "is not a known field" if unknown else "is required")
    return _problem(pointer, detail.replace("`", ""))


def _check_texts(body: Any, raw: bytes, prefix: str = "") -> None:
    """Refuse a NUL, which PostgreSQL cannot store in a text."""
    if b"\\u0000" not in raw:
        return
    problems = [
        _problem(f"{prefix}/{name}", "must not contain a NUL character")
        for name, value in msgspec.structs.asdict(body).items()
        if isinstance(value, str) and "\x00" in value
    ]
    if problems:
        raise InvalidBody(errors=problems)


def _micros(cost: Cost | None, pointer: str) -> int | None:
    if cost is None:
        return None
    try:
        return cost_to_micros(cost)
    except ValueError as wrong:
        raise InvalidBody(errors=[_problem(pointer, str(wrong))]) from None


def _problem(pointer: str, detail: str) -> FieldError:
    return {"pointer": pointer, "detail": detail}


def utc_now() -> datetime:
    """Read the clock: the lane's edge is the only place that does."""
    return datetime.now(UTC)
