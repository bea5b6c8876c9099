"""Examples of what is sent and answered, one for each kind of thing."""

from typing import Any, Final

MORNING: Final = "2026-03-01T08:00:00Z"
EVENING: Final = "2026-03-01T17:00:00Z"
ACCOUNT: Final = "acc_01kjm3v5c0e8r9q2t4w6y8z0a1"
PROJECT_ID: Final = "prj_01kjm3v5c0e8r9q2t4w6y8z0a2"
BOT_ID: Final = "bot_01kjm3v5c0e8r9q2t4w6y8z0a3"
KEY_ID: Final = "key_01kjm3v5c0e8r9q2t4w6y8z0a4"
POLICY_ID: Final = "pol_01kjm3v5c0e8r9q2t4w6y8z0a5"
BLOCK_ID: Final = "blk_01kjm3v5c0e8r9q2t4w6y8z0a6"
ALERT_ID: Final = "alr_01kjm3v5c0e8r9q2t4w6y8z0a7"
DECISION_ID: Final = "dec_01kjm3v5c0e8r9q2t4w6y8z0a8"
CONVERSATION_ID: Final = "cnv_01kjm3v5c0e8r9q2t4w6y8z0a9"
MESSAGE_ID: Final = "msg_01kjm3v5c0e8r9q2t4w6y8z0b1"
CHANGE_ID: Final = "chg_01kjm3v5c0e8r9q2t4w6y8z0b2"
REVISION_ID: Final = "rev_01kjm3v5c0e8r9q2t4w6y8z0b3"
RESERVATION_ID: Final = "res_01kjm3v5c0e8r9q2t4w6y8z0b4"
EVENT_ID: Final = "evt_01kjm3v5c0e8r9q2t4w6y8z0b5"

PROJECT_SENT: Final = {"name": "Support", "external_id": "support"}
PROJECT: Final = {
    "id": PROJECT_ID,
    "name": "Support",
    "external_id": "support",
    "description": "",
    "created_at": MORNING,
    "updated_at": MORNING,
}

BOT_SENT: Final = {"name": "Support bot", "external_id": "support-bot"}
BOT: Final[dict[str, Any]] = {
    "id": BOT_ID,
    "name": "Support bot",
    "external_id": "support-bot",
    "project": None,
    "owner": None,
    "description": "",
    "state": "active",
    "status": "active",
    "block": None,
    "revision": 1,
    "created_at": MORNING,
    "updated_at": MORNING,
}
PAUSE: Final = {
    "id": BLOCK_ID,
    "kind": "person",
    "policy_id": None,
    "reason": "Looks like a loop",
    "ends_at": None,
}
BOT_PAUSED: Final = {**BOT, "status": "paused", "block": PAUSE}

KEY_SENT: Final = {"name": "Production", "scopes": ["decide", "usage:write"]}
KEY: Final[dict[str, Any]] = {
    "id": KEY_ID,
    "name": "Production",
    "prefix": "phk_live_Ab12Cd34",
    "last4": "Zz90",
    "scopes": ["decide", "usage:write"],
    "project": None,
    "bot": None,
    "status": "active",
    "replaces": None,
    "created_by": "ada@example.com",
    "created_at": MORNING,
    "expires_at": None,
    "last_used_at": None,
    "revoked_at": None,
}
KEY_MADE: Final = {**KEY, "key": "phk_live_…"}

POLICY_SENT: Final[dict[str, Any]] = {
    "type": "usage",
    "name": "Daily cap",
    "scope": {"bot": BOT_ID},
    "limits": [
        {
            "metric": "tokens",
            "threshold": 1000,
            "window": {"kind": "calendar", "unit": "day", "timezone": "UTC"},
        }
    ],
    "actions": {"block": {"duration_seconds": 3600}, "email": {}},
    "alert_steps": [80, 100],
}
POLICY: Final[dict[str, Any]] = {
    "id": POLICY_ID,
    "status": "active",
    "revision": 1,
    **POLICY_SENT,
    "description": "",
    "group_by": [],
    "rollout_mode": "enforce",
    "rollout_percent": 100,
    "fail_mode": "closed",
    "on_unpriced": "deny",
    "default_hold": None,
    "notify_in_shadow": False,
    "project": None,
    "counting_since": MORNING,
    "created_at": MORNING,
    "updated_at": MORNING,
}
READING: Final = {
    "metric": "tokens",
    "subject": {},
    "window": {"kind": "calendar", "unit": "day", "timezone": "UTC"},
    "window_start": "2026-03-01T00:00:00Z",
    "resets_at": "2026-03-02T00:00:00Z",
    "threshold": 1000,
    "used": 420,
    "held": 100,
    "remaining": 480,
    "status": "active",
    "exceeded": False,
}
REVISION: Final = {
    "id": REVISION_ID,
    "number": 1,
    "document": POLICY_SENT,
    "changes": [],
    "actor": {"kind": "key", "id": KEY_ID, "label": "phk_live_Ab12Cd34…Zz90"},
    "reason": "",
    "created_at": MORNING,
}
BLOCK: Final[dict[str, Any]] = {
    "id": BLOCK_ID,
    "kind": "policy",
    "policy_id": POLICY_ID,
    "bot": None,
    "subject": {},
    "enforced": True,
    "reason": "Daily cap: 1,000 of 1,000 tokens used",
    "live": True,
    "starts_at": MORNING,
    "ends_at": "2026-03-02T00:00:00Z",
    "lifted_at": None,
    "lifted_by": "",
    "lift_reason": "",
}

