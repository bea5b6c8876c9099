"""Free the holds of reservations whose time is over (CONTRACT B7).

The ledger frees them itself when they are in a call's way; this sweep sees to the
rest. It goes through the same batch, so it takes the same locks in the same order.
"""

from datetime import datetime

from usage.entries import ExpireIn, Item
from usage.ledger import run
from usage.models import Reservation


def expire_reservations(*, now: datetime, limit: int = 5_000, batch: int = 250) -> int:
    """End up to `limit` overdue reservations; return how many were looked at.

    Two sweeps at once do no harm: the second finds the first's reservations ended.
    """
    seen = 0
    while seen < limit:
        due = Reservation.objects.filter(
            state=Reservation.State.OPEN, expires_at__lte=now
        )
        rows = list(
            due.order_by("expires_at").values_list("account_id", "id", "holds")[:batch]
        )
        if not rows:
            break
        items = [
            Item(account_id, [ExpireIn(reservation_id, holds)])
            for account_id, reservation_id, holds in rows
        ]
        run(items, now=now)
        seen += len(rows)
    return seen
