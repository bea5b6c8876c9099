"""What is replayed: decisions and events when they are few, else hourly rollups."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from operator import attrgetter, itemgetter
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet, Sum

from accounts import ids
from accounts.models import Account
from audit.models import DecisionRecord
from policies.matching import Caller
from policies.rules import UsageRule
from usage import windows
from usage.entries import AMOUNTS
from usage.models import HourlyRollup, Reservation, UsageEvent
from usage.simulation import Ask, Ended, Happening, Used

# About as many as are replayed in the seconds that somebody waits.
MOST: Final = 10_000
_PARTS: Final = 12
_HOUR: Final = timedelta(hours=1)
# What was recorded later than this was imported: it is replayed when it occurred.
_IMPORTED: Final = timedelta(days=1)
_EXPIRY: Final = "expiry"
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_WARM_UP: Final = timedelta(days=93)
_moment = attrgetter("moment")


@dataclass(frozen=True, slots=True)
class History:
    """What happened, oldest first.

    `source` is events or rollups; `since` is from when on it is told of, later than it
    was asked for if there was too much (`truncated`).
    """

    happenings: list[Happening]
    source: str
    since: datetime
    truncated: bool


def history(
    *, account: Account, rules: Iterable[UsageRule], since: datetime, now: datetime
) -> History:
    """Return what rules would have met since a moment, and what filled their windows.

    Reads at most some ten thousand rows.
    """
    wanted = list(rules)
    start = min((_filled_since(rule, since) for rule in wanted), default=since)
    scope = wanted[0].scope if len(wanted) == 1 else None
    bot = scope.bot if scope else None
    events = _of_bot(UsageEvent.objects.filter(account=account), bot)
    events = events.filter(id__gte=ids.first_id_at(start), occurred_at__gte=start)
    asked = DecisionRecord.objects.filter(account=account)
    asked = asked.filter(id__gte=ids.first_id_at(start))
    if bot is not None:
        asked = asked.filter(policy_target=bot)
    if _few(events, asked):
        return History(_recorded(account, events, asked, start), "events", since, False)
    return _from_rollups(account, wanted, bot, start, since, now)


def _filled_since(rule: UsageRule, since: datetime) -> datetime:
    """Return where the windows began in which `since` lies, within three months."""
    starts = [since]
    for limit in rule.limits:
        window = limit.window
        if window.kind == "calendar":
            starts.append(windows.bounds(window, since).start)
        elif window.seconds is not None:
            starts.append(since - timedelta(seconds=min(window.seconds, 8_035_200)))
        else:
            starts.append(since - _WARM_UP)
    return max(min(starts), since - _WARM_UP)


def _of_bot(rows: QuerySet[Any], bot: str | None) -> QuerySet[Any]:
    return rows if bot is None else rows.filter(bot_id=ids.decode_id("bot", bot))


def _few(*found: QuerySet[Any]) -> bool:
    left = MOST
    for rows in found:
        left -= len(rows.values_list("id")[: left + 1])
        if left < 0:
            return False
    return True


def _recorded(
    account: Account,
    events: QuerySet[UsageEvent],
    asked: QuerySet[DecisionRecord],
    start: datetime,
) -> list[Happening]:
    numbered: list[tuple[int, Happening]] = []
    numbered += [(row.sequence, _ask(row)) for row in asked]
    asking: dict[str, datetime] = {}
    for each in asked:
        known = asking.setdefault(each.policy_target, each.created_at)
        asking[each.policy_target] = min(known, each.created_at)
    imported: list[Happening] = []
    for row in events:
        if _is_imported(row):
            imported.append(_used(row, asking))
        else:
            numbered.append((row.sequence, _used(row, asking)))
    # The ledger's own order; what was imported, and ends, come in by their time.
    numbered.sort(key=itemgetter(0))
    imported.sort(key=_moment)
    recorded = [each for _, each in numbered]
    return list(merge(_ends(account, start), imported, recorded, key=_moment))


def _is_imported(row: UsageEvent) -> bool:
    late = row.created_at - row.occurred_at > _IMPORTED
    return late and row.reservation_id is None


def _ask(row: DecisionRecord) -> Ask:
    subject = row.subject
    caller = Caller(
        subject.get("project"), row.policy_target, row.policy_user, row.model
    )
    return Ask(
        moment=row.created_at,
        caller=caller,
        bot=ids.decode_id("bot", row.policy_target),
        amounts={"cost": None, **row.estimate},
        reserve=bool(subject.get("reserve")),
        reservation=row.reservation_id,
        id=row.public_id,
    )


def _used(row: UsageEvent, asking: Mapping[str, datetime]) -> Used:
    bot = ids.encode_id("bot", row.bot_id)
    project = None if row.project_id is None else ids.encode_id("prj", row.project_id)
    reserved = row.reservation_id
    imported = _is_imported(row)
    told = not imported and row.occurred_at != row.created_at
    moment = row.occurred_at if imported else row.created_at
    return Used(
        moment=moment,
        caller=Caller(project, bot, row.user, row.model),
        bot=row.bot_id,
        amounts={name: getattr(row, name) for name in AMOUNTS},
        occurred_at=row.occurred_at if told else None,
        # What was charged for a call that never settled did not settle it either.
        reservation=None
        if reserved is None or row.source == _EXPIRY
        else ids.encode_id("res", reserved),
        # Before its first decision that is kept, a bot is taken to ask (ADR 0025).
        asks=moment < asking.get(bot, _NEVER),
    )


def _ends(account: Account, start: datetime) -> list[Happening]:
    """Return when holds were freed without being settled."""
    rows = Reservation.objects.filter(account=account, created_at__gte=start)
    found = []
    for row in rows.exclude(state=Reservation.State.SETTLED):
        released = row.state == Reservation.State.RELEASED and row.ended_at is not None
        at = row.ended_at if released and row.ended_at else row.expires_at
        state = "released" if released else "expired"
        found.append(Ended(at, row.public_id, state))
    return sorted(found, key=_moment)


def _from_rollups(
    account: Account,
    rules: list[UsageRule],
    bot: str | None,
    start: datetime,
    since: datetime,
    now: datetime,
) -> History:
    rows = HourlyRollup.objects.filter(account=account, hour__gte=start, hour__lt=now)
    names = ["hour", "bot_id", "project_id", *_needed(rules)]
    sums = {f"sum_{name}": Sum(name) for name in (*AMOUNTS, "unpriced", "events")}
    summed = _of_bot(rows, bot).values(*names).annotate(**sums)
    found = list(summed.order_by("-hour", *names[1:])[: MOST + 1])
    truncated = len(found) > MOST
    if truncated:
        # The oldest hour may be there in part, so it is left out.
        oldest = found[-1]["hour"]
        found = [row for row in found if row["hour"] > oldest]
        since = max(since, oldest + _HOUR)
    parts = max(1, min(_PARTS, MOST // max(len(found), 1)))
    happenings = [part for row in found for part in _parts(row, parts)]
    happenings.sort(key=_moment)
    return History(list(happenings), "rollups", since, truncated)


def _needed(rules: Iterable[UsageRule]) -> list[str]:
    """Return which of user and model tell calls apart for some rule."""
    return [
        name
        for name in ("user", "model")
        if any(
            getattr(rule.scope, name) is not None or name in rule.group_by
            for rule in rules
        )
    ]


def _parts(row: dict[str, Any], most: int) -> Iterator[Used]:
    """Spread an hour's usage evenly over the hour, in whole calls."""
    calls = row["sum_calls"] or row["sum_events"]
    count = max(1, min(most, calls))
    bot = ids.encode_id("bot", row["bot_id"])
    project: UUID | None = row["project_id"]
    caller = Caller(
        None if project is None else ids.encode_id("prj", project),
        bot,
        row.get("user") or None,
        row.get("model") or None,
    )
    for part in range(count):
        amounts = {name: _share(row[f"sum_{name}"], part, count) for name in AMOUNTS}
        if row["sum_unpriced"] == row["sum_events"]:
            amounts["cost"] = None
        yield Used(
            moment=row["hour"] + _HOUR * part / count,
            caller=caller,
            bot=row["bot_id"],
            amounts=amounts,
            asks=True,
        )


def _share(amount: int, part: int, count: int) -> int | None:
    return amount * (part + 1) // count - amount * part // count
