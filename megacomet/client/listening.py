"""What a program holds of a connection: it takes messages from it, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from megacomet.client.awaiting import Awaited
from megacomet.client.feed import Feed
from megacomet.client.items import CONNECTED, DISCONNECTED, Change, Item
from megacomet.client.link import Link
from megacomet.client.objects import Value
from megacomet.client.rules import Ending
from megacomet.client.shelf import Shelf
from megacomet.errors import Disconnected

Watch = Callable[[Change], object]
_log: Final = Logger()


class Listening:
    """Messages and gaps, in their order, for ever: `async for item in listening`.

    It comes back by itself when the connection breaks, and goes on where it was. Leave it with `aclose`, or use it as
    an asynchronous context manager: a `break` alone leaves the connection open.

    Attributes:
        change: what has become of the connection at last.
    """

    def __init__(self, since: str, watch: Watch | None = None) -> None:
        """
        Args:
            since: a position, "oldest" or "".
            watch: is told of each change of the connection.
        """
        self._shelf = Shelf(since)
        self.feed = Feed(since, self._shelf)
        self._watch = watch
        self._link: Link | None = None
        self._waiting: Deferred[None] | None = None
        self._opening: list[Deferred[None]] = []
        self._ending: Ending | None = None
        self._is_closed = False

    def begin(self, link: Link) -> None:
        """Connect; called once."""
        self._link = link
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
        while True:
            item = self._shelf.take()
            if item is not None:
                if self._link is not None:
                    self._link.read_on()
                return item
            if self._is_closed:
                raise StopAsyncIteration
            if self._ending is not None:
                raise Disconnected(self._ending.code, self._ending.reason)
            await self._something()

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

    # -- from the link

    def changed(self, change: Change) -> None:
        """The connection is another one, or none."""
        _log.debug("{change}", change=change)
        if self._watch is not None:
            try:
                self._watch(change)
            except Exception:
                _log.failure("what watches the connection has failed")
        if change.state == CONNECTED:
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

    def complain(self, text: str) -> None:
        """Something came that no MegaComet says."""
        _log.warn("passed over: {text}", text=text)

    def answered(self, value: Value) -> None:
        """A request was answered."""

    def finished(self, ending: Ending) -> None:
        """The server does not want the client back."""
        self._ending = ending
        self._wake()
