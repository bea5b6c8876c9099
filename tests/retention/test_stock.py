"""What is chosen: each row once, oldest first, in lumps of a bounded size."""

from itertools import chain

import pytest

from retention import targets
from retention.jobs import job_of
from retention.stock import Stock, rows_in
from tests.retention.house import House

pytestmark = pytest.mark.django_db


@pytest.fixture
def house(monkeypatch):
    monkeypatch.setattr("retention.stock._LUMP", 4)
    return House()


def take_all(stock: Stock, sizes) -> list[list[str]]:
    """Take until nothing is left; look at every lump on the way."""
    taken = []
    for size in sizes:
        chosen = stock.take(size)
        # A longer text grows the buffer of a connection, which never shrinks again.
        assert all(rows_in(lump) <= 4 for lump in stock.lumps)
        if not chosen:
            break
        taken.append(chosen.strip("{}").split(","))
    return taken


@pytest.mark.parametrize("size", [1, 3, 4, 7, 50])
def test_each_row_is_taken_once_the_oldest_first(house, size):
    # Some are of one moment, and the id decides.
    made = [house.conversation(60 - n // 3) for n in range(23)]
    made.sort(key=lambda one: (one.last_activity_at, one.id))
    stock = Stock(job_of(house.policy(), house.now), 10, least=3)

    taken = take_all(stock, [size] * 40)

    assert list(chain(*taken)) == [str(one.id) for one in made]
    assert all(len(batch) <= size for batch in taken)


def test_rows_in_the_order_of_their_ids_too(house):
    made = sorted(house.decision(50 - n).id for n in range(11))
    stock = Stock(job_of(house.policy(target="decisions"), house.now), 6)

    assert list(chain(*take_all(stock, [5] * 10))) == [str(one) for one in made]


@pytest.mark.parametrize("target", targets.TARGETS)
def test_what_chooses_looks_a_rows_bot_up_once(house, target):
    # Once more for the holds, and PostgreSQL would sort all that is due each time.
    job = job_of(house.policy(target=target), house.now)
    sql = targets.choose(job.target, job.within, onwards=True)

    assert sql.count("accounts_bot") <= 1
