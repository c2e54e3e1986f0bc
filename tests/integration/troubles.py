"""What a network may do to a client, as plain data: what stands between it and the server, and to which requests.

Pure: no sockets, no clocks. `relaying` does it, `between` tells it what to do.
"""

from __future__ import annotations

import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import attrs

WEBSOCKET: Final = "websocket"
EVENTS: Final = "events"
POLL: Final = "poll"
OTHER: Final = "other"
KINDS: Final = (WEBSOCKET, EVENTS, POLL, OTHER)
#: What is counted besides requests: how often all was cut, or a connection that was quiet.
CUTS: Final = "cuts"
_KIND_OF: Final = {"/comet/ws": WEBSOCKET, "/comet/events": EVENTS, "/comet/stream": EVENTS, "/comet/poll": POLL}

#: A request is answered by the proxy with a status, and its connection closed.
REFUSE: Final = "refuse"
#: A request is taken and nothing is ever said to it; of a stream that runs nothing more is passed on, in vain.
SWALLOW: Final = "swallow"
#: The head of the answer is passed on, and nothing behind it: a proxy that buffers.
BUFFER: Final = "buffer"
#: A WebSocket opens and is cut at its first frame, a stream is cut in the middle of an event, a poll within its answer.
CUT: Final = "cut"
#: A WebSocket opens and is closed by a frame with `code`.
CLOSE: Final = "close"
#: 200 with a page of HTML, whatever was asked for, as where one has to log in first; a WebSocket is answered so too.
PORTAL: Final = "portal"
WAYS: Final = ("", REFUSE, SWALLOW, BUFFER, CUT, CLOSE, PORTAL)
#: What each of them does when no other status is asked for.
STATUSES: Final = {WEBSOCKET: 502, EVENTS: 502, POLL: 502, OTHER: 502}

PAGE: Final = b"<!doctype html><title>Welcome</title><h1>Please accept our terms to use this network</h1>"
_TIMEOUT: Final = re.compile(rb"(?<=[?&]timeout=)\d+")
_EVENT_END: Final = b"\n\n"
#: The end of a chunk, the length of the next one, and some bytes of the event in it.
_BEGUN: Final = re.compile(rb"(?:\r\n)?(?:[0-9a-f]+\r\n)?(?:id|event|data|retry)[^\n]{2}")


def _way(instance: object, attribute: object, value: str) -> None:
    if value not in WAYS:
        raise ValueError(f"{value!r} is none of {', '.join(filter(None, WAYS))}")


@attrs.frozen
class Trouble:
    """What stands between a client and the server; without arguments nothing does.

    Attributes:
        websocket, events, poll, other: what becomes of requests of a kind, one of `WAYS`.
        status: of refusals; 0: what is usual for the kind.
        retry_after: seconds that a refusal asks to wait; 0: it does not say so.
        code: of a close frame.
        after: events of a stream that are passed on before it is cut.
        is_silent: of all that is connected nothing is passed on in either direction, and who connects is accepted.
        is_gone: nobody listens.
        bytes_per_s: of each connection, to the client; 0: as fast as it goes.
        idle_s: a connection over which nothing has come to the client for so long is closed; 0: never.
        cut_every_s: all connections are cut so often; 0: never.
        resets: whether cuts are resets; else they are ends.
        hides_protocol: whether the subprotocol that a client offers is left out, as if the server knew none.
        says: bytes that are put behind the head of an answer: garbage. Of a poll they are the whole body.
        kind_said: the kind of request that they are for.
    """

    websocket: str = attrs.field(default="", validator=_way)
    events: str = attrs.field(default="", validator=_way)
    poll: str = attrs.field(default="", validator=_way)
    other: str = attrs.field(default="", validator=_way)
    status: int = 0
    retry_after: int = 0
    code: int = 3500
    after: int = 3
    is_silent: bool = False
    is_gone: bool = False
    bytes_per_s: int = 0
    idle_s: float = 0.0
    cut_every_s: float = 0.0
    resets: bool = False
    hides_protocol: bool = False
    says: bytes = b""
    kind_said: str = WEBSOCKET

    @classmethod
    def everywhere(cls, way: str, **more: Any) -> Trouble:
        """The same for all that a client asks for; its files too where it is a page of HTML."""
        return cls(way, way, way, way if way == PORTAL else "", **more)

    def of(self, kind: str) -> str:
        """Return what becomes of a request of a kind."""
        way: str = getattr(self, kind)
        return way

    def refusal(self, kind: str) -> bytes:
        """Return the whole answer to a request that is not passed on."""
        status = self.status or STATUSES[kind]
        wait = b"Retry-After: %d\r\n" % self.retry_after if self.retry_after else b""
        return _answer(status, b"<h1>%d</h1>" % status, wait)

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON can say."""
        return {**attrs.asdict(self), "says": b64encode(self.says).decode()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Trouble:
        """Return what `to_json` has told."""
        return cls(**{**told, "says": b64decode(told["says"])})


NOTHING: Final = Trouble()


def _answer(status: int, body: bytes, more: bytes = b"", kind: str = "text/html") -> bytes:
    head = b"HTTP/1.1 %d Between\r\nContent-Type: %s\r\nAccess-Control-Allow-Origin: *\r\n" % (status, kind.encode())
    return head + b"%sContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (more, len(body), body)


def portal() -> bytes:
    """Return the whole answer of a captive portal."""
    return _answer(200, PAGE)


def garbage(body: bytes) -> bytes:
    """Return a whole answer to a poll that says it is JSON."""
    return _answer(200, body, kind="application/json")


def file(body: bytes, kind: str) -> bytes:
    """Return a whole answer with a file.

    Args:
        body: of it.
        kind: its media type.
    """
    return _answer(200, body, kind=kind)


class Request(NamedTuple):
    """The head of a request.

    Attributes:
        kind: one of `KINDS`.
        path: with its query.
        head: as it came, with its blank line.
        body_bytes: how many follow that are no head.
    """

    kind: str
    path: str
    head: bytes
    body_bytes: int

    @classmethod
    def of(cls, head: bytes) -> Request:
        """Read a head."""
        path = head.split(b" ", 2)[1].decode("latin-1")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        return cls(_KIND_OF.get(path.partition("?")[0], OTHER), path, head, int(length[1]) if length else 0)

    def passed_on(self, trouble: Trouble, hurry: int) -> bytes:
        """Return the head as the server gets it.

        Args:
            trouble: what stands in the way.
            hurry: how many times as fast the client's clock runs: so much shorter is the time that a poll asks for.
        """
        head = self.head
        if trouble.hides_protocol:
            head = re.sub(rb"\r\nSec-WebSocket-Protocol:[^\r]*", b"", head, flags=re.IGNORECASE)
        if self.kind == POLL and hurry > 1:
            head = _TIMEOUT.sub(lambda found: b"%d" % -(-int(found[0]) // hurry), head, count=1)
        return head


def close_frame(code: int) -> bytes:
    """Return a server's close frame."""
    return bytes((0x88, 2)) + struct.pack(">H", code)


