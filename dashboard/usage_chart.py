"""What was used each day, as a chart, a sentence and a table. Reads rollups only."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.models import Account, Bot
from dashboard import charts
from dashboard.amounts import number_text
from usage.reports import Filters, Report, edges_before, period_of


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the account's zone, with its bar."""

    date: date
    value: int
    bar: charts.Bar


@dataclass(frozen=True, slots=True)
class DayChart:
    """Some days in a row. `ceiling` is the value at the chart's top edge."""

    days: tuple[Day, ...]
    ceiling: int
    middle: float
    total: int
    peak: Day | None

    @property
    def summary(self) -> str:
        """What the chart shows, in a sentence."""
        if self.peak is None:
            return _("No tokens in the last %(days)s days.") % {"days": len(self.days)}
        return _(
            "%(total)s tokens in the last %(days)s days; most on %(day)s: %(peak)s."
        ) % {
            "total": number_text(self.total),
            "days": len(self.days),
            "day": date_format(self.peak.date, _("j M")),
            "peak": number_text(self.peak.value),
        }

    @property
    def ticks(self) -> tuple[date, date, date]:
        """The days named below the chart: the first, the middle one, the last."""
        return (
            self.days[0].date,
            self.days[len(self.days) // 2].date,
            self.days[-1].date,
        )


def chart_of_days(
    account: Account, *, days: int, now: datetime, bot: Bot | None = None
) -> DayChart:
    """Return the tokens of the last days of an account, or of one bot of it."""
    today_ends = period_of(account, "day", now)[1]
    edges = edges_before(account, "day", [today_ends] * (days + 1))
    filters = Filters(bot=None if bot is None else bot.id)
    used = [0] * days
    for row in Report(account, filters).series(edges, "day"):
        used[row.bucket] = row.sums["tokens"]
    zone = ZoneInfo(account.timezone)
    return _laid_out([each.astimezone(zone).date() for each in edges[:-1]], used)


def _laid_out(dates: list[date], values: list[int]) -> DayChart:
    drawn = charts.bars(values)
    days = tuple(map(Day, dates, values, drawn.bars))
    peak = None if drawn.peak is None else days[drawn.peak]
    return DayChart(days, drawn.ceiling, drawn.middle, sum(values), peak)
