"""Examples of what is sent and answered about retention."""

from typing import Any, Final

from api.examples import BOT_ID, CONVERSATION_ID, MORNING, POLICY_ID

HOLD_ID: Final = "hld_01kjm3v5c0e8r9q2t4w6y8z0b6"
RUN_ID: Final = "run_01kjm3v5c0e8r9q2t4w6y8z0b7"
DIGEST: Final = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
PSEUDONYM: Final = "erased_3q5m0z8v1c7t2w9k4x6y"

HOLD_SENT: Final = {"bot": BOT_ID, "reason": "Case 2026-12", "until": None}
HOLD: Final[dict[str, Any]] = {
    "id": HOLD_ID,
    "state": "active",
    "account": None,
    "project": None,
    "bot": BOT_ID,
    "user": None,
    "conversation": None,
    "reason": "Case 2026-12",
    "owner": "ada@example.com",
    "until": None,
    "created_at": MORNING,
    "created_by": "ada@example.com",
    "released_at": None,
    "released_by": None,
    "release_reason": None,
}
HOLD_RELEASED: Final = {
    **HOLD,
    "state": "released",
    "released_at": "2026-03-02T08:00:00Z",
    "released_by": "ada@example.com",
    "release_reason": "Settled",
}

PREVIEW: Final[dict[str, Any]] = {
    "policy": POLICY_ID,
    "target": "conversations",
    "max_age_days": 30,
    "cutoff": "2026-01-30T08:00:00Z",
    "due": 120,
    "held": 3,
    "total": 2000,
    "oldest": "2025-11-02T10:15:00Z",
    "histogram": [
        {"from_days": 0, "to_days": 1, "count": 40},
        {"from_days": 30, "to_days": 60, "count": 123},
    ],
    "sample": [CONVERSATION_ID],
    "holds": [{"id": HOLD_ID, "kind": "bot", "reason": "Case 2026-12", "rows": 3}],
    "waits_for": None,
}

RUN: Final[dict[str, Any]] = {
    "id": RUN_ID,
    "policy": POLICY_ID,
    "policy_name": "Keep 30 days",
    "policy_revision": 2,
    "target": "conversations",
    "cutoff": "2026-01-30T08:00:00Z",
    "state": "completed",
    "waiting_for": None,
    "trigger": "schedule",
    "due": 120,
    "total": 2000,
    "deleted": {"usage_conversation": 120, "usage_message": 860},
    "held": 3,
    "skipped": {},
    "remaining": 0,
    "progress": 1.0,
    "subject": None,
    "confirmed_at": None,
    "confirmed_by": None,
    "started_at": MORNING,
    "finished_at": "2026-03-01T08:00:02Z",
    "duration_seconds": 0.412,
    "digest": DIGEST,
}
WAITING: Final = {
    **RUN,
    "state": "waiting",
    "waiting_for": "share",
    "due": 900,
    "deleted": {},
    "remaining": 900,
    "progress": 0.0,
    "finished_at": None,
    "duration_seconds": 0.0,
    "digest": "",
}
CONFIRMED: Final = {
    **RUN,
    "due": 900,
    "deleted": {"usage_conversation": 900, "usage_message": 6400},
    "confirmed_at": MORNING,
    "confirmed_by": "ada@example.com",
}
PAUSED: Final = {
    **RUN,
    "state": "paused",
    "waiting_for": "resume",
    "deleted": {"usage_conversation": 80, "usage_message": 574},
    "remaining": 40,
    "progress": 0.6667,
    "finished_at": None,
}
RESUMED: Final = {**PAUSED, "waiting_for": None}
PENDING: Final[dict[str, Any]] = {
    "policy": POLICY_ID,
    "policy_name": "Keep 30 days",
    "target": "conversations",
    "max_age_days": 30,
    "due": 0,
    "held": 3,
    "oldest": None,
    "overdue": False,
    "last_run": RUN,
    "last_success_at": "2026-03-01T08:00:02Z",
    "open_run": None,
}
ERASURE: Final = {
    **RUN,
    "policy": None,
    "policy_name": None,
    "policy_revision": 0,
    "target": "user_data",
    "cutoff": MORNING,
    "trigger": "ada@example.com",
    "due": 4,
    "total": 4,
    "deleted": {
        "usage_conversation": 2,
        "usage_message": 14,
        "usage_usageevent.user": 31,
        "audit_decisionrecord.user": 40,
    },
    "held": 0,
    "subject": PSEUDONYM,
}
SIGNING_KEY: Final = {
    "algorithm": "Ed25519",
    "key_id": "e4a3d2c1b0a99887",
    "public_key": "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
}
