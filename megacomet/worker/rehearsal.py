"""What every worker does in its first second, and for each kind of client, done once before all of them are forked.

The interpreter adapts the code that it runs and remembers where attributes were found (PEP 659). It writes that beside
the code, and what a fork is the first to run, the fork has a copy of the page for. So a worker that is thrown away runs
all of it in the zygote: each of the others has 0.3 MB less for itself (bench/RESULTS.md).

Nothing of it can be seen from outside: the manager and the clients are here, and its time is a count.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any, ClassVar, Final

from twisted.internet.protocol import ServerFactory

from megacomet import link
from megacomet.forking import LateReactor
from megacomet.listeners import Listener
from megacomet.model.keys import PUSH, Keys
from megacomet.names import EVERYONE
from megacomet.settings import Settings
from megacomet.wire import frames, websocket
from megacomet.wire.push import BATCH_PATH, PUSH_PATH, PushResult
from megacomet.wire.pushed import decode_pushes, encode_told, encode_verdict
from megacomet.worker.main import Worker

#: Code is adapted when it has run eight times, and again where that went wrong.
ROUNDS: Final = 16
#: So many of the clients are the most frequent ones.
FREQUENT: Final = 2
#: Of the reactor, after each of which its time is later by `TURN_S`: whatever waits for one of the others is through.
TURNS: Final = 12
TURN_S: Final = 0.1
_EPOCH: Final = b"rehearsal"
#: Not the server's own: with a place for one client only, or polls of a second, it would be another play.
_SETTINGS: Final = Settings(state_dir="")
_KEY: Final = "rehearsal"
_UPGRADE: Final = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
_PUSH: Final = b'{"channel":"news","data":1}'
_FROM_PUBLISHER: Final = b"Authorization: Bearer %b\r\n" % _KEY.encode()


def _request(method: bytes, target: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n%b" % (method, target, headers, body)


#: What each kind of client sends, the most frequent first: what runs for it stands together (`megacomet.locality`).
CLIENTS: Final = (
    _request(b"GET", b"/sue.js"),
    _request(b"GET", b"/comet/poll?channel=news&client=joe"),
    _request(b"GET", b"/comet/ws?channel=news", _UPGRADE),
    _request(b"GET", b"/comet/events?channel=news"),
    _request(b"GET", b"/comet/stream?channel=news&channel=more"),
    _request(b"POST", PUSH_PATH.encode(), b"%bContent-Length: %d\r\n" % (_FROM_PUBLISHER, len(_PUSH)), _PUSH),
    _request(
        b"POST",
        BATCH_PATH.encode(),
        _FROM_PUBLISHER + b"Transfer-Encoding: chunked\r\n",
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(_PUSH), _PUSH),
    ),
)


_MASK: Final = bytes(4)


def _masked(opcode: int, payload: bytes) -> bytes:
    """Return a frame as a client sends it; a mask of zeros changes nothing."""
    return bytes((0x80 | opcode, 0x80 | len(payload))) + _MASK + payload


#: What a WebSocket sends when it is connected.
_TYPED: Final = _masked(websocket.TEXT, b'{"op":"ping","id":1}') + _masked(websocket.PING, b"")


class _Manager(link.LinkEnd):
    """The other end of the link: it knows what a worker is told, and nothing else."""

    takes: ClassVar = {link.PUSHES: "pushes_received", link.WORKED: "worked_off"}

    def __init__(self) -> None:
        super().__init__()
        self._boxes = 0
        self._pages: list[bytes] = []

    @link.Hello.responder
    def hello(self, protocol: int, number: int, pid: int, nonce: bytes) -> dict[str, object]:
        return {"epoch": _EPOCH, "head": 0, "keys": Keys([(_KEY, PUSH)]).pack()}

    @link.Beat.responder
    def beat(self, counts: bytes) -> dict[str, object]:
        return {"ready": True, "workers": 1}

    @link.Want.responder
    def want(self, records: bytes) -> dict[str, object]:
        self._pages += [
            frames.encode(frames.PAGE_END, number=frame.number, offset=self._boxes)
            for frame in frames.decode(records)
            if frame.kind == frames.JOIN
        ]
        return {}

    def pushes_received(self, pushes: bytes) -> None:
        """Tell that all were published."""
        told = [
            encode_told(sent.number, [PushResult(target, b"1-1", "sent") for target in sent.push.targets], None)
            for sent in decode_pushes(pushes)
        ]
        self.send_value(link.PUSHES, encode_verdict(1, 0, b"".join(told)))

    def tell(self, channels: tuple[bytes, ...]) -> None:
        """Send the pages that were asked for, then a message to each of the channels."""
        pages, self._pages = self._pages, []
        self._boxes += 1
        messages = [
            frames.encode(frames.MESSAGE, offset=self._boxes, channel=channel, data=b"1") for channel in channels
        ]
        records = b"".join(pages + messages)
        self.send_value(link.DELIVER, frames.encode_box(self._boxes, self._boxes, self._boxes - 1, 1.0, records))

    def worked_off(self, results: bytes) -> None:
        """A box was worked off."""


class Stage:
    """A worker, its manager and its clients, in a reactor and a time of their own.

    Attributes:
        reactor: the worker's.
        now: its time, seconds.
        door: on which it listens.
    """

    def __init__(self) -> None:
        self._late = LateReactor()
        self.reactor: Any = self._late.reactor
        self._late.open()
        self.now = 0.0
        self.reactor.seconds = lambda: self.now
        ours, theirs = socket.socketpair()
        self._manager = _Manager()
        factory = ServerFactory()
        factory.protocol = lambda: self._manager
        for end in (ours, theirs):
            end.setblocking(False)
        with theirs:
            self.reactor.adoptStreamConnection(theirs.fileno(), socket.AF_UNIX, factory)
        self._worker = Worker(
            self.reactor, _SETTINGS, workers=1, nonce=b"", clock=lambda: self.now, connect=lambda _: ours
        )
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind("")  # a name that no file has, and nobody else (unix(7), autobind)
        self.door.setblocking(False)

    def play(self) -> int:
        """Let clients of each kind come, be told something, and go; returns how many were told it."""
        self.begin()
        told = sum(self._round((client,), (EVERYONE,)) for client in CLIENTS)
        return told + sum(self._round(CLIENTS, (b"news", b"@sue")) for _ in range(1, ROUNDS))

    def play_first(self) -> None:
        """Only begin, and let the most frequent clients come."""
        self.begin()
        self._round(CLIENTS[:FREQUENT], (EVERYONE,))

    def begin(self) -> None:
        """Start the worker."""
        self._worker.start(0, [Listener(self.door, classic=False, shared=False)], "")
        self.go_on()

    def go_on(self, turns: int = TURNS) -> None:
        """Let time pass."""
        for _ in range(turns):
            self.now += TURN_S
            self.reactor.runUntilCurrent()
            self.reactor.doPoll(0)

    def _round(self, requests: tuple[bytes, ...], channels: tuple[bytes, ...]) -> int:
        with contextlib.ExitStack() as clients:
            connections = [clients.enter_context(socket.socket(socket.AF_UNIX)) for _ in requests]
            for connection, request in zip(connections, requests, strict=True):
                connection.connect(self.door.getsockname())
                connection.setblocking(False)
                connection.sendall(request)
            self.go_on()
            self._manager.tell(channels)
            self.go_on()
            self._manager.tell(channels)
            self.go_on()
            for connection, request in zip(connections, requests, strict=True):
                if _UPGRADE in request:
                    connection.sendall(_TYPED)
            self.go_on()
            told = sum(b"1" in _received(connection).partition(b"\r\n\r\n")[2] for connection in connections)
        self.go_on()
        return told

    def close(self) -> None:
        """Close everything."""
        self._worker.discard()
        self.go_on()
        self._late.close()
        self.door.close()


def _received(connection: socket.socket) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return connection.recv(65536)
    return b""


def rehearse() -> int:
    """Have a worker do everything once that is part of each one's life.

    What all do comes last once more: of the lookups of attributes only the latest are remembered, and what is not, each
    fork would look up and note for itself.

    Returns:
        how many clients were told a message, or what became of theirs; `ROUNDS` of each of the `CLIENTS`.
    """
    with contextlib.closing(Stage()) as stage:
        told = stage.play()
    with contextlib.closing(Stage()) as stage:
        stage.play_first()
    return told
