"""What the checker looked at, and what was wrong."""

from collections import defaultdict
from dataclasses import dataclass, field

# Enough that what one check finds never leaves out what a later one does.
_KEPT = 200_000


@dataclass
class Report:
    """Counts of what was compared, and sentences about what should not be."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    violations: list[str] = field(default_factory=list)

    def wrong(self, text: str) -> None:
        """Write down one violation."""
        self.counts["violations"] += 1
        if len(self.violations) < _KEPT:
            self.violations.append(text)
