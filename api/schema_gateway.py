"""The gateway in OpenAPI, in the shapes of OpenAI; what is not named is passed on."""

from typing import Any, Final

from api.schema_components import (
    COUNT,
    TEXT,
    TEXT_OR_NULL,
    Schema,
    answer,
    array,
    ref,
    words,
)

_JSON: Final = "application/json"
_MODEL: Final = {"type": "string", "minLength": 1, "maxLength": 200}
_MESSAGE: Final[Schema] = {
    "type": "object",
    "properties": {"role": TEXT, "content": {}},
    "required": ["role"],
    "additionalProperties": True,
}
_USAGE: Final = answer(prompt_tokens=COUNT, completion_tokens=COUNT, total_tokens=COUNT)
_LISTED: Final[Schema] = answer(
    id=TEXT, object=words("model"), created=COUNT, owned_by=TEXT
)
GATEWAY_SCHEMAS: Final[dict[str, Schema]] = {
    "OpenAIError": {
        **answer(
            error=answer(message=TEXT, type=TEXT, param=TEXT_OR_NULL, code=TEXT_OR_NULL)
        ),
        "description": "What went wrong, as OpenAI's clients read it.",
    },
    "ChatRequest": {
        "type": "object",
        "properties": {
            "model": _MODEL,
            "messages": {**array(_MESSAGE), "minItems": 1},
            "stream": {"type": ["boolean", "null"]},
            "user": {"type": ["string", "null"], "maxLength": 256},
        },
        "required": ["model", "messages"],
        "additionalProperties": True,
    },
    "ChatCompletion": {
        "type": "object",
        "properties": {
            "id": TEXT,
            "object": TEXT,
            "created": COUNT,
            "model": TEXT,
            "choices": array({"type": "object", "additionalProperties": True}),
            "usage": {"anyOf": [_USAGE, {"type": "null"}]},
        },
        "required": ["choices"],
        "additionalProperties": True,
    },
    "EmbeddingRequest": {
        "type": "object",
        "properties": {"model": _MODEL, "input": {}},
        "required": ["model", "input"],
        "additionalProperties": True,
    },
    "Embeddings": {
        "type": "object",
        "properties": {
            "object": TEXT,
            "model": TEXT,
            "data": array({"type": "object", "additionalProperties": True}),
        },
        "required": ["data"],
        "additionalProperties": True,
    },
    "GatewayModel": _LISTED,
    "GatewayModels": answer(object=words("list"), data=array(ref("GatewayModel"))),
}

_CHAT_SENT: Final = {
    "model": "echo",
    "messages": [{"role": "user", "content": "Where is my parcel?"}],
    "user": "u-1",
}
_CHAT_SHOWN: Final = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1772352000,
    "model": "echo",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Where is my parcel?"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
}
_EMBEDDED: Final = {
    "object": "list",
    "model": "echo-embedding",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}],
}
_ONE_MODEL: Final = {
    "id": "echo",
    "object": "model",
    "created": 1767225600,
    "owned_by": "policyhub",
}
# status: what it means, kind, code
_REFUSED: Final[dict[str, tuple[str, str, str]]] = {
    "400": ("The body is wrong", "invalid_request_error", "invalid_value"),
    "401": ("The key is wrong", "invalid_request_error", "invalid_api_key"),
    "403": ("It is not allowed", "permission_error", "model_not_allowed"),
    "404": ("There is none", "invalid_request_error", "model_not_found"),
    "413": ("The body is too large", "invalid_request_error", "body_too_large"),
    "415": ("The type is wrong", "invalid_request_error", "unsupported_media_type"),
    "429": (
        "A cap is spent, or calls come too often",
        "insufficient_quota",
        "policy_budget_exceeded",
    ),
    "500": ("The gateway failed", "server_error", "internal_error"),
    "502": ("The upstream failed", "server_error", "upstream_error"),
    "503": (
        "Nothing can be decided now",
        "server_error",
        "enforcement_unavailable",
    ),
    "504": ("The upstream is too slow", "server_error", "upstream_timeout"),
}
_READ_ERRORS: Final = ("400", "401", "403", "404", "429", "500", "503")


def _operation(
    operation_id: str,
    summary: str,
    *,
    returns: str,
    shows: Any,
    takes: str | None = None,
    sends: Any = None,
    parameters: tuple[Schema, ...] = (),
) -> Schema:
    described: Schema = {
        "operationId": f"gateway_{operation_id}",
        "summary": summary,
        "tags": ["gateway"],
        "security": [{"apiKey": []}],
        "parameters": list(parameters),
        "responses": {
            "200": {
                "description": summary,
                "content": {_JSON: {"schema": ref(returns), "example": shows}},
            },
        },
    }
    if takes is not None:
        content = {_JSON: {"schema": ref(takes), "example": sends}}
        described["requestBody"] = {"required": True, "content": content}
    for status, told in _REFUSED.items():
        if takes is not None or status in _READ_ERRORS:
            described["responses"][status] = _refusal(*told)
    return described


def _refusal(text: str, kind: str, code: str) -> Schema:
    error = {"message": f"{text}.", "type": kind, "param": None, "code": code}
    shown = {"schema": ref("OpenAIError"), "example": {"error": error}}
    return {"description": text, "content": {_JSON: shown}}


def _parameter(name: str, where: str, text: str) -> Schema:
    required = where == "path"
    named = {"name": name, "in": where, "required": required, "description": text}
    return {**named, "schema": TEXT}


_HEADERS: Final = (
    _parameter("X-Policy-Target", "header", "the bot that calls: id or external id"),
    _parameter("X-Policy-User", "header", "the user, if the body names none"),
)
_CHAT: Final = _operation(
    "chat",
    "Complete a chat",
    takes="ChatRequest",
    sends=_CHAT_SENT,
    returns="ChatCompletion",
    shows=_CHAT_SHOWN,
    parameters=_HEADERS,
)
_CHAT["responses"]["200"]["content"]["text/event-stream"] = {
    # Some readers take it for the schema of the whole, some for that of an event.
    "schema": {"description": "Server-sent events, as OpenAI sends them"},
    "example": "data: {}\n\ndata: [DONE]\n\n",
}
GATEWAY_PATHS: Final[dict[str, Schema]] = {
    "/v1/chat/completions": {"post": _CHAT},
    "/v1/embeddings": {
        "post": _operation(
            "embed",
            "Embed texts",
            takes="EmbeddingRequest",
            sends={"model": "echo-embedding", "input": "Where is my parcel?"},
            returns="Embeddings",
            shows=_EMBEDDED,
            parameters=_HEADERS,
        )
    },
    "/v1/models": {
        "get": _operation(
            "models",
            "List the models",
            returns="GatewayModels",
            shows={"object": "list", "data": [_ONE_MODEL]},
        )
    },
    "/v1/models/{model}": {
        "get": _operation(
            "model",
            "Read a model",
            returns="GatewayModel",
            shows=_ONE_MODEL,
            parameters=(_parameter("model", "path", "the model"),),
        )
    },
}
