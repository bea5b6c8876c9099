"""Free the holds of reservations whose time is over (CONTRACT B7).

The ledger frees them itself when they are in a call's way; this sweep sees to the
rest. It goes through the same batch, so it takes the same locks in the same order.
"""

from datetime import datetime

from usage.entries import ExpireIn, Item, ReservationInfo
from usage.ledger import run
from usage.models import Reservation


def expire_reservations(*, now: datetime, limit: int = 5_000, batch: int = 250) -> int:
    """End up to `limit` overdue reservations; return how many were looked at.

    Two sweeps at once do no harm: the second finds the first's reservations ended.
    """
    due = Reservation.objects.filter(state=Reservation.State.OPEN, expires_at__lte=now)
    rows = list(due.order_by("expires_at")[:limit])
    for first in range(0, len(rows), batch):
        run(
            [
                Item(row.account_id, [ExpireIn(_info(row))])
                for row in rows[first : first + batch]
            ],
            now=now,
        )
    return len(rows)


def _info(row: Reservation) -> ReservationInfo:
    return ReservationInfo(
        row.id, row.bot_id, row.project_id, row.user, row.model, row.holds
    )
