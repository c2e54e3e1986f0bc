"""Clients that listen together, of whatever make, and what they show; the matrix asks all of them the same.

`Shows` is what a crew whose clients are told of by other threads keeps; `PlainCrew` is one of plain sockets, which does
as the documentation says and no more: it proves the matrix where the real clients are to be proved.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode

from tests.event_stream import EventStream
from tests.integration.numbers import Gap, Message, Shown, number_of
from tests.integration.server import LINE_S, UNIT_S

FEED: Final = "feed"
#: How long a client may take to show what it has not, or to change its transport.
SHOWN_S: Final = 6 * UNIT_S


class Showing(NamedTuple):
    """Something that a client has shown."""

    client: str
    channel: str
    shown: Shown


class Crew(Protocol):
    """Clients that listen to `FEED`, each with a mailbox of its own.

    Attributes:
        clients: name -> the transports that the client may take. Its id is what stands before a dash.
    """

    clients: Mapping[str, Sequence[str]]

    def take(self) -> Iterable[Showing]:
        """Return what they have shown since the last time, in order for each."""

    def wait(self, last: Mapping[str, Mapping[str, int]]) -> None:
        """Wait until each client has shown a number on each channel, or a later one.

        Args:
            last: client -> channel -> number.
        """

    def wait_transport(self, client: str, transport: str) -> None:
        """Wait until a client is connected by a transport: "websocket", "sse" or "poll"."""

    def sleep(self) -> None:
        """Have nothing of the clients run any more, as when a laptop is closed."""

    def wake(self) -> None:
        """Have them run again, an hour later."""


def mailbox(client: str) -> str:
    """Return the channel of a client's mailbox; some have one together."""
    return f"@{client.partition('-')[0]}"


class Shows:
    """What clients show, kept by threads that hear it; see `Crew`.

    Attributes:
        transports: of each client, as it has told last.
    """

    def __init__(self) -> None:
        self.transports: dict[str, str] = {}
        self._showings: list[Showing] = []
        self._last: dict[str, dict[str, int]] = defaultdict(dict)
        self._changed = threading.Condition()

    def show(self, client: str, channel: str, shown: Shown) -> None:
        """Keep it."""
        with self._changed:
            self._showings.append(Showing(client, channel, shown))
            if isinstance(shown, Message):
                self._last[client][channel] = shown.number
                self._changed.notify_all()

    def is_at(self, client: str, transport: str) -> None:
        """Keep how a client is connected; "" when it is not."""
        with self._changed:
            self.transports[client] = transport
            self._changed.notify_all()

    def take(self) -> Iterable[Showing]:
        """See `Crew`."""
        with self._changed:
            taken, self._showings = self._showings, []
        return taken

    def wait(self, last: Mapping[str, Mapping[str, int]]) -> None:
        """See `Crew`."""
        self._wait(lambda: not self._missing(last), lambda: f"not shown: {self._missing(last)} ({self.transports})")

    def wait_transport(self, client: str, transport: str) -> None:
        """See `Crew`."""
        self._wait(lambda: self.transports.get(client) == transport, lambda: f"{client} not by {transport}")

    def sleep(self) -> None:
        """See `Crew`."""

    def wake(self) -> None:
        """See `Crew`."""

    def _wait(self, true: Callable[[], bool], words: Callable[[], str]) -> None:
        with self._changed:
            assert self._changed.wait_for(true, SHOWN_S), words()

    def _missing(self, last: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
        shown = {
            (client, channel): (self._last[client].get(channel, -1), number)
            for client, channels in last.items()
            for channel, number in channels.items()
        }
        return {
            f"{client} {channel}": f"{at} of {number}"
            for (client, channel), (at, number) in shown.items()
            if at < number
        }


#: Makes what gives, for each thing that a client is to show, those that it does.
Spoil = Callable[[], Callable[[Shown], Iterable[Shown]]]


def faithful() -> Callable[[Shown], Iterable[Shown]]:
    """Show all as it comes."""
    return lambda shown: [shown]


class PlainCrew(Shows):
    """Clients of plain sockets, a thread each: one of events, one of polls; a context manager.

    Attributes:
        clients: see `Crew`.
    """

    #: Between two attempts.
    _PAUSE_S: Final = 0.05
    #: Nothing for so long, and the server is given up.
    _SILENCE_S: Final = 1.2 * UNIT_S

    def __init__(self, port: int, name: str = "plain", spoil: Spoil = faithful) -> None:
        """
        Args:
            port: where to connect, on the loopback.
            name: what the clients' names begin with.
            spoil: makes for each client what changes what it shows of the feed.
        """
        super().__init__()
        ways = {f"{name}sse": self._events, f"{name}poll": self._poll}
        self.clients = {f"{name}sse": ["sse"], f"{name}poll": ["poll"]}
        self._port = port
        self._spoils = {client: spoil() for client in self.clients}
        self._is_over = threading.Event()
        self._connections: dict[str, http.client.HTTPConnection] = {}
        self._threads = [threading.Thread(target=self._run, args=(name, way)) for name, way in ways.items()]

    def __enter__(self) -> PlainCrew:
        for thread in self._threads:
            thread.start()
        for name, [transport] in self.clients.items():
            self.wait_transport(name, transport)
        return self

    def __exit__(self, *reason: object) -> None:
        self._is_over.set()
        for connection in list(self._connections.values()):
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(self._SILENCE_S + LINE_S)
            assert not thread.is_alive()

    def _run(self, client: str, way: Callable[[str, str], Iterator[str]]) -> None:
        position = ""
        while not self._is_over.is_set():
            try:
                for stands in way(client, position):
                    position = stands
                    self.is_at(client, self.clients[client][0])
                    if self._is_over.is_set():
                        return
            except (OSError, http.client.HTTPException):
                self.is_at(client, "")
            self._is_over.wait(self._PAUSE_S)

    def _ask(self, client: str, path: str, **query: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._SILENCE_S)
        self._connections[client] = connection
        connection.request("GET", f"/comet/{path}?{urlencode({'channel': FEED, 'client': client, **query})}")
        answer = connection.getresponse()
        if answer.status != 200 or "html" in answer.headers["Content-Type"]:
            connection.close()
            raise http.client.HTTPException(answer.status)
        return answer

    def _events(self, client: str, since: str) -> Iterator[str]:
        """Yield where it stands, as long as the stream lasts."""
        with self._ask(client, "events", since=since) as answer:
            stream = EventStream()
            while not self._is_over.is_set() and (piece := answer.read1()):
                for event in stream.receive(piece):
                    data = json.loads(event.data)
                    if event.type == "message":
                        self._show(client, data["channel"], Message(number_of(data["data"]), event.last_id))
                    elif event.type == "gap":
                        self._gaps(client, data["channels"])
                    yield event.last_id

    def _poll(self, client: str, since: str) -> Iterator[str]:
        """Yield where it stands, once."""
        with self._ask(client, "poll", since=since, timeout="1" if since else "0") as answer:
            told: dict[str, Any] = json.loads(answer.read())
        self._gaps(client, told.get("gaps", ()))
        for message in told["messages"]:
            self._show(client, message["channel"], Message(number_of(message["data"]), message["id"]))
        yield told["position"]

    def _gaps(self, client: str, channels: Iterable[str]) -> None:
        for channel in channels:
            self._show(client, channel, Gap())

    def _show(self, client: str, channel: str, shown: Shown) -> None:
        for each in self._spoils[client](shown) if channel == FEED else [shown]:
            self.show(client, channel, each)
