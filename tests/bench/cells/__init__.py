"""The cells of `make bench`: a file each, measured and written down by itself.

A cell has a `TITLE`, an `ORDER` (its place in docs/performance.md) and
`measure(rig) -> str`, which returns its section in Markdown. What it needs it takes
from the rig, which starts it once; what it compares it measures in turn.
"""

import importlib
import pkgutil
from types import ModuleType


def every() -> dict[str, ModuleType]:
    """All cells by name, in the order of the page."""
    found = {
        module.name: importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    }
    return dict(sorted(found.items(), key=lambda item: item[1].ORDER))
