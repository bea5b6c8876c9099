"""ChatBotKit's routes in OpenAPI, with an example each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema

from api.examples import BOT_ID, POLICY_ID
from api.schema import IDEMPOTENCY_KEY
from api.schema_components import COUNT, TEXT, TEXT_OR_NULL, answer, array, body, words
from policies.compat_chatbotkit import METRICS, STATES, TYPES

View = TypeVar("View", bound=Callable[..., Any])

_JSON: Final = "application/json"
_ID: Final = {"id": POLICY_ID}
_CONFIG: Final = {
    "metric": "tokens",
    "threshold": 100_000,
    "windowInSeconds": 600,
    "actions": {
        "block": {"durationInSeconds": 600},
        "email": {"to": ["ops@example.com"]},
    },
}
_SENT: Final = {
    "type": "usage",
    "name": "Loop guard",
    "botId": BOT_ID,
    "config": _CONFIG,
}
_ITEM: Final[dict[str, Any]] = {
    "id": POLICY_ID,
    "alias": "loop-guard",
    "description": "",
    "blueprintId": None,
    **_SENT,
    "state": "enabled",
    "meta": {"team": "support"},
    "createdAt": 1_772_352_000_000,
    "updatedAt": 1_772_352_000_000,
}
_ERROR: Final = {
    "message": "config.actions must want at least one of: block, email",
    "code": "BAD_REQUEST",
    "reason": "invalid_body",
    "errors": [
        {
            "pointer": "/config/actions",
            "detail": "must want at least one of: block, email",
        }
    ],
}
_BLOCKS: Final = {
    "scope": "bot",
    "botId": BOT_ID,
    "block": {
        "reason": "Loop guard: 100,000 of 100,000 tokens used",
        "policyId": POLICY_ID,
        "ttl": 540,
    },
    "blockedBotIds": [BOT_ID],
}

_POSITIVE: Final = {"type": "integer", "minimum": 1}
_EMAIL: Final = {"type": "string", "format": "email"}
_EMAILS: Final = {**array(_EMAIL), "minItems": 1}
_TO: Final = {"anyOf": [_EMAIL, _EMAILS]}
_CONFIGS: Final = {
    "anyOf": [
        body(expiresInDays={**_POSITIVE, "maximum": 36_500}),
        body(
            "metric",
            "threshold",
            "windowInSeconds",
            "actions",
            metric=words(*METRICS),
            threshold=_POSITIVE,
            windowInSeconds=_POSITIVE,
            actions={
                **body(
                    block=body("durationInSeconds", durationInSeconds=_POSITIVE),
                    email={
                        "anyOf": [
                            _EMAIL,
                            _EMAILS,
                            body(to={"anyOf": [_EMAIL, _EMAILS]}),
                        ]
                    },
                ),
                "minProperties": 1,
            },
        ),
    ]
}
_OBJECT: Final = {"type": "object"}
_TOLD: Final = {
    "alias": TEXT_OR_NULL,
    "name": TEXT,
    "description": TEXT,
    "blueprintId": TEXT_OR_NULL,
    "botId": TEXT_OR_NULL,
    "type": words(*TYPES),
    "state": words(*STATES),
    "config": _CONFIGS,
    "meta": _OBJECT,
}
_WRITTEN: Final = body(
    **{
        **_TOLD,
        "name": {"type": ["string", "null"], "maxLength": 200},
        "description": {"type": ["string", "null"], "maxLength": 2000},
        "config": {"anyOf": [*_CONFIGS["anyOf"], {"type": "null"}]},
        "meta": {"type": ["object", "null"]},
    }
)
_POLICY: Final = answer(id=TEXT, **_TOLD, createdAt=COUNT, updatedAt=COUNT)
_PAGE: Final = {
    "type": "object",
    "properties": {"items": array(_POLICY), "cursor": TEXT},
    "required": ["items"],
}
_LINE: Final = answer(type=words("item"), data=_POLICY)
_ERRORS: Final = {
    "type": "object",
    "properties": {
        "message": TEXT,
        "code": TEXT,
        "reason": TEXT,
        "errors": array(answer(pointer=TEXT, detail=TEXT)),
    },
    "required": ["message", "code", "reason"],
}
_BLOCK: Final = answer(
    scope=words("bot", "global"),
    botId=TEXT_OR_NULL,
    block={
        "anyOf": [
            answer(
                reason=TEXT,
                policyId=TEXT,
                ttl={"type": ["integer", "null"], "minimum": 1},
            ),
            {"type": "null"},
        ]
    },
    blockedBotIds=array(TEXT),
)


def _described(
    operation_id: str,
    summary: str,
    *,
    answers: Mapping[str, tuple[dict[str, Any], Any]],
    sends: Any = None,
    request: dict[str, Any] | None = None,
    parameters: Sequence[OpenApiParameter] = (),
) -> Callable[[View], View]:
    examples = [
        OpenApiExample(
            f"Answer {media}",
            shown,
            response_only=True,
            status_codes=["200"],
            media_type=media,
        )
        for media, (_, shown) in answers.items()
    ]
    examples += [
        OpenApiExample("Error", _ERROR, response_only=True, status_codes=["4XX"]),
    ]
    given = list(parameters)
    if request is not None:
        examples.append(OpenApiExample("Request", sends, request_only=True))
        given.append(IDEMPOTENCY_KEY)
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        description="ChatBotKit's route, for its own clients.",
        tags=["chatbotkit"],
        request=None if request is None else {_JSON: request},
        responses={
            **{(200, media): schema for media, (schema, _) in answers.items()},
            ("4XX", _JSON): _ERRORS,
        },
        parameters=given,
        examples=examples,
    )


def _parameter(name: str, text: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=text, **options)


_FILTERS: Final = (
    _parameter("cursor", "the `cursor` of the last page, or the id of its last item"),
    _parameter("order", "by time of creation", enum=["desc", "asc"]),
    OpenApiParameter(
        "take", OpenApiTypes.INT, description="how many; at most 100 a page"
    ),
    _parameter("type", "of this type", enum=list(TYPES)),
    _parameter("botId", "for this bot alone"),
    _parameter("blueprintId", "with this blueprintId"),
    OpenApiParameter(
        "meta",
        {"type": "object", "additionalProperties": TEXT},
        style="deepObject",
        explode=True,
        description="with these values in meta: `meta[team]=a` or `meta.team=a`",
    ),
)
_EMPTY: Final = body()

listing = _described(
    "chatbotkit_list",
    "List policies (ChatBotKit)",
    answers={
        _JSON: (_PAGE, {"items": [_ITEM]}),
        "application/jsonl": (_LINE, {"type": "item", "data": _ITEM}),
    },
    parameters=_FILTERS,
)
create = _described(
    "chatbotkit_create",
    "Write a policy (ChatBotKit)",
    request=_WRITTEN,
    sends=_SENT,
    answers={_JSON: (answer(id=TEXT), _ID)},
)
fetch = _described(
    "chatbotkit_fetch",
    "Read a policy (ChatBotKit)",
    answers={_JSON: (_POLICY, _ITEM)},
)
update = _described(
    "chatbotkit_update",
    "Change a policy (ChatBotKit)",
    request=_WRITTEN,
    sends={"state": "disabled"},
    answers={_JSON: (answer(id=TEXT), _ID)},
)
delete = _described(
    "chatbotkit_delete",
    "Archive a policy (ChatBotKit)",
    request=_EMPTY,
    sends={},
    answers={_JSON: (answer(id=TEXT), _ID)},
)
list_blocks = _described(
    "chatbotkit_list_blocks",
    "Read what a policy blocks (ChatBotKit)",
    answers={_JSON: (_BLOCK, _BLOCKS)},
)
clear_blocks = _described(
    "chatbotkit_clear_blocks",
    "Lift what a policy blocks (ChatBotKit)",
    request=_EMPTY,
    sends={},
    answers={_JSON: (answer(cleared=COUNT), {"cleared": 1})},
)
