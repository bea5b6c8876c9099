"""How hard pruning works beside calls: its own words, without a database."""

from retention.pace import GENTLE, Pace


class Machine:
    """A clock that only rests move, and commits that take as long as they are told."""

    def __init__(self, *commits: float) -> None:
        self.commits, self.asked = list(commits), 0
        self.now, self.rests = 0.0, []

    def probe(self) -> float:
        self.asked += 1
        return self.commits.pop(0) if len(self.commits) > 1 else self.commits[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.rests.append(seconds)

    def pace(self) -> Pace:
        return Pace(GENTLE, 500, self.probe, self.sleep, lambda: self.now)


def test_choosing_is_work_that_pruning_rests_after_as_well():
    machine = Machine(0.001)
    pace = machine.pace()
    pace.after_batch(0.004, 100, chose=0.002)

    assert round(sum(machine.rests) + 0.006, 6) == round(0.006 / GENTLE.share, 6)


def test_it_asks_again_only_after_a_while_and_rests_while_others_wait():
    machine = Machine(*[0.001] * 6, 0.050, 0.001)
    pace = machine.pace()
    first = machine.asked

    assert pace.is_calm()
    assert pace.is_calm()
    assert machine.asked == first + 1
    machine.now += 0.2
    assert not pace.is_calm()  # a commit takes fifty times as long
    assert machine.rests
    assert pace.is_calm()


def test_what_is_overdue_gets_less_however_busy_the_house_is():
    machine = Machine(*[0.001] * 5, 1.0)
    pace = machine.pace()
    turns = [pace.is_calm() for _ in range(20)]

    assert True in turns
    assert pace.size < 100
    assert sum(machine.rests) >= 1