POLICY_READING: Final = {
    "policy_id": POLICY_ID,
    "revision": 1,
    "action": "block",
    "metric": "tokens",
    "threshold": 1000,
    "used": 1000,
    "held": 0,
    "remaining": 0,
    "resets_at": "2026-03-02T00:00:00Z",
    "exceeded": True,
    "enforced": True,
}
DECISION: Final = {
    "id": DECISION_ID,
    "allowed": False,
    "decision": "deny",
    "reason_code": "limit_exceeded",
    "message": "Daily cap: 1,000 of 1,000 tokens used, resets in 16 h",
    "enforced": True,
    "rollout_mode": "enforce",
    "policy_id": POLICY_ID,
    "policy_target": BOT_ID,
    "policy_user": "u-1",
    "policy_project_id": None,
    "model": "gpt-x",
    "triggered_categories": [],
    "allowlist_hits": [],
    "denylist_hits": [],
    "retry_after": 57600,
    "created_at": MORNING,
    "reservation": None,
    "policies": [POLICY_READING],
}
DECISION_ROW: Final = {
    **{name: value for name, value in DECISION.items() if name != "reservation"},
    "sequence": 42,
    "kind": "authorize",
    "key_id": KEY_ID,
    "estimate": {"tokens": 800, "calls": 1},
    "tags": {},
    "reservation_id": None,
}
CHANGE: Final = {
    "id": CHANGE_ID,
    "action": "policy.updated",
    "target": POLICY_ID,
    "actor": {"kind": "person", "id": "", "label": "ada@example.com"},
    "changes": [{"field": "limits.0.threshold", "before": 900, "after": 1000}],
    "reason": "",
    "created_at": MORNING,
}
ALERT: Final[dict[str, Any]] = {
    "id": ALERT_ID,
    "kind": "limit",
    "state": "breached",
    "step": 100,
    "policy_id": POLICY_ID,
    "policy_name": "Daily cap",
    "bot": BOT_ID,
    "subject": {},
    "metric": "tokens",
    "threshold": 1000,
    "used": 1012,
    "message": "Daily cap: 1,012 of 1,000 tokens used",
    "enforced": True,
    "late": False,
    "window_start": "2026-03-01T00:00:00Z",
    "resets_at": "2026-03-02T00:00:00Z",
    "created_at": MORNING,
    "resolved_at": None,
    "acknowledged_at": None,
    "acknowledged_by": "",
    "snoozed_until": None,
    "snoozed_by": "",
    "delivery_problem": "",
}
_MAILED: Final = {
    "id": "dlv_01kjm3v5c0e8r9q2t4w6y8z0b6",
    "channel": "email",
    "recipient": "ops@example.com",
    "state": "sent",
    "attempts": 1,
    "sent_at": MORNING,
    "error": "",
}
ALERT_READ: Final = {**ALERT, "deliveries": [_MAILED]}
CONVERSATION_SENT: Final = {"bot": BOT_ID, "user": "u-1", "external_id": "chat-77"}
CONVERSATION: Final = {
    "id": CONVERSATION_ID,
    "bot": BOT_ID,
    "user": "u-1",
    "external_id": "chat-77",
    "title": "",
    "meta": {},
    "started_at": MORNING,
    "last_activity_at": MORNING,
    "created_at": MORNING,
}
MESSAGE_SENT: Final = {"role": "user", "text": "Hello", "tokens": 1}
MESSAGE: Final[dict[str, Any]] = {
    "id": MESSAGE_ID,
    "role": "user",
    "text": None,
    "tokens": 1,
    "meta": {},
    "created_at": MORNING,
}
PROBLEM: Final = {
    "type": "about:blank",
    "title": "The body does not have the right form.",
    "status": 422,
    "detail": "The body does not have the right form.",
    "code": "invalid_body",
    "errors": [{"pointer": "/limits/0/metric", "detail": "is required"}],
}
CALL_SENT: Final = {
    "bot": BOT_ID,
    "user": "u-1",
    "model": "gpt-x",
    "estimate": {"tokens": 800},
    "reserve": True,
}
EVENT_SENT: Final = {
    "bot": BOT_ID,
    "user": "u-1",
    "tokens": 812,
    "reservation": RESERVATION_ID,
}
CLOUD_EVENT: Final = {
    "specversion": "1.0",
    "id": "call-1",
    "source": "/workers/7",
    "type": "com.example.call",
    "time": MORNING,
    "data": {"bot": BOT_ID, "tokens": 812},
}
_RECORDED_EVENT: Final = {
    "id": "call-1",
    "status": "recorded",
    "event": EVENT_ID,
    "error": None,
}
RECORDED: Final = {"data": [_RECORDED_EVENT]}
RESERVATION: Final = {
    "id": RESERVATION_ID,
    "state": "released",
    "expires_at": "2026-03-01T08:10:00Z",
    "ttl_seconds": 600,
}
BUDGET: Final = {
    "data": [{**POLICY_READING, "used": 420, "remaining": 580, "exceeded": False}],
    "bot": BOT_ID,
    "user": "u-1",
    "model": "gpt-x",
    "allowed": True,
    "reason_code": "ok",
    "message": "Allowed",
    "retry_after": None,
}
