"""What a program holds of a connection: it takes messages from it, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from megacomet.client.awaiting import Awaited
from megacomet.client.checks import check_listened, check_since
from megacomet.client.feed import Feed
from megacomet.client.items import CONNECTED, DISCONNECTED, Change, Item
from megacomet.client.link import Link
from megacomet.client.objects import Value
from megacomet.client.rules import Ending
from megacomet.client.shelf import Shelf
from megacomet.client.subscribing import Subscribing
from megacomet.errors import Disconnected, PeerError, SubscriptionRefused

Watch = Callable[[Change], object]
_log: Final = Logger()


class Listening:
    """Messages and gaps, in their order, for ever: `async for item in listening`.

    It comes back by itself when the connection breaks, and goes on where it was. Leave it with `aclose`, or use it as
    an asynchronous context manager: a `break` alone leaves the connection open.

    Attributes:
        change: what has become of the connection at last.
    """

    def __init__(self, since: str, hears_mailbox: bool = False, watch: Watch | None = None) -> None:
        """
        Args:
            since: a position, "oldest" or "".
            hears_mailbox: whether a client's mailbox is listened to, too.
            watch: is told of each change of the connection.
        """
        self._shelf = Shelf(since)
        self.feed = Feed(since, self._shelf)
        self._hears_mailbox = hears_mailbox
        self._is_left_unread = False
        self._watch = watch
        self._link: Link | None = None
        self._waiting: Deferred[None] | None = None
        self._opening: list[Deferred[None]] = []
        self._ending: Ending | None = None
        self._refusals: deque[SubscriptionRefused] = deque()
        self._subscribing: Subscribing | None = None
        self._is_closed = False

    def begin(self, link: Link, subscribing: Subscribing) -> None:
        """Connect; called once."""
        self._link = link
        self._subscribing = subscribing
        link.start()

    # -- what programs see

    @property
    def position(self) -> str:
        """Everything up to it was taken: give it as `since` to go on later. Until then what was given; "": nothing."""
        return self._shelf.position

    @property
    def state(self) -> str:
        """ "connecting", "connected" or "disconnected"."""
        return DISCONNECTED if self._link is None or self._is_closed else self._link.change.state

    @property
    def transport(self) -> str:
        """ "websocket", "sse" or "poll": what is tried, or stands; "": nothing."""
        return "" if self._link is None or self._is_closed else self._link.change.transport

    def __aiter__(self) -> Listening:
        return self

    async def __anext__(self) -> Item:
        while not self._is_closed:
            item = self._shelf.take()
            if item is not None:
                if self._is_left_unread:
                    self._read_on()
                return item
            if self._refusals:
                raise self._refusals.popleft()
            if self._ending is not None:
                raise Disconnected(self._ending.code, self._ending.reason)
            await self._something()
        raise StopAsyncIteration

    async def __aenter__(self) -> Listening:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection; whoever waits for a message is told that there is none."""
        self.close()

    def close(self) -> None:
        """Do the same at once; for where nothing can be awaited."""
        if not self._is_closed:
            self._is_closed = True
            if self._link is not None:
                self._link.close()
            if self._subscribing is not None:
                self._subscribing.close()
            self._wake()

    async def connected(self) -> None:
        """Wait until it is connected: what is published from then on is heard.

        Raises:
            Disconnected: the server does not want it.
        """
        while self.state != CONNECTED:
            if self._ending is not None:
                raise Disconnected(self._ending.code, self._ending.reason)
            if self._is_closed:
                raise Disconnected(0, "it was closed")
            waiting: Deferred[None] = Deferred()
            self._opening.append(waiting)
            await Awaited(waiting)

    def _read_on(self) -> None:
        """Have read again what is left unread, if there is room; the link looks at what else is held."""
        if self._shelf.has_room:
            self._is_left_unread = False
            if self._link is not None and self._subscribing is not None:
                self._subscribing.read_on()
                self._link.read_on()

    async def _something(self) -> None:
        if self._waiting is not None:
            raise RuntimeError("somebody waits for the next message already")
        waiting: Deferred[None] = Deferred()
        self._waiting = waiting
        try:
            await Awaited(waiting)
        finally:
            if self._waiting is waiting:
                self._waiting = None

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        opening, self._opening = self._opening, []
        for each in (waiting, *opening):
            if each is not None and not each.called:
                each.callback(None)

    # -- channels

    @property
    def channels(self) -> tuple[str, ...]:
        """Those that are listened to."""
        return () if self._link is None else tuple(self._link.channels)

    def subscribe(self, *channels: str, since: str | None = None) -> None:
        """Listen to more channels: what comes of them comes here. One that is listened to already stays as it is.

        What the server refuses is raised once, as `SubscriptionRefused`, where the next item is waited for; the
        listening goes on.

        Args:
            channels: their names.
            since: a position, to hear what was missed since then, or "oldest": what is kept. None: from now.

        Raises:
            BadName, BadPosition: a name or position is none.
            PeerError: `reserved-channel`.
        """
        for channel in channels:
            check_listened(channel)
        check_since(since)
        if self._subscribing is not None and not self._is_closed:
            self._subscribing.add(channels, since or "")

    def unsubscribe(self, *channels: str) -> None:
        """Listen to channels no longer: no message of them is given out any more.

        Raises:
            PeerError: `no-channel`, nothing would be left to listen to: `aclose` instead.
        """
        if self._subscribing is None or self._is_closed:
            return
        if not self._hears_mailbox and not set(self.channels).difference(channels):
            raise PeerError("no-channel", "nothing would be left to listen to; close it instead")
        self._subscribing.remove(channels)

    # -- from the link

    def changed(self, change: Change) -> None:
        """The connection is another one, or none."""
        _log.debug("{change}", change=change)
        if self._watch is not None:
            try:
                self._watch(change)
            except Exception:
                _log.failure("what watches the connection has failed")
        if change.state == CONNECTED and not self._is_closed:
            if self._subscribing is not None:
                self._subscribing.connected()
            opening, self._opening = self._opening, []
            for each in opening:
                if not each.called:
                    each.callback(None)

    def came(self) -> None:
        """There may be something on the shelf."""
        if self._waiting is not None and len(self._shelf):
            waiting, self._waiting = self._waiting, None
            if not waiting.called:
                waiting.callback(None)
        self._is_left_unread = True
        self._read_on()

    def complain(self, text: str) -> None:
        """Something came that no MegaComet says."""
        _log.warn("passed over: {text}", text=text)

    def answered(self, value: Value) -> None:
        """A request was answered."""
        if self._subscribing is not None:
            self._subscribing.answered(value)

    def refused_channels(self, channels: Sequence[str], ending: Ending) -> None:
        """Channels that were added cannot be heard."""
        if self._subscribing is not None:
            self._subscribing.refused(channels, ending.code, ending.reason)

    def refused(self, error: SubscriptionRefused) -> None:
        """The same, as it is told to the program."""
        self._refusals.append(error)
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)

    def finished(self, ending: Ending) -> None:
        """The server does not want the client back."""
        self._ending = ending
        self._wake()
