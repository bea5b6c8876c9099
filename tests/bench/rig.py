"""What the cells share: the plan, the parts that run, and what was measured."""

import re
import sys
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import stage as stages
from tests.bench.load import Result, median, wrk

AUTHORIZE = "/api/v1/authorize"
USAGE = "/api/v1/usage"
CONNECTIONS = (1, 16, 64)


@dataclass(frozen=True)
class Plan:
    """How much of everything; seconds are those of one run of the load."""

    rounds: int = 3
    seconds: int = 3
    steady_seconds: int = 20
    events: int = 10_000_000
    event_ids: int = 2_000_000
    counters: int = 100_000
    conversations: int = 2_000_000
    pruning_seconds: int = 5
    pruning_windows: int = 7


QUICK = Plan(
    1,
    1,
    5,
    events=200_000,
    event_ids=50_000,
    counters=10_000,
    conversations=100_000,
    pruning_seconds=4,
    pruning_windows=1,
)


def say(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


@dataclass
class Rig:
    """A private installation that grows with what the cells ask of it."""

    stage: stages.Stage
    plan: Plan
    results: dict[tuple[str, int], list[Result]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _lanes: dict[str, stages.Server] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)
    _has_pages: bool = False

    def requests(self, kind: str) -> Path:
        """The requests of one hot account ("hot"), or of a thousand ("wide")."""
        if not self._files:
            from tests.bench import house

            hot, wide = house.build()
            self._files = {k: self.stage.state / f"{k}.txt" for k in ("hot", "wide")}
            house.write_requests(self._files["hot"], [hot])
            house.write_requests(self._files["wide"], wide)
        return self._files[kind]

    def lane(self, name: str = "one", *, workers: int = 1, **environment: str):
        """A lane that is started when it is asked for first."""
        self.requests("hot")
        if name not in self._lanes:
            self._lanes[name] = self.stage.lane(name, workers=workers, **environment)
        return self._lanes[name]

    def stop_lane(self, name: str) -> None:
        """Stop a lane, so that nothing is connected to its database."""
        if name in self._lanes:
            self.stage.stop(self._lanes.pop(name))

    def slow_pages(self) -> None:
        """The pages, with one slow page more."""
        if not self._has_pages:
            self.stage.slow_pages()
            self._has_pages = True

    def load(
        self,
        name: str,
        url: str,
        script: str,
        *arguments: object,
        connections: int,
        keep: bool = True,
    ) -> Result:
        """Run the load once; `keep` its result for `median`."""
        seconds = self.plan.seconds
        result = wrk(url, script, *arguments, connections=connections, seconds=seconds)
        if keep:
            self.results[name, connections].append(result)
        return result

    def median(self, name: str, connections: int) -> Result:
        """The median of what was kept."""
        return median(self.results[name, connections])

    def measured(self) -> str:
        """How the figures of a section came about."""
        plan = self.plan
        return (
            f"Medians of {plan.rounds} rounds of {plan.seconds} s, the subjects in turn"
            " within each round."
        )


def metric(server: stages.Server, name: str) -> float:
    """Read one of a lane's own counters."""
    with urllib.request.urlopen(server.url("/metrics"), timeout=5) as answer:
        text = answer.read().decode()
    found = re.search(rf"^{name} ([0-9.e+]+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def cell(result: Result) -> str:
    """Rate, median and 99th percentile, as the tables show them."""
    errors = f" ({result.errors} errors)" if result.errors else ""
    return f"{result.rate:,.0f} · {result.p50:.1f} · {result.p99:.1f}{errors}"


def goals(*rows: tuple[str, str, str, bool]) -> str:
    """A table of goals: what, at least, measured, and whether it is met."""
    lines = ["| Goal | Asked for | Measured | |", "| --- | --- | --- | --- |"]
    for what, asked, measured, met in rows:
        word = "met" if met else "**missed**"
        lines.append(f"| {what} | {asked} | {measured} | {word} |")
    return "\n".join(lines)
