"""Examples of webhooks and of what is sent to them."""

from typing import Any, Final

from api.examples import ALERT, ALERT_ID, MORNING

WEBHOOK_ID: Final = "whk_01kjm3v5c0e8r9q2t4w6y8z0c1"
DELIVERY_ID: Final = "dlv_01kjm3v5c0e8r9q2t4w6y8z0c2"

WEBHOOK_SENT: Final = {
    "url": "https://hooks.example.com/policyhub",
    "event_types": ["policy.triggered", "bot.blocked"],
    "description": "Pages whoever is on call",
}
WEBHOOK: Final[dict[str, Any]] = {
    "id": WEBHOOK_ID,
    **WEBHOOK_SENT,
    "enabled": True,
    "disabled_at": None,
    "disabled_reason": "",
    "failing_since": None,
    "last_success_at": MORNING,
    "created_by": "ada@example.com",
    "created_at": MORNING,
    "updated_at": MORNING,
}
WEBHOOK_DISABLED: Final = {**WEBHOOK, "enabled": False, "disabled_at": MORNING}
WEBHOOK_MADE: Final = {
    **WEBHOOK,
    "last_success_at": None,
    "secret": "whsec_…",
}
_TRY: Final = {
    "at": MORNING,
    "status": 200,
    "latency_ms": 41,
    "error": "",
    "answer": "ok",
}
_TOLD: Final = ("id", "kind", "state", "step", "policy_id", "bot", "message")
WEBHOOK_DELIVERY: Final[dict[str, Any]] = {
    "id": DELIVERY_ID,
    "webhook": WEBHOOK_ID,
    "type": "policy.triggered",
    "state": "sent",
    "attempts": 1,
    "status": 200,
    "latency_ms": 41,
    "error": "",
    "answer": "ok",
    "alert": ALERT_ID,
    "payload": {
        "type": "policy.triggered",
        "timestamp": MORNING,
        "data": {name: ALERT[name] for name in _TOLD},
    },
    "created_at": MORNING,
    "sent_at": MORNING,
    "next_attempt_at": None,
    "tries": [_TRY],
}
