"""Python's memory in processes whose objects mostly live long, or that are forked.

It has to do with the cyclic garbage collector, and with the holes between objects.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from collections.abc import Iterator
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
#: The first of those that Python makes when they are needed, and does not have already.
_NUMBER: Final = 1_000_000
_filling: list[object] = []
#: What is larger than Python's blocks is malloc's; what is larger than this has pages of its own (M_MMAP_THRESHOLD).
_CHUNK_BYTES: Final = range(512, 128 * 1024)
#: Less than this between what is in use is not worth a look at all of it.
TRIM_BYTES: Final = 1_000_000


def freeze() -> None:
    """Be forked after this: leave what exists out of all collections, and have forks put nothing new between it.

    A fork that puts an object into a hole has a copy of that page, and there are holes in half of them. Where all are
    full, what is new stands on pages of its own: 0.3 MB less for each of 54 workers (bench/RESULTS.md).
    """
    fill_holes()
    gc.freeze()


def fill_holes() -> None:
    """Have no object that is made from now on stand between those that exist."""
    gc.collect()
    for size, count in free_blocks().items():
        _filling.extend(_objects(size, count))
    size = _CHUNK_BYTES.stop
    while size >= _CHUNK_BYTES.start and (free := free_chunk_bytes()):
        chunk = bytes(size - _EMPTY_BYTES - 1)
        if free_chunk_bytes() < free:
            _filling.append(chunk)  # it was between others
        else:
            size = size * 15 // 16  # it was behind all; that place stays free
        del chunk


def _objects(size: int, count: int) -> Iterator[object]:
    """Make so many objects that each take a block of so many bytes."""
    if size >= _EMPTY_BYTES:
        return (bytes(size - _EMPTY_BYTES) for _ in range(count))
    if size >= sys.getsizeof(_NUMBER):  # numbers come and go in every turn
        return (_NUMBER + n for n in range(count))
    return (object() for _ in range(count))


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


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33: of ten sizes the last two are what is free, and of that what is behind all."""

    _fields_ = (
        *((f"other{n}", ctypes.c_size_t) for n in range(8)),
        ("free", ctypes.c_size_t),
        ("top", ctypes.c_size_t),
    )


_libc: Final = ctypes.CDLL(None)
#: One for all calls: to look it up makes objects, and would fill what is measured.
_mallinfo: Final = getattr(_libc, "mallinfo2", None)
_malloc_trim: Final = getattr(_libc, "malloc_trim", None)
if _mallinfo is not None:
    _mallinfo.restype = _Mallinfo


def free_chunk_bytes() -> int:
    """Return how much malloc has free between what is in use, bytes; 0 where it does not tell."""
    if _mallinfo is None:
        return 0
    told = _mallinfo()
    return int(told.free - told.top)


def trim(least_bytes: int = TRIM_BYTES) -> bool:
    """Give back to the system the pages on which malloc has nothing in use; tells whether it looked for them.

    By itself it gives back only what is behind all that is in use, and one small object stands there for ever: where
    thousands come and go, what they took once would stay, and more with each time that they did (malloc_trim(3)).

    Args:
        least_bytes: less than this is not looked for; 0: whatever there is.
    """
    if _malloc_trim is None or (least_bytes and free_chunk_bytes() < least_bytes):
        return False
    _malloc_trim(0)
    return True
