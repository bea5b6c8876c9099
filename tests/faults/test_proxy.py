"""A lane whose wire to PostgreSQL is late, cut, half-open or a black hole (C10, A5)."""

import json
import os
import random
import time
from urllib.parse import quote

import pytest

from tests.faults import lateness
from tests.faults.house import House, until
from tests.faults.proxy import Proxy
from tests.faults.test_crash_points import check_books, count
from tests.faults.wire import Lost, Wire

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]

LONG = os.environ.get("FAULTS") == "long"
CUTS = 400 if LONG else 40
# Seconds (C10). The short form runs beside other tests, on machines of any kind.
AT_ONCE, AGAIN = (1.0, 5.0) if LONG else (1.5, 10.0)


class Behind:
    """A lane behind a proxy, and a client that repeats itself until it is answered."""

    def __init__(self, house: House) -> None:
        lateness.watch()
        self.made = house.made
        folder = house.folder / "wire"
        self.proxy = Proxy(house.database_url, folder)
        inside = quote(str(house.places.server_sockets), safe="")
        url = house.database_url.replace(inside, quote(str(folder), safe=""))
        assert url != house.database_url
        self.lane = house.lane("behind", DATABASE_URL=url)
        self.lane.start()
        self.lane.wait_ready()
        self.wire = Wire(self.made["key"], timeout=60)

    def call(self, path: str, body: dict | None, **headers):
        return self.wire.call(
            self.lane.port, "POST", f"/api/v1/{path}", body, **headers
        )

    def timed(self, path: str, body: dict, **headers) -> tuple[int, float]:
        started = time.monotonic()
        status, _ = self.call(path, body, **headers)
        return status, lateness.seconds_since(started)

    def until_answered(self, path: str, body: dict | None, **headers) -> dict:
        def answered():
            try:
                status, answer = self.call(path, body, **headers)
            except Lost:
                return None
            assert status < 400 or status == 503, answer
            return answer if status < 400 else None

        return until(answered, 60, path)

    def event(self, name: str) -> dict:
        return {"bot": self.made["bot"], "tokens": 1, "id": name}

    def call_body(self) -> dict:
        body = {"bot": self.made["bot"], "reserve": True, "ttl_seconds": 600}
        return body | {"estimate": {"tokens": 1}}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("proxy"))
    try:
        house.prepare()
        house.made = json.loads(house.run("-m", "tests.faults.furnish_small"))
        yield house
    finally:
        house.end()


@pytest.fixture(scope="module")
def lane(house):
    behind = Behind(house)
    yield behind
    behind.proxy.close()


@pytest.fixture(autouse=True)
def sound(lane):
    """Each test starts with a wire that works, and a lane that has noticed."""
    lane.proxy.reset()
    lane.until_answered("usage", lane.event("sound"))


@pytest.fixture
def database(house):
    with house.connect(autocommit=True) as connection:
        yield connection


def test_cut_anywhere_everything_counts_once(lane, database):
    """After any number of bytes; whoever repeats itself is answered as at first."""
    chance = random.Random(7)
    for number in range(CUTS):
        lane.proxy.cut_after = chance.randint(1, 12_000)
        name = f"cut-{number}"
        lane.until_answered("usage", lane.event(name))
        key = {"Idempotency_Key": name}
        held = lane.until_answered("authorize", lane.call_body(), **key)
        reservation = held["reservation"]["id"]
        if number % 2:
            lane.until_answered(f"reservations/{reservation}/release", None)
        else:
            settle = lane.event(f"settle-{number}") | {"reservation": reservation}
            lane.until_answered("usage", settle)
    assert lane.proxy.cuts >= CUTS / 4
    assert count(database, "usage_usageevent", "client_id LIKE 'cut-%'") == CUTS
    settled = count(database, "usage_usageevent", "client_id LIKE 'settle-%'")
    assert settled == CUTS / 2
    held = "idempotency_key LIKE 'cut-%'"
    assert count(database, "usage_reservation", held) == CUTS
    assert count(database, "usage_reservation", f"{held} AND state = 'open'") == 0
    check_books(database)


@pytest.mark.parametrize("flow", ["event", "reserve"])
def test_a_commit_nobody_heard_of_stands_once(lane, database, flow):
    lane.proxy.lose_commit = True
    if flow == "event":
        lane.until_answered("usage", lane.event("unheard"))
        again = lane.until_answered("usage", lane.event("unheard"))
        assert again["data"][0]["status"] == "duplicate"
        assert count(database, "usage_usageevent", "client_id = 'unheard'") == 1
    else:
        key = {"Idempotency_Key": "unheard"}
        first = lane.until_answered("authorize", lane.call_body(), **key)
        again = lane.until_answered("authorize", lane.call_body(), **key)
        assert first == again
        assert count(database, "usage_reservation", "idempotency_key = 'unheard'") == 1
    assert lane.proxy.cuts == 1
    check_books(database)


@pytest.mark.parametrize("silent", ["answers", "all"])
def test_silence_is_told_within_a_second_and_does_no_harm(lane, database, silent):
    lane.proxy.silent = silent
    told = [lane.timed("usage", lane.event(f"silent-{silent}")) for _ in range(3)]
    assert {status for status, _ in told} == {503}
    assert max(seconds for _, seconds in told) <= AT_ONCE + 0.2, told
    lane.proxy.silent = "none"
    began = time.monotonic()
    lane.until_answered("usage", lane.event(f"silent-{silent}"))
    assert lateness.seconds_since(began) <= AGAIN
    where = f"client_id = 'silent-{silent}'"
    assert count(database, "usage_usageevent", where) == 1
    check_books(database)


def test_a_late_wire_is_slow_and_right(lane, database):
    """20 ms each way: a batch takes its round trips, and nobody is refused."""
    lane.proxy.latency = 0.02
    told = [lane.timed("usage", lane.event(f"late-{number}")) for number in range(10)]
    assert {status for status, _ in told} == {202}
    assert count(database, "usage_usageevent", "client_id LIKE 'late-%'") == 10
    check_books(database)


def test_a_database_that_takes_no_writes_is_told_and_overcome(lane, database):
    """A standby, or a full disk that an administrator has made read-only."""
    name = database.info.dbname
    setting = f"ALTER DATABASE {name} SET default_transaction_read_only"
    database.execute(f"{setting} = on")
    lane.proxy.break_all()
    time.sleep(0.1)
    told = [lane.timed("usage", lane.event("read-only")) for _ in range(3)]
    database.execute("SET default_transaction_read_only = off")
    database.execute(f"{setting} = off")
    lane.proxy.break_all()
    lane.until_answered("usage", lane.event("read-only"))
    assert {status for status, _ in told} == {503}
    assert count(database, "usage_usageevent", "client_id = 'read-only'") == 1
    check_books(database)


def test_a_database_that_stops_is_told_within_a_second(house, lane, database):
    database.close()
    house.stop_database()
    told = [lane.timed("usage", lane.event("stopped")) for _ in range(3)]
    assert {status for status, _ in told} == {503}
    assert max(seconds for _, seconds in told) <= AT_ONCE, told
    house.start_database()
    began = time.monotonic()
    lane.until_answered("usage", lane.event("stopped"))
    assert lateness.seconds_since(began) <= AGAIN
    with house.connect(autocommit=True) as again:
        assert count(again, "usage_usageevent", "client_id = 'stopped'") == 1
        check_books(again)
