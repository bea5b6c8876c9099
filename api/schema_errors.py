"""Every error of every operation in OpenAPI, each with its codes and an example.

An operation that says `4XX` is given the statuses that follow from what it is: one with
a body can refuse the body, one with `If-Match` can be stale. What answers in another
form than problem+json (the gateway, ChatBotKit's wire) describes itself.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from accounts import errors as faults
from accounts.errors import DomainError, FieldError
from api import chatbotkit_words
from api.errors import (
    PROBLEM_TYPE,
    InvalidQuery,
    NotAcceptable,
    problem,
)
from api.idempotency_keys import InvalidIdempotencyKey
from api.schema_components import Schema, ref

_RANGE: Final = "4XX"
_FIELD: Final[FieldError] = {"pointer": "/name", "detail": "is required"}
_QUERY: Final[FieldError] = {"pointer": "/x", "detail": "is not a known parameter"}

# For each status the errors that it stands for; the first one is the example.
ERRORS: Final[dict[int, tuple[DomainError, ...]]] = {
    400: (faults.MalformedJson(), InvalidIdempotencyKey()),
    401: (faults.InvalidKey(),),
    403: (faults.MissingScope("The scope bots:write is needed."), faults.Forbidden()),
    404: (faults.NotFound(),),
    406: (NotAcceptable(),),
    409: (
        faults.RequestInFlight(),
        faults.Conflict(),
        faults.DuplicateExternalId(),
        faults.DuplicateEvent(),
        faults.BlockIsShared(),
        faults.AlreadyArchived(),
    ),
    412: (faults.StaleRevision(),),
    413: (faults.BodyTooLarge(),),
    415: (faults.UnsupportedMediaType("Send the body as application/json."),),
    422: (
        faults.InvalidBody(errors=[_FIELD]),
        InvalidQuery(errors=[_QUERY]),
        faults.UnknownReference(),
        faults.IdempotencyMismatch(),
    ),
    428: (faults.PreconditionRequired(),),
    503: (faults.Unavailable(retry_after=1), faults.Overloaded(retry_after=1)),
}
_ONCE: Final[Schema] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Sent again with the same body within 24 h, "
    "the first answer returns.",
}
_QUERY_ONLY: Final = (InvalidQuery(errors=[_QUERY]),)


def name_errors(result: Schema) -> Schema:
    """Put in place of `4XX` the statuses that an operation can answer."""
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            if _RANGE in operation.get("responses", {}):
                _name(path, method, operation)
    components = result.setdefault("components", {})
    components["responses"] = {
        _called(status): _response(status, told) for status, told in ERRORS.items()
    }
    components["responses"]["InvalidQuery"] = _response(422, _QUERY_ONLY)
    return result


def _name(path: str, method: str, operation: Schema) -> None:
    answers = operation["responses"]
    told = answers.pop(_RANGE)
    ours = PROBLEM_TYPE in told["content"]
    parameters = operation.setdefault("parameters", [])
    if method == "post" and all(p["name"] != _ONCE["name"] for p in parameters):
        parameters.append(_ONCE)
    for status in statuses_of(path, method, operation):
        has_body = "requestBody" in operation
        name = "InvalidQuery" if status == 422 and not has_body else _called(status)
        refused = {"$ref": f"#/components/responses/{name}"}
        if not ours:
            refused = {**told, "description": HTTPStatus(status).phrase}
        answers.setdefault(str(status), refused)
    operation["responses"] = dict(sorted(answers.items()))


def statuses_of(path: str, method: str, operation: Schema) -> Sequence[int]:
    """Return the errors that an operation can answer, by what it is."""
    found = {401, 403, 422, 503}
    if not operation.get("x-hot"):
        found.add(406)
    names_a_bot = operation.get("x-hot") and "/reservations/" not in path
    if "{" in path or names_a_bot:
        found.add(404)
    if method != "get":
        found.add(409)
    if method == "post":
        found |= {400, 415}
    if "requestBody" in operation:
        found |= {400, 413, 415}
    if path.startswith(chatbotkit_words.ROUTES):
        found.add(400)
    named = {parameter.get("name") for parameter in operation.get("parameters", ())}
    if "If-Match" in named:
        found |= {412, 428}
    return sorted(found)


def _called(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _response(status: int, told: Sequence[DomainError]) -> Schema:
    codes = ", ".join(f"`{error.code}`" for error in told)
    examples = {error.code: {"value": problem(error)} for error in told}
    headers: dict[str, Any] = {"X-Request-Id": _header("names the request in the log")}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = _header("seconds to wait")
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = _header("the challenge")
    return {
        "description": f"{HTTPStatus(status).phrase}: {codes}",
        "headers": headers,
        "content": {PROBLEM_TYPE: {"schema": ref("Problem"), "examples": examples}},
    }


def _header(text: str) -> Schema:
    return {"description": text, "schema": {"type": "string"}}
