"""The picture of the usage page: bars, running total, caps, blocks and crossings.

Everything a picture says is also in words: the summary, the table and the list of
crossings. The server draws it as SVG; with scripts, uPlot draws the same numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

from accounts.saying import say
from alerts.models import Alert
from alerts.selectors import alerts
from dashboard import plots
from dashboard.amounts import amount_text, quantity_text
from dashboard.charts import ceiling
from dashboard.usage_caps import (
    Cap,
    Choice,
    Governed,
    caps,
    choices,
    chosen,
    lead_of,
    running,
    sorted_out,
)
from dashboard.usage_query import Asked
from dashboard.usage_series import Named, Part, Used, used
from dashboard.visits import Visit
from policies import selectors
from policies.models import Block, Policy
from usage.reports import edges_before, edges_of

MOST_MARKS: Final = 100
MOST_BLOCKS: Final = 100
MOST_POLICIES: Final = 500
# A cap that is further above everything else is told of, not drawn.
_FAR: Final = 4
_SHAPES: Final = {"hour": "j M H:i", "day": "D j M", "week": "j M Y", "month": "M Y"}


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket: when it begins, and what was used in it and up to its end."""

    start: datetime
    label: str
    value: int
    total: int
    before: int | None
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stay:
    """A stretch in which calls were refused, in columns of the picture."""

    block: Block
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A crossing, with the column it lies in."""

    alert: Alert
    column: float
    address: str

    @property
    def has_fired(self) -> bool:
        """Whether the limit was reached, not only a step on the way."""
        return self.alert.step >= 100


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn, in the metric's own unit.

    `held` is what calls under way hold now; it stands upon the last bar.
    """

    asked: Asked
    buckets: tuple[Bucket, ...]
    used: Used
    choices: list[Choice]
    choice: Choice
    caps: list[Cap]
    partial: list[Governed]
    stays: list[Stay]
    marks: list[Mark]
    held: int = 0

    @property
    def kinds_of_marks(self) -> set[bool]:
        """Whether limits were reached (True), and steps on the way (False)."""
        return {each.has_fired for each in self.marks}

    @property
    def total(self) -> int:
        """What was used in all."""
        return sum(self.used.whole)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was reported in this time, and nothing is held."""
        return not self.used.events and not self.held

    @property
    def parts(self) -> list[Part]:
        """The groups; one without a name if it is not grouped."""
        return self.used.parts or [Part("", "", False, self.used.whole)]

    @property
    def bar_top(self) -> int:
        """The value at the upper edge of the bars' scale."""
        highest = max([*self.used.whole, self.used.whole[-1] + self.held])
        before = max((each.before or 0 for each in self.buckets), default=0)
        return self._top(max(highest, before), on_total=False)

    @property
    def total_top(self) -> int:
        """The value at the upper edge of the running total's scale."""
        return self._top(max(each.total for each in self.buckets), on_total=True)

    @property
    def drawn_caps(self) -> list[Cap]:
        """The caps that are within the picture."""
        tops = {False: self.bar_top, True: self.total_top}
        return [each for each in self.caps if each.value <= tops[each.on_total]]

    @property
    def draws_refusal(self) -> bool:
        """Whether a line beyond which calls are refused is in the picture."""
        return any(each.solid for each in self.drawn_caps)

    @property
    def draws_warning(self) -> bool:
        """Whether a line that only tells people is in the picture."""
        return any(not each.solid for each in self.drawn_caps)

    @property
    def far_caps(self) -> list[Cap]:
        """The caps that are so far above that a line for them would say nothing."""
        drawn = self.drawn_caps
        return [each for each in self.caps if each not in drawn]

    @property
    def summary(self) -> str:
        """What the picture shows, in a sentence or two."""
        held = amount_text(self.asked.metric, self.held)
        said = gettext("Held now for calls under way: %(held)s.") % {"held": held}
        return f"{self._used_text} {said}" if self.held else self._used_text

    @property
    def _used_text(self) -> str:
        metric = self.asked.metric
        if not self.total:
            return gettext("Nothing was used in this time.")
        peak = max(self.buckets, key=lambda each: each.value)
        told = gettext("%(total)s in all; the peak is %(peak)s (%(when)s).") % {
            "total": amount_text(metric, self.total),
            "when": peak.label,
            "peak": quantity_text(metric, peak.value),
        }
        fired = sum(1 for each in self.marks if each.has_fired)
        if fired:
            crossed = ngettext(
                "A limit was reached %(count)d time.",
                "A limit was reached %(count)d times.",
                fired,
            )
            told = f"{told} {crossed % {'count': fired}}"
        return told

    def _top(self, highest: int, *, on_total: bool) -> int:
        mine = [each.value for each in self.caps if each.on_total == on_total]
        near = [each for each in mine if each <= max(1, highest) * _FAR]
        return ceiling(max([highest, *near]))


