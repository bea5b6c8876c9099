"""Which tests a worker of a parallel run gets, and in which order.

A file is one worker's, so that what its tests share is made once; so are the files
that share a running installation. Those that take longest go first: begun last, one
of them would keep a worker busy while the other has nothing left to do.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

# Paths, and under which name what begins so is kept together; longest first.
_LONG = (
    ("tests/e2e/test_main_job.py", "story"),
    ("tests/e2e/", "browser"),
    ("tests/live/", "live"),
    ("tests/faults/", ""),
    ("tests/policyhub/", ""),
    ("tests/tenancy/", ""),
)


def _place(nodeid: str) -> tuple[int, str]:
    path = nodeid.partition("::")[0]
    for rank, (start, name) in enumerate(_LONG):
        if path.startswith(start):
            return rank, name or path
    return len(_LONG), path


class ByFile(LoadScopeScheduling):
    """Gives out whole files in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return _place(nodeid)[1]


def scheduler(config: pytest.Config, log: object) -> ByFile:
    """Return what deals the tests to the workers."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


def sort(items: list[pytest.Item]) -> None:
    """Put what takes long first, and leave the rest in its random order."""
    items.sort(key=lambda item: _place(item.nodeid)[0])
