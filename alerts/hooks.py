"""Python functions of whoever runs the installation, called when something happens.

A package offers them as entry points of the group `policyhub.hooks`:

    [project.entry-points."policyhub.hooks"]
    page-me = "my_package.alarms:page_me"

Each is called with one mapping: `id`, `type` (see `alerts.event_types`), `timestamp`
and `data`, as an endpoint gets them, and `account`, the account's id. It runs in the
worker, after the transaction in which it happened, never in the way of a call. It may
be called twice for one `id`, and it should be quick: what it raises is logged and
disturbs nobody else.
"""

import logging
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final

GROUP: Final = "policyhub.hooks"
Hook = Callable[[Mapping[str, Any]], object]
log = logging.getLogger(__name__)


@cache
def hooks() -> tuple[tuple[str, Hook], ...]:
    """Return the hooks that are installed, by name; one that cannot be loaded is not.

    They are looked up once in the life of a process.
    """
    found: list[tuple[str, Hook]] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            found.append((entry.name, entry.load()))
        except Exception:
            log.exception("the hook %s cannot be loaded", entry.name)
    return tuple(found)


def call(event: Mapping[str, Any]) -> int:
    """Call every hook; return how many of them did not raise."""
    done = 0
    for name, hook in hooks():
        try:
            hook(dict(event))
        except Exception:
            log.exception("the hook %s failed for %s", name, event.get("type"))
        else:
            done += 1
    return done