def usage_policies(visit: Visit) -> QuerySet[Policy]:
    """Return the policies whose caps may be drawn."""
    return selectors.policies(visit.account, type=Policy.Type.USAGE)[:MOST_POLICIES]


def picture(
    visit: Visit,
    asked: Asked,
    known: Sequence[Named],
    policies: Iterable[Policy],
    *,
    held: int = 0,
    with_events: bool = True,
) -> Picture:
    """Read and lay out what was asked for; blocks and crossings if they are wanted."""
    exact, partial = sorted_out(policies, asked)
    offered = choices(visit.account, asked, exact)
    choice = chosen(asked, offered, exact)
    lead = _lead(visit, asked, choice)
    found = used(visit.account, asked, lead, known)
    edges = [*lead[:-1], *asked.edges]
    totals = running(edges, [*found.before, *found.whole], choice.window)
    return Picture(
        asked=asked,
        buckets=_buckets(asked, found, totals[len(found.before) :]),
        used=found,
        choices=offered,
        choice=choice,
        caps=caps(exact, asked, choice),
        partial=partial,
        stays=_stays(visit, asked, exact) if with_events else [],
        marks=_marks(visit, asked, exact) if with_events else [],
        held=held,
    )


def label_of(moment: datetime, bucket: str) -> str:
    """Name a bucket by when it begins, in the zone that is in force."""
    return date_format(timezone.localtime(moment), _SHAPES[bucket])


def _lead(visit: Visit, asked: Asked, choice: Choice) -> list[datetime]:
    """Return the edges before the picture that its numbers need; the last is its first.

    The running total needs them, and the ghost of the time before.
    """
    account, first = visit.account, asked.edges[0]
    start = lead_of(asked, choice.window)
    lead = [first]
    if start < first:
        lead = edges_of(account, asked.bucket, start, first)
    before = (
        edges_before(account, asked.bucket, asked.edges) if asked.previous else lead
    )
    return min(lead, before, key=lambda edges: edges[0])


def _buckets(asked: Asked, found: Used, totals: Sequence[int]) -> tuple[Bucket, ...]:
    count = len(found.whole)
    ghost: Sequence[int | None] = [None] * count
    if asked.previous:
        ghost = found.before[-count:]
    return tuple(
        Bucket(
            start=asked.edges[n],
            label=label_of(asked.edges[n], asked.bucket),
            value=found.whole[n],
            total=totals[n],
            before=ghost[n],
            parts=tuple(part.values[n] for part in found.parts),
        )
        for n in range(count)
    )


def _is_narrow(asked: Asked) -> bool:
    return bool(asked.named or asked.absent)


