"""What endpoints are sent, as OpenAPI 3.1 describes it: the section `webhooks`."""

from typing import Any, Final

from alerts.event_types import EVENT_TYPES
from api.examples import ALERT_ID, BOT_ID, MORNING, POLICY_ID

_HEADERS: Final = {
    "webhook-id": "The same at every attempt; a message may arrive twice.",
    "webhook-timestamp": "When it was sent, in seconds since 1970.",
    "webhook-signature": "`v1,` and base64 of HMAC-SHA256; several while rotating.",
}
_DATA: Final = {
    "id": ALERT_ID,
    "policy_id": POLICY_ID,
    "bot": BOT_ID,
    "message": "Daily cap: 1,012 of 1,000 tokens used",
}


def add_webhooks(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Describe the message of each event type; a hook of drf-spectacular."""
    result["webhooks"] = {
        name: {"post": _operation(name, meaning)}
        for name, meaning in EVENT_TYPES.items()
    }
    return result


def _operation(name: str, meaning: str) -> dict[str, Any]:
    body = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "const": name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"type": "object", "additionalProperties": True},
        },
        "required": ["type", "timestamp", "data"],
    }
    shown = {"type": name, "timestamp": MORNING, "data": _DATA}
    return {
        "operationId": "told_" + name.replace(".", "_"),
        "summary": meaning,
        "tags": ["webhooks"],
        "security": [],
        "parameters": [
            {
                "name": header,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
            }
            for header, text in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": body, "example": shown}},
        },
        "responses": {
            "2XX": {"description": "Taken. Anything else is tried again."},
        },
    }