def text_frame(text: bytes) -> bytes:
    """Return a server's frame with text, of at most 65,535 bytes."""
    size = bytes((0x81, len(text))) if len(text) < 126 else struct.pack(">BBH", 0x81, 126, len(text))
    return size + text


def chunk(event: bytes) -> bytes:
    """Return a chunk of a body that is sent in chunks."""
    return b"%x\r\n%s\r\n" % (len(event), event)


class Passed(NamedTuple):
    """What is passed on of a piece of an answer, and whether its connection is cut behind it."""

    data: bytes
    is_over: bool = False


class Passage:
    """What becomes of one answer on its way to the client; takes it in pieces of any size."""

    def __init__(self, kind: str, trouble: Trouble) -> None:
        """
        Args:
            kind: of the request.
            trouble: what stood in the way when it came.
        """
        self._kind = kind
        self._trouble = trouble
        self._way = trouble.of(kind)
        self._head = b""
        self._in_head = True
        self._seen = b""

    def take(self, data: bytes) -> Passed:
        """Return what is passed on of the next piece."""
        if not self._in_head:
            return self._body(data)
        head, blank, rest = (self._head + data).partition(b"\r\n\r\n")
        if not blank:
            self._head = head
            return Passed(b"")
        self._in_head = False
        said = self._trouble.says if self._trouble.kind_said == self._kind else b""
        if said and self._kind == POLL:
            return Passed(garbage(said), True)
        passed = self._body(rest)
        if self._way == CLOSE and head.startswith(b"HTTP/1.1 101"):
            return Passed(head + blank + close_frame(self._trouble.code), True)
        return Passed(head + blank + said + passed.data, passed.is_over)

    def _body(self, data: bytes) -> Passed:
        if self._way == BUFFER:
            return Passed(b"")
        if self._kind == EVENTS and self._way == CUT:
            return self._until_cut(data)
        if self._way == CUT and data:
            return Passed(b"" if self._kind == WEBSOCKET else data[: len(data) // 2], True)
        return Passed(data)

    def _until_cut(self, data: bytes) -> Passed:
        """Pass on so many events, and some bytes of the next one."""
        passed = len(self._seen)
        self._seen += data
        at = 0
        for _ in range(self._trouble.after):
            end = self._seen.find(_EVENT_END, at)
            if end < 0:
                return Passed(data)
            at = end + len(_EVENT_END)
        begun = _BEGUN.match(self._seen, at)
        return Passed(self._seen[passed : begun.end()], True) if begun else Passed(data)
