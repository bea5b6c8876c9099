"""Summaries say what the rollups say, in the account's own days and months."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Sum

from accounts import ids
from accounts.actors import SYSTEM
from accounts.services import create_account, create_bot
from tests.usage.quiet import until_others_have_ended
from usage import reports, rollups, summaries
from usage.models import HourlyRollup, UsageEvent, UsageSummary

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bot():
    account = create_account(slug="alice", owner_email="alice@example.com", now=NOW)
    return create_bot(account=account, name="support", actor=SYSTEM, now=NOW)


@pytest.fixture
def record(bot):
    def record_one(occurred_at=NOW, **values):
        given = {
            "id": ids.new_id(NOW),
            "account_id": bot.account_id,
            "bot_id": bot.id,
            "sequence": 1,
            "calls": 1,
            "tokens": 10,
            "occurred_at": occurred_at,
            "created_at": NOW,
        }
        return UsageEvent.objects.create(**given | values)

    return record_one


def roll_up():
    until_others_have_ended()
    return rollups.roll_up(now=NOW)


def zone_is(bot, zone):
    bot.account.timezone = zone
    bot.account.save()


def starts(grain, **where):
    rows = UsageSummary.objects.filter(grain=grain, dimension="", **where)
    return {(row.start, row.events) for row in rows}


def test_each_grain_and_dimension_adds_up_to_the_same(record):
    for n in range(6):
        record(
            NOW - timedelta(days=11 * n),
            user="u" if n % 2 else None,
            model="m" if n % 3 else None,
            key_id=ids.new_id(NOW) if n == 1 else None,
            cost=None if n == 2 else n,
        )
    roll_up()
    record(user="u", cost=50)
    roll_up()

    for grain in ("hour", "day", "month"):
        for dimension in (*summaries.WHOLE, *summaries.WHOLE.values()):
            rows = UsageSummary.objects.filter(grain=grain, dimension=dimension)
            sums = rows.aggregate(*[Sum(name) for name in summaries.SUMS])
            assert sums["events__sum"] == 7, (grain, dimension)
            assert (sums["cost__sum"], sums["unpriced__sum"]) == (63, 1)
    of_user = UsageSummary.objects.filter(dimension="user", grain="month", value="u")
    assert of_user.aggregate(sum=Sum("events"))["sum"] == 4
    whole = UsageSummary.objects.filter(dimension="users", grain="month", value="u")
    assert whole.filter(project_id=None, model="").count() == whole.count()
    starts_of_it = set(whole.values_list("start", flat=True))
    assert len(starts_of_it) == whole.count() < of_user.count()
    assert whole.aggregate(sum=Sum("events"))["sum"] == 4


def test_days_and_months_are_the_accounts(record, bot):
    zone_is(bot, "Asia/Kolkata")
    # 18:20 and 18:40 UTC are before and after midnight in Kolkata, on the 30th.
    for minute in (20, 40):
        record(datetime(2026, 11, 30, 18, minute, tzinfo=UTC))
    roll_up()

    first = datetime(2026, 11, 29, 18, 30, tzinfo=UTC)
    second = first + timedelta(days=1)
    assert starts("day") == {(first, 1), (second, 1)}
    assert starts("month") == {
        (datetime(2026, 10, 31, 18, 30, tzinfo=UTC), 1),
        (second, 1),
    }
    hours = set(HourlyRollup.objects.values_list("hour", flat=True))
    assert hours == {second - timedelta(minutes=30), second}


@pytest.mark.parametrize(
    ("zone", "minutes"),
    [
        ("UTC", 60),
        ("Europe/Berlin", 60),
        ("Asia/Kolkata", 30),
        ("Australia/Lord_Howe", 30),
        ("Asia/Kathmandu", 15),
        ("Pacific/Chatham", 15),
    ],
)
def test_no_row_spans_two_hours_of_a_clock(zone, minutes):
    assert summaries.row_minutes(zone, NOW) == minutes


def test_another_zone_makes_them_anew(record, bot):
    record(datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    roll_up()
    assert summaries.current(bot.account)
    assert starts("day") == {(datetime(2026, 11, 20, tzinfo=UTC), 1)}

    zone_is(bot, "Europe/Berlin")
    assert not summaries.current(bot.account)
    roll_up()

    assert summaries.current(bot.account)
    assert starts("day") == {(datetime(2026, 11, 20, 23, tzinfo=UTC), 1)}


def test_rollups_from_before_are_summed_up(record, bot):
    record()
    roll_up()
    UsageSummary.objects.all().delete()
    bot.account.summary_zone.delete()
    record()
    roll_up()

    assert starts("month") == {(datetime(2026, 11, 1, tzinfo=UTC), 2)}


def test_a_zone_that_postgres_does_not_know_stops_nobody(record, bot, monkeypatch):
    zone_is(bot, "Europe/Berlin")
    monkeypatch.setattr(
        summaries, "strange_zones", lambda cursor, zones: ["Europe/Berlin"]
    )
    monkeypatch.setattr(rollups, "strange_zones", summaries.strange_zones)
    record()
    roll_up()

    assert starts("day") == {(datetime(2026, 11, 21, tzinfo=UTC), 1)}


def test_a_ranking_is_the_head_of_the_totals(record, bot):
    for n, user in enumerate(("a", "b", "c", None, "d")):
        record(user=user, tokens=50 - 10 * (n % 3), cost=n % 2)
    roll_up()
    report = reports.Report(bot.account, group_by="user")
    slices = reports.slices_of(bot.account, NOW - timedelta(days=40), NOW)
    slices += reports.slices_of(bot.account, NOW, NOW + timedelta(days=1))
    for order in (("cost", "tokens"), ("tokens", "cost")):
        whole = report.totals(slices, order=order)
        assert len(whole) == 5
        for limit in (1, 3, 9, 500):
            ranked = report.ranked(slices, order=order, limit=limit)
            assert ranked == whole[:limit]
    nobody = reports.Report(bot.account, reports.Filters(user="nobody"), "user")
    assert nobody.ranked(slices, order=("cost",), limit=3) == []
