"""Which channels have the most subscribers: the workers' counts added up, some bins at a time.

Owns what that may take. A thousand names are little to tell and all of them are needed to find these, so one ranking is
made at a time, for whoever waits for it, and it is told for a while: as long as all ask for the same prefix they take a
bounded part of the time. Only the last one is kept, so another prefix has one made at once.
How it is made without ever having all names at once, `megacomet.model.ranking` tells.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Final

import attrs
from twisted.internet.defer import DeferredLock
from twisted.internet.task import deferLater

from megacomet.manager.asking import ask
from megacomet.manager.links import Links
from megacomet.model.ranking import BINS, MOST, Best, Place
from megacomet.slices import timed
from megacomet.wire import looking

#: Channels whose counts are here at once, about: 20 MB with the answers that they came in, ...
_AT_ONCE: Final = 65_536
#: ... and of one worker: its answer is decoded in one go, which takes a millisecond and a half.
_OF_ONE_AT_ONCE: Final = 8192
#: Channels that are looked at between two looks at the clock.
_STEP: Final = 1000
#: A ranking is told for so many times as long as it took to make, ...
_TOLD_TIMES: Final = 9
#: ... and for so long at most, seconds.
_TOLD_S: Final = 5.0


@attrs.frozen
class _Ranking:
    """A ranking.

    Attributes:
        prefix: of its channels.
        places: in order.
        until: when it is too old to be told.
    """

    prefix: bytes
    places: Sequence[Place]
    until: float


class Rankings:
    """Makes rankings, and keeps the last."""

    def __init__(self, links: Links, idle: Callable[[bytes, int], Awaitable[Sequence[bytes]]]) -> None:
        """
        Args:
            links: to the workers.
            idle: finds the first channels by name of those that begin with a prefix and that may have no subscriber.
        """
        self._links = links
        self._idle = idle
        self._lock = DeferredLock()
        self._last = _Ranking(b"", (), 0.0)

    async def first(self, prefix: bytes) -> Sequence[Place]:
        """Return the first `MOST` of the channels that begin with a prefix.

        Raises:
            PeerError: `overloaded`: a worker does not answer.
        """
        await self._lock.acquire()
        try:
            began = self._links.clock()
            if self._last.prefix != prefix or began >= self._last.until:
                places = await self._make(prefix)
                now = self._links.clock()
                self._last = _Ranking(prefix, places, now + min(_TOLD_S, _TOLD_TIMES * (now - began)))
            return self._last.places
        finally:
            self._lock.release()

    async def _make(self, prefix: bytes) -> Sequence[Place]:
        links, reactor = self._links.all(), self._links.reactor
        # Nobody who names channels knows it, and no two rankings have the same.
        modulus = 1 << 60 | secrets.randbits(60)
        answers = await ask(links, looking.TakeCensus(prefix, modulus), reactor)
        step = _bins_at_once([looking.decode_count(answer) for _, answer in answers])
        best = Best()
        for first in range(0, BINS, step):
            asked = looking.CountBins(modulus, first, min(first + step, BINS))
            await self._add_up([answer for _, answer in await ask(links, asked, reactor)], best)
        return best.places(await self._idle(prefix, MOST))

    async def _add_up(self, answers: Sequence[bytes], best: Best) -> None:
        """Have the best of some bins."""
        clock = self._links.clock
        is_over = timed(clock)
        sums: dict[bytes, int] = {}
        for answer in answers:
            for name, count in looking.decode_counts(answer).items():
                sums[name] = sums.get(name, 0) + count
            if is_over():
                await deferLater(self._links.reactor, 0)
                is_over = timed(clock)
        channels = iter(sums.items())
        while some := list(islice(channels, _STEP)):
            best.add(some)
            if is_over():
                await deferLater(self._links.reactor, 0)
                is_over = timed(clock)


def _bins_at_once(found: Sequence[int]) -> int:
    """Return how many bins may be asked for at once; by worker, how many channels it has in all of its bins."""
    whole, most = sum(found), max(found, default=0)
    return max(1, min(BINS, _AT_ONCE * BINS // max(1, whole), _OF_ONE_AT_ONCE * BINS // max(1, most)))
