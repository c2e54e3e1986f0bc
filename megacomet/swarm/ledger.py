"""Owns what the clients of one process were told: each message is counted, timed and checked, none is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from megacomet.swarm.check import Receipts, everyone_of, read_text
from megacomet.swarm.events import GAP, MESSAGE, POSITION, Event
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.positions import Positions
from megacomet.swarm.rooms import NO_ROOMS, Rooms

_COUNTERS: Final = ("stale", "foreign", "misdelivered", "heard", "heard_again", "gaps", "ready", "last_ns")


class Ledger:
    """The books of `count` clients, told by their index; the first one is `first` over all processes."""

    def __init__(
        self,
        first: int,
        count: int,
        prefix: str,
        *,
        began_ns: int = 0,
        positions: bool = False,
        rooms: Rooms = NO_ROOMS,
        listens: Callable[[int], bool] = lambda client: False,
        everyone: bool = False,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Open the books.

        Args:
            began_ns: the run's begin; older messages are another run's.
            positions: the clients go by positions.
            listens: whether a client, by its index over all processes, listens to rooms.
            everyone: numbered messages go to everyone too.
        """
        self._first = first
        self._prefix = prefix.encode()
        self._everyone = everyone_of(prefix).encode()
        self._began_ns = began_ns
        self._clock_ns = clock_ns
        self._rooms = rooms
        self._room_of = rooms.names()
        self._heard = bytearray(count)
        #: clients that listen to rooms and have no position yet
        self._without = bytearray(listens(first + n) for n in range(count) if rooms.channels) or bytearray(count)
        self.positions = Positions(count) if positions else None
        self.receipts = Receipts(count)
        #: a row for each room of each client
        self.room_receipts = Receipts(count * rooms.channels)
        #: of the numbered messages to everyone
        self.everyone_receipts = Receipts(count * everyone)
        #: from push to delivery; the same for rooms and numbered messages to everyone, and for the last one to everyone
        self.latency = Histogram()
        #: the same from when a worker was missing
        self.failover = Histogram()
        self._present = self.latency
        self.fanout = Histogram()
        self.reach = Histogram()
        #: messages: of an older run, of another publisher, of another client; heard by everyone, repeats of that
        self.stale = self.foreign = self.misdelivered = self.heard = self.heard_again = 0
        #: notices of a gap; clients that miss nothing any more of what is published; clock at the last numbered message
        self.gaps = self.ready = 0
        self.last_ns = 0

    def met(self, client: int) -> None:
        """Note a client's first connection: it is ready, or will be with its first position if it listens to rooms."""
        self.ready += not self._without[client]

    def begin(self) -> None:
        """Note that pushing begins: who has no position begins somewhere in the middle of what goes to many."""
        channels, positions = self._rooms.channels, self.positions
        for client in range(len(self.everyone_receipts)):
            if positions is None or not positions.of(client):
                self.everyone_receipts.excuse(client, told=False)
        for client, without in enumerate(self._without):
            for row in range(client * channels, (client + 1) * channels if without else 0):
                self.room_receipts.excuse(row, told=False)

    def failing(self) -> None:
        """Note that a worker is missing: what clients of another one wait for, or its own, is timed apart."""
        self._present = self.failover

    def told(self, client: int, events: list[Event]) -> list[Event] | None:
        """Take down what a client was told, in its order; returns what the connection has to do, None nothing."""
        now_ns = self._clock_ns()
        positions = self.positions
        rest: list[Event] | None = None
        for event in events:
            kind, position, channel, text = event
            if kind == MESSAGE:
                forward = positions is None or positions.message(client, position)
                self._message(client, channel, text, now_ns, forward)
            elif kind == POSITION:
                if positions is not None:
                    positions.told(client, position)
            elif kind == GAP:
                self._gap(client, channel)
                if positions is not None:
                    positions.told(client, position)
            else:
                rest = [*(rest or ()), event]
        if self._without[client] and positions is not None and positions.of(client):
            self._without[client] = 0
            self.ready += 1
        return rest

    def _message(self, client: int, channel: bytes, text: bytes, now_ns: int, forward: bool) -> None:
        read = read_text(text)
        if read is None:
            self.foreign += 1
            return
        number, name, made_ns = read
        if made_ns < self._began_ns:
            self.stale += 1
        elif channel in self._room_of and name == channel:
            self._in_room(client, self._room_of[channel], number, forward, now_ns, made_ns)
        elif name == self._everyone and channel in (b"", b"*") and len(self.everyone_receipts):
            self._in(self.everyone_receipts, client, number, forward, now_ns, made_ns)
        elif name == b"*":
            self.heard_again += self._heard[client]
            self.heard += 1 - self._heard[client]
            self._heard[client] = 1
            self.reach.record(now_ns - made_ns)
        elif name.startswith(b"*"):
            self.foreign += 1
        elif name != b"%b%d" % (self._prefix, self._first + client) or (channel and channel != b"@" + name):
            self.misdelivered += 1
        else:
            self.last_ns = now_ns
            self._present.record(now_ns - made_ns)
            if self.receipts.received(client, number) and not forward:
                self.receipts.disorder(client, number)

    def _in_room(self, client: int, room: int, number: int, forward: bool, now_ns: int, made_ns: int) -> None:
        rooms = self._rooms
        place = rooms.place(self._first + client, room)
        if place >= rooms.channels:
            self.misdelivered += 1
            return
        self._in(self.room_receipts, client * rooms.channels + place, number, forward, now_ns, made_ns)

    def _in(self, receipts: Receipts, row: int, number: int, forward: bool, now_ns: int, made_ns: int) -> None:
        """Take down a message that went to many."""
        self.last_ns = now_ns
        self.fanout.record(now_ns - made_ns)
        if receipts.received(row, number) and not forward:
            receipts.disorder(row, number)

    def _gap(self, client: int, channel: bytes) -> None:
        self.gaps += 1
        room = self._room_of.get(channel)
        if room is None:
            if channel == b"*" and len(self.everyone_receipts):
                self.everyone_receipts.excuse(client)
            elif channel == b"@%b%d" % (self._prefix, self._first + client):
                self.receipts.excuse(client)
            return
        place = self._rooms.place(self._first + client, room)
        if place < self._rooms.channels:
            self.room_receipts.excuse(client * self._rooms.channels + place)

    def counts(self) -> dict[str, Any]:
        """Return the counters as plain data."""
        all_of_them = (self.receipts, self.room_receipts, self.everyone_receipts)
        return {
            **{name: getattr(self, name) for name in _COUNTERS},
            "delivered": self.receipts.delivered,
            "room_delivered": self.room_receipts.delivered,
            "everyone_delivered": self.everyone_receipts.delivered,
            "repeated": sum(r.repeated for r in all_of_them),
            "out_of_order": sum(r.out_of_order for r in all_of_them),
        }

    def last_words(self) -> dict[str, Any]:
        """Return all that is told at the end."""
        histograms = {name: getattr(self, name).to_json() for name in ("latency", "failover", "fanout", "reach")}
        names = ("receipts", "room_receipts", "everyone_receipts")
        return {**histograms, **{name: getattr(self, name).to_json() for name in names}}
