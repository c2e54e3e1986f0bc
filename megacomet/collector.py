"""Python's memory in processes whose objects mostly live long, or that are forked.

It has to do with the cyclic garbage collector, and with the holes between objects.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from typing import Final

#: Young objects, and generations, between two collections: what waits or is kept lives long, and a search through it
#: every 700 objects finds nothing.
THRESHOLDS: Final = (20_000, 50, 100)


def calm() -> None:
    """Leave out what exists at the start, and search the rest seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


#: Of `sys._debugmallocstats`: class, size, pools, blocks in use, blocks that are free.
_SIZE_CLASS: Final = re.compile(rb"^ +[0-9]+ +([0-9]+) +[0-9]+ +[0-9]+ +([0-9]+)$", re.M)
_EMPTY_BYTES: Final = sys.getsizeof(b"")
_filling: list[object] = []


def freeze() -> None:
    """Be forked after this: leave what exists out of all collections, and have forks put nothing new between it.

    A fork that puts an object into a hole has a copy of that page, and there are holes in half of them. Where all are
    full, what is new stands on pages of its own: 0.15 MB less for each of 54 workers (bench/RESULTS.md).
    """
    fill_holes()
    gc.freeze()


def fill_holes() -> None:
    """Have no object that is made from now on stand between those that exist."""
    gc.collect()
    for size, count in free_blocks().items():
        if size >= _EMPTY_BYTES:  # what is smaller is hardly ever asked for
            _filling.extend(bytes(size - _EMPTY_BYTES) for _ in range(count))


def free_blocks() -> dict[int, int]:
    """Return how many blocks are free between others, by their size in bytes; empty where Python does not tell.

    No other thread may write to the standard error output meanwhile: Python tells it there, and nowhere else.
    """
    sys.stderr.flush()
    told, stderr = os.memfd_create("megacomet-malloc"), os.dup(2)
    try:
        os.dup2(told, 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(stderr, 2)
        text = os.pread(told, os.fstat(told).st_size, 0)
    finally:
        os.close(told)
        os.close(stderr)
    return {int(size): int(count) for size, count in _SIZE_CLASS.findall(text)}
