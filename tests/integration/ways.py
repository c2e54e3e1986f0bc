"""Two ways to the same answer: one conversation held with two servers, and what of it must be the same.

With `--admin` the manager answers the API itself: that is the reference. Without, a request comes by a worker. A
conversation ends when all its answers are there and one more request tells whether the connection stayed; nothing here
waits for time to pass, only for bytes, and for those with a bound.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from difflib import ndiff
from types import TracebackType
from typing import Final, Self, TypeVar

import attrs

from tests.integration.server import LINE_S

#: The keys of both servers, by scope.
KEYS: Final = {scope: f"a-key-to-{scope}" for scope in ("push", "read", "admin")}
#: In a row: where the client waits for `100 Continue` before it goes on.
GO: Final = None
#: In a row: another word of the same length each time that it is sent.
RUN: Final = b"_RUN_"
_RUNS: Final = {False: b"fresh", True: b"kept_"}

_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_DATE: Final = re.compile(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n")
_ID: Final = re.compile(rb"\r\nX-Request-Id: ([A-Za-z0-9_.-]{1,64})\r\n")
_RETRY: Final = re.compile(rb"\r\nRetry-After: [1-9]\d*\r\n")
_LENGTH: Final = re.compile(rb"\r\nContent-Length: (\d+)\r\n")
_POSITION: Final = re.compile(rb'"(id|position)":"[0-9a-z]{1,16}-(\d{1,19})"')
_CORS: Final = re.compile(rb"(?<=\r\n)Access-Control-[\w-]+: [^\r]*\r\n")
_CLOSE: Final = b"\r\nConnection: close\r\n"


T = TypeVar("T")


@attrs.frozen
class Row:
    """One line of a table: what is sent, and what has to come.

    Attributes:
        name: for people.
        sent: the bytes, or pieces of them and `GO`.
        statuses: of the answers, interim ones included.
        published: messages that it adds by the time of the last answer; None: they may come later.
        stays: whether the connection is open afterwards.
        bodiless: whether HEAD was asked.
        foreign: places of answers that do not belong to the API: they are the worker's own on the public port.
        cut: bytes that go out at once, 0: a piece as it is.
        shuts: whether the client ends its side behind it.
        says: what stands in the last answer.
        differs: the one of `DIFFERENCES` that its last answer may have.
    """

    name: str
    sent: bytes | Sequence[bytes | None]
    statuses: Sequence[int]
    published: int | None = 0
    stays: bool = True
    bodiless: bool = False
    foreign: Sequence[int] = ()
    cut: int = 0
    shuts: bool = False
    says: bytes = b""
    differs: str = ""

    def ours(self, each: Sequence[T]) -> Iterator[T]:
        """Return those things, of which there is one an answer, that belong to the API."""
        return (one for place, one in enumerate(each) if place not in self.foreign)

    def pieces(self, kept: bool) -> Iterator[bytes | None]:
        """Return what goes out, piece by piece."""
        for piece in [self.sent] if isinstance(self.sent, bytes) else self.sent:
            if piece is GO:
                yield GO
                continue
            data = piece.replace(RUN, _RUNS[kept])
            size = self.cut or len(data) or 1
            for start in range(0, len(data), size):
                yield data[start : start + size]


@attrs.frozen
class Told:
    """What came of one conversation, ready to be compared.

    Attributes:
        answers: each with a word in the place of what no two servers have in common.
        stayed: whether the connection was open afterwards.
        published: messages that it added.
    """

    answers: Sequence[bytes]
    stayed: bool
    published: int

    @property
    def statuses(self) -> list[int]:
        """The status of each answer."""
        return [status_of(answer) for answer in self.answers]


class Talk:
    """A connection of a client; a context manager."""

    def __init__(self, sock: socket.socket, wait_s: float = LINE_S) -> None:
        """Talk over a connected socket, which is this object's from now on, and wait so long at most for bytes."""
        self._wait_s = wait_s
        self.again(sock)

    def again(self, sock: socket.socket) -> None:
        """Go on over another socket, where the one before has ended."""
        sock.settimeout(self._wait_s)
        self._socket = sock
        self._buffer = b""
        self.ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send; the other end may have closed before it has it all."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def shut(self) -> None:
        """Send nothing any more."""
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self, bodiless: bool = False) -> bytes | None:
        """Return the next answer, head and body; None: the connection has ended between two of them."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not self._read():
                assert not self._buffer, f"the connection has ended in the middle of {self._buffer!r}"
                return None
        end += 4
        head = self._buffer[:end]
        if not bodiless and status_of(head) >= 200 and status_of(head) != 204:
            length = _LENGTH.search(head)
            assert length is not None, f"no length in {head!r}"
            end += int(length[1])
        while len(self._buffer) < end:
            assert self._read(), f"the connection has ended in the middle of {self._buffer!r}"
        answer, self._buffer = self._buffer[:end], self._buffer[end:]
        return answer

    def _read(self) -> bool:
        try:
            data = self._socket.recv(65_536)
        except ConnectionResetError:  # what came before was read
            data = b""
        except TimeoutError:
            raise AssertionError(f"nothing comes behind {self._buffer!r}") from None
        self._buffer += data
        self.ended = not data
        return bool(data)


def status_of(answer: bytes) -> int:
    """Return the status of an answer."""
    found = _STATUS.match(answer)
    assert found is not None, f"no status line: {answer!r}"
    return int(found[1])


def request(
    path: str = "/api/push",
    body: bytes | None = None,
    *lines: str,
    method: str = "POST",
    key: str | None = KEYS["push"],
    host: str | None = "h",
    version: str = "1.1",
) -> bytes:
    """Return a request.

    Args:
        path: the target.
        body: with its length; None: there is none, nor a length.
        lines: more headers.
        method, version: of the request line.
        key: None: no Authorization.
        host: None: no Host.
    """
    head = [f"{method} {path} HTTP/{version}"]
    head += [] if host is None else [f"Host: {host}"]
    head += [] if key is None else [f"Authorization: Bearer {key}"]
    head += lines
    head += [] if body is None else [f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + (body or b"")


#: What a kept connection has behind it, and what tells that one is open: a request of the same kind, and another one.
BEFORE: Final = request("/api/push", b'{"channel":"before","data":1,"ttl":0}')
_PROBES: Final = {
    False: request("/api/push", b"{}", "X-Request-Id: is-it-open"),
    True: request("/api/workers/none", None, "X-Request-Id: is-it-open", method="GET", key=KEYS["read"]),
}


def converse(sock: socket.socket, row: Row, kept: bool = False, wait_s: float = LINE_S) -> tuple[list[bytes], bool]:
    """Hold a conversation; return its answers, and whether the connection stayed open.

    Args:
        sock: connected; it is closed then.
        row: what is said.
        kept: whether on a connection that was used before.
        wait_s: for bytes, at most.
    """
    answers: list[bytes] = []
    with Talk(sock, wait_s) as talk:
        if kept:
            talk.send(BEFORE)
            first = talk.answer()
            assert first is not None
            assert status_of(first) == 200, first
        for piece in row.pieces(kept):
            if piece is GO:
                answers += filter(None, [talk.answer(row.bodiless)])
            else:
                talk.send(piece)
        if row.shuts:
            talk.shut()
        while not talk.ended and (row.shuts or len(answers) < len(row.statuses)):
            answers += filter(None, [talk.answer(row.bodiless)])
        talk.send(b"" if talk.ended else _PROBES[kept])
        while not talk.ended:
            answer = talk.answer()
            if answer is not None and b"\r\nX-Request-Id: is-it-open\r\n" in answer:
                return answers, True
            answers += filter(None, [answer])
    return answers, False


def comparable(answer: bytes, sent: bytes, base: int) -> bytes:
    """Return an answer with a word in the place of what no two servers have in common, each looked at before.

    Args:
        answer: one answer.
        sent: the conversation that it belongs to: an id that stands there has to come back as it is.
        base: where the log stood before.
    """
    if status_of(answer) < 200:
        return answer
    head, _, body = answer.partition(b"\r\n\r\n")
    head += b"\r\n"
    assert len(_DATE.findall(head)) == 1, f"no good Date in {head!r}"
    head = _RETRY.sub(b"\r\nRetry-After: SECONDS\r\n", _DATE.sub(b"\r\nDate: DATE\r\n", head))
    made = _ID.search(head)
    if made is not None and b"\r\nX-Request-Id: %b\r\n" % made[1] not in sent:
        head = _ID.sub(b"\r\nX-Request-Id: MADE\r\n", head)
        body = body.replace(b'"request_id":"%b"' % made[1], b'"request_id":"MADE"')
    body = _POSITION.sub(lambda found: b'"%b":"EPOCH%+d"' % (found[1], int(found[2]) - base), body)
    if body:  # its length was right, or it would not have been read
        head = _LENGTH.sub(b"\r\nContent-Length: %d\r\n" % len(body), head)
    elif made is not None:  # HEAD: it is the length of a body with another id
        head = _LENGTH.sub(b"\r\nContent-Length: ANY\r\n", head)
    return head + b"\r\n" + body


def _as_lines(answers: Sequence[bytes]) -> list[str]:
    return b"\n".join(answers).decode("latin-1").splitlines()


def check_same(row: Row, reference: Told, other: Told) -> None:
    """Fail if the answers of the API were not the same, to the byte, or went with different deeds."""
    told, expected = [*row.ours(other.answers)], [*row.ours(reference.answers)]
    if told != expected:
        lines = ndiff(_as_lines(expected), _as_lines(told))
        raise AssertionError("\n".join(["not the same (reference -, other way +):", *lines]))
    assert other.stayed == reference.stayed, "the connection was left open on one way only"
    assert row.published is None or other.published == reference.published, (
        "not the same number of messages was published"
    )


def _unreadable(reference: Told, public: Told) -> Told:
    head = _CORS.sub(b"", public.answers[-1]).replace(
        b"\r\nAllow: GET, HEAD, OPTIONS\r\n", b"\r\nAllow: GET, HEAD, POST\r\n"
    )
    return _with_last(public, head)


def _stranger(reference: Told, public: Told) -> Told:
    assert _CLOSE in public.answers[-1], "a stranger's connection is not closed"
    assert not public.stayed, "the connection is not left as the answer says"
    return attrs.evolve(_with_last(public, public.answers[-1].replace(_CLOSE, b"\r\n", 1)), stayed=reference.stayed)


def _with_last(told: Told, answer: bytes) -> Told:
    return attrs.evolve(told, answers=[*told.answers[:-1], answer])


#: All that may differ, and why: each makes of what came by the public port what the reference would have said.
DIFFERENCES: Final[dict[str, Callable[[Told, Told], Told]]] = {
    # A head that nobody can read has no path, so that the worker cannot know that the API was meant: whose scripts may
    # read the answer is told as on all other pages of this port, and of a method that there is not, which there are.
    "unreadable": _unreadable,
    # Without a valid key a request is the last one of its connection on the public port: a worker has places for many,
    # but not for those who have no business with the API.
    "stranger": _stranger,
}
