"""Channels by the number of their subscribers, out of tables that are in no order: who has the most, over all tables.

Theory of operation. The sum is what counts: a channel with many subscribers may have few in each table, and be among
the first of none. So all names are looked at, but never at once. Each table parts its names into *bins*, by a number
that all of them reckon alike, and keeps the bins for a moment. One bin after the other, the counts of all tables are
added up, and only the best are kept (`Best`). A name is in the same bin everywhere, so each sum is whole.

A count is that of the moment in which its bin is looked at.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple

from megacomet.errors import BadName
from megacomet.model.listing import Span
from megacomet.names import check_channel

#: So many channels are ranked: nobody reads on.
MOST: Final = 1000
#: Of a table. With four million names each has 16,000; without any, their lists take 16 KB.
BINS: Final = 256
_MASK: Final = BINS - 1
#: Short names, as numbers, are smaller than any modulus: multiplied by it, all of them are larger, and mixed. (2 to the
#: power of 64, divided by the golden ratio; Knuth, The Art of Computer Programming, volume 3, 6.4.)
_SPREAD: Final = 0x9E37_79B9_7F4A_7C15
#: Names that are counted between two looks at the time: 0.3 ms.
_COUNTED_AT_ONCE: Final = 1000

_PLACE: Final = re.compile(rb"([0-9]{1,10})-(.+)", re.DOTALL).fullmatch


class Census:
    """The search for all names of a span in a table, and the bins that they are parted into.

    Attributes:
        found: so many names; one that the table has in several parts is counted for each of them.
    """

    def __init__(self, span: Span, modulus: int, parts: Iterable[Iterable[bytes]]) -> None:
        """Begin a search.

        Args:
            span: which names.
            modulus: what the bins are reckoned with. A large one, drawn by chance: so nobody can think of names that
                all come into one bin.
            parts: of the table; see `Listing`.
        """
        self.found = 0
        self._span = span
        self._modulus = modulus
        self._parts = iter(parts)
        self._bins: list[list[bytes]] = [[] for _ in range(BINS)]

    def work(self, is_over: Callable[[], bool]) -> bool:
        """Search on until `is_over` says so; tells whether the search is over."""
        bins, modulus, number_of = self._bins, self._modulus, int.from_bytes
        for part in self._parts:
            names = self._span.names_in(part, self._span.end)
            self.found += len(names)
            for name in names:
                bins[number_of(name, "big") * _SPREAD % modulus & _MASK].append(name)
            if is_over():
                return False
        return True

    def take(self, first: int, end: int) -> Iterable[bytes]:
        """Return the names of the bins from `first` on and before `end`, and forget them; a name may come twice."""
        taken, self._bins[first:end] = self._bins[first:end], [[] for _ in self._bins[first:end]]
        return chain.from_iterable(taken)


class Counting:
    """The count of the subscribers of some names in a table.

    Attributes:
        counts: by name, without those that nobody hears any more.
    """

    def __init__(self, names: Iterable[bytes], counts: Callable[[Sequence[bytes]], dict[bytes, int]]) -> None:
        """Begin; `counts` tells by name how many hear some channels now, and a name may come twice."""
        self.counts: dict[bytes, int] = {}
        self._names = iter(names)
        self._counts = counts

    def work(self, is_over: Callable[[], bool]) -> bool:
        """Count on until `is_over` says so; tells whether all are counted."""
        while names := list(islice(self._names, _COUNTED_AT_ONCE)):
            self.counts |= self._counts(names)
            if is_over():
                return False
        return True


class Place(NamedTuple):
    """A channel's place in the order: the most subscribers first, then by name.

    Attributes:
        fewer: the number of subscribers, negative, so that tuples are in this order.
        channel: its name.
    """

    fewer: int
    channel: bytes


class Best:
    """The best channels of all that it is told of."""

    def __init__(self, most: int = MOST) -> None:
        """Keep so many at most."""
        self._most = most
        self._found: list[tuple[int, bytes]] = []
        #: whoever does not come before it is of no interest; nobody does without subscribers
        self._end: tuple[int, bytes] = (0, b"")

    def add(self, sums: Iterable[tuple[bytes, int]]) -> None:
        """Take some channels, each with its subscribers everywhere; none of them comes twice."""
        least, last = -self._end[0], self._end[1]
        self._found += [(-count, name) for name, count in sums if count > least or (count == least and name < last)]
        if len(self._found) > 2 * self._most:
            self._choose()

    def _choose(self) -> None:
        self._found.sort()
        del self._found[self._most :]
        if len(self._found) == self._most:
            self._end = self._found[-1]

    def places(self, idle: Iterable[bytes]) -> list[Place]:
        """Return the best, in order.

        Args:
            idle: the first channels by name of those that may have no subscriber; they fill what is left.
        """
        self._choose()
        heard = {name for _, name in self._found}
        rest = [(0, name) for name in idle if name not in heard]
        return [Place(*each) for each in self._found + rest[: self._most - len(heard)]]


def behind(places: Sequence[Place], after: Place | None) -> Sequence[Place]:
    """Return those of the places that come behind one; None: all."""
    return places if after is None else places[bisect_right(places, after) :]


def format_place(place: Place) -> bytes:
    """Return a place as text, for whoever asks for what comes behind it."""
    return b"%d-%b" % (-place.fewer, place.channel)


def parse_place(text: bytes) -> Place | None:
    """Parse what `format_place` has returned; None for b"".

    Raises:
        BadName: the text is something else.
    """
    if not text:
        return None
    found = _PLACE(text)
    if found is None:
        raise BadName("an after of channels by subscribers is what the page before has told")
    return Place(-int(found[1]), check_channel(found[2]))
