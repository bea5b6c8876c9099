"""What a report is asked for in a query: a stretch of time, groups, filters."""

import re
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from accounts.errors import NotFound
from accounts.models import Account
from accounts.selectors import key_of
from api.callers import Caller, queried_bot, queried_project
from api.endpoint import Endpoint, invalid_query
from api.fields import instant
from policies.rules import METRICS
from usage.reports import BUCKETS, GROUPS, Filters, edges_before, edges_of, period_of

FILTERS: Final = frozenset(GROUPS)
FILTER_TEXTS: Final = {
    "project": "only of this project (id or external id)",
    "bot": "only of this bot (id or external id)",
    "user": "only of this user; empty: calls without one",
    "model": "only of this model; empty: calls without one",
    "key": "only with this key's id",
}
_NOTHING: Final = UUID(int=0)
_DEFAULT: Final = {
    "hour": 24,
    "day": 30,
    "week": 12,
    "month": 12,
    "quarter": 8,
    "year": 5,
}
_EARLIEST: Final = date(1971, 1, 1)
_AHEAD: Final = timedelta(days=400)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_PERIOD: Final = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_DIGITS: Final = re.compile(r"\d{1,4}", re.ASCII)
_NOON: Final = time(12)


def filters_of(endpoint: Endpoint) -> Filters:
    """Return what a query is about; keys of a project or a bot see theirs alone.

    Who names something that is not there, or not theirs, sees that nothing was used.
    """
    caller = endpoint.caller
    given: dict[str, Any] = {name: endpoint.query(name) for name in GROUPS}
    for name, find in (("project", queried_project), ("bot", queried_bot)):
        if given[name] is not None:
            found = find(caller, given[name])
            given[name] = _NOTHING if found is None else found.id
    if given["key"] is not None:
        given["key"] = _key(caller, given["key"])
    if caller.project is not None and given["project"] is None:
        given["project"] = caller.project.id
    if caller.bot is not None and given["bot"] is None:
        given["bot"] = caller.bot.id
    return Filters(**given)


def edges_in(
    endpoint: Endpoint, now: datetime, bucket: str
) -> tuple[list[datetime], list[datetime]]:
    """Return where the asked buckets begin, and where those before them do."""
    account = endpoint.caller.account
    start, end = moment_in(endpoint, "from", now), moment_in(endpoint, "to", now)
    if end is None:
        # The bucket that is under way is the last one.
        end = period_of(account, bucket, now)[1]
    if start is None:
        edge = period_of(account, bucket, end - timedelta(microseconds=1))[1]
        start = edges_before(account, bucket, [edge] * (_DEFAULT[bucket] + 1))[0]
    if start >= end:
        raise invalid_query("from", "must be before to")
    try:
        edges = edges_of(account, bucket, start, end)
    except ValueError as error:
        raise invalid_query("from", f"{error}, or ask for longer ones") from None
    return edges, edges_before(account, bucket, edges)


def period_in(endpoint: Endpoint, now: datetime) -> tuple[datetime, datetime]:
    """Return the stretch that `period`, or `from` and `to`, name; else this month."""
    account, text = endpoint.caller.account, endpoint.query("period")
    start, end = moment_in(endpoint, "from", now), moment_in(endpoint, "to", now)
    if text is not None:
        if start is not None or end is not None:
            raise invalid_query("period", "does not go with from and to")
        return _period(account, text, now)
    if start is None and end is None:
        return period_of(account, "month", now)
    if start is None:
        raise invalid_query("from", "is required with to")
    end = end or now
    if start >= end:
        raise invalid_query("from", "must be before to")
    # What is read are sums of hours, so it is whole hours that are told of.
    last = end - timedelta(microseconds=1)
    return period_of(account, "hour", start)[0], period_of(account, "hour", last)[1]


def moment_in(endpoint: Endpoint, name: str, now: datetime) -> datetime | None:
    """Return the moment that a parameter names: an instant, or where a date begins."""
    text = endpoint.query(name)
    if text is None:
        return None
    moment = instant(text)
    if moment is None and _DATE.fullmatch(text):
        moment = _start_of(endpoint.caller.account, "day", text)
    if moment is None:
        detail = "must be a date or a moment, such as 2026-01-31T12:00:00Z"
        raise invalid_query(name, detail)
    if moment.date() < _EARLIEST or moment > now + _AHEAD:
        raise invalid_query(name, "is too far away")
    return moment


def choice_in(endpoint: Endpoint, name: str, known: tuple[str, ...]) -> str | None:
    """Return one of some words. Raises InvalidQuery."""
    value = endpoint.query(name)
    if value is not None and value not in known:
        raise invalid_query(name, "must be one of: " + ", ".join(known))
    return value


def bucket_in(endpoint: Endpoint) -> str:
    """Return the asked length of a bucket; a day if none is."""
    return choice_in(endpoint, "bucket", BUCKETS) or "day"


def metrics_in(endpoint: Endpoint) -> list[str]:
    """Return the asked metrics in their order; all if none are."""
    text = endpoint.query("metrics")
    if text is None:
        return list(METRICS)
    asked = text.split(",")
    if any(name not in METRICS for name in asked):
        known = ", ".join(METRICS)
        raise invalid_query("metrics", f"must be one or more, with commas, of: {known}")
    return list(dict.fromkeys(asked))


def count_in(endpoint: Endpoint, name: str, default: int, most: int) -> int:
    """Return a whole number from 1 to the most. Raises InvalidQuery."""
    text = endpoint.query(name)
    if text is None:
        return default
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= most:
        raise invalid_query(name, f"must be a whole number from 1 to {most}")
    return int(text)


def _key(caller: Caller, public_id: str) -> UUID:
    try:
        return key_of(caller.account, public_id, project=caller.project).id
    except NotFound:
        return _NOTHING


def _period(account: Account, text: str, now: datetime) -> tuple[datetime, datetime]:
    found = _PERIOD.fullmatch(text)
    parts = [part for part in found.groups() if part] if found else []
    unit = {1: "year", 2: "month", 3: "day"}.get(len(parts), "")
    start = _start_of(account, unit, "-".join([*parts, "01", "01"][:3]))
    if start is None:
        detail = "must be a year, a month or a day, such as 2026-01"
        raise invalid_query("period", detail)
    if start.date() < _EARLIEST or start > now + _AHEAD:
        raise invalid_query("period", "is too far away")
    return start, period_of(account, unit, start)[1]


def _start_of(account: Account, unit: str, text: str) -> datetime | None:
    """Return where the day, month or year of a date begins; None if there is none."""
    try:
        day = date.fromisoformat(text)
        noon = datetime.combine(day, _NOON, ZoneInfo(account.timezone))
        return period_of(account, unit, noon)[0]
    except (ValueError, OverflowError):
        return None
