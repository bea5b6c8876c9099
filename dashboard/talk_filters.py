"""Which conversations an address asks for: of a bot, a user, an id, in some days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.dateparse import parse_date

from accounts.models import Account, Bot
from usage.conversations import conversations
from usage.models import Conversation


@dataclass(frozen=True, slots=True)
class Talks:
    """The filters; None or empty is all. `since` and `until` are days of last activity.

    `external_id` is the caller's own id.
    """

    bot: Bot | None = None
    user: str = ""
    external_id: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        texts = self.user or self.external_id
        return bool(self.bot or texts or self.since or self.until)


def talks_sought(query: QueryDict, bots: Sequence[Bot]) -> Talks:
    """Read the filters of an address; what cannot be meant is let go."""
    wanted = query.get("bot", "")
    return Talks(
        bot=next((each for each in bots if each.public_id == wanted), None),
        user=_text(query, "user"),
        external_id=_text(query, "id"),
        since=_day(query, "from"),
        until=_day(query, "to"),
    )


def talks_found(account: Account, asked: Talks) -> QuerySet[Conversation]:
    """Return the conversations that are asked for."""
    found = conversations(account, asked.bot)
    zone = ZoneInfo(account.timezone)
    if asked.user:
        found = found.filter(user=asked.user)
    if asked.external_id:
        found = found.filter(external_id=asked.external_id)
    if asked.since is not None:
        found = found.filter(last_activity_at__gte=_midnight(asked.since, zone))
    if asked.until is not None:
        after = asked.until + timedelta(days=1)
        found = found.filter(last_activity_at__lt=_midnight(after, zone))
    return found


def _text(query: QueryDict, name: str) -> str:
    return query.get(name, "").replace("\x00", "").strip()[:256]


def _day(query: QueryDict, name: str) -> date | None:
    try:
        day = parse_date(query.get(name, ""))
    except ValueError:
        return None
    # Years at the ends of the calendar have no day beside them.
    return day if day and 1970 <= day.year <= 9000 else None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone)