def _stays(visit: Visit, asked: Asked, exact: Iterable[Governed]) -> list[Stay]:
    """Return when calls were refused that would have been in the picture."""
    start, end = asked.edges[0], asked.edges[-1]
    rows = selectors.blocks_between(visit.account, start, end)
    if _is_narrow(asked):
        mine = Q(policy__in=[each.policy.id for each in exact])
        if asked.filters.bot is not None:
            mine |= Q(bot=asked.filters.bot)
        rows = rows.filter(mine)
    edges = [each.timestamp() for each in asked.edges]
    found = []
    for block in rows.filter(enforced=True)[:MOST_BLOCKS]:
        ended = min(
            each for each in (block.ends_at, block.lifted_at, visit.now) if each
        )
        first = round(plots.place(edges, block.starts_at.timestamp()), 3)
        last = round(plots.place(edges, ended.timestamp()), 3)
        if first < last:
            found.append(Stay(block, first, last))
    return found


def _marks(visit: Visit, asked: Asked, exact: Iterable[Governed]) -> list[Mark]:
    """Return what was crossed, by what the picture shows or a part of it."""
    rows = alerts(visit.account).filter(
        kind="limit",
        metric=asked.metric,
        created_at__gte=asked.edges[0],
        created_at__lt=asked.edges[-1],
    )
    if _is_narrow(asked):
        rows = rows.filter(policy_id__in=[each.policy.public_id for each in exact])
    edges = [each.timestamp() for each in asked.edges]
    return [
        Mark(
            alert=alert,
            column=round(plots.place(edges, alert.created_at.timestamp()), 3),
            address=visit.address("alert", alert.public_id),
        )
        for alert in rows[:MOST_MARKS]
    ]


def as_data(shown: Picture) -> dict[str, Any]:
    """Return the picture as the script draws it; texts are made here, not there."""
    metric = shown.asked.metric
    return {
        "metric": metric,
        "labels": [each.label for each in shown.buckets],
        "told": [_told(shown, each) for each in shown.buckets],
        "parts": [
            {"name": part.name, "other": part.other, "values": part.values}
            for part in shown.parts
        ],
        "held": shown.held,
        "total": [each.total for each in shown.buckets],
        "ghost": [each.before for each in shown.buckets]
        if shown.asked.previous
        else [],
        "tops": [shown.bar_top, shown.total_top],
        "caps": [
            {
                "value": each.value,
                "solid": each.solid,
                "total": each.on_total,
                "name": each.policy.name if each.step == 100 else "",
            }
            for each in shown.drawn_caps
        ],
        "stays": [[each.first, each.last] for each in shown.stays],
        "marks": [
            {
                "x": each.column,
                "href": each.address,
                "fired": each.has_fired,
                "text": say(each.alert.message),
            }
            for each in shown.marks
        ],
    }


def table_of(shown: Picture, *, with_total: bool = True) -> list[list[str]]:
    """Return the rows beside the picture, as they are read; `with_total`: so far."""
    metric, last = shown.asked.metric, shown.buckets[-1]
    return [
        [
            each.label,
            quantity_text(metric, each.value),
            *([_held_text(shown) if each is last else "—"] if shown.held else []),
            *(
                quantity_text(metric, value)
                for value in (
                    each.before if with_total else None,
                    *each.parts,
                    each.total if with_total else None,
                )
                if value is not None
            ),
        ]
        for each in shown.buckets
    ]


def _held_text(shown: Picture) -> str:
    return quantity_text(shown.asked.metric, shown.held)


def _told(shown: Picture, bucket: Bucket) -> str:
    """Say a bucket, as the cursor reads it out."""
    metric = shown.asked.metric
    said = [f"{bucket.label}: {amount_text(metric, bucket.value)}"]
    if shown.held and bucket is shown.buckets[-1]:
        said.append(gettext("held now: %(amount)s") % {"amount": _held_text(shown)})
    if bucket.before is not None:
        before = quantity_text(metric, bucket.before)
        said.append(gettext("before: %(amount)s") % {"amount": before})
    said += [
        f"{part.name} {quantity_text(metric, value)}"
        for part, value in zip(shown.used.parts, bucket.parts, strict=True)
        if value
    ]
    total = quantity_text(metric, bucket.total)
    label = shown.choice.label
    said.append(
        gettext("%(window)s so far: %(total)s") % {"window": label, "total": total}
    )
    return "; ".join(said)
