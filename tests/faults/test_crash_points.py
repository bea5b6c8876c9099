"""Die at every step of a batch, in every flow; then ask again, and count (B6, A5)."""

import json
import subprocess
import sys
import threading

import pytest
from aiosmtpd.controller import Controller

from tests.faults.house import ROOT, House, until
from tests.ports import free_port
from usage.crashpoints import BATCH_POINTS, EDIT_POINTS

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]

FLOWS = ("reserve", "usage", "settle", "release", "record", "sweep")
COMMITTED = ("batch-committed", "batch-answered")
# In the sweep nobody is answered.
CASES = [(f, p) for f in FLOWS for p in BATCH_POINTS]
CASES.remove(("sweep", "batch-answered"))
EDITS = [(f, p) for f in ("reset", "clear", "edit") for p in EDIT_POINTS]

# The edited policy has a bot of its own, so that the others' books are all alike.
# Every counter of the account beside what its events and open holds add up to.
BOOKS = """SELECT c.kind, c.used, c.held,
(SELECT coalesce(sum(tokens), 0) FROM usage_usageevent),
(SELECT coalesce(sum((h->>'amount')::bigint), 0) FROM usage_reservation AS r,
 jsonb_array_elements(r.holds) AS h
 WHERE r.state = 'open' AND h->>'counter' = c.id::text),
(SELECT sum(s) FROM unnest(c.ring) AS s) FROM usage_counter AS c
JOIN policies_policy AS p ON p.id = c.policy_id WHERE p.name <> 'Edited'"""

EDITED = """SELECT p.revision, p.document->'limits'->0->>'threshold',
(SELECT count(*) FROM policies_policyrevision AS r WHERE r.policy_id = p.id),
(SELECT used FROM usage_counter AS c WHERE c.policy_id = p.id),
(SELECT count(*) FROM usage_adjustment AS a WHERE a.policy_id = p.id),
(SELECT coalesce(sum(amount), 0) FROM usage_adjustment AS a WHERE a.policy_id = p.id),
(SELECT count(*) FROM policies_block AS b WHERE b.policy_id = p.id
 AND lifted_at IS NULL),
(SELECT count(*) FROM accounts_changerecord),
(SELECT version FROM accounts_account AS a WHERE a.id = p.account_id)
FROM policies_policy AS p WHERE name = 'Edited'"""


class Victim:
    """Forks that die where they are told to; see `tests.faults.victim`."""

    def __init__(self, house: House) -> None:
        made = house.made
        self.about = {name: made[name] for name in ("bot", "account", "policy")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim"],
            cwd=ROOT,
            env=house.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, flow: str, point: str = "", **order) -> tuple[int, list | None]:
        order = self.about | order | {"flow": flow, "point": point}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        status, told = json.loads(self.process.stdout.readline())
        return status, told

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("points"))
    try:
        house.prepare()
        house.made = json.loads(house.run("-m", "tests.faults.furnish_small"))
        yield house
    finally:
        house.end()


@pytest.fixture(scope="module")
def victim(house):
    victim = Victim(house)
    yield victim
    victim.end()


@pytest.fixture
def database(house):
    with house.connect(autocommit=True) as connection:
        yield connection


def count(database, table: str, where: str = "true") -> int:
    sql = f"SELECT count(*) FROM {table} WHERE {where}"
    return database.execute(sql).fetchone()[0]


def check_books(database) -> None:
    for kind, used, held, events, holds, ring in database.execute(BOOKS).fetchall():
        assert (used, held) == (events, holds), kind
        assert ring is None or ring == used


def prepare(victim, flow: str, name: str) -> dict:
    order = {"name": name, "tokens": 7}
    if flow in ("settle", "release", "sweep"):
        status, told = victim.run("reserve", name=f"{name}-held", tokens=10)
        assert status == 0
        order["reservation"] = told[0]
    return order


@pytest.mark.parametrize(("flow", "point"), CASES)
def test_a_crash_is_all_or_nothing_and_a_repeat_is_the_same(
    victim, database, flow, point
):
    name = f"{flow}-{point}"
    order = prepare(victim, flow, name)
    before = state_of(database, name)
    status, told = victim.run(flow, point, **order)
    assert (status, told) == (9, None)
    # The dead process's connection is noticed, and its transaction ended.
    free = "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'"
    until(lambda: database.execute(free).fetchone()[0], 60, "its locks are free")
    check_books(database)
    assert (state_of(database, name) != before) == (point in COMMITTED)

    first = victim.run(flow, **order)
    assert first[0] == 0
    check_books(database)
    after = state_of(database, name)
    again = victim.run(flow, **order)
    assert again[0] == 0
    assert state_of(database, name) == after
    check_books(database)
    expect(database, flow, name, point, first[1], again[1])


def state_of(database, name: str) -> tuple:
    """What there is of a case: its events, its reservations, and how they stand."""
    events = count(database, "usage_usageevent", f"client_id LIKE '{name}%'")
    mine = f"idempotency_key LIKE '{name}%'"
    reservations = count(database, "usage_reservation", mine)
    still_open = count(database, "usage_reservation", f"{mine} AND state = 'open'")
    return events, reservations, still_open


