"""The lock that keeps legal holds apart from what deletes.

What deletes holds it shared while it looks at the holds and deletes; who places a hold
takes it exclusively. So when a hold is answered, no deletion is under way that has not
seen it. It is not the account's lock of the ledger: calls never wait for pruning.
"""

from uuid import UUID

from django.db import connection

# The first half of a lock of two halves, which no lock of one number is equal to.
_SPACE = 0x52455400


def lock_shared(account_id: UUID) -> None:
    """Keep new holds out until the transaction ends; for what deletes."""
    _lock("SELECT pg_advisory_xact_lock_shared(%s, %s)", account_id)


def lock_exclusively(account_id: UUID) -> None:
    """Wait for what deletes, and keep it out until the transaction ends."""
    _lock("SELECT pg_advisory_xact_lock(%s, %s)", account_id)


def key_of(account_id: UUID) -> tuple[int, int]:
    """Return the two halves of an account's lock."""
    return _SPACE, int.from_bytes(account_id.bytes[12:], "big", signed=True)


def _lock(sql: str, account_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, key_of(account_id))
