"""Tell the endpoints that want to hear of it of every refused call.

The ledger writes nothing for this: a decision's row is there anyway. It is looked for
shortly afterwards, again and again for two minutes, because rows appear when their
transaction commits and not in the order of their ids; each is told once. A worker that
was away looks back to when somebody last looked.
"""

from datetime import datetime, timedelta
from typing import Any

from accounts import heartbeats, ids
from accounts.models import Account
from alerts import event_types
from alerts.bodies import moment
from alerts.selectors import keys_told
from alerts.services import listeners, tell
from audit.models import DecisionRecord
from audit.selectors import decisions

LOOKED_BACK = timedelta(minutes=2)
# Notices that nobody wanted are forgotten after a day: later, they would be told again.
FARTHEST = timedelta(hours=12)
_looked = heartbeats.Pulse(heartbeats.DENIALS)


def tell_denials(*, now: datetime, limit: int = 1_000) -> int:
    """Tell of refused calls; return of how many, at most `limit` an account."""
    told, since, most = 0, _since(now), 0
    for account in listeners(event_types.DECISION_DENIED):
        found = _untold(account, since, limit)
        most = max(most, len(found))
        for record in found:
            told += tell(
                account=account,
                event_type=event_types.DECISION_DENIED,
                key=record.public_id,
                data=_data(record, account),
                now=record.created_at,
            )
    if most < limit:
        _looked(now)
    return told


def _since(now: datetime) -> datetime:
    """Return from when on refusals may not have been told."""
    looked = heartbeats.beats().get(heartbeats.DENIALS, now)
    return max(min(looked, now), now - FARTHEST) - LOOKED_BACK


def _untold(account: Account, since: datetime, limit: int) -> list[DecisionRecord]:
    refused = decisions(account).filter(id__gte=ids.first_id_at(since), allowed=False)
    known = keys_told(account, event_types.DECISION_DENIED, since)
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
