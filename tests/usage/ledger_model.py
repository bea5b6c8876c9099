"""A small model of the contract: policies, windows and holds as plain Python.

It shares no code with the ledger; `test_ledger_model` compares the two.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
USERS = (None, "u-1", "u-2")


@dataclass
class Window:
    start: datetime
    end: datetime | None
    used: int = 0


@dataclass
class Subject:
    """What one combination has: its windows, or a rolling limit's dated amounts."""

    windows: list[Window] = field(default_factory=list)
    dated: list[tuple[int, int]] = field(default_factory=list)
    head: Window | None = None
    blocked_until: datetime | None = None


@dataclass
class Cap:
    """One policy of one limit."""

    metric: str
    kind: str
    by_user: bool
    threshold: int
    blocks: bool = False
    live: bool = True
    archived: bool = False
    subjects: dict = field(default_factory=dict)
    policy: object = None

    def of(self, user):
        return self.subjects.setdefault(user if self.by_user else None, Subject())

    def window_at(self, subject, moment, *, opening, told=False):
        """The window of a moment; None for a fixed one that is not open.

        `told` says whether an event tells its time; else it is now.
        """
        if self.kind == "fixed":
            return self.fixed_at(subject, moment, opening=opening, told=told)
        start, end = EPOCH, None
        if self.kind == "day":
            start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
            end = start + timedelta(days=1)
        for window in subject.windows:
            if window.start == start:
                return window
        subject.windows.append(Window(start, end))
        return subject.windows[-1]

    def fixed_at(self, subject, moment, *, opening, told):
        head = subject.head
        if head is not None and moment < head.start and told:
            holding = [w for w in subject.windows if w.start <= moment < w.end]
            if holding:
                # Late windows may overlap: the one that began last counts.
                return max(holding, key=lambda window: window.start)
        elif head is not None and moment < head.end:
            return head
        if not opening:
            return None
        window = Window(moment, moment + HOUR)
        subject.windows.append(window)
        if head is None or moment >= head.start:
            subject.head = window
        return window

    def used(self, subject, now):
        if self.kind == "rolling":
            return sum(n for minute, n in subject.dated if minute > minutes(now) - 61)
        window = self.window_at(subject, now, opening=False)
        return window.used if window else 0

    def charge(self, subject, window, amount, moment, now, *, told=False):
        """Charge and block: `window` is None where the moment finds its own."""
        if amount == 0:
            return
        before = self.used(subject, now)
        if self.kind == "rolling":
            subject.dated.append((minutes(moment), amount))
            return
        window = window or self.window_at(subject, moment, opening=True, told=told)
        window.used += amount
        late = window.end is not None and window.end <= now
        crossed = before < self.threshold <= window.used
        if self.blocks and self.live and crossed and not late:
            subject.blocked_until = window.end

    def block_if_over(self, now, was_over=lambda used: False):
        for subject in self.subjects.values():
            used = self.used(subject, now)
            if used >= self.threshold and not was_over(used):
                subject.blocked_until = now.replace(
                    hour=0, minute=0, second=0, microsecond=0
                ) + timedelta(days=1)


@dataclass
class Hold:
    cap: Cap
    subject: Subject
    window: Window | None
    amount: int


@dataclass
class Reserved:
    id: str
    user: str | None
    tokens: int
    holds: list[Hold]
    until: datetime
    state: str = "open"
    settled: bool = False


def minutes(moment):
    return int((moment - EPOCH).total_seconds()) // 60


def caps():
    return [
        Cap("tokens", "day", by_user=False, threshold=200),
        Cap("tokens", "fixed", by_user=True, threshold=100),
        Cap("tokens", "rolling", by_user=True, threshold=120),
        Cap("calls", "lifetime", by_user=True, threshold=15),
        Cap("tokens", "day", by_user=True, threshold=80, blocks=True),
    ]


WINDOWS = {
    "day": {"kind": "calendar", "unit": "day", "timezone": "UTC"},
    "fixed": {"kind": "fixed", "seconds": 3600},
    "rolling": {"kind": "rolling", "seconds": 3600},
    "lifetime": {"kind": "lifetime"},
}
