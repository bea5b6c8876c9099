"""Alerts under fire, in short; `python -m tests.faults.delivery` is the long form."""

import pytest

from tests.faults.delivery import Plan, Trial

SHORT = Plan(
    crossings=100,
    accounts=4,
    calm=2.0,
    without_broker=8.0,
    mood_seconds=1.0,
    kill_pause=3.0,
    workers=1,
    drain_seconds=60.0,
)

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]


def test_nothing_is_missing_and_nothing_is_told_twice(tmp_path):
    result = Trial(tmp_path, SHORT).run()

    assert result.violations == []
    assert result.counts["alerts"] == SHORT.crossings
    assert result.counts["emails taken"] == result.counts["webhooks taken"]
    assert sum(n for name, n in result.counts.items() if "killed" in name) >= 1
