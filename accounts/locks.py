"""The lock that keeps edits of an account apart from the ledger's batches.

The ledger holds it shared while it decides; an edit holds it exclusively. So an edit
lies wholly before or wholly after any batch (CONTRACT C9).
"""

from uuid import UUID

from django.db import connection


def lock_key(account_id: UUID) -> int:
    """Return the account's advisory lock key: a signed 64-bit integer."""
    return int.from_bytes(account_id.bytes[8:], "big", signed=True)


def lock_exclusively(account_id: UUID) -> None:
    """Wait until no batch and no other edit runs; held to the transaction's end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(account_id)])
