"""The comparison itself: what it must not overlook, and what it must not mind. The two ways are doubles here."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Final

import pytest

from tests.integration.way_servers import Ways, check_lines
from tests.integration.ways import GO, Row, Talk, Told, comparable, converse, request

ROW: Final = Row("", request("/api/push", b"{}"), [200], 1)
BASE: Final = 7
#: All that a double ever says is there before it is asked.
WAIT_S: Final = 0.01
ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\nServer: MegaComet\r\nCache-Control: no-store\r\nDate: Sat, 28 Nov 2026 09:00:00 GMT\r\n"
    b'X-Request-Id: a1-1\r\nContent-Length: 31\r\n\r\n{"id":"3kx9-8","status":"sent"}'
)
PROBED: Final = b"HTTP/1.1 422 No\r\nX-Request-Id: is-it-open\r\nContent-Length: 0\r\n\r\n"
CLOSE: Final = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Double:
    """A way that has its answers ready."""

    def __init__(self, answers: bytes, *, closes: bool = False, published: int = 1) -> None:
        """Answer with these bytes, whatever is asked."""
        self._answers, self._closes, self._published = answers, closes, published

    def tell(self, row: Row, kept: bool) -> Told:
        """Hold a conversation."""
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(self._answers)
            if self._closes:
                theirs.shutdown(socket.SHUT_WR)
            answers, stayed = converse(ours, row, kept, WAIT_S)
        sent = b"".join(filter(None, row.pieces(kept)))
        return Told([comparable(answer, sent, BASE) for answer in answers], stayed, self._published)


REFERENCE: Final = Double(ANSWER + PROBED)


def check(public: Double, row: Row = ROW, reference: Double = REFERENCE) -> None:
    """Compare two doubles as the two servers are compared."""
    ways: Any = Ways(reference, public)  # type: ignore[arg-type]
    ways.check(row, kept=False)


def altered(*replacements: tuple[bytes, bytes]) -> Double:
    """Return a double whose answer is another one."""
    answer = ANSWER
    for old, new in replacements:
        assert answer.count(old) == 1
        answer = answer.replace(old, new)
    return Double(answer + PROBED)


def test_the_same() -> None:
    """What is the same is found to be so."""
    check(Double(ANSWER + PROBED))


@pytest.mark.parametrize(
    "replacements",
    [
        [(b"09:00:00", b"23:59:59")],
        [(b"a1-1", b"Another.Id_7")],
        [(b"3kx9-8", b"a-8"), (b": 31", b": 28")],
    ],
)
def test_what_may_differ(replacements: Sequence[tuple[bytes, bytes]]) -> None:
    """Time, made ids and the epoch of a position are each server's own."""
    check(altered(*replacements))


@pytest.mark.parametrize(
    "replacements",
    [
        [(b"200 OK", b"200 Fine")],
        [(b"HTTP/1.1", b"HTTP/1.0")],
        [(b"Server: MegaComet\r\nCache-Control: no-store\r\n", b"Cache-Control: no-store\r\nServer: MegaComet\r\n")],
        [(b"Cache-Control", b"cache-control")],
        [(b"Server: MegaComet\r\n", b"")],
        [(b"Server: MegaComet\r\n", b"Server: MegaComet\r\nVary: Origin\r\n")],
        [(b"no-store", b"no-store ")],
        [(b"Date: Sat, 28 Nov 2026 09:00:00 GMT", b"Date: now")],
        [(b"X-Request-Id: a1-1\r\n", b"")],
        [(b"a1-1", b"a b")],
        [(b"sent", b"kept")],
        [(b'"sent"}', b'"sent"}\n'), (b": 31", b": 32")],
        [(b'"id":"3kx9-8","status":"sent"', b'"status":"sent","id":"3kx9-8"')],
        [(b"3kx9-8", b"3kx9-9")],
        [(b"3kx9-8", b"3kx9+8")],
    ],
)
def test_one_thing_is_another(replacements: Sequence[tuple[bytes, bytes]]) -> None:
    """Any other byte counts."""
    with pytest.raises(AssertionError):
        check(altered(*replacements))


@pytest.mark.parametrize(
    "public",
    [
        Double(ANSWER, closes=True),
        Double(ANSWER + ANSWER + PROBED),
        Double(ANSWER + PROBED, published=0),
        Double(CONTINUE + ANSWER + PROBED),
        Double(PROBED),
        Double(b"", closes=True),
        Double(ANSWER[:-1], closes=True),
        Double(ANSWER[:50], closes=True),
        Double(ANSWER + b"x" + PROBED),
        Double(ANSWER.replace(b": 31", b": 30") + PROBED),
        Double(b"nonsense\r\n\r\n", closes=True),
    ],
)
def test_another_course(public: Double) -> None:
    """So does what happens: an end that is none, more answers or fewer, bytes between them, what is published."""
    with pytest.raises(AssertionError):
        check(public)


def test_a_connection_that_is_left_open() -> None:
    """An answer that was the last one, and was not."""
    last = ANSWER.replace(b"HTTP/1.1 200 OK\r\n", CLOSE)
    row = Row("", ROW.sent, [200], 1, stays=False)
    check(Double(last, closes=True), row, Double(last, closes=True))
    with pytest.raises(AssertionError):
        check(Double(last + PROBED), row, Double(last, closes=True))


def test_both_are_wrong() -> None:
    """The same answer is not enough where the row tells another."""
    for row in (
        Row("", ROW.sent, [201], 1),
        Row("", ROW.sent, [200], 2),
        Row("", ROW.sent, [200], 1, stays=False),
        Row("", ROW.sent, [200], 1, says=b'"queued"'),
        Row("", [*ROW.pieces(kept=False), GO], [100, 200], 1),
    ):
        with pytest.raises(AssertionError):
            check(Double(ANSWER + PROBED), row)


def test_an_id_that_was_given() -> None:
    """It has to come back as it is."""
    row = Row("", request("/api/push", b"{}", "X-Request-Id: a1-1"), [200], 1)
    check(Double(ANSWER + PROBED), row)
    with pytest.raises(AssertionError):
        check(altered((b"a1-1", b"b2-2")), row)


def test_the_end_of_a_stranger() -> None:
    """A stranger's connection is closed, and the answer has to tell."""
    row = Row("", ROW.sent, [200], 1, differs="stranger")
    last = ANSWER.replace(b"HTTP/1.1 200 OK\r\n", CLOSE)
    check(Double(last, closes=True), row)
    for public in (Double(ANSWER + PROBED), Double(last + PROBED), Double(ANSWER, closes=True)):
        with pytest.raises(AssertionError):
            check(public, row)


def test_an_answer_that_does_not_come() -> None:
    """It is not waited for without an end."""
    ours, theirs = socket.socketpair()
    with theirs, Talk(ours, WAIT_S) as talk, pytest.raises(AssertionError, match="nothing comes"):
        talk.answer()


def test_a_trace_in_the_log() -> None:
    """An error of ours is found in a log."""
    check_lines(["ready: http://127.0.0.1:8080"])
    with pytest.raises(AssertionError):
        check_lines(["ready", "\tTraceback (most recent call last):"])