def expect(database, flow, name, point, first, again) -> None:
    events, reservations, still_open = state_of(database, name)
    if flow == "reserve":
        assert (reservations, still_open) == (1, 1)
        assert first == again
    elif flow in ("record", "usage"):
        assert events == (50 if flow == "record" else 1)
        status = "duplicate" if point in COMMITTED else "recorded"
        assert {told for _, told in first} == {status}
        assert {told for _, told in again} == {"duplicate"}
    elif flow == "settle":
        assert (events, still_open) == (1, 0)
    else:
        assert (events, still_open) == (0, 0)


@pytest.mark.parametrize(("flow", "point"), EDITS)
def test_an_edit_is_done_wholly_or_not_at_all(house, victim, database, flow, point):
    """Revision, counters, adjustments, blocks, history and version: all, or none."""

    def edited() -> tuple:
        return database.execute(EDITED).fetchone()

    # Whatever a case before left: the block stands, and two calls are counted.
    victim.run("edit", threshold=1_000)
    victim.run("reset")
    victim.run("edit", threshold=2)
    name = f"{flow}-{point}"
    for number in (1, 2):
        victim.run("usage", bot=house.made["edited"], name=f"{name}{number}", tokens=0)
    before = edited()
    assert (before[3], before[6]) == (2, 1)
    order = {"threshold": 3} if flow == "edit" else {}
    assert victim.run(flow, point, **order) == (9, None)
    free = "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'"
    until(lambda: database.execute(free).fetchone()[0], 60, "its locks are free")

    if point == "edit-committed":
        assert edited() != before
    else:
        assert edited() == before
        assert victim.run(flow, **order)[0] == 0
    revision, threshold, revisions, used, _, taken, blocks, *_ = edited()
    assert blocks == 0
    assert revision == revisions
    if flow == "edit":
        assert (threshold, used) == ("3", 2)
    else:
        assert used == 0
        assert taken == before[5] - 2


def test_a_real_lane_dies_there_too(house, database):
    """The variable reaches the process that `up` would start; another one goes on."""
    from tests.faults.wire import Lost, Wire

    made = house.made
    dying = house.lane("dying", LEDGER_CRASH_AT="batch-committed")
    sound = house.lane("sound")
    for part in (dying, sound):
        part.start()
        part.wait_ready()
    wire = Wire(made["key"])
    event = {"bot": made["bot"], "tokens": 3, "id": "over-http"}
    with pytest.raises(Lost):
        wire.call(dying.port, "POST", "/api/v1/usage", event)
    assert dying.process.wait(60) == 9
    status, answer = wire.call(sound.port, "POST", "/api/v1/usage", event)
    assert (status, answer["data"][0]["status"]) == (202, "duplicate")
    check_books(database)


class Sink:
    """A mail server that lets somebody die at a chosen moment of a delivery."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.at = ""
        self.kill = lambda: None

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        if self.at == "claimed":
            self._once()
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        text = envelope.content.decode()
        (line,) = [x for x in text.splitlines() if x.lower().startswith("message-id:")]
        self.ids.append(line.partition(":")[2].strip())
        if self.at == "sent":
            self._once()
        return "250 kept"

    def _once(self) -> None:
        self.at = ""
        self.kill()


@pytest.mark.parametrize("at", ["claimed", "sent"])
def test_a_mail_outlives_its_sender(house, victim, database, at):
    """At least once, and always as the same message (D2)."""
    sink = Sink()
    where = {"hostname": "127.0.0.1", "port": free_port()}
    controller = Controller(sink, **where, ready_timeout=60)
    controller.start()
    url = f"smtp://127.0.0.1:{controller.port}"
    # 1 % of the first cap: one alert, however often the cases come here.
    victim.run("record", name=f"mail-{at}", tokens=400)
    sql = "SELECT count(*) FROM alerts_alert WHERE policy_name = 'Cap 0'"
    assert database.execute(sql).fetchone()[0] == 1
    database.execute(
        "UPDATE alerts_delivery SET state = 'pending', attempts = 0,"
        " next_attempt_at = now()"
    )
    code = "from alerts.services import deliver_due as d; from datetime import *; "
    code += "print(d(now=datetime.now(UTC)))"
    try:
        argv = [sys.executable, "-c", f"import django; django.setup(); {code}"]
        sink.at = at
        sender = subprocess.Popen(
            argv, cwd=ROOT, env=house.environment(POLICYHUB_EMAIL_URL=url)
        )
        killed = threading.Event()
        sink.kill = lambda: (sender.kill(), killed.set())
        assert sender.wait(120) == -9
        assert killed.is_set()
        # Its lease ends after a minute; the test does not wait for it.
        database.execute("UPDATE alerts_delivery SET claimed_until = now()")
        assert house.run(*argv[1:], POLICYHUB_EMAIL_URL=url) == "1"
    finally:
        controller.stop()
    assert len(set(sink.ids)) == 1
    assert len(sink.ids) == (2 if at == "sent" else 1)
    assert count(database, "alerts_delivery", "state = 'pending'") == 0
