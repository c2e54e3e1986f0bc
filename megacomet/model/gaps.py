"""What is no longer kept of channels that keep nothing at all: the highest offset lost, in 65,536 buckets by name.

A channel with kept messages remembers this by itself. Without the buckets each channel that ever was would need a row;
with one mark for all of them nearly every reader would be told of a gap. A bucket is shared by the channels whose
names have the same low 16 bits of crc32: of these one may be told of another's gap, and none is ever left in the dark.
"""

from __future__ import annotations

from array import array
from typing import Final
from zlib import crc32

BUCKETS: Final = 65_536


class Gaps:
    """The buckets; 512 KB, whatever goes into them."""

    __slots__ = ("_lost",)

    def __init__(self) -> None:
        self._lost = array("Q", bytes(8 * BUCKETS))

    def lost(self, channel: bytes) -> int:
        """Return the highest offset that the channel, or one that shares its bucket, has lost; 0 for none."""
        return self._lost[crc32(channel) & 0xFFFF]

    def note(self, channel: bytes, offset: int) -> None:
        """Remember that the channel has lost the offset."""
        at = crc32(channel) & 0xFFFF
        if offset > self._lost[at]:
            self._lost[at] = offset
