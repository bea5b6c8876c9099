"""The cap storm in its short form; `make faults FAULTS=long` is the long one."""

import pytest

from tests.faults.storm import Plan, Storm

SHORT = Plan(
    seconds=10,
    processes=2,
    threads=8,
    kill_every=(0.2, 2.0),
    crash_every=(4.0, 6.0),
    ttls=(1, 2, 3),
)


@pytest.mark.process
@pytest.mark.timeout(300)
def test_no_kill_lets_a_cap_be_passed_or_an_event_be_lost(tmp_path_factory):
    storm = Storm(tmp_path_factory.mktemp("storm"), SHORT)
    report = storm.run()
    assert report.violations == []
    assert storm.progress.killed >= 3
    assert storm.progress.crashes + storm.progress.backends >= 1
    # Without grants, settles and alerts nothing would have been tried.
    assert min(report.counts[of] for of in ("granted", "settled", "alerts")) > 0
