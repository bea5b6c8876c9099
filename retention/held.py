"""Which conversations legal holds keep, for lists that show it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Account
from retention.selectors import live_holds
from retention.targets import CONVERSATIONS, TARGETS


def held_conversations(
    account: Account, keys: Collection[UUID], now: datetime
) -> set[UUID]:
    """Return those of some conversations that a live hold covers."""
    if not keys or not live_holds(account, now).exists():
        return set()
    target = TARGETS[CONVERSATIONS]
    sql = (
        f"SELECT r.id FROM {target.rows} WHERE r.account_id = %(account)s"  # noqa: S608
        f" AND r.id = ANY(%(keys)s) AND {target.held}"
    )
    asked: dict[str, Any] = {"account": account.id, "held_at": now}
    with connection.cursor() as cursor:
        cursor.execute(sql, {**asked, "keys": list(keys)})
        return {row[0] for row in cursor.fetchall()}
