"""The forecast of a policy's counter takes its history from what it counts."""

from datetime import timedelta

import pytest

from accounts import ids
from tests.usage.contract import ROLLING
from tests.usage.house import NOON, House
from usage import summaries
from usage.forecasting import forecast_of
from usage.models import HourlyRollup
from usage.selectors import readings_of

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def house():
    return House()


def history(house, amount=100, *, days=28, bot=None, **values):
    """As much in every hour of the last days."""
    HourlyRollup.objects.bulk_create(
        HourlyRollup(
            id=ids.new_id(NOON),
            account=house.account,
            bot=bot or house.bot,
            hour=NOON - (n + 1) * HOUR,
            tokens=amount,
            events=1,
            **values,
        )
        for n in range(days * 24)
    )
    summaries.SummaryZone.objects.all().delete()
    summaries.rebuild_stale()


def ask(house, policy, index=0):
    readings = readings_of(policy=policy, now=house.now)
    return forecast_of(policy=policy, reading=readings[index], now=house.now)


def test_a_day_runs_out_at_the_pace_of_four_weeks(house):
    history(house)
    policy = house.policy(threshold=1000)
    house.send(tokens=500)

    found = ask(house, policy)
    assert found.runs_out_at == NOON + 5 * HOUR
    assert found.until == NOON + 12 * HOUR


def test_a_new_account_is_told_nothing(house):
    history(house, days=5)
    found = ask(house, house.policy(threshold=1000))

    assert (found.enough, found.reason) == (False, "too_short")


def test_only_what_is_in_the_scope_counts(house):
    other = house.add_bot("other")
    history(house, 7, model="gpt-4o", user="u-1")
    history(house, 90, model="claude", user="u-1")
    history(house, 500, bot=other, user="u-2")
    paces = [
        ask(house, house.policy(threshold=10**6, scope=scope)).points[-1].expected / 12
        for scope in (
            {},
            {"bot": house.bot.public_id},
            {"model": "gpt-*"},
            {"model": "claude"},
            {"user": "u-2"},
            {"user": "u-1", "bot": house.bot.public_id, "model": "gpt-4o"},
        )
    ]

    assert paces == [597, 97, 7, 90, 500, 7]


def test_each_subject_has_its_own_pace(house):
    history(house, 100, user="u-1")
    history(house, 20)
    policy = house.policy(threshold=900, group_by=["user", "project"])
    house.send(tokens=1, user="u-1")
    house.send(tokens=1)
    house.send(tokens=1, user="u-3")
    found = {
        dict(reading.subject)["user"]: forecast_of(
            policy=policy, reading=reading, now=house.now
        )
        for reading in readings_of(policy=policy, now=house.now)
    }

    assert found["u-1"].likely
    assert not found[None].possible
    assert found["u-3"].reason == "too_short"


def test_a_rolling_window_lets_go_of_what_is_old(house):
    history(house)
    day = {"kind": "rolling", "seconds": 86_400}
    policy = house.policy(threshold=2600, window=day)
    house.send(tokens=2400, occurred_at=NOON - 23 * HOUR)

    found = ask(house, policy)
    assert found.until == NOON + 24 * HOUR
    # It leaves within two hours, and 200 more would reach the cap only then.
    assert found.points[-1].expected == 2400


def test_nothing_is_said_of_short_windows(house):
    history(house)
    found = ask(house, house.policy(threshold=1000, window=ROLLING))

    assert (found.enough, found.reason) == (False, "window_too_short")
