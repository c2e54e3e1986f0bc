"""A client's surroundings for tests: ways that open what the test says, and a program that listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from megacomet.client.feed import Feed
from megacomet.client.items import TRANSPORTS, Change, Gap, Item, Message
from megacomet.client.link import Link
from megacomet.client.listening import Listening
from megacomet.client.objects import Gone, Ok, Position, Refusal, Value
from megacomet.client.polling import NotPolled, Polled
from megacomet.client.rules import Ending
from megacomet.client.subscribing import Subscribing
from megacomet.client.ways import Ear, Wanted


class Opened:
    """A connection that was opened.

    Attributes:
        transport: its name.
        wanted: what it was opened for.
        is_paused, is_closed: what was done with it.
        asked: how often it had to show that it lives.
        sent: the requests on it.
    """

    def __init__(self, transport: str, wanted: Wanted, ear: Ear) -> None:
        self.transport = transport
        self.wanted = wanted
        self.ear = ear
        self.is_paused = self.is_closed = False
        self.asked = 0
        self.sent: list[dict[str, Any]] = []

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True

    def ask(self) -> None:
        self.asked += 1

    def send(self, op: dict[str, Any]) -> bool:
        if self.transport == "websocket":
            self.sent.append(op)
        return self.transport == "websocket"

    # -- what the test has it say

    def stands(self, position: str = "e-0") -> None:
        """It has opened."""
        self.says(Position(position))

    def says(self, *values: Value, size: int = 10) -> None:
        """Values come, in one read."""
        self.ear.heard()
        for value in values:
            self.ear.told(value, size)
        self.ear.flush()

    def brings(self, *numbers: int, channel: str = "news", size: int = 10) -> None:
        """Messages come."""
        self.says(*(Message(channel, f"e-{n}", n) for n in numbers), size=size)

    def confirms(self) -> None:
        """The last request is done."""
        self.says(Ok(self.sent[-1]["id"], "e-1"))

    def refuses(self, code: int, message: str = "no") -> None:
        """The last request is refused."""
        self.says(Refusal(code, message, self.sent[-1]["id"]))

    def ends(self, code: int = 0, reason: str = "lost", wait_s: float = 0.0, is_server_s: bool = False) -> None:
        """It did not open, or has ended."""
        self.is_closed = True
        self.ear.ended(Ending(code, reason, wait_s, is_server_s))


class World:
    """A link with everything around it.

    Attributes:
        opened: all connections so far.
        refuses: transports that end before `open` returns, and how.
        fetched: what was asked for by single polls: channels, since and the Deferred of the answer.
        changes: of the link.
    """

    def __init__(
        self,
        channels: Sequence[str] = ("news",),
        transports: Sequence[str] = TRANSPORTS,
        since: str = "",
        random: float = 0.5,
    ) -> None:
        self.clock = Clock()
        self.opened: list[Opened] = []
        self.refuses: dict[str, Ending] = {}
        self.fetched: list[tuple[tuple[str, ...], str, Deferred[Polled]]] = []
        self.changes: list[Change] = []
        self.listening = Listening(since, watch=self.changes.append)
        ways = {transport: _Way(self, transport) for transport in TRANSPORTS}
        self.feed: Feed = self.listening.feed
        self.link = Link(ways, transports, channels, "", self.feed, self.listening, self.clock, lambda: random)
        self.subscribing = Subscribing(self.link, self._fetch, self.listening, self.clock, lambda: random)
        self.listening.begin(self.link, self.subscribing)
        self.clock.advance(0)

    def _fetch(self, channels: Sequence[str], since: str) -> Deferred[Polled]:
        answer: Deferred[Polled] = Deferred()
        self.fetched.append((tuple(channels), since, answer))
        return answer

    @property
    def last(self) -> Opened:
        """The connection that was opened last."""
        return self.opened[-1]

    @property
    def change(self) -> Change:
        """What was told last."""
        return self.changes[-1]

    def advance(self, seconds: float) -> None:
        """Let time pass, as it does for a machine that is awake."""
        self.clock.pump([0.5] * int(seconds * 2) + [seconds % 0.5])

    def answer(self, position: str, *numbers: int, channel: str, gap: bool = False) -> None:
        """Answer the last single poll."""
        values: list[Message | Position | Gone] = [Message(channel, f"e-{n}", n) for n in numbers]
        if gap:
            values.insert(0, Gone((channel,), ""))
        self.fetched[-1][2].callback(Polled([*values, Position(position)], position, 10))

    def fail_fetch(self, code: int, is_server_s: bool = False) -> None:
        """Fail the last single poll."""
        self.fetched[-1][2].errback(NotPolled(Ending(code, "no", 0.0, is_server_s)))

    def taken(self) -> list[Item]:
        """Take what is there, as a program does."""
        items = []
        while len(self.listening._shelf):
            taking = Deferred.fromCoroutine(self.listening.__anext__())
            taking.addCallback(items.append)
        return items

    def numbers(self) -> list[int]:
        """The same, of messages only."""
        return [item.data for item in self.taken() if isinstance(item, Message)]

    def gaps(self) -> list[Gap]:
        """The same, of gaps only."""
        return [item for item in self.taken() if isinstance(item, Gap)]


class _Way:
    """Opens connections for the world."""

    def __init__(self, world: World, transport: str) -> None:
        self._world = world
        self._transport = transport

    def open(self, wanted: Wanted, ear: Ear) -> Opened:
        opened = Opened(self._transport, wanted, ear)
        self._world.opened.append(opened)
        if self._transport in self._world.refuses:
            ear.ended(self._world.refuses[self._transport])
        return opened
