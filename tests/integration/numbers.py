"""Messages with numbers: what was published, who publishes it, and whether somebody was shown all of it.

A client shows each number once and in order, or tells of a gap that is true: something really is no longer kept, and
all that is missing is of that. What is true the `Ledger` knows: in which life of the server (its epoch) each number was
published, and what was cleared.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from tests.integration.server import LINE_S, START_S

#: Numbers that go out in one request.
BATCH: Final = 25


class Message(NamedTuple):
    """A number that a client has shown."""

    number: int
    id: str


class Gap(NamedTuple):
    """A gap that a client has told of."""


Shown = Message | Gap


def epoch_of(position: str) -> str:
    """Return which life of the server a position is of."""
    return position.partition("-")[0]


def number_of(data: Any) -> int:
    """Return the number that a message's data is, or has."""
    number: int = data["number"] if isinstance(data, dict) else data
    return number


class Entry(NamedTuple):
    """A number that was published, once.

    Attributes:
        number: counts from 0.
        epoch: the server's when it was.
        is_sure: whether the server has said so; else the connection broke, and the next life was given it again.
    """

    number: int
    epoch: str
    is_sure: bool


class Ledger:
    """What was published on one channel, in order.

    Attributes:
        entries: see `Entry`.
        epochs: the lives of the server that there were, in order.
        cleared: the lowest number that may still be kept after the history was cleared.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.epochs: list[str] = []
        self.cleared = 0
        self._places: dict[tuple[int, str], int] = {}

    def add(self, number: int, epoch: str, *, is_sure: bool = True) -> None:
        """Note one that was published."""
        self.lives(epoch)
        self._places[number, epoch] = len(self.entries)
        self.entries.append(Entry(number, epoch, is_sure))

    def lives(self, epoch: str) -> None:
        """Note that the server has this epoch now."""
        if not self.epochs or self.epochs[-1] != epoch:
            assert epoch not in self.epochs, f"the epoch {epoch} has come back"
            self.epochs.append(epoch)

    def clear(self) -> None:
        """Note that nothing of what was published is kept any more."""
        self.cleared = len(self.entries)

    def place(self, message: Message) -> int | None:
        """Return where among the entries a message is; None: it was never published."""
        return self._places.get((message.number, epoch_of(message.id)))

    def is_gone(self, place: int, epoch: str) -> bool:
        """Whether an entry can be missing for who is told of a gap in a life of the server."""
        return place < self.cleared or self.epochs.index(self.entries[place].epoch) < self.epochs.index(epoch)


class Check:
    """Follows what one client shows of one channel.

    Attributes:
        faults: what it must not have shown, in words.
    """

    def __init__(self, ledger: Ledger, start: int | None = None) -> None:
        """
        Args:
            ledger: of the channel.
            start: how many entries there were when the client began to listen; None: those that there are now.
        """
        self.faults: list[str] = []
        self._ledger = ledger
        self._next = len(ledger.entries) if start is None else start
        self._epoch = ledger.entries[self._next - 1].epoch if self._next else next(iter(ledger.epochs), "")
        self._gaps = 0

    def take(self, shown: Iterable[Shown]) -> Check:
        """Go on with what it shows next."""
        for each in shown:
            if isinstance(each, Gap):
                self._gaps += 1
            else:
                self._message(each)
        return self

    def _message(self, message: Message) -> None:
        place = self._ledger.place(message)
        if place is None:
            self.faults.append(f"{message.number} with the id {message.id}, which was never published so")
        elif place < self._next:
            self.faults.append(f"{message.number} for the second time, or out of order, before {self._awaited()}")
        else:
            self._missed(place, epoch_of(message.id))
            self._next = place + 1
            self._epoch = epoch_of(message.id)

    def _missed(self, place: int, epoch: str) -> None:
        """Judge what was left out before a message, and the gaps that were told there."""
        missing = [at for at in range(self._next, place) if self._ledger.entries[at].is_sure]
        kept = [self._ledger.entries[at].number for at in missing if not self._ledger.is_gone(at, epoch)]
        lives = self._ledger.epochs.index(epoch) - self._ledger.epochs.index(self._epoch) if self._epoch else 0
        if missing and not self._gaps:
            self.faults.append(f"{self._words(missing)} not shown, and no gap told")
        elif kept:
            self.faults.append(f"{self._numbers(kept)} not shown, which a gap was told of, and were still kept")
        if self._gaps > max(lives, 1 if missing else 0):
            self.faults.append(f"{self._gaps} gaps before {place and self._ledger.entries[place].number}, not true")
        self._gaps = 0

    def finish(self) -> list[str]:
        """Return all faults of a client that has had the time to show everything."""
        missing = [at for at in range(self._next, len(self._ledger.entries)) if self._ledger.entries[at].is_sure]
        if missing:
            self.faults.append(f"{self._words(missing)} not shown in the end")
        elif self._gaps and self._epoch == self._ledger.epochs[-1]:
            self.faults.append(f"{self._gaps} gaps in the end, not true")
        return self.faults

    def settle(self) -> list[str]:
        """Return the faults since the last time; what follows is judged by itself."""
        faults, self.faults = self.finish(), []
        self._next, self._gaps = len(self._ledger.entries), 0
        return faults

    def _awaited(self) -> str:
        entries = self._ledger.entries
        return str(entries[self._next].number) if self._next < len(entries) else "the end"

    def _words(self, places: Sequence[int]) -> str:
        return self._numbers([self._ledger.entries[at].number for at in places])

    @staticmethod
    def _numbers(numbers: Sequence[int]) -> str:
        return f"{numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} from {numbers[0]} to {numbers[-1]}"


class Api:
    """The server's door for batches; keeps its connection.

    Attributes:
        port: of the server, on the loopback.
        key: of the API.
    """

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self._connection: http.client.HTTPConnection | None = None
        self._is_up = threading.Event()
        self._is_up.set()

    def post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Send a batch; return status and the answer's JSON.

        Raises:
            OSError, HTTPException: the connection broke.
        """
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LINE_S)
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/x-ndjson"}
            self._connection.request("POST", "/api/batch", body, headers)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self) -> None:
        """Leave the server."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def goes(self) -> None:
        """The server will go: what is not answered, or refused, waits for the next one."""
        self._is_up.clear()

    def is_back(self, port: int) -> None:
        """The server is there again."""
        self.port = port
        self._is_up.set()

    @property
    def is_away(self) -> bool:
        """Whether it has gone."""
        return not self._is_up.is_set()

    def wait(self) -> None:
        """Wait until it is there."""
        assert self._is_up.wait(START_S + LINE_S), "the server does not come back"


class Publisher:
    """Publishes numbers on channels, each with a key, and again when it is not known whether the server has them.

    Attributes:
        ledgers: what was published, by channel.
    """

    def __init__(self, api: Api, channels: Iterable[str]) -> None:
        """
        Args:
            api: of the server.
            channels: with mailboxes, `@sue`.
        """
        self.ledgers = {channel: Ledger() for channel in channels}
        self._api = api

    def add(self, channel: str) -> None:
        """Have a channel, if it is a new one."""
        self.ledgers.setdefault(channel, Ledger())

    def publish(self, channel: str, count: int, padding: int = 0) -> None:
        """Publish the next numbers on a channel; returns when the server has all of them.

        Args:
            padding: bytes that each message has besides.
        """
        entries = self.ledgers[channel].entries
        first = entries[-1].number + 1 if entries else 0
        for start in range(first, first + count, BATCH):
            self._batch(channel, range(start, min(start + BATCH, first + count)), padding)

    def _batch(self, channel: str, numbers: range, padding: int) -> None:
        ledger = self.ledgers[channel]
        body = b"".join(self._line(channel, number, padding) for number in numbers)
        before = ledger.epochs[-1] if ledger.epochs else ""
        is_repeated = False
        while not (epoch := self._post(body)):
            is_repeated = True
        if is_repeated and before and before != epoch:
            for number in numbers:
                ledger.add(number, before, is_sure=False)
        for number in numbers:
            ledger.add(number, epoch)

    @staticmethod
    def _line(channel: str, number: int, padding: int) -> bytes:
        data = {"number": number, "padding": "x" * padding} if padding else number
        return json.dumps({"channel": channel, "data": data, "key": f"{channel}-{number}"}).encode() + b"\n"

    def _post(self, body: bytes) -> str:
        """Return the epoch that the lines were published in; "": nobody knows whether they were."""
        try:
            status, told = self._api.post(body)
        except (OSError, http.client.HTTPException):
            self._api.wait()
            return ""
        if status == 503 or told["failed"]:
            assert self._api.is_away, f"the server is there, and says {status} {told}"
            self._api.close()
            self._api.wait()
            return ""
        assert status == 200, (status, told)
        return epoch_of(told["position"])
