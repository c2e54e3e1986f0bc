"""What can be found out about channels and clients, put together from the store and from the workers.

The manager has no names of those who listen: it asks the workers that the directory names, and all of them for a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from megacomet.manager.asking import ask
from megacomet.manager.downlink import Downlink
from megacomet.manager.links import Links
from megacomet.manager.ranking import Rankings
from megacomet.model.listing import Page, merge, span_of
from megacomet.model.polls import ANSWER_BYTES
from megacomet.model.position import Since, format_position
from megacomet.model.ranking import Place, behind, format_place
from megacomet.model.router import Router
from megacomet.model.store import IMessageStore, Past
from megacomet.model.views import (
    ChannelPage,
    ChannelView,
    ClientView,
    Connected,
    HistoryView,
    Listed,
    PastMessage,
)
from megacomet.names import is_mailbox, mailbox_of
from megacomet.slices import timed
from megacomet.wire import looking

#: Connections of one client that a worker tells of. Somebody who opens thousands under one name is seen by these, and
#: all of them would take a worker and the reader a second.
MOST_CONNECTIONS: Final = 100
#: Messages that are dropped before others have their turn: 2 ms.
CLEARED_A_TURN: Final = 2000


class Lookup:
    """See `megacomet.api.channels.IChannels` and `megacomet.api.clients.IClients`."""

    def __init__(self, store: IMessageStore, router: Router, links: Links, unix_s: Callable[[], float]) -> None:
        """Look things up; `unix_s` tells the time of the day."""
        self._store = store
        self._router = router
        self._links = links
        self._unix_s = unix_s
        self._rankings = Rankings(links, self._idle)

    async def page(self, prefix: bytes, after: bytes, limit: int) -> ChannelPage:
        """Return the channels that come next by name.

        Raises:
            PeerError: `overloaded`: a worker does not answer.
        """
        answers = await ask(self._links.all(), looking.ListChannels(prefix, after, limit), self._links.reactor)
        found = [looking.decode_names(answer) for _, answer in answers]
        pages = [Page(each.names, each.more) for each in found]
        merged = merge([*pages, await self._kept(prefix, after, limit)], limit)
        return self._listed(merged.names, merged.after)

    async def ranked(self, prefix: bytes, after: Place | None, limit: int) -> ChannelPage:
        """Return the channels that come next by their subscribers.

        Raises:
            PeerError: `overloaded`: a worker does not answer.
        """
        places = behind(await self._rankings.first(prefix), after)
        page = places[:limit]
        more = format_place(page[-1]) if len(places) > limit else None
        return self._listed([(place.channel, -place.fewer) for place in page], more)

    def _listed(self, counted: Sequence[tuple[bytes, int]], after: bytes | None) -> ChannelPage:
        """Return a page; those that had something when they were found and have nothing now are left out."""
        now = self._links.clock()
        channels = [Listed(name, count, self._store.held(name, now).messages) for name, count in counted]
        return ChannelPage([each for each in channels if each.subscribers or each.messages], after)

    async def _idle(self, prefix: bytes, most: int) -> Sequence[bytes]:
        """Return the first channels by name of which messages are kept."""
        return [name for name, _ in (await self._kept(prefix, b"", most)).names]

    async def _kept(self, prefix: bytes, after: bytes, limit: int) -> Page:
        """Return the page of the channels of which messages are kept."""
        listing = self._store.listing(span_of(prefix, after), limit)
        while not listing.work(timed(self._links.clock)):
            await deferLater(self._links.reactor, 0)
        return Page([(name, 0) for name in listing.names], listing.more)

    async def channel(self, channel: bytes) -> ChannelView:
        """Return how a channel stands.

        Raises:
            PeerError: `overloaded`: a worker that has listeners of it does not answer.
        """
        answers = await self._ask(channel, looking.CountListeners(channel))
        held = self._store.held(channel, self._links.clock())
        return ChannelView(
            channel=channel,
            subscribers=sum(looking.decode_count(answer) for _, answer in answers),
            messages=held.messages,
            waiting=held.waiting if is_mailbox(channel) else None,
            position=format_position(self._store.epoch, self._store.head),
        )

    async def history(
        self, channel: bytes, since: Since | None, before: Since | None, limit: int, newest_first: bool
    ) -> HistoryView:
        """Return what is kept of a channel; see `IMessageStore.history`."""
        answered: Deferred[Past] = Deferred()
        now = self._links.clock()
        # Of another life of the log nothing is kept, so nothing is before its positions.
        end = None if before is None else before.offset if before.epoch == self._store.epoch else 0
        done, order = answered.callback, newest_first
        self._store.history(channel, since, limit, ANSWER_BYTES, now, done, before=end, newest_first=order)
        past = await answered
        is_cut = past.more and not newest_first
        epoch, began = self._store.epoch, self._unix_s() - now
        return HistoryView(
            messages=[
                PastMessage(format_position(epoch, m.offset), m.data, began + m.published) for m in past.messages
            ],
            position=format_position(epoch, past.messages[-1].offset if is_cut else past.head),
            gap=past.gap,
            more=past.more,
        )

    async def clear(self, channel: bytes) -> int:
        """Drop what is kept of a channel by now, and return how many messages that were."""
        last, removed = self._store.head, 0
        while (count := self._store.clear(channel, last, CLEARED_A_TURN, self._links.clock())) == CLEARED_A_TURN:
            removed += count
            await deferLater(self._links.reactor, 0)
        return removed + count

    async def client(self, client: bytes) -> ClientView:
        """Return how a client stands.

        Raises:
            PeerError: `overloaded`: a worker that has connections of it does not answer.
        """
        mailbox = mailbox_of(client)
        answers = await self._ask(mailbox, looking.FindConnections(mailbox, MOST_CONNECTIONS))
        return ClientView(
            client=client,
            waiting=self._store.held(mailbox, self._links.clock()).waiting,
            connections=[
                Connected(number, each) for number, answer in answers for each in looking.decode_connections(answer)
            ],
        )

    async def _ask(self, channel: bytes, question: looking.Question) -> list[tuple[int, bytes]]:
        """Ask the workers that may have listeners of a channel."""
        return await ask(self._listening(channel), question, self._links.reactor)

    def _listening(self, channel: bytes) -> list[Downlink]:
        listening = self._router.listeners(channel)
        return [link for link in self._links.all() if link in listening]
