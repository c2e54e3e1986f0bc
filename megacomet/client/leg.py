"""One connection of a link, from the attempt to its end: its times, and where what comes by it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from megacomet.client.feed import Feed
from megacomet.client.items import Message
from megacomet.client.objects import Gone, Lost, Position, Value
from megacomet.client.rules import OPENING_S, PATIENCE_S, SILENCE_S, Ending
from megacomet.client.ways import Connection, Wanted, Way


class Timers(Protocol):
    """What is needed of Twisted's clock."""

    def seconds(self) -> float:
        """Seconds since some moment."""

    def callLater(self, delay: float, what: Callable[..., Any], /, *args: object) -> Any:
        """Call something later."""


class Whole(Protocol):
    """What a leg is a leg of."""

    def leg_opened(self, leg: Leg) -> None:
        """It has a position."""

    def leg_read(self, leg: Leg) -> None:
        """It has told what was read."""

    def leg_ended(self, leg: Leg, ending: Ending) -> None:
        """It did not open, or has ended."""

    def leg_answered(self, value: Value) -> None:
        """A request was answered by it."""

    def leg_complains(self, text: str) -> None:
        """Something came by it that no MegaComet says; told once."""


class Leg:
    """One connection, from the attempt on.

    Attributes:
        transport: its name.
        wanted: what it was opened for.
        hears: the channels that come by it.
        is_open: whether it has a position.
        opened_s: since when; before, since when it is tried.
        heard_s: when the last bytes came.
        has_brought: whether a message came by it.
        has_missed: whether it has told of a gap since the link last asked.
        is_paused: whether it is not read.
        has_complained: whether it has said something that is not understood.
    """

    def __init__(self, whole: Whole, transport: str, wanted: Wanted, feed: Feed, clock: Timers) -> None:
        self.transport = transport
        self.wanted = wanted
        self.hears = set(wanted.channels)
        self.is_open = self.has_brought = self.has_missed = self.is_paused = self.has_complained = False
        self.opened_s = self.heard_s = clock.seconds()
        self._whole: Whole | None = whole
        self._feed = feed
        self._clock = clock
        self._connection: Connection | None = None
        self._timer = clock.callLater(OPENING_S, self._is_late)

    def open(self, way: Way) -> None:
        """Begin to open it."""
        connection = way.open(self.wanted, self)
        if self._whole is not None:
            self._connection = connection

    def close(self) -> None:
        """End it, and tell nothing more."""
        self._forget()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def pause(self) -> None:
        """Read nothing more."""
        if not self.is_paused and self._connection is not None:
            self.is_paused = True
            self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        if self.is_paused and self._connection is not None:
            self.is_paused = False
            self.heard_s = self._clock.seconds()
            self._connection.resume()

    def ask(self) -> None:
        """Give it a short time to show that it lives."""
        limit_s = SILENCE_S[self.transport]
        self.heard_s = min(self.heard_s, self._clock.seconds() - limit_s + PATIENCE_S)
        if self._connection is not None:
            self._connection.ask()

    def send(self, op: dict[str, Any]) -> bool:
        """Send a request; tell whether the transport has such."""
        return self._connection is not None and self._connection.send(op)

    def _is_late(self) -> None:
        whole = self._whole
        self.close()
        if whole is not None:
            whole.leg_ended(self, Ending(0, f"not open after {OPENING_S:g} s"))

    def _forget(self) -> None:
        self._whole = None
        if self._timer.active():
            self._timer.cancel()

    # -- from the connection

    def heard(self) -> None:
        """Bytes came."""
        self.heard_s = self._clock.seconds()

    def told(self, value: Value, size: int) -> None:
        """A value came."""
        whole = self._whole
        if whole is None:
            return
        if not self.is_open:
            self.is_open = True
            self.opened_s = self._clock.seconds()
            self._timer.cancel()
            whole.leg_opened(self)
        if type(value) is Message:
            self.has_brought = True
            self._feed.message(value, size)
        elif type(value) is Position:
            self._feed.position(value.position)
        elif isinstance(value, Lost | Gone):
            self.has_missed = True
            self._feed.gap(value)
        else:
            whole.leg_answered(value)

    def complain(self, text: str) -> None:
        """Something came that is not understood: told once."""
        if self._whole is not None and not self.has_complained:
            self.has_complained = True
            self._whole.leg_complains(text)

    def flush(self) -> None:
        """What was read has been told."""
        if self._whole is not None:
            self._whole.leg_read(self)

    def ended(self, ending: Ending) -> None:
        """It did not open, or has ended."""
        whole = self._whole
        self._forget()
        self._connection = None
        if whole is not None:
            whole.leg_ended(self, ending)
