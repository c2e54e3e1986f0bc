"""The directory: which workers have listeners of a channel. It keeps no names, so that a million channels fit.

An entry is 9 bytes in the packed string of its bucket: 7 bytes of the channel's hash and 2 bytes of slot number (a
slot stands for one worker's link). The bucket's number is the low bits of the hash, at least 8 of them, so all 64 bits
count: two channels are taken for one another only when their whole hashes are equal, and then a worker gets a message
for nobody.
`hash` of bytes is keyed per process: nobody outside can make names collide on purpose.

The table grows by linear hashing: one bucket is split for every `PER_BUCKET` entries that come, so no addition ever
waits for a rehash of everything. It does not shrink: an empty bucket costs 8 bytes.

Measured with `python -m bench.directory`, which prints bytes a channel and microseconds an operation.
"""

from __future__ import annotations

import struct
from typing import Final

#: An entry costs 9 bytes and its share of a bucket (33 bytes of object header, 8 of pointer). With more entries a
#: bucket the search gets slower, with fewer the share grows.
PER_BUCKET: Final = 15
#: The hash bits that an entry does not hold must be those of its bucket's number: 8 bits, 256 buckets.
LEAST_BUCKETS: Final = 256
MAX_SLOTS: Final = 65_536

_ENTRY: Final = struct.Struct("<qH").pack
_HASH: Final = struct.Struct("<q").pack
_WIDTH: Final = 9
_HASH_WIDTH: Final = 7


class Directory:
    """Channels to slots. A slot comes from `take_slot` and ends with `drop`."""

    __slots__ = ("_buckets", "_cursor", "_dead", "_entries", "_free", "_mask", "_of_slot", "_split", "_wide")

    def __init__(self) -> None:
        self._buckets: list[bytes] = [b""] * LEAST_BUCKETS
        #: Buckets below `_split` are numbered by one more bit of the hash (`_wide`) than the others (`_mask`).
        self._mask = LEAST_BUCKETS - 1
        self._wide = 2 * LEAST_BUCKETS - 1
        self._split = 0
        #: Entries in the buckets, those of dead slots included.
        self._entries = 0
        self._of_slot: list[int] = []
        self._free: set[int] = set()
        self._dead: dict[int, bytes] = {}
        self._cursor = 0

    def __len__(self) -> int:
        """Return the number of entries, without those of dropped slots."""
        return self._entries - sum(self._of_slot[slot] for slot in self._dead)

    def take_slot(self) -> int:
        """Return a slot number (0 to 65,535) that no entry of the table has.

        Raises:
            RuntimeError: all numbers are taken, or dropped and not yet swept.
        """
        if self._free:
            return self._free.pop()
        if len(self._of_slot) == MAX_SLOTS:
            raise RuntimeError(f"all {MAX_SLOTS} slots of the directory are taken")
        self._of_slot.append(0)
        return len(self._of_slot) - 1

    def add(self, channel: bytes, slot: int) -> bool:
        """Enter that the slot has listeners of the channel; tell whether that is news. For a dropped slot it is not."""
        if slot in self._dead:
            return False
        number = hash(channel)
        at = number & self._mask
        if at < self._split:
            at = number & self._wide
        bucket = self._buckets[at]
        entry = _ENTRY(number, slot)[1:]
        if _find(bucket, entry) >= 0:
            return False
        self._buckets[at] = bucket + entry
        self._of_slot[slot] += 1
        self._entries += 1
        if self._entries > PER_BUCKET * len(self._buckets):
            self._grow()
        return True

    def remove(self, channel: bytes, slot: int) -> bool:
        """Forget that the slot has listeners of the channel; tell whether it was entered."""
        if slot in self._dead:
            return False
        number = hash(channel)
        at = number & self._mask
        if at < self._split:
            at = number & self._wide
        bucket = self._buckets[at]
        found = _find(bucket, _ENTRY(number, slot)[1:])
        if found < 0:
            return False
        self._buckets[at] = bucket[:found] + bucket[found + _WIDTH :]
        self._of_slot[slot] -= 1
        self._entries -= 1
        return True

    def slots(self, channel: bytes) -> list[int]:
        """Return the slots that have listeners of the channel: none is missing, one too many is possible."""
        number = hash(channel)
        at = number & self._mask
        if at < self._split:
            at = number & self._wide
        bucket = self._buckets[at]
        key = _HASH(number)[1:]
        slots = []
        found = bucket.find(key)
        while found >= 0:
            if found % _WIDTH:
                found = bucket.find(key, found + 1)
                continue
            after = found + _WIDTH
            slots.append(bucket[after - 2] | bucket[after - 1] << 8)
            found = bucket.find(key, after)
        if self._dead:
            return [slot for slot in slots if slot not in self._dead]
        return slots

    def drop(self, slot: int) -> None:
        """A worker is gone: its entries do not count any more. `sweep` removes them and frees the number.

        Raises:
            ValueError: the slot is not taken.
        """
        if slot in self._free or not 0 <= slot < len(self._of_slot):
            raise ValueError(f"slot {slot} is not taken")
        self._dead[slot] = slot.to_bytes(2, "little")

    def sweep(self, buckets: int) -> bool:
        """Remove entries of dropped slots from so many buckets; True while there are more.

        A million channels are about 67,000 buckets at 1 to 3 microseconds each. A number is free when its last entry is
        gone, so it does not matter that the table grows in between.
        """
        self._release()
        marks = frozenset(self._dead.values())
        for _ in range(buckets):
            if not self._dead:
                return False
            self._clean(self._cursor, marks)
            self._cursor = (self._cursor + 1) % len(self._buckets)
        return bool(self._dead)

    def _clean(self, at: int, marks: frozenset[bytes]) -> None:
        bucket = self._buckets[at]
        if not any(mark in bucket for mark in marks):
            return
        ends = range(_HASH_WIDTH, len(bucket), _WIDTH)
        gone = [end for end in ends if bucket[end : end + 2] in marks]
        if not gone:
            return
        for end in gone:
            self._of_slot[bucket[end] | bucket[end + 1] << 8] -= 1
        self._entries -= len(gone)
        self._buckets[at] = b"".join(
            bucket[end - _HASH_WIDTH : end + 2] for end in ends if bucket[end : end + 2] not in marks
        )
        self._release()

    def _release(self) -> None:
        for slot in [slot for slot in self._dead if not self._of_slot[slot]]:
            del self._dead[slot]
            self._free.add(slot)

    def _grow(self) -> None:
        """Split the next bucket in two by the first hash bit that its number does not hold yet."""
        bucket = self._buckets[self._split]
        # The entry begins with the hash's second byte.
        byte, bit = divmod((self._mask + 1).bit_length() - 1 - 8, 8)
        mask = 1 << bit
        entries = [bucket[at : at + _WIDTH] for at in range(0, len(bucket), _WIDTH)]
        self._buckets[self._split] = b"".join([entry for entry in entries if not entry[byte] & mask])
        self._buckets.append(b"".join([entry for entry in entries if entry[byte] & mask]))
        self._split += 1
        if self._split > self._mask:
            self._mask, self._wide, self._split = self._wide, 2 * self._wide + 1, 0


def _find(bucket: bytes, entry: bytes) -> int:
    """Return where the entry begins, -1 when it is not there; the same bytes across two entries are none."""
    found = bucket.find(entry)
    while found > 0 and found % _WIDTH:
        found = bucket.find(entry, found + 1)
    return found
