"""What is told of an alert: thin, so that a reader fetches the rest with its key."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from alerts.models import Alert

_MICROS = Decimal(1_000_000)


def of_alert(alert: Alert) -> dict[str, Any]:
    """Return the data of a notice about an alert."""
    return {
        "id": alert.public_id,
        "account": alert.account.public_id,
        "kind": alert.kind,
        "state": alert.state,
        "step": alert.step,
        "policy_id": alert.policy_id or None,
        "policy_name": alert.policy_name,
        "bot": alert.bot_id or None,
        "subject": dict(alert.subject),
        "metric": alert.metric or None,
        "threshold": amount(alert.threshold, alert.metric),
        "used": amount(alert.used, alert.metric),
        "message": alert.message,
        "enforced": alert.enforced,
        "late": alert.late,
        "window_start": moment(alert.window_start),
        "resets_at": moment(alert.resets_at),
        "created_at": moment(alert.created_at),
        "resolved_at": moment(alert.resolved_at),
    }


def amount(value: int | None, metric: str) -> int | str | None:
    """Return an amount as the API writes it: decimal text in dollars for cost."""
    if value is None or metric != "cost":
        return value
    text = format(value / _MICROS, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(value: datetime | None) -> str | None:
    """Return a moment as RFC 3339 in UTC."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
