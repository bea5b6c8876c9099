"""The independent checker: own SQL, own arithmetic, nothing of the product's code.

It replays what became visible (`tests.faults.replay`), then compares: every counter,
ring and alert with what the replay came to, and every acknowledgement that a client
wrote down with the rows.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from tests.faults.notes import compare
from tests.faults.replay import Replay
from tests.faults.report import Report


class Checker:
    """Checks one installation's rows against its journal and its clients' notes.

    `divided_by` makes every threshold that much stricter than it was: for the test
    that a checker which finds nothing can find something. `sweeps_from` are the moments
    from which a worker was there again.
    """

    def __init__(
        self,
        database: psycopg.Connection,
        notes: list[Path],
        divided_by: int = 1,
        sweeps_from: Sequence[datetime] = (),
    ) -> None:
        self.database = database
        self.notes = notes
        self.report = Report()
        self.replay = Replay(database, self.report, divided_by, sweeps_from)

    def check(self) -> Report:
        """Compare everything; return what was looked at and what was wrong."""
        # After crashes nobody knows how large the tables are, and plans go by it.
        self.database.execute("ANALYZE")
        self.replay.run()
        self._counters()
        self._alerts()
        compare(self.database, self.notes, self.report)
        return self.report

    def _name(self, policy: UUID) -> str:
        return self.replay.standing.rules[policy].name

    def _counters(self) -> None:
        """Every counter is what the replay came to (A7)."""
        replay = self.replay
        self.report.counts["counters"] = len(replay.counters)
        for row in replay.counters:
            key, policy, metric, kind = row[:4]
            used, held, ring, head = row[8:12]
            tally = replay.tally(replay.window(row), policy, metric)
            expected = tally.charged
            if kind == "rolling":
                expected = tally.in_ring(head)
                if sum(ring) != used:
                    self.report.wrong(f"ring of {key} adds up to {sum(ring)}: {used}")
            if (used, held) != (expected, tally.held):
                self.report.wrong(
                    f"{self._name(policy)} {metric} from {row[6]}: counter has"
                    f" {used} used, {held} held; events say {expected}, {tally.held}"
                )

    def _alerts(self) -> None:
        """One alert per policy, counter, window and step; none missing (D1)."""
        told: dict[tuple, int] = defaultdict(int)
        rolling: dict[tuple, list] = defaultdict(list)
        rows = {str(row[0]): row for row in self.replay.counters}
        for policy, counter, start, step in self.replay.rows(
            "SELECT policy_id, counter, window_start, step FROM alerts_alert"
            " WHERE kind = 'limit' ORDER BY window_start"
        ):
            self.report.counts["alerts"] += 1
            row = rows[counter]
            where = (row[1], row[2], json.dumps(row[5]))
            if row[3] == "rolling":
                rolling[policy, counter, step].append(start)
            elif row[3] == "fixed":
                told[self.replay.heads[where], start, step] += 1
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
        # What is no alert's is the digest of an hour: one for each of them.
        for (count,) in self.replay.rows(
            "SELECT count(*) FROM (SELECT alert_id FROM alerts_delivery"
            " GROUP BY account_id, alert_id, channel, recipient, purpose,"
            " CASE WHEN alert_id IS NULL THEN mail_hour END"
            " HAVING count(*) > 1) AS twice"
        ):
            if count:
                self.report.wrong(f"{count} alerts have a message twice")

    def _missing_alerts(self, told: dict[tuple, int]) -> None:
        for row in self.replay.counters:
            if row[3] == "rolling":
                continue
            window = self.replay.window(row)
            tally = self.replay.tally(window, row[1], row[2])
            for step in (80, 100):
                count = told.get((*window, step), 0)
                # The 100 % alert is opened by a refusal too.
                unfounded = count and step < 100 and step not in tally.may
                if unfounded or (step in tally.must and not count):
                    self.report.wrong(
                        f"{self._name(row[1])} from {row[6]}: {tally.charged} used,"
                        f" alert of {step} %: {count}"
                    )
