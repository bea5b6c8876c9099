"""What people are told of blocks: that one began, that one ended.

The row of a block is an outbox itself. Whoever wrote it (the ledger, an edit, a person)
or ended it (time, a reset, a person), this finds it and tells of it; so nothing needs
to be written in the ledger's way, and nothing is forgotten. A block in shadow pauses
nobody, and nobody is told of it.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from accounts.actors import Actor
from accounts.models import Bot
from alerts import event_types, wording
from alerts.bodies import moment
from alerts.models import Alert
from alerts.services import open_alert, resolve_alert, tell
from policies.models import Block
from policies.selectors import rule_of

_TO_TELL = """SELECT id FROM policies_block
WHERE told = 0 OR (told = 1 AND lifted_at IS NOT NULL)
ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"""
# A crossing writes its alert and its block at the same moment.
_TOGETHER = timedelta(seconds=1)
# Of what began longer ago, as in a history that was made up, no alert is opened.
_OLD = timedelta(days=1)
# How a lift by time says who lifted.
_BY_TIME = frozenset({"window end", "end"})


@transaction.atomic
def tell_of_blocks(*, now: datetime, limit: int = 500) -> int:
    """Tell of blocks that began or ended; return of how many."""
    with connection.cursor() as cursor:
        cursor.execute(_TO_TELL, [limit])
        found = [row[0] for row in cursor.fetchall()]
    if not found:
        return 0
    blocks = Block.objects.filter(id__in=found).select_related(
        "account", "policy", "bot"
    )
    for block in blocks.order_by("id"):
        if block.enforced:
            _tell(block, now)
    ended = Q(lifted_at__isnull=False)
    rows = Block.objects.filter(id__in=found)
    rows.filter(ended).update(told=Block.Told.END)
    rows.exclude(ended).update(told=Block.Told.START)
    return len(found)


def tell_of_revoke(*, bot: Bot, actor: Actor, reason: str, now: datetime) -> None:
    """Tell that a person revoked a bot; belongs into that transaction."""
    by = actor.label or actor.id
    tell(
        account=bot.account,
        event_type=event_types.BOT_REVOKED,
        key=f"{bot.public_id} {moment(now)}",
        data=_of_bot(bot, by, reason),
        now=now,
    )
    open_alert(
        account=bot.account,
        kind=wording.REVOKE,
        policy_id="",
        bot_id=bot.public_id,
        counter=bot.public_id,
        window_start=now,
        message=f"{by} revoked the bot {bot.name}" + (f": {reason}" if reason else ""),
        recipients=[],
        now=now,
    )


def tell_of_restore(*, bot: Bot, actor: Actor, reason: str, now: datetime) -> None:
    """Tell that a person restored a bot; belongs into that transaction."""
    for alert in _open_alerts(bot.account_id, bot.public_id):
        resolve_alert(alert_id=alert.id, now=now)
    tell(
        account=bot.account,
        event_type=event_types.BOT_RESTORED,
        key=f"{bot.public_id} {moment(now)}",
        data=_of_bot(bot, actor.label or actor.id, reason),
        now=now,
    )


def _of_bot(bot: Bot, by: str, reason: str) -> dict[str, Any]:
    return {
        "account": bot.account.public_id,
        "kind": "person",
        "bot": bot.public_id,
        "policy_id": None,
        "policy_name": "",
        "reason": reason,
        "by": by,
    }


def _tell(block: Block, now: datetime) -> None:
    if block.told == Block.Told.NOTHING:
        _tell_start(block, now)
    if block.lifted_at is not None:
        _tell_end(block, now)


def _tell_start(block: Block, now: datetime) -> None:
    revoked = block.kind == Block.Kind.REVOKE
    tell(
        account=block.account,
        event_type=event_types.BOT_REVOKED if revoked else event_types.BOT_BLOCKED,
        key=block.public_id,
        data=_data(block, ended=False),
        now=block.starts_at,
    )
    fresh = now - block.starts_at < _OLD and block.lifted_at is None
    if fresh and not _told_by_crossing(block):
        kind = wording.REVOKE if revoked else wording.BLOCK
        _open(block, kind, block.reason, now, recipients=_recipients(block))


def _tell_end(block: Block, now: datetime) -> None:
    for alert in _open_alerts(block.account_id, block.public_id):
        resolve_alert(alert_id=alert.id, now=block.lifted_at or now)
    if block.kind == Block.Kind.REVOKE:
        # Restoring the bot has told of it.
        return
    tell(
        account=block.account,
        event_type=event_types.BOT_UNBLOCKED,
        key=block.public_id,
        data=_data(block, ended=True),
        now=block.lifted_at or now,
    )
    fresh = block.lifted_at is not None and now - block.lifted_at < _OLD
    if fresh and block.lifted_by not in _BY_TIME:
        reason = f" ({block.lift_reason})" if block.lift_reason else ""
        text = f"{block.lifted_by or 'Somebody'} lifted a block{reason}: {block.reason}"
        state: dict[str, Any] = {"state": Alert.State.RESOLVED}
        _open(block, wording.UNBLOCK, text, now, resolved_at=block.lifted_at, **state)


def _told_by_crossing(block: Block) -> bool:
    """Say whether the alert of the limit, opened with the block, tells of it."""
    if block.counter is None:
        return False
    return Alert.objects.filter(
        account_id=block.account_id,
        kind=wording.LIMIT,
        counter=str(block.counter),
        step=100,
        created_at__gte=block.starts_at - _TOGETHER,
        created_at__lte=block.starts_at + _TOGETHER,
    ).exists()


def _open(
    block: Block,
    kind: str,
    message: str,
    now: datetime,
    *,
    recipients: list[tuple[str, str]] | None = None,
    **facts: Any,
) -> None:
    policy = block.policy
    open_alert(
        account=block.account,
        kind=kind,
        policy_id=policy.public_id if policy else "",
        policy_name=policy.name if policy else "",
        bot_id=block.bot.public_id if block.bot else "",
        counter=block.public_id,
        subject=block.subject,
        window_start=block.starts_at,
        resets_at=block.ends_at,
        message=message,
        recipients=recipients or [],
        now=now,
        **facts,
    )


def _recipients(block: Block) -> list[tuple[str, str]]:
    """Return whom the policy tells by mail; of what a person did, nobody."""
    if block.policy is None:
        return []
    email = rule_of(block.policy).actions.email
    return [] if email is None else [("email", address) for address in email or ("",)]


def _open_alerts(account_id: UUID, about: str) -> list[Alert]:
    told = Alert.objects.filter(account_id=account_id, counter=about)
    kinds = [wording.BLOCK, wording.REVOKE]
    return list(told.filter(kind__in=kinds).exclude(state=Alert.State.RESOLVED))


def _data(block: Block, *, ended: bool) -> dict[str, Any]:
    policy, bot = block.policy, block.bot
    return {
        "id": block.public_id,
        "account": block.account.public_id,
        "kind": block.kind,
        "bot": bot.public_id if bot else None,
        "policy_id": policy.public_id if policy else None,
        "policy_name": policy.name if policy else "",
        "subject": dict(block.subject),
        "reason": block.reason,
        "starts_at": moment(block.starts_at),
        "ends_at": moment(block.ends_at),
        "lifted_at": moment(block.lifted_at) if ended else None,
        "lifted_by": block.lifted_by if ended else "",
    }
