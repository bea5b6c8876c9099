"""What follows when a counter crosses a step of its limit: alerts, blocks, revokes.

The rows are written in the transaction that crosses (CONTRACT D2), so nobody is told
of something that did not happen, and nothing happens untold.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from accounts import ids
from policies.covers import cover_of_bot, cover_of_policy
from policies.decision import (
    BlockView,
    Reading,
    block_end,
    crossed_steps,
    crossing,
)
from policies.phrases import used_text
from policies.rules import Limit, UsageRule
from usage import counters, windows
from usage.counters import Counter, Place
from usage.rulebook import Match
from usage.work import Entry, Work, public

_MICROSECOND = timedelta(microseconds=1)


def charged(
    work: Work,
    entry: Entry,
    match: Match,
    limit: Limit,
    counter: Counter,
    *,
    before: int,
    late: bool,
) -> None:
    """Follow up a charge: `before` is what was used before it.

    A late charge (its window is over) may open an alert, but never blocks or revokes
    (CONTRACT A6).
    """
    rule, after = match.rule, counter.used
    if after < counter.quiet_below:
        return
    steps = sorted({*rule.alert_steps, 100})
    for step in crossed_steps(
        threshold=limit.threshold, before=before, after=after, steps=steps
    ):
        open_alert(work, entry, match, limit, counter, step=step, late=late)
    if not late and crossing(limit.threshold, before, after):
        stop(work, entry, match, limit, counter)
    elif before >= limit.threshold and limit.window.kind == "rolling":
        _prolong(work, match, limit, counter)
    if counter.kind != "rolling":
        # A rolling counter may fall, and cross the same step again.
        amounts = [max(1, -(-limit.threshold * step // 100)) for step in steps]
        counter.quiet_below = min([a for a in amounts if a > after], default=0)


def stop(
    work: Work, entry: Entry, match: Match, limit: Limit, counter: Counter
) -> None:
    """Block and revoke as the policy says (C3, C5)."""
    actions = match.rule.actions
    if actions.block is not None:
        _block(work, entry, match, limit, counter, actions.block.duration_seconds)
    if actions.revoke and entry.bot is not None:
        _revoke(work, entry, match, limit, counter)


def refused(work: Work, entry: Entry, place: Place, reading: Reading) -> None:
    """Tell people of the first enforced refusal of a reserving call (C1).

    A cap that fills to 1,000 of 1,001 would otherwise stay silent.
    """
    actions = reading.rule.actions
    if not actions.warn and actions.email is None and actions.webhook is None:
        return
    counter = work.counters[place.id]
    if counter.kind == "rolling" and reading.used >= reading.limit.threshold:
        # The crossing has told of it, and its episode goes on (D1).
        return
    open_alert(work, entry, place.match, place.limit, counter, step=100, late=False)


def open_alert(
    work: Work,
    entry: Entry,
    match: Match,
    limit: Limit,
    counter: Counter,
    *,
    step: int,
    late: bool,
) -> None:
    """Open the one alert of this counter, window and step, if it is not open (D1)."""
    start = _alert_window(work, limit, counter, step, late=late)
    if start is None:
        return
    rule = match.rule
    alert_id = ids.new_id(work.now)
    seen = counters.view(counter, limit, work.now)
    used = counter.used if late else seen.used
    work.write(
        "alerts",
        {
            "id": alert_id,
            "account_id": entry.account_id,
            "policy_id": rule.policy_id,
            "policy_name": rule.name,
            "counter": str(counter.id),
            "subject": counter.subject,
            "window_start": start,
            "resets_at": counter.window_end if late else seen.resets_at,
            "step": step,
            "state": "warning" if step < 100 else "breached",
            "bot_id": entry.bot.public_id if entry.bot else "",
            "metric": limit.metric,
            "threshold": limit.threshold,
            "used": used,
            "message": f"{rule.name}: "
            + used_text(limit.metric, used, limit.threshold),
            "actions": rule.actions.stopping,
            "enforced": match.enforced,
            "late": late,
            "created_at": work.now,
        },
    )
    for channel, recipient in recipients(rule):
        work.write(
            "deliveries",
            {
                "id": ids.new_id(work.now),
                "account_id": entry.account_id,
                "alert_id": alert_id,
                "channel": channel,
                "recipient": recipient,
                "created_at": work.now,
            },
        )


def recipients(rule: UsageRule) -> Sequence[tuple[str, str]]:
    """Return (channel, recipient) of everybody to tell; empty text is the owner."""
    if rule.rollout_mode != "enforce" and not rule.notify_in_shadow:
        return ()
    told: list[tuple[str, str]] = []
    if rule.actions.email is not None:
        # However it is spelled, an address gets one mail.
        spelled: dict[str, str] = {}
        for address in rule.actions.email or ("",):
            spelled.setdefault(address.lower(), address)
        told += [("email", address) for address in spelled.values()]
    told += [("webhook", endpoint) for endpoint in rule.actions.webhook or ()]
    return told


def _alert_window(
    work: Work, limit: Limit, counter: Counter, step: int, *, late: bool
) -> datetime | None:
    """Return the start of the window or episode to alert for; None if that was done.

    A rolling window has no start of its own: an episode is re-opened at most once in
    its length (D1).
    """
    now = (work.now - counters.EPOCH) // _MICROSECOND
    opened = counter.fired.get(str(step))
    since = _episode(counter, limit, now, late=late)
    if opened is not None and (since is None or opened > since):
        return None
    counter.fired = {**counter.fired, str(step): now}
    counter.dirty = True
    if since is not None:
        return work.now
    return counter.window_start or work.now


def _episode(counter: Counter, limit: Limit, now: int, *, late: bool) -> int | None:
    """Since when an alert stands for what is told now; None for a window's own.

    A call may be refused when the last fixed window is over and no other is open.
    """
    if counter.kind == "rolling":
        return now - (limit.window.seconds or 0) * 1_000_000
    if counter.kind == "fixed" and not late and counter.window_end is not None:
        end = (counter.window_end - counters.EPOCH) // _MICROSECOND
        return end - 1 if end <= now else None
    return None


def _block(
    work: Work,
    entry: Entry,
    match: Match,
    limit: Limit,
    counter: Counter,
    duration_seconds: int | None,
) -> None:
    ends_at = block_end(
        now=work.now,
        duration_seconds=duration_seconds,
        window_end=window_end(counter, limit),
    )
    cover = cover_of_policy(match.policy_id, match.subject_key)
    row = _block_row(work, entry, match, limit, counter)
    row |= {
        "kind": "policy",
        "cover": cover,
        "enforced": match.rule.rollout_mode == "enforce",
        "ends_at": ends_at,
    }
    _remember(work, row, match.rule)


def _prolong(work: Work, match: Match, limit: Limit, counter: Counter) -> None:
    """Let a block stand until what was used meanwhile has left its window too (C3)."""
    ends_at = window_end(counter, limit)
    if match.rule.actions.block is None or match.cover is None or ends_at is None:
        return
    blocks = work.blocks.get(match.cover, [])
    for index, block in enumerate(blocks):
        if block.kind == "policy" and block.ends_at and block.ends_at < ends_at:
            blocks[index] = replace(block, ends_at=ends_at)
            row_id = ids.decode_id("blk", block.id)
            work.write("prolonged", {"id": row_id, "ends_at": ends_at})


def window_end(counter: Counter, limit: Limit) -> datetime | None:
    """Return when what crossed is below the threshold again, if anybody knows (C3)."""
    if counter.kind != "rolling" or counter.ring is None or counter.ring_head is None:
        return counter.window_end
    return windows.free_at(
        counter.used,
        counter.ring_head,
        counter.ring,
        limit.threshold,
        1,
        windows.bucket_width(limit.window.seconds or 0),
    )


def _revoke(
    work: Work, entry: Entry, match: Match, limit: Limit, counter: Counter
) -> None:
    bot = entry.bot
    if bot is None:
        return
    row = _block_row(work, entry, match, limit, counter)
    row |= {
        "kind": "revoke",
        "cover": cover_of_bot(bot.id),
        "enforced": match.enforced,
        "ends_at": None,
    }
    _remember(work, row, match.rule)
    if match.enforced:
        revoked = {
            "account_id": entry.account_id,
            "bot_id": bot.id,
            "at": work.now,
        }
        work.write("revoked", revoked)


def _block_row(
    work: Work, entry: Entry, match: Match, limit: Limit, counter: Counter
) -> dict[str, Any]:
    used = used_text(limit.metric, counter.used, limit.threshold)
    return {
        "id": ids.new_id(work.now),
        "account_id": entry.account_id,
        "policy_id": match.policy_id,
        "bot_id": entry.bot.id if entry.bot else None,
        "counter": counter.id,
        "window_start": counter.window_start,
        "subject": counter.subject,
        "reason": f"{match.rule.name}: {used}",
        "starts_at": work.now,
    }


def _remember(work: Work, row: dict[str, Any], rule: UsageRule) -> None:
    """Write a block, and let the batch's later entries see it."""
    work.write("blocks", row)
    view = BlockView(
        public("blk", row["id"]),
        rule.policy_id,
        row["kind"],
        row["enforced"],
        row["ends_at"],
        row["reason"],
    )
    work.blocks.setdefault(row["cover"], []).append(view)
