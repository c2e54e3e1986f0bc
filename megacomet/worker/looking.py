"""What the manager asks about the listeners of this worker: which channels, how many hear one, who they are.

Owns the time that this may take: a search goes on a slice at a time, one search after the other. It changes nothing.
Between two questions it keeps one census (`megacomet.model.ranking`), the last one, for as long as an answer may take.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from megacomet import peers
from megacomet.link import LOOK_S, LinkRefused
from megacomet.model.frozen import channels_of
from megacomet.model.listing import Listing, Span, span_of
from megacomet.model.ranking import BINS, Census, Counting
from megacomet.model.session import Session
from megacomet.model.subscriptions import Subscriptions
from megacomet.names import EVERYONE
from megacomet.rows import Rows
from megacomet.slices import timed
from megacomet.wire import looking
from megacomet.worker.openings import Opening, transport_of


class _ITask(Protocol):
    def work(self, is_over: Callable[[], bool]) -> bool:
        """Go on until `is_over` says so; tells whether it is done."""


@attrs.frozen
class _Search:
    task: _ITask
    told: Callable[[], looking.Answer]
    asked_at: float
    answer: Deferred[bytes]


class Looking:
    """Answers what the manager asks."""

    def __init__(
        self,
        listeners: Subscriptions,
        rows: Rows,
        reactor: IReactorTime,
        *,
        clock: Callable[[], float],
        unix_s: Callable[[], float],
    ) -> None:
        """
        Args:
            listeners: who hears what.
            rows: of the same connections.
            reactor: for the next slice of a search.
            clock: seconds, monotonic.
            unix_s: the time of the day.
        """
        self._listeners = listeners
        self._rows = rows
        self._reactor = reactor
        self._clock = clock
        self._unix_s = unix_s
        self._searches: deque[_Search] = deque()
        self._census: Census | None = None
        self._modulus = 0
        self._forgetting: IDelayedCall | None = None

    def look(self, question: bytes) -> Deferred[bytes]:
        """Return the answer to a question, both as in `wire.looking`.

        It fails with `LinkRefused` when the manager has given it up by now.

        Raises:
            LinkRefused: a census is not known any more.
            ValueError: the question is none.
        """
        asked = looking.decode_question(question)
        if isinstance(asked, looking.ListChannels):
            return self._list(asked)
        if isinstance(asked, looking.TakeCensus):
            return self._take_census(asked)
        if isinstance(asked, looking.CountBins):
            return self._count_bins(asked)
        if isinstance(asked, looking.CountListeners):
            return succeed(looking.encode(self._count(asked.channel)))
        found = islice(self._listeners.of(asked.channel), asked.limit)
        return succeed(looking.encode([self._connection(fd) for fd in found]))

    def _count(self, channel: bytes) -> int:
        return self._rows.keys.occupied().count(1) if channel == EVERYONE else len(self._listeners.of(channel))

    def _counts(self, channels: Sequence[bytes]) -> dict[bytes, int]:
        counts = self._listeners.counts(channels)
        if EVERYONE in channels and (everyone := self._count(EVERYONE)):
            counts[EVERYONE] = everyone
        return counts

    # -- lists

    def _list(self, asked: looking.ListChannels) -> Deferred[bytes]:
        span = span_of(asked.prefix, asked.after)
        listing = Listing(span, asked.limit, self._parts(span))
        return self._begin(
            listing, lambda: looking.Names([(name, self._count(name)) for name in listing.names], listing.more)
        )

    def _parts(self, span: Span) -> Iterator[Iterable[bytes]]:
        everyone = (EVERYONE,) if self._count(EVERYONE) else ()
        return chain((everyone,), self._listeners.parts(has_mailboxes=span.has_mailboxes))

    def _take_census(self, asked: looking.TakeCensus) -> Deferred[bytes]:
        span = span_of(asked.prefix, b"")
        census = Census(span, asked.modulus, self._parts(span))

        def taken() -> int:
            self._forget()
            self._census, self._modulus = census, asked.modulus
            self._forgetting = self._reactor.callLater(LOOK_S, self._forget)
            return census.found

        return self._begin(census, taken)

    def _count_bins(self, asked: looking.CountBins) -> Deferred[bytes]:
        if self._census is None or self._forgetting is None or asked.modulus != self._modulus:
            raise LinkRefused("this census is not known any more")
        counting = Counting(self._census.take(asked.first, asked.end), self._counts)
        if asked.end >= BINS:
            self._forget()
        else:
            self._forgetting.reset(LOOK_S)
        return self._begin(counting, lambda: counting.counts)

    def _forget(self) -> None:
        """Forget the census: all of it was told, or whoever wanted it has gone."""
        self._census = None
        if self._forgetting is not None and self._forgetting.active():
            self._forgetting.cancel()
        self._forgetting = None

    def _begin(self, task: _ITask, told: Callable[[], looking.Answer]) -> Deferred[bytes]:
        """Have something done in slices; `told` gives the answer when it is."""
        search = _Search(task, told, self._clock(), Deferred())
        self._searches.append(search)
        if len(self._searches) == 1:
            self._go_on()
        return search.answer

    def _go_on(self) -> None:
        """Search on for a slice: the oldest first, since the manager gives up the oldest first."""
        search = self._searches[0]
        try:
            if self._clock() - search.asked_at > LOOK_S:
                raise LinkRefused("nobody waits for this answer any more")
            is_over = search.task.work(timed(self._clock))
            answer = looking.encode(search.told()) if is_over else b""
        except Exception:
            self._searches.popleft()
            search.answer.errback(Failure())
        else:
            if is_over:
                self._searches.popleft()
                search.answer.callback(answer)
        if self._searches:
            self._reactor.callLater(0, self._go_on)

    # -- connections

    def _connection(self, fd: int) -> looking.Connection:
        rows = self._rows
        key, form = rows.keys[fd], rows.forms[fd]
        if isinstance(key, Session) and isinstance(key.options, Opening):  # a stream that waits for its first page
            form = key.options.form
        backlog = rows.backlogs.get(fd)
        return looking.Connection(
            transport=transport_of(form),
            address=peers.address_of(fd),
            since=peers.marked_at(fd) if rows.forms[fd] else self._heard_at(fd),
            channels=list(channels_of(key)),
            backlog_bytes=0 if backlog is None else backlog.size,
        )

    def _heard_at(self, fd: int) -> float | None:
        silent_s = peers.silent_s(fd)
        return None if silent_s is None else self._unix_s() - silent_s
