"""The list of bots: found by name, project and state, each with its last days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import QueryDict

from accounts import ids
from accounts.errors import NotFound
from accounts.models import Account, Bot, Project
from accounts.selectors import bots
from dashboard import charts
from dashboard.bot_states import WORDS, State, states_of
from usage.last_used import with_last_used
from usage.reports import Report, edges_of

DAYS: Final = 14
# States that no column holds are worked out for at most so many bots.
MOST: Final = 5_000


@dataclass(frozen=True, slots=True)
class Sought:
    """What the address asks for; empty is all."""

    text: str = ""
    project: str = ""
    state: str = ""

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.text or self.project or self.state)


@dataclass(frozen=True, slots=True)
class BotRow:
    """A bot as the list shows it. `line` is the points of its sparkline."""

    bot: Bot
    state: State
    line: str
    tokens: int
    last_used: datetime | None


def sought(query: QueryDict, projects: Sequence[Project]) -> Sought:
    """Read the filters of an address; what nobody gave out is let go."""
    project, state = query.get("project", ""), query.get("state", "")
    known = {each.public_id for each in projects} | {"none"}
    return Sought(
        text=query.get("q", "").replace("\x00", "").strip()[:200],
        project=project if project in known else "",
        state=state if state in WORDS else "",
    )


def found(
    account: Account, asked: Sought, projects: Sequence[Project], now: datetime
) -> tuple[QuerySet[Bot], dict[UUID, State]]:
    """Return the bots that are asked for, and the states that had to be worked out."""
    rows = bots(account)
    if asked.text:
        named = Q(name__icontains=asked.text) | Q(external_id__icontains=asked.text)
        rows = rows.filter(named)
    if asked.project == "none":
        rows = rows.filter(project=None)
    elif asked.project:
        rows = rows.filter(
            project=next(p for p in projects if p.public_id == asked.project)
        )
    if asked.state in (Bot.State.REVOKED, Bot.State.DISABLED):
        return rows.filter(state=asked.state), {}
    if asked.state:
        candidates = list(rows.filter(state=Bot.State.ACTIVE)[:MOST])
        states = states_of(account, candidates, now)
        wanted = [key for key, state in states.items() if state.word == asked.state]
        return rows.filter(id__in=wanted), states
    return rows, {}


def seen_bot(account: Account, public_id: str) -> Bot:
    """Return one bot, archived or not, with what `with_last_used` adds.

    Raises NotFound.
    """
    try:
        key = ids.decode_id(Bot.prefix, public_id)
    except ids.InvalidId:
        raise NotFound from None
    known = bots(account, include_archived=True)
    bot = with_last_used(known).filter(id=key).first()
    if bot is None:
        raise NotFound
    return bot


def rows_of(
    account: Account,
    shown: Sequence[Bot],
    now: datetime,
    known: Mapping[UUID, State],
) -> list[BotRow]:
    """Return bots as the list shows them; `known` are states that are known already.

    The bots come with what `with_last_used` adds.
    """
    states = known or states_of(account, shown, now)
    used = _days(account, shown, now)
    return [
        BotRow(
            bot=bot,
            state=states[bot.id],
            line=charts.sparkline(used[bot.id]) if any(used[bot.id]) else "",
            tokens=sum(used[bot.id]),
            last_used=getattr(bot, "last_used", None),
        )
        for bot in shown
    ]


def _days(
    account: Account, shown: Sequence[Bot], now: datetime
) -> dict[UUID, list[int]]:
    edges = edges_of(account, "day", now - timedelta(days=DAYS - 1), now)
    days = {bot.id: [0] * (len(edges) - 1) for bot in shown}
    if not shown:
        return days
    report = Report(account, group_by="bot")
    for row in report.series(edges, "day", [bot.id for bot in shown]):
        if isinstance(row.group, UUID) and row.group in days:
            days[row.group][row.bucket] += row.sums["tokens"]
    return days
