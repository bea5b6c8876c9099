"""Live through everything again, in the order in which it was committed.

Two transactions that lock the same counter commit one after the other, and an edit
excludes every batch of its account, so PostgreSQL's commit timestamps (and within a
transaction the ledger's sequence) are the true order wherever it matters.

Where an end of a hold can be told only roughly (a reservation that was settled after
it had ended), the earliest moment is taken: the check may then be too kind, never
unjust. What one batch did behind a block of its own is not looked at.
"""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from tests.faults import journal
from tests.faults.report import Report
from tests.faults.standing import Standing, row_id
from tests.faults.tally import Tally

METRICS = ("tokens", "cost", "calls")
LONGEST = timedelta(seconds=60)

Window = tuple[UUID, datetime | None]


class Replay:
    """All tallies at the end, and every violation met on the way."""

    def __init__(
        self,
        database: psycopg.Connection,
        report: Report,
        divided_by: int = 1,
        sweeps_from: Sequence[datetime] = (),
    ) -> None:
        self.database = database
        self.sweeps_from = sweeps_from  # when a worker was up again, ascending
        self.report = report
        self.standing = Standing(divided_by)
        self.tallies: dict[Window, Tally] = {}
        self.by_policy: dict[UUID, list[Tally]] = defaultdict(list)
        self.opened: dict[UUID, datetime] = {}  # by head, as the replay goes on
        self._load()

    def rows(self, sql: str) -> Iterator[tuple]:
        """Read rows a few at a time."""
        with self.database.cursor(name="rows") as cursor:
            cursor.itersize = 20_000
            yield from cursor.execute(sql)

    def _load(self) -> None:
        self.counters = list(
            self.rows(
                "SELECT id, policy_id, metric, kind, is_head, subject, window_start,"
                " window_end, used, held, ring, ring_head FROM usage_counter"
            )
        )
        self.heads: dict[tuple, UUID] = {}
        self.spans: dict[tuple, list] = defaultdict(list)
        for row in self.counters:
            if row[3] == "fixed" and row[4]:
                self.heads[row[1], row[2], json.dumps(row[5])] = row[0]
        for row in self.counters:
            where = (row[1], row[2], json.dumps(row[5]))
            if row[6] is not None:
                self.spans[where].append((row[6], row[7], self.window(row)))
        for spans in self.spans.values():
            spans.sort(key=_start)
        self.reservations = {}
        for row in self.rows(
            "SELECT id, state, holds, created_at, expires_at, ended_at, event_id,"
            " pg_xact_commit_timestamp(xmin) FROM usage_reservation"
        ):
            self.reservations[row[0]] = row

    def window(self, row: tuple) -> Window:
        """A fixed window is known by its head and its start, others by their row."""
        if row[3] != "fixed":
            return row[0], None
        where = (row[1], row[2], json.dumps(row[5]))
        return self.heads.get(where, row[0]), row[6]

    def tally(self, window: Window, policy: UUID, metric: str) -> Tally:
        """The tally of a window; a new one is empty."""
        tally = self.tallies.get(window)
        if tally is None:
            kind = self.standing.rules[policy].windows[metric]
            length = timedelta(seconds=kind.get("seconds", 0))
            seconds = kind["seconds"] if kind["kind"] == "rolling" else None
            ends = window[1] + length if window[1] is not None else None
            tally = self.tallies[window] = Tally(policy, metric, seconds, ends)
            self.by_policy[policy].append(tally)
        return tally

    def run(self) -> None:
        """Replay grants, checks, ends, events, resets and edits."""
        acts: list[tuple] = []
        for number, what, said, at, xid in self.rows(journal.READ):
            acts.append((at, xid, 2, number, self._edit, what, said, at))
        granted = self._decisions(acts)
        for missing in self.reservations.keys() - granted:
            self.report.wrong(f"reservation {missing} has no decision")
        self._ends(acts)
        self._events(acts)
        self._adjustments(acts)
        acts.sort(key=lambda act: act[:4])
        for _, _, _, _, act, *details in acts:
            act(*details)
        self._left_open()

    # --- what happened ----------------------------------------------------------

    def _decisions(self, acts: list[tuple]) -> set[UUID]:
        granted = set()
        for row in self.rows(
            "SELECT reservation_id, sequence, allowed, created_at, policy_target,"
            " policy_user, model, key_id, pg_xact_commit_timestamp(xmin),"
            " xmin::text::bigint FROM audit_decisionrecord"
        ):
            self.report.counts["decisions"] += 1
            name, sequence, allowed, created, bot, user, model, key, at, xid = row
            if allowed:
                said = (user, model, key)
                passed = (row_id(bot), said, created, name)
                acts.append((at, xid, 1, sequence, self._pass, *passed))
            if name is None:
                continue
            held = row_id(name)
            if held in granted or held not in self.reservations:
                self.report.wrong(f"decisions of {name}: not exactly one reservation")
            else:
                grant = (held, created, row_id(bot), user, model)
                acts.append((at, xid, 1, sequence, self._grant, *grant))
            granted.add(held)
        return granted

    def _ends(self, acts: list[tuple]) -> None:
        """Releases and expiries; a settle comes with its event."""
        for key, row in self.reservations.items():
            state, expires, ended, event, at = row[1], row[4], row[5], row[6], row[7]
            if state == "expired" and ended > self._due(expires, ended) + LONGEST:
                self.report.wrong(f"{key} outlived its time by {ended - expires}")
            if state in ("released", "expired"):
                moment = at if event is None else ended
                acts.append((moment, 0, 0, 0, self._free, key))

    def _due(self, expires: datetime, ended: datetime) -> datetime:
        """From when somebody was there to end a reservation (B7)."""
        place = bisect_right(self.sweeps_from, ended)
        return max(expires, self.sweeps_from[place - 1]) if place else expires

    def _events(self, acts: list[tuple]) -> None:
        seen: set[tuple[str, str]] = set()
        for row in self.rows(
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
        known = {row[0]: row for row in self.counters}
        for counter, start, amount, at, xid in self.rows(
            "SELECT counter, window_start, amount, pg_xact_commit_timestamp(xmin),"
            " xmin::text::bigint FROM usage_adjustment"
        ):
            row = known.get(counter)
            if row is None:
                self.report.wrong(f"an adjustment of {counter}, which does not exist")
                continue
            window = (counter, start) if row[3] == "fixed" and row[4] else None
            window = window or self.window(row)
            acts.append((at, xid, 1, 0, self._reset, window, row, amount))

    # --- what it came to --------------------------------------------------------

    def _edit(self, what: str, said: dict, at: datetime) -> None:
        self.report.counts[f"journal {what.partition('_')[2]}"] += 1
        policy = self.standing.take(what, said)
        if policy is None:
            return
        rule = self.standing.rules[policy]
        for tally in self.by_policy[policy]:
            threshold = rule.thresholds[tally.metric]
            reached = _reached(rule.steps, tally.charged, threshold)
            tally.may |= reached
            sure = tally.ends is None or tally.ends > at + timedelta(seconds=5)
            if 100 in reached and rule.live and sure and tally.charged > 0:
                # An edit that leaves `used ≥ threshold` is a crossing (B5).
                tally.must.add(100)

    def _pass(
        self, bot: UUID, said: tuple, now: datetime, reservation: str | None
    ) -> None:
        """A call was let through: nothing that forbids it may stand by then (C9)."""
        self.report.counts["passed"] += 1
        reason = self.standing.forbids(said, bot, now)
        if reason:
            self.report.wrong(
                f"stale allow of {bot} at {now} ({reservation}): {reason}"
            )

    def _grant(
        self, key: UUID, now: datetime, bot: UUID, user: str | None, model: str | None
    ) -> None:
        self.report.counts["granted"] += 1
        held = set()
        for hold in self.reservations[key][2]:
            window, policy = self._held(hold)
            held.add((policy, hold["metric"]))
            self._hold(key, hold, window, policy, now)
        wanted = {
            (policy, metric)
            for policy, _ in self.standing.applying(bot, user, model)
            if self.standing.rules[policy].live
            for metric in self.standing.rules[policy].thresholds
        }
        if held != wanted:
            self.report.wrong(f"{key} is held by {held - wanted}, not {wanted - held}")

    def _hold(
        self, key: UUID, hold: dict, window: Window, policy: UUID, now: datetime
    ) -> None:
        rule = self.standing.rules[policy]
        tally = self.tally(window, policy, hold["metric"])
        if window[1] is not None:
            opened = self.opened.get(window[0], window[1])
            self.opened[window[0]] = max(opened, window[1])
        tally.forget(now)
        tally.holds[key] = hold["amount"]
        tally.held += hold["amount"]
        if not rule.refuses:
            return
        threshold = rule.thresholds[tally.metric]
        if tally.within + tally.held > threshold:
            self.report.wrong(
                f"{rule.name}: {tally.within} settled and {tally.held} held of"
                f" {threshold} after {key}"
            )
        if tally.charged + tally.held > threshold:
            self.report.wrong(
                f"{rule.name}: {key} was granted beyond {tally.charged} used and"
                f" {tally.held} held of {threshold}"
            )

    @staticmethod
    def _held(hold: dict) -> tuple[Window, UUID]:
        start = hold["start"]
        at = datetime.fromisoformat(start) if start else None
        return (UUID(hold["counter"]), at), row_id(hold["policy"])

    def _free(self, key: UUID) -> None:
        for hold in self.reservations[key][2]:
            window, policy = self._held(hold)
            tally = self.tally(window, policy, hold["metric"])
            tally.held -= tally.holds.pop(key, 0)

    def _event(self, row: tuple) -> None:
        charged: set[tuple[UUID, str]] = set()
        amounts = dict(zip(METRICS, row[6:9], strict=True))
        reservation = self.reservations.get(row[11]) if row[11] else None
        if reservation is not None and reservation[6] == row[0]:
            self.report.counts["settled"] += 1
            for hold in reservation[2]:
                charged.add(self._settle(row, reservation, hold, amounts))
        moment = min(row[9], row[10])
        if row[9] < row[10] - timedelta(seconds=1):
            self.report.counts["late events"] += 1
        for policy, subject in self.standing.applying(row[3], row[4], row[5]):
            rule = self.standing.rules[policy]
            for metric in rule.thresholds if rule.live else ():
                amount = amounts[metric] or 0
                if (policy, metric) in charged or amount == 0:
                    continue
                where = (policy, metric, subject)
                window = self._window_at(where, moment, row[9] == row[10])
                if window is None:
                    self.report.wrong(f"{rule.name}: event {row[0]} has no counter")
                else:
                    tally = self.tally(window, policy, metric)
                    self._charge(tally, moment, amount, 0, row[10])

    def _charge(
        self, tally: Tally, moment: datetime, amount: int, within: int, now: datetime
    ) -> None:
        tally.forget(now)
        before = tally.charged
        tally.charge(moment, amount, within)
        tally.forget(now)
        rule = self.standing.rules[tally.policy]
        threshold = rule.thresholds[tally.metric]
        reached = _reached(rule.steps, tally.charged, threshold)
        tally.may |= reached
        if rule.live:
            tally.must |= reached - _reached(rule.steps, before, threshold)

    def _settle(
        self, row: tuple, reservation: tuple, hold: dict, amounts: dict
    ) -> tuple[UUID, str]:
        window, policy = self._held(hold)
        metric = hold["metric"]
        tally = self.tally(window, policy, metric)
        actual = amounts[metric]
        amount = hold["amount"] if actual is None else actual
        tally.held -= tally.holds.pop(reservation[0], 0)
        in_time = reservation[1] == "settled"
        within = min(amount, hold["amount"]) if in_time else 0
        if amount:
            self._charge(tally, row[10], amount, within, row[10])
        return policy, metric

    def _window_at(self, where: tuple, moment: datetime, is_now: bool) -> Window | None:
        """Of the windows that hold a moment, the one that began last."""
        head = self.heads.get(where)
        opened = self.opened.get(head) if head else None
        if is_now and opened is not None and moment < opened:
            # Another process opened it by a clock that was ahead by a little.
            return head, opened
        spans = self.spans[where]
        place = bisect_right(spans, moment, key=_start)
        while place:
            start, end, window = spans[place - 1]
            if end is None or moment < end:
                if head and window[0] == head:
                    self.opened[head] = max(start, opened or start)
                return window
            place -= 1
            if start < moment - timedelta(days=1):
                break
        return None

    def _reset(self, window: Window, row: tuple, amount: int) -> None:
        self.report.counts["resets"] += 1
        tally = self.tally(window, row[1], row[2])
        if row[3] != "rolling" and tally.charged + amount != 0:
            self.report.wrong(f"reset of {row[0]} by {amount}, not {-tally.charged}")
        tally.empty()

    def _left_open(self) -> None:
        now = self.database.execute("SELECT clock_timestamp()").fetchone()[0]
        for key, row in self.reservations.items():
            if row[1] == "open" and row[4] + LONGEST < now:
                self.report.wrong(f"{key} is still open at {now}")


def _reached(steps: list[int], charged: int, threshold: int) -> set[int]:
    return {step for step in steps if charged * 100 >= threshold * step}


def _start(span: tuple) -> datetime:
    return span[0]
