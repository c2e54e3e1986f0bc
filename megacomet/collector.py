"""Python's cyclic garbage collector in processes whose objects mostly live long."""

from __future__ import annotations

import gc
from typing import Final

#: Young objects, and generations, between two collections: what waits or is kept lives long, and a search through it
#: every 700 objects finds nothing.
THRESHOLDS: Final = (20_000, 50, 100)


def calm() -> None:
    """Leave out what exists at the start, and search the rest seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
