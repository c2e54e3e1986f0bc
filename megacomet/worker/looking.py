"""What the manager asks about the listeners of this worker: which channels, how many hear one, who they are.

Owns the time that this may take: a search goes on a slice at a time, one search after the other. It changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from megacomet import peers
from megacomet.link import LOOK_S, LinkRefused
from megacomet.model.listing import Listing, span_of
from megacomet.model.session import Session, is_frozen, thaw
from megacomet.model.subscriptions import Subscriptions
from megacomet.names import EVERYONE
from megacomet.rows import Rows
from megacomet.slices import timed
from megacomet.wire import looking
from megacomet.worker.openings import Opening, transport_of


@attrs.frozen
class _Search:
    listing: Listing
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

    def look(self, question: bytes) -> Deferred[bytes]:
        """Return the answer to a question, both as in `wire.looking`.

        It fails with `LinkRefused` when the manager has given it up by now.

        Raises:
            ValueError: the question is none.
        """
        asked = looking.decode_question(question)
        if isinstance(asked, looking.ListChannels):
            return self._begin(asked)
        if isinstance(asked, looking.CountListeners):
            return succeed(looking.encode(self._count(asked.channel)))
        found = islice(self._listeners.of(asked.channel), asked.limit)
        return succeed(looking.encode([self._connection(fd) for fd in found]))

    def _count(self, channel: bytes) -> int:
        return self._rows.keys.occupied().count(1) if channel == EVERYONE else len(self._listeners.of(channel))

    # -- lists

    def _begin(self, asked: looking.ListChannels) -> Deferred[bytes]:
        span = span_of(asked.prefix, asked.after)
        listing = Listing(span, asked.limit, self._parts(span.has_mailboxes))
        search = _Search(listing, self._clock(), Deferred())
        self._searches.append(search)
        if len(self._searches) == 1:
            self._go_on()
        return search.answer

    def _parts(self, has_mailboxes: bool) -> Iterator[Iterable[bytes]]:
        everyone = (EVERYONE,) if self._count(EVERYONE) else ()
        return chain((everyone,), self._listeners.parts(has_mailboxes=has_mailboxes))

    def _go_on(self) -> None:
        """Search on for a slice: the oldest first, since the manager gives up the oldest first."""
        search = self._searches[0]
        try:
            if self._clock() - search.asked_at > LOOK_S:
                raise LinkRefused("nobody waits for this page any more")
            is_over = search.listing.work(timed(self._clock))
            answer = looking.encode(self._names(search.listing)) if is_over else b""
        except Exception:
            self._searches.popleft()
            search.answer.errback(Failure())
        else:
            if is_over:
                self._searches.popleft()
                search.answer.callback(answer)
        if self._searches:
            self._reactor.callLater(0, self._go_on)

    def _names(self, listing: Listing) -> looking.Names:
        return looking.Names([(name, self._count(name)) for name in listing.names], listing.more)

    # -- connections

    def _connection(self, fd: int) -> looking.Connection:
        rows = self._rows
        key, form = rows.keys[fd], rows.forms[fd]
        if is_frozen(key):
            channels = thaw(key)
        elif isinstance(key, Session):
            channels = key.channels + key.late
            if isinstance(key.options, Opening):  # a stream that waits for its first page
                form = key.options.form
        else:
            channels = (key,)
        backlog = rows.backlogs.get(fd)
        return looking.Connection(
            transport=transport_of(form),
            address=peers.address_of(fd),
            since=peers.marked_at(fd) if rows.forms[fd] else self._heard_at(fd),
            channels=list(channels),
            backlog_bytes=0 if backlog is None else backlog.size,
        )

    def _heard_at(self, fd: int) -> float | None:
        silent_s = peers.silent_s(fd)
        return None if silent_s is None else self._unix_s() - silent_s
