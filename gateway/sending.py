"""Send a call to the first upstream that takes it (CONTRACT H3).

An upstream that cannot be reached, or fails before its answer begins, gives way to
the next one. What an upstream says of a failure stays here: the client is told what
it can do, never whose secret was wrong.
"""

from time import monotonic
from typing import Any, Final

import msgspec

from gateway import protocol
from gateway.calls import Call
from gateway.metrics import UPSTREAM_FAILURES, UPSTREAM_SECONDS
from gateway.protocol import Refusal
from gateway.routes import Route, unknown_model, unusable_upstream
from gateway.upstreams import Answer, BrokeOff, NotAsked, TookTooLong, Upstreams

_ERROR_MAX: Final = 64 * 1024
_LONGEST_WAIT: Final = 3_600
# What a client may be told of an upstream's refusal: codes that it can act on.
_TOLD: Final = {
    "context_length_exceeded": "The messages are longer than the model can read.",
    "string_above_max_length": "A text is longer than the upstream takes.",
    "unsupported_parameter": "The upstream does not take one of the parameters.",
    "unsupported_value": "The upstream does not take one of the values.",
}
_encode = msgspec.json.Encoder().encode


async def first_answer(upstreams: Upstreams, call: Call) -> Answer:
    """Return the first answer that is a success.

    Raises UpstreamError and, for what an upstream refuses, Refusal.
    """
    refusal = _unreachable()
    for route in call.routes:
        call.route = route
        asked = monotonic()
        try:
            answer = await upstreams.ask(
                route, call.path, _body(call, route), deadline=call.deadline
            )
        except NotAsked:
            UPSTREAM_FAILURES.labels("unreachable").inc()
            continue
        except TookTooLong:
            UPSTREAM_FAILURES.labels("too_long").inc()
            # It may be at work on it: asking another one would cost it twice.
            call.taken.began = True
            raise
        except BrokeOff:
            UPSTREAM_FAILURES.labels("broke_off").inc()
            refusal = _failed()
            continue
        UPSTREAM_SECONDS.observe(monotonic() - asked)
        if answer.status in (200, 201):
            return answer
        UPSTREAM_FAILURES.labels("refused").inc()
        refusal = await _refused(call, answer)
        if answer.status < 500 and answer.status != 429:
            break
    raise refusal


def _body(call: Call, route: Route) -> bytes:
    asked = call.asked
    changed = protocol.forwarded(asked, call.body, route.model)
    if changed is None and call.raw is not None:
        return call.raw
    return _encode(call.body if changed is None else changed)


async def _refused(call: Call, answer: Answer) -> Refusal:
    status = answer.status
    code = await _code(answer)
    if status == 429:
        wait = answer.retry_after
        seconds = int(wait) if wait.isdigit() and len(wait) < 6 else None
        return Refusal(
            429,
            "The upstream is busy. Try again.",
            kind="rate_limit_exceeded",
            code="rate_limit_exceeded",
            seconds=None if seconds is None else min(seconds, _LONGEST_WAIT),
        )
    if status == 404:
        return unknown_model(call.asked.model)
    if status in (401, 402, 403):
        return unusable_upstream()
    if 400 <= status < 500:
        message = _TOLD.get(code, "The upstream does not take this request.")
        return Refusal(400, message, code=code if code in _TOLD else None)
    return _failed()


async def _code(answer: Answer) -> str:
    """Return the code of an upstream's error, if it is in OpenAI's shape."""
    raw = b""
    try:
        while len(raw) < _ERROR_MAX and (part := await answer.chunk()):
            raw += part
    except (TookTooLong, BrokeOff):
        return ""
    finally:
        answer.close()
    try:
        document: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return ""
    error = document.get("error") if isinstance(document, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""


def _unreachable() -> Refusal:
    return Refusal(
        502,
        "The upstream cannot be reached.",
        kind="server_error",
        code="upstream_unreachable",
    )


def _failed() -> Refusal:
    return Refusal(
        502, "The upstream failed.", kind="server_error", code="upstream_error"
    )
