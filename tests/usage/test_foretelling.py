"""A forecast is told once in a window, with its range, and only where it is likely."""

from datetime import timedelta

import pytest

from alerts.models import Alert
from tests.usage.house import House
from usage import foretelling
from usage.forecast import Forecast
from usage.upkeep import end_windows

pytestmark = pytest.mark.django_db


@pytest.fixture
def house():
    return House()


@pytest.fixture
def foreseen(monkeypatch, house):
    """Let the forecast say something, and count how often it was asked."""
    asked = []

    def arrange(**facts):
        def say(*, policy, reading, now):
            asked.append(reading)
            return Forecast(True, "", now + timedelta(hours=12), **facts)

        monkeypatch.setattr(foretelling, "forecast_of", say)
        return asked

    return arrange


def soon(house, hours):
    return house.now + timedelta(hours=hours)


def test_a_likely_breach_is_told_once_in_its_window(house, foreseen):
    policy = house.policy(threshold=100, actions={"email": {}})
    house.send(tokens=50)
    foreseen(runs_out_at=soon(house, 5), earliest=soon(house, 3), latest=soon(house, 9))

    for _ in range(3):
        foretelling.tell_forecasts(now=house.now)

    alert = Alert.objects.get()
    assert (alert.kind, alert.state, alert.policy_id) == (
        "forecast",
        "warning",
        policy.public_id,
    )
    assert "about 2026-03-04 17:00 UTC (between 2026-03-04 15:00" in alert.message
    assert alert.deliveries.count() == 1
    house.later(days=1)
    end_windows(now=house.now)
    alert.refresh_from_db()
    assert alert.state == "resolved"
    house.send(tokens=50)
    foretelling.tell_forecasts(now=house.now)
    assert Alert.objects.count() == 2


def test_what_is_merely_possible_is_not_told(house, foreseen):
    house.policy(threshold=100)
    house.send(tokens=50)
    foreseen(earliest=soon(house, 3))

    assert foretelling.tell_forecasts(now=house.now) == 0


def test_a_range_without_end_says_so(house, foreseen):
    house.policy(threshold=100, window={"kind": "rolling", "seconds": 86_400})
    house.send(tokens=50)
    foreseen(runs_out_at=soon(house, 5), earliest=soon(house, 3))

    assert foretelling.tell_forecasts(now=house.now) == 1
    assert "or not before the reset" in Alert.objects.get().message
    end_windows(now=house.now)
    assert Alert.objects.get().state == "warning"
    end_windows(now=soon(house, 13))
    assert Alert.objects.get().state == "resolved"


def test_nothing_is_asked_that_cannot_matter(house, foreseen):
    asked = foreseen(runs_out_at=soon(house, 5))
    house.policy(threshold=1000)
    house.policy(threshold=100, window={"kind": "lifetime"})
    house.policy(threshold=150, rollout_mode="off")
    house.send(tokens=150)

    foretelling.tell_forecasts(now=house.now)
    assert asked == []
