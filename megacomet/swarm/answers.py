"""Owns the cutting of HTTP answers out of the bytes that arrived; no sockets. Contract: RFC 9112, sections 4 to 6."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*(?:\r\n|$)").search
_CLOSE: Final = re.compile(rb"\r\nconnection:[^\r]*close").search
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked").search
_NO_BODY: Final = (204, 304)


class BadAnswer(ValueError):
    """Raised when the bytes are no HTTP/1 answer."""


class Answer(NamedTuple):
    """One whole answer.

    Attributes:
        status: the code.
        head: status line and headers as they came, without the blank line.
        body: without chunk framing.
        closes: whether the server closes the connection behind it.
        size: bytes that the answer took of the input.
    """

    status: int
    head: bytes
    body: bytes
    closes: bool
    size: int


def cut(data: bytes, ended: bool = False) -> Answer | None:
    """Cut the first answer off the data.

    Args:
        data: everything that arrived since the last answer.
        ended: the server has closed; this completes an answer without a length.

    Returns:
        None when the answer is not complete.

    Raises:
        BadAnswer: this can never become an answer.
    """
    read = cut_head(data)
    if read is None:
        return None
    status, head = read
    start = len(head) + 4
    if 100 <= status < 200:
        return _behind(cut(data[start:], ended), start)
    low = head.lower()
    closes = _CLOSE(low) is not None
    length = _LENGTH(low)
    if length is not None or status in _NO_BODY:
        size = start + (int(length[1]) if length is not None and status not in _NO_BODY else 0)
        return Answer(status, head, data[start:size], closes, size) if len(data) >= size else None
    if _CHUNKED(low) is not None:
        body = _chunks(data, start)
        return None if body is None else Answer(status, head, body[0], closes, body[1])
    return Answer(status, head, data[start:], True, len(data)) if ended else None


def cut_head(data: bytes) -> tuple[int, bytes] | None:
    """Return the status and the head, which is followed by 4 bytes; None when it is not complete.

    Raises:
        BadAnswer: this can never become an answer.
    """
    end = data.find(b"\r\n\r\n")
    if data[:7] != b"HTTP/1."[: len(data)]:
        raise BadAnswer(f"not an HTTP answer: {data[:40]!r}")
    if end < 0:
        return None
    head = data[:end]
    if not head[9:12].isdigit():
        raise BadAnswer(f"no status: {head[:40]!r}")
    return int(head[9:12]), head


def header(head: bytes, name: bytes) -> bytes:
    """Return a header's value, b"" when it is not there.

    Args:
        head: of an `Answer`.
        name: in lower case.
    """
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    return head[at + len(name) + 3 :].split(b"\r\n", 1)[0].strip()


def _behind(answer: Answer | None, interim: int) -> Answer | None:
    return None if answer is None else answer._replace(size=answer.size + interim)


def _chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Join the chunks from `at` on; returns the body and where it ended, None when it is not complete."""
    pieces: list[bytes] = []
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return None
        try:
            size = int(data[at:line_end].split(b";", 1)[0], 16)
        except ValueError:
            raise BadAnswer(f"no chunk size: {data[at:line_end][:40]!r}") from None
        at = line_end + 2
        if size == 0:
            return _after_trailer(data, at, pieces)
        if len(data) < at + size + 2:
            return None
        pieces.append(data[at : at + size])
        at += size + 2


def _after_trailer(data: bytes, at: int, pieces: list[bytes]) -> tuple[bytes, int] | None:
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return None
        if line_end == at:
            return b"".join(pieces), at + 2
        at = line_end + 2
