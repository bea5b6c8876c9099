"""The independent checker: own SQL, own arithmetic, nothing of the product's code.

It replays what became visible, in the order of PostgreSQL's commit timestamps and
within a transaction by the ledger's sequence, and compares with what clients were
told. Two transactions that lock the same counter commit one after the other, so this
order is the true one wherever it matters.

Where an end of a hold can be told only roughly (a reservation that was settled after
it had ended), the earliest moment is taken: the check may then be too kind, never
unjust.
"""

import itertools
import json
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_METRICS = ("tokens", "cost", "calls")
_LONGEST = timedelta(seconds=60)
_REFUSING = {"throttle", "block", "revoke"}

Window = tuple[UUID, datetime | None]


def row_id(public_id: str) -> UUID:
    """Read a public id: base32 of 128 bits behind the underscore."""
    number = 0
    for letter in public_id.partition("_")[2]:
        number = number << 5 | _ALPHABET.index(letter)
    return UUID(int=number)


@dataclass
class Report:
    """What was looked at, and what was wrong."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    violations: list[str] = field(default_factory=list)

    def wrong(self, text: str) -> None:
        self.counts["violations"] += 1
        if len(self.violations) < 1_000:
            self.violations.append(text)


@dataclass
class Tally:
    """One counter in one window, as the replay knows it."""

    threshold: int
    seconds: int | None  # of a rolling window
    held: int = 0
    charged: int = 0
    within: int = 0
    peak: int = 0
    refused: bool = False
    holds: dict[UUID, int] = field(default_factory=dict)
    recent: deque = field(default_factory=deque)  # (moment, charged, within)
    left: deque = field(default_factory=deque)  # the same, no longer counted
    clock: datetime = _EPOCH

    def charge(self, moment: datetime, amount: int, within: int) -> None:
        self.charged += amount
        self.within += within
        if self.seconds is not None:
            self.recent.append((moment, amount, within))
        self.forget(moment)
        self.peak = max(self.peak, self.charged)

    def forget(self, moment: datetime) -> None:
        """Let go of what has surely left a rolling window."""
        self.clock = max(self.clock, moment)
        if self.seconds is None:
            return
        before = self.clock - timedelta(seconds=self.seconds)
        while self.recent and self.recent[0][0] <= before:
            self.left.append(self.recent.popleft())
            _, amount, within = self.left[-1]
            self.charged -= amount
            self.within -= within
        # A bucket is charged until it has wholly left, so a ring looks further back.
        while self.left and self.left[0][0] <= before - _LONGEST:
            self.left.popleft()

    def empty(self) -> None:
        self.charged = self.within = 0
        self.recent.clear()
        self.left.clear()


class Checker:
    """Checks one installation's rows against its policies and its clients' notes."""

    def __init__(
        self, database: psycopg.Connection, plan: dict, notes: list[Path]
    ) -> None:
        self.database = database
        self.notes = notes
        self.report = Report()
        self.rules: dict[UUID, dict] = {}
        self.thresholds: dict[tuple[UUID, str], int] = {}
        for policy in plan["policies"]:
            key = row_id(policy["id"])
            self.rules[key] = policy
            for limit in policy["limits"]:
                self.thresholds[key, limit["metric"]] = limit["threshold"]
        self.bots = {row_id(name): name for name in plan["bots"]}
        self.applying: dict[tuple, list] = {}
        self.tallies: dict[Window, Tally] = {}
        self.opened: dict[UUID, datetime] = {}  # by head, in the replay's order

    def check(self) -> Report:
        self._load()
        self._replay()
        self._counters()
        self._alerts()
        self._acknowledged()
        return self.report

    # --- reading ----------------------------------------------------------------

    def _rows(self, sql: str) -> Iterator[tuple]:
        with self.database.cursor(name="rows") as cursor:
            cursor.itersize = 20_000
            yield from cursor.execute(sql)

    def _load(self) -> None:
        self.counters = list(
            self._rows(
                "SELECT id, policy_id, metric, kind, is_head, subject, window_start,"
                " window_end, used, held, ring, ring_head FROM usage_counter"
            )
        )
        self.heads: dict[tuple, UUID] = {}
        self.spans: dict[tuple, list] = defaultdict(list)
        for row in self.counters:
            where = (row[1], row[2], json.dumps(row[5]))
            if row[3] == "fixed" and row[4]:
                self.heads[where] = row[0]
        for row in self.counters:
            where = (row[1], row[2], json.dumps(row[5]))
            self.spans[where].append((row[6], row[7], self._window(row)))
        for spans in self.spans.values():
            spans.sort(key=_start)
        self.reservations = {}
        for row in self._rows(
            "SELECT id, state, holds, amounts, created_at, expires_at, ended_at,"
            " event_id, pg_xact_commit_timestamp(xmin), idempotency_key"
            " FROM usage_reservation"
        ):
            self.reservations[row[0]] = row

    def _window(self, row: tuple) -> Window:
        """A fixed window is known by its head and its start, others by their row."""
        if row[3] != "fixed":
            return row[0], None
        where = (row[1], row[2], json.dumps(row[5]))
        return self.heads.get(where, row[0]), row[6]

    def _tally(self, window: Window, policy: UUID, metric: str) -> Tally:
        tally = self.tallies.get(window)
        if tally is None:
            limits = {x["metric"]: x for x in self.rules[policy]["limits"]}
            kind = limits[metric]["window"]
            seconds = kind["seconds"] if kind["kind"] == "rolling" else None
            tally = Tally(self.thresholds[policy, metric], seconds)
            self.tallies[window] = tally
        return tally

    # --- the replay -------------------------------------------------------------

    def _replay(self) -> None:
        """Live through every change again, in the order in which it was committed."""
        acts: list[tuple] = []
        granted = self._grants(acts)
        self._ends(acts)
        self._events(acts)
        self._adjustments(acts)
        for missing in self.reservations.keys() - granted:
            self.report.wrong(f"reservation {missing} has no decision")
        acts.sort(key=lambda act: act[:4])
        for _, _, _, _, act, *details in acts:
            act(*details)
        self._left_open()

    def _grants(self, acts: list[tuple]) -> set[UUID]:
        granted = set()
        for name, sequence, created, at, xid in self._rows(
            "SELECT reservation_id, sequence, created_at,"
            " pg_xact_commit_timestamp(xmin), xmin::text::bigint"
            " FROM audit_decisionrecord WHERE reservation_id IS NOT NULL"
        ):
            key = row_id(name)
            if key in granted or key not in self.reservations:
                self.report.wrong(f"decisions of {name}: not exactly one reservation")
            granted.add(key)
            acts.append((at, xid, 1, sequence, self._grant, key, created))
        return granted

    def _ends(self, acts: list[tuple]) -> None:
        """Releases and expiries; a settle comes with its event."""
        for key, row in self.reservations.items():
            state, expires, ended, event, at = row[1], row[5], row[6], row[7], row[8]
            if state == "expired" and ended > expires + _LONGEST:
                self.report.wrong(f"{key} outlived its time by {ended - expires}")
                self.report.counts["outlived"] += 1
            if state in ("released", "expired"):
                moment = at if event is None else ended
                acts.append((moment, 0, 0, 0, self._free, key))

    def _events(self, acts: list[tuple]) -> None:
        seen: set[tuple[str, str]] = set()
        for row in self._rows(
            'SELECT id, source, client_id, bot_id, "user", model, tokens, cost, calls,'
            " occurred_at, created_at, reservation_id, sequence,"
            " pg_xact_commit_timestamp(xmin), xmin::text::bigint FROM usage_usageevent"
        ):
            self.report.counts["events"] += 1
            if row[2]:
                if (row[1], row[2]) in seen:
                    self.report.wrong(f"event {row[2]} was recorded twice")
                seen.add((row[1], row[2]))
            acts.append((row[13], row[14], 1, row[12], self._event, row))

    def _adjustments(self, acts: list[tuple]) -> None:
        windows = {row[0]: row for row in self.counters}
        for counter, start, amount, at, xid in self._rows(
            "SELECT counter, window_start, amount, pg_xact_commit_timestamp(xmin),"
            " xmin::text::bigint FROM usage_adjustment"
        ):
            row = windows.get(counter)
            if row is None:
                self.report.wrong(f"an adjustment of {counter}, which does not exist")
                continue
            window = (counter, start) if row[3] == "fixed" and row[4] else None
            window = window or self._window(row)
            acts.append((at, xid, 1, 0, self._reset, window, row, amount))

    def _grant(self, key: UUID, now: datetime) -> None:
        self.report.counts["granted"] += 1
        for hold in self.reservations[key][2]:
            window, policy = self._held(hold)
            tally = self._tally(window, policy, hold["metric"])
            if window[1] is not None:
                opened = self.opened.get(window[0], window[1])
                self.opened[window[0]] = max(opened, window[1])
            tally.forget(now)
            tally.holds[key] = hold["amount"]
            tally.held += hold["amount"]
            if not self.rules[policy]["actions"].keys() & _REFUSING:
                continue
            if tally.within + tally.held > tally.threshold:
                self.report.wrong(
                    f"{self.rules[policy]['name']}: {tally.within} settled and"
                    f" {tally.held} held of {tally.threshold} after {key}"
                )
            if tally.charged + tally.held > tally.threshold:
                self.report.wrong(
                    f"{self.rules[policy]['name']}: {key} was granted beyond"
                    f" {tally.charged} used and {tally.held} held of {tally.threshold}"
                )

    @staticmethod
    def _held(hold: dict) -> tuple[Window, UUID]:
        start = hold["start"]
        at = datetime.fromisoformat(start) if start else None
        return (UUID(hold["counter"]), at), row_id(hold["policy"])

    def _free(self, key: UUID) -> None:
        for hold in self.reservations[key][2]:
            window, policy = self._held(hold)
            tally = self._tally(window, policy, hold["metric"])
            tally.held -= tally.holds.pop(key, 0)

    def _event(self, row: tuple) -> None:
        charged: set[tuple[UUID, str]] = set()
        amounts = dict(zip(_METRICS, row[6:9], strict=True))
        reservation = self.reservations.get(row[11]) if row[11] else None
        if reservation is not None and reservation[7] == row[0]:
            self.report.counts["settled"] += 1
            for hold in reservation[2]:
                charged.add(self._settle(row, reservation, hold, amounts))
        moment = min(row[9], row[10])
        for policy, metric, subject in self._applying(row[3], row[4], row[5]):
            amount = amounts[metric] or 0
            if (policy, metric) in charged or amount == 0:
                continue
            window = self._window_at(policy, metric, subject, moment, row[9] == row[10])
            if window is None:
                name = self.rules[policy]["name"]
                self.report.wrong(f"{name}: event {row[0]} has no counter")
                continue
            self._tally(window, policy, metric).charge(moment, amount, 0)

    def _settle(
        self, row: tuple, reservation: tuple, hold: dict, amounts: dict
    ) -> tuple[UUID, str]:
        window, policy = self._held(hold)
        metric = hold["metric"]
        tally = self._tally(window, policy, metric)
        actual = amounts[metric]
        amount = hold["amount"] if actual is None else actual
        tally.held -= tally.holds.pop(reservation[0], 0)
        in_time = reservation[1] == "settled"
        within = min(amount, hold["amount"]) if in_time else 0
        tally.charge(row[10], amount, within)
        return policy, metric

    def _applying(self, bot: UUID, user: str | None, model: str | None) -> list:
        """The limits that an event falls under, with the subject of each."""
        known = self.applying.get((bot, user, model))
        if known is None:
            who = {"bot": self.bots[bot], "user": user, "model": model}
            known = self.applying[bot, user, model] = [
                (
                    key,
                    limit["metric"],
                    json.dumps([[f, who[f]] for f in rule["group_by"]]),
                )
                for key, rule in self.rules.items()
                if all(_fits(name, at, who[name]) for name, at in rule["scope"].items())
                for limit in rule["limits"]
            ]
        return known

    def _window_at(
        self, policy: UUID, metric: str, subject: str, moment: datetime, is_now: bool
    ) -> Window | None:
        head = self.heads.get((policy, metric, subject))
        opened = self.opened.get(head) if head else None
        if is_now and opened is not None and moment < opened:
            # Another process opened it by a clock that was ahead by a little.
            return head, opened
        spans = self.spans[policy, metric, subject]
        place = bisect_right(spans, moment, key=_start)
        if place:
            start, end, window = spans[place - 1]
            if end is None or moment < end:
                if head and window[0] == head:
                    self.opened[head] = max(start, opened or start)
                return window
        return None

    def _reset(self, window: Window, row: tuple, amount: int) -> None:
        self.report.counts["resets"] += 1
        tally = self._tally(window, row[1], row[2])
        if row[3] != "rolling" and tally.charged + amount != 0:
            self.report.wrong(f"reset of {row[0]} by {amount}, not {-tally.charged}")
        tally.empty()

    # --- how it must look at the end --------------------------------------------

    def _left_open(self) -> None:
        now = self.database.execute("SELECT clock_timestamp()").fetchone()[0]
        for key, row in self.reservations.items():
            if row[1] == "open" and row[5] + _LONGEST < now:
                self.report.wrong(f"{key} is still open at {now}")

    def _counters(self) -> None:
        """Every counter is what the replay came to."""
        self.report.counts["counters"] = len(self.counters)
        for row in self.counters:
            key, policy, metric, kind = row[:4]
            used, held, ring, head = row[8:12]
            tally = self._tally(self._window(row), policy, metric)
            expected = tally.charged
            if kind == "rolling":
                expected = self._in_ring(tally, head)
                if sum(ring) != used:
                    self.report.wrong(f"ring of {key} adds up to {sum(ring)}: {used}")
            if (used, held) != (expected, tally.held):
                self.report.wrong(
                    f"{self.rules[policy]['name']} {metric} from {row[6]}: counter has"
                    f" {used} used, {held} held; events say {expected}, {tally.held}"
                )

    @staticmethod
    def _in_ring(tally: Tally, head: int) -> int:
        """What is in the 61 buckets up to `head`; a bucket is a 60th of the window."""
        width = tally.seconds * 1_000_000 // 60
        total = 0
        for moment, amount, _ in (*tally.left, *tally.recent):
            bucket = (moment - _EPOCH) // timedelta(microseconds=1) // width
            total += amount if bucket > head - 61 else 0
        return total

    def _alerts(self) -> None:
        told: dict[tuple, int] = defaultdict(int)
        rolling: dict[tuple, list] = defaultdict(list)
        rows = {str(row[0]): row for row in self.counters}
        for policy, counter, start, step in self._rows(
            "SELECT policy_id, counter, window_start, step FROM alerts_alert"
            " WHERE kind = 'limit' ORDER BY window_start"
        ):
            self.report.counts["alerts"] += 1
            row = rows[counter]
            if row[3] == "rolling":
                rolling[policy, counter, step].append(start)
            elif row[3] == "fixed":
                told[self.heads[row[1], row[2], json.dumps(row[5])], start, step] += 1
            else:
                told[row[0], None, step] += 1
        for where, count in told.items():
            if count > 1:
                self.report.wrong(f"{count} alerts of {where}")
        for where, starts in rolling.items():
            for first, second in itertools.pairwise(starts):
                if second - first < timedelta(seconds=60):
                    self.report.wrong(f"two alerts of {where}: {first}, {second}")
        self._missing_alerts(told)
        for (count,) in self._rows(
            "SELECT count(*) FROM (SELECT alert_id FROM alerts_delivery"
            " GROUP BY alert_id, channel, recipient HAVING count(*) > 1) AS twice"
        ):
            if count:
                self.report.wrong(f"{count} alerts have a message twice")

    def _missing_alerts(self, told: dict[tuple, int]) -> None:
        for row in self.counters:
            if row[3] == "rolling":
                continue
            window = self._window(row)
            tally = self._tally(window, row[1], row[2])
            for step in (80, 100):
                key = (*window, step)
                reached = tally.peak * 100 >= tally.threshold * step
                # The 100 % alert is opened by a refusal too.
                if reached != (key in told) and (reached or step < 100):
                    self.report.wrong(
                        f"{self.rules[row[1]]['name']} from {row[6]}: peak"
                        f" {tally.peak} of {tally.threshold}, alert of {step} %:"
                        f" {told.get(key, 0)}"
                    )

    # --- what clients were told -------------------------------------------------

    def _acknowledged(self) -> None:
        """Every acknowledgement is a row, and says what the row says."""
        execute = self.database.execute
        execute("CREATE TEMP TABLE note (kind text, a text, b text, c text, d text)")
        with self.database.cursor().copy("COPY note FROM STDIN") as copy:
            for path in self.notes:
                for line in path.read_text().splitlines():
                    self._note(copy, line.split("\t"))
        execute("CREATE INDEX ON note (kind, a); ANALYZE note")
        self._compare_events()
        self._compare_decisions()
        self._compare_reservations()

    def _note(self, copy: psycopg.Copy, said: list[str]) -> None:
        self.report.counts[f"note {said[0]}"] += 1
        if said[0] == "X":
            self.report.wrong(f"an answer that should not be: {said[1:]}")
        elif said[0] == "G":
            key = str(row_id(said[2]))
            copy.write_row(("G", said[1], key, said[3], said[4]))
        elif said[0] in ("D", "R"):
            state = said[2] if said[0] == "R" else None
            copy.write_row((said[0], str(row_id(said[1])), state, None, None))
        elif said[0] == "E":
            copy.write_row((*said[:4], said[4]))

    def _wrong_rows(self, what: str, sql: str) -> None:
        for row in self.database.execute(sql).fetchall():
            self.report.wrong(f"{what}: {row}")

    def _compare_events(self) -> None:
        self._wrong_rows(
            "acknowledged event, counted not once or otherwise",
            """SELECT n.a, n.b, n.c, count(e.id), min(e.tokens), min(e.cost)
            FROM (SELECT DISTINCT a, b, c FROM note WHERE kind = 'E') AS n
            LEFT JOIN usage_usageevent AS e
            ON e.client_id = n.a AND e.source = 'api'
            GROUP BY n.a, n.b, n.c HAVING count(e.id) <> 1
            OR min(e.tokens) <> n.b::bigint OR min(e.cost) <> n.c::bigint LIMIT 20""",
        )

    def _compare_decisions(self) -> None:
        self._wrong_rows(
            "acknowledged denial without its decision",
            """SELECT n.a FROM note AS n LEFT JOIN audit_decisionrecord AS d
            ON d.id = n.a::uuid AND NOT d.allowed AND d.reservation_id IS NULL
            WHERE n.kind = 'D' AND d.id IS NULL LIMIT 20""",
        )

    def _compare_reservations(self) -> None:
        self._wrong_rows(
            "acknowledged reservation that is not there, or another's",
            """SELECT n.a, n.b FROM note AS n LEFT JOIN usage_reservation AS r
            ON r.id = n.b::uuid AND r.idempotency_key = n.a
            AND (r.amounts->>'tokens')::bigint = n.c::bigint
            WHERE n.kind = 'G' AND r.id IS NULL LIMIT 20""",
        )
        self._wrong_rows(
            "released, and not",
            """SELECT n.a, n.b, r.state FROM note AS n LEFT JOIN usage_reservation AS r
            ON r.id = n.a::uuid WHERE n.kind = 'R'
            AND r.state IS DISTINCT FROM n.b LIMIT 20""",
        )


def _start(span: tuple) -> datetime:
    return span[0]


def _fits(name: str, wanted: str, value: str | None) -> bool:
    if name == "model" and wanted.endswith("*"):
        return value is not None and value.startswith(wanted[:-1])
    return value == wanted


def _subject(rule: dict, who: dict) -> str:
    return json.dumps([[name, who[name]] for name in rule["group_by"]])
