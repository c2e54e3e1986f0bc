"""Channels that are added and left while a connection stands, and what was missed of those that begin earlier.

Theory of operation. What is wanted is written down at once, and done in the next turn, so that several changes make one
request: by ops where the transport has such, else by a connection for all the channels that takes the present one's
place. A channel with a `since` of its own is heard first, and what was missed is then fetched by polls that do not
wait, until one brings nothing or reaches what came live; that waits meanwhile (`feed`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Protocol, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet.client.feed import Feed
from megacomet.client.leg import Timers
from megacomet.client.link import Link
from megacomet.client.objects import Ok, Refusal, Value
from megacomet.client.polling import NotPolled, Polled
from megacomet.client.rules import Backoff, Random, comes_back
from megacomet.errors import SubscriptionRefused

#: Errors of an op that may not come again: something is wrong at the server, too many requests.
_TEMPORARY: Final = frozenset({100, 111})
_log: Final = Logger()
T = TypeVar("T")
#: Asks once for what is there of channels after a position.
Fetch = Callable[[Sequence[str], str], Deferred[Polled]]


class Owner(Protocol):
    """Whom it tells; see `Listening`."""

    def came(self) -> None:
        """There may be something on the shelf."""

    def refused(self, error: SubscriptionRefused) -> None:
        """Channels cannot be heard."""


@attrs.define(eq=False)
class _Catch:
    """Channels that are to be caught up."""

    channels: tuple[str, ...]
    since: str
    is_begun: bool = False
    waits_for: Deferred[Any] | None = None

    async def wait(self, deferred: Deferred[T]) -> T:
        """Wait, until `drop` ends it."""
        self.waits_for = deferred
        try:
            return await deferred
        finally:
            self.waits_for = None

    def drop(self) -> None:
        """End it."""
        self.channels = ()
        if self.waits_for is not None:
            self.waits_for.cancel()


class Subscribing:
    """The channels of one listening."""

    def __init__(self, link: Link, fetch: Fetch, owner: Owner, clock: Timers, random: Random) -> None:
        self._link = link
        self._feed: Feed = link.feed
        self._fetch = fetch
        self._owner = owner
        self._clock = clock
        self._random = random
        self._backoff = Backoff(random)
        self._applying: Any = None
        self._numbers = 0
        self._asked: dict[int, tuple[str, ...]] = {}
        self._catches: list[_Catch] = []
        self._rooms: list[Deferred[None]] = []

    def add(self, channels: Sequence[str], since: str) -> None:
        """Hear channels, from a position on, or from now with ""; those that are heard already stay as they are."""
        new = tuple(dict.fromkeys(channel for channel in channels if channel not in self._link.channels))
        for channel in new:
            self._link.channels[channel] = None
            self._feed.left.discard(channel)
            if since:
                self._feed.hold(channel)
        if new and since:
            self._catches.append(_Catch(new, since))
        self._apply_soon(0.0)

    def remove(self, channels: Sequence[str]) -> None:
        """Hear channels no longer; what is there of them is dropped."""
        for channel in channels:
            if channel in self._link.channels:
                del self._link.channels[channel]
                self._feed.leave(channel)
        for catch in tuple(self._catches):
            catch.channels = tuple(channel for channel in catch.channels if channel in self._link.channels)
            if not catch.channels:
                self._catches.remove(catch)
        self._apply_soon(0.0)
        self._owner.came()  # there may be room for what was left unread

    def close(self) -> None:
        """End all that is under way."""
        if self._applying is not None and self._applying.active():
            self._applying.cancel()
        for catch in self._catches:
            catch.drop()

    # -- what happens

    def connected(self) -> None:
        """Note that a connection stands, with the channels that were wanted when it was opened."""
        self._asked.clear()
        self._apply_soon(0.0)

    def answered(self, value: Value) -> None:
        """Note the answer to an op."""
        if not isinstance(value, Ok | Refusal) or not isinstance(value.id, int):
            return
        channels = self._asked.pop(value.id, None)
        if channels is None:
            return
        if isinstance(value, Ok):
            self._backoff.reset()
            self._link.hears.update(channels)
            if not all(channel in self._link.channels for channel in channels):
                self._apply_soon(0.0)  # it was left before it was heard
            self._catch_up()
        elif value.code in _TEMPORARY:
            self._apply_soon(self._backoff.delay())
        else:
            self.refused(channels, value.code, value.message)

    def refused(self, channels: Sequence[str], code: int, reason: str) -> None:
        """Note that channels cannot be heard."""
        wanted = tuple(channel for channel in channels if channel in self._link.channels)
        if wanted:
            self.remove(wanted)
            self._owner.refused(SubscriptionRefused(wanted, code, reason))

    def read_on(self) -> None:
        """Note that something was taken."""
        if self._rooms and self._feed.shelf.has_room:
            rooms, self._rooms = self._rooms, []
            for room in rooms:
                if not room.called:
                    room.callback(None)

    # -- asking for it

    def _apply_soon(self, delay_s: float) -> None:
        if self._applying is None or not self._applying.active():
            self._applying = self._clock.callLater(delay_s, self._apply)

    def _apply(self) -> None:
        if not self._link.is_open:
            return  # whatever is opened next has them
        heard, wanted = self._link.hears, self._link.channels
        asked = {channel for channels in self._asked.values() for channel in channels}
        added = tuple(channel for channel in wanted if channel not in heard and channel not in asked)
        gone = tuple(channel for channel in heard if channel not in wanted)
        if (added and not self._subscribe(added)) or (gone and not self._link.send(self._leaving(gone))):
            self._link.renew()
        else:
            heard.difference_update(gone)
            self._catch_up()

    def _subscribe(self, channels: tuple[str, ...]) -> bool:
        self._numbers += 1
        sent = self._link.send({"op": "subscribe", "channels": channels, "id": self._numbers})
        if sent:
            self._asked[self._numbers] = channels
        return sent

    @staticmethod
    def _leaving(channels: tuple[str, ...]) -> dict[str, Any]:
        return {"op": "unsubscribe", "channels": channels}

    # -- catching up

    def _catch_up(self) -> None:
        for catch in self._catches:
            if not catch.is_begun and self._link.hears.issuperset(catch.channels):
                catch.is_begun = True
                Deferred.fromCoroutine(self._caught(catch)).addErrback(_failed)

    async def _caught(self, catch: _Catch) -> None:
        backoff = Backoff(self._random)
        while catch.channels:
            # What waits for this is no reason to wait: only what the program has not taken.
            if not self._feed.shelf.has_room:
                room: Deferred[None] = Deferred()
                self._rooms.append(room)
                await catch.wait(room)
                continue
            try:
                polled = await catch.wait(self._fetch(catch.channels, catch.since))
            except NotPolled as e:
                if not comes_back(e.ending.code) and e.ending.is_server_s:
                    self.refused(catch.channels, e.ending.code, e.ending.reason)
                elif catch.channels:
                    await catch.wait(self._pause(backoff.delay(e.ending.wait_s)))
                continue
            backoff.reset()
            catch.since = polled.position
            reached = self._feed.caught(polled.values, polled.size)
            self._finish(catch, catch.channels if reached is None else reached)
            self._owner.came()

    def _pause(self, delay_s: float) -> Deferred[None]:
        pause: Deferred[None] = Deferred(lambda _: timer.cancel())
        timer = self._clock.callLater(delay_s, lambda: pause.callback(None))
        return pause

    def _finish(self, catch: _Catch, complete: Collection[str]) -> None:
        """Tell what has waited of channels; there is nothing more to come before it."""
        for channel in catch.channels:
            if channel in complete:
                self._feed.release(channel)
        catch.channels = tuple(channel for channel in catch.channels if channel not in complete)
        if not catch.channels and catch in self._catches:
            self._catches.remove(catch)


def _failed(failure: Failure) -> None:
    if failure.check(CancelledError) is None:
        _log.failure("catching up has failed", failure)
