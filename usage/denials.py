"""Tell the endpoints that want to hear of it of every refused call.

The ledger writes nothing for this: a decision's row is there anyway. It is looked for
shortly afterwards, again and again for two minutes, because rows appear when their
transaction commits and not in the order of their ids; each is told once.
"""

from datetime import datetime, timedelta
from typing import Any

from accounts import ids
from accounts.models import Account
from alerts import event_types
from alerts.bodies import moment
from alerts.selectors import keys_told
from alerts.services import listeners, tell
from audit.models import DecisionRecord
from audit.selectors import decisions

LOOKED_BACK = timedelta(minutes=2)


def tell_denials(*, now: datetime, limit: int = 1_000) -> int:
    """Tell of refused calls; return of how many, at most `limit` an account."""
    told = 0
    for account in listeners(event_types.DECISION_DENIED):
        for record in _untold(account, now, limit):
            told += tell(
                account=account,
                event_type=event_types.DECISION_DENIED,
                key=record.public_id,
                data=_data(record, account),
                now=record.created_at,
            )
    return told


def _untold(account: Account, now: datetime, limit: int) -> list[DecisionRecord]:
    since = ids.first_id_at(now - LOOKED_BACK)
    refused = decisions(account).filter(id__gte=since, allowed=False)
    known = keys_told(account, event_types.DECISION_DENIED, now - LOOKED_BACK)
    found = (row for row in refused.iterator() if row.public_id not in known)
    return [row for row, _ in zip(found, range(limit), strict=False)]


def _data(record: DecisionRecord, account: Account) -> dict[str, Any]:
    return {
        "id": record.public_id,
        "account": account.public_id,
        "reason_code": record.reason_code,
        "message": record.message,
        "policy_id": record.policy_id,
        "bot": record.policy_target,
        "user": record.policy_user,
        "project": record.policy_project_id,
        "model": record.model,
        "retry_after": record.retry_after,
        "created_at": moment(record.created_at),
    }
