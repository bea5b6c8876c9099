"""Memory of a server that has loaded all it needs."""

import gc
from typing import Final

# A full collection walks through everything that Django has loaded: 50 ms and more in
# which nobody is answered. What is there at the start stays; the rest is looked at less
# often.
_THRESHOLDS: Final = (20_000, 20, 100)


def settle() -> None:
    """Leave what is loaded now out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
