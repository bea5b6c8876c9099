"""Receipts as they are shown, and as they leave the house signed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from accounts.models import Account
from retention import signing
from retention.models import PruneRun
from retention.receipts import OPEN
from retention.selectors import runs


def show_receipt(run: PruneRun) -> dict[str, Any]:
    """Return a receipt as it is answered and exported: JSON values only."""
    done = run.state == PruneRun.State.COMPLETED
    gone = max(run.due - run.remaining, 0) / run.due if run.due else 0.0
    return {
        "id": run.public_id,
        "policy": None if run.policy is None else run.policy.public_id,
        "policy_name": None if run.policy is None else run.policy.name,
        "policy_revision": run.policy_revision,
        "target": run.target,
        "cutoff": _moment(run.cutoff),
        "state": str(run.state),
        "waiting_for": run.waiting_for or None,
        "trigger": run.trigger,
        "due": run.due,
        "total": run.total,
        "deleted": run.deleted,
        "held": run.held,
        "skipped": run.skipped,
        "remaining": run.remaining,
        "progress": 1.0 if done else round(gone, 4),
        "subject": run.subject or None,
        "confirmed_at": _moment(run.confirmed_at),
        "confirmed_by": run.confirmed_by or None,
        "started_at": _moment(run.started_at),
        "finished_at": _moment(run.finished_at),
        "duration_seconds": round(run.worked_seconds, 3),
        "digest": run.digest,
    }


def export(*, account: Account, now: datetime) -> Iterator[str]:
    """Yield the signed lines of all receipts of runs that have ended, oldest first."""
    ended = runs(account).exclude(state__in=OPEN).order_by("id")
    head = {"account": account.public_id, "exported_at": _moment(now)}
    receipts = (show_receipt(run) for run in ended.iterator(chunk_size=500))
    return signing.signed_lines(_key(), head, receipts)


def published_key() -> dict[str, str]:
    """Return the public key by which exports are checked."""
    public = signing.public_text(_key().public_key())
    named = {"algorithm": "Ed25519", "key_id": signing.key_id(public)}
    return {**named, "public_key": public}


def _key() -> Ed25519PrivateKey:
    return signing.signing_key(settings.POLICYHUB_KEY_PEPPER)


def _moment(moment: datetime | None) -> str | None:
    """Return an instant in UTC as RFC 3339 writes it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
