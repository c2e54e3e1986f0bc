"""How much room a worker has: its lot, and its share of the server's capacity."""

from __future__ import annotations

import math
from typing import Final

from megacomet.parking import ParkingLot
from megacomet.rows import Rows
from megacomet.settings import Settings

#: An answer is never larger. A poll's: twice the hub's megabyte for escapes, and the names of a thousand channels. A
#: push's: 10,000 names, of which the request has had at most 4 MB, and 100 bytes for each.
ANSWER_BYTES: Final = 6_000_000


def make_lot(settings: Settings, *, now: float, descriptors: int) -> ParkingLot:
    """Return the lot that a front with these settings wants.

    Args:
        settings: the server's.
        now: seconds, monotonic.
        descriptors: the process's limit.
    """
    rows = Rows(
        now=now,
        # Cutting off whoever reads an answer slowly would have it ask for the same answer for ever.
        backlog_bytes=max(settings.backlog_bytes, ANSWER_BYTES),
        head_s=settings.head_timeout_s,
        keep_alive_s=settings.keep_alive_s,
    )
    return ParkingLot(rows, descriptors=descriptors)


def share_of(capacity: int, workers: int) -> int:
    """Return how many connections one of `workers` takes of a server's capacity; 0 for no bound.

    The kernel spreads connections by a hash, so a worker gets its part give or take a few standard deviations.
    """
    if workers < 2 or not capacity:
        return capacity
    part = capacity / workers
    return math.ceil(part + 4 * math.sqrt(part))
