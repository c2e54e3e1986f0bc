"""Bodies of HTTP/1.1 requests, with a length or in chunks (RFC 9112, 6 and 7.1): bytes in, pieces of the body out.

Owns where a body ends, and what is refused in a chunked one. It must not know what a body is for, nor how large one may
be: who takes the pieces counts them.

Where RFC 9112 leaves a choice, the strict side is taken, as in `megacomet.wire.http`: who sees another end of a body
sees another next request. So lines end with CRLF and nothing else; a size is 1 to 16 hexadecimal digits without
anything around them; a trailer is a header line that is not folded. Extensions and trailers are dropped.
"""

from __future__ import annotations

import re
from typing import Final

from megacomet.errors import BadBody
from megacomet.wire.http import RequestHead

#: Of the extensions of one chunk. Nobody sends any but S3's clients, who sign each chunk with 85 bytes. Twisted takes a
#: line of 1,024, Node and hyper 16 KB of a whole body; a batch has no end, so it is a bound for each chunk here.
MAX_EXTENSION_BYTES: Final = 256
#: Of all trailers of a body and the empty line behind them: as much as of a head, for they are headers that come late.
MAX_TRAILER_BYTES: Final = 8192
#: As far as signed numbers of 64 bits count, so that whoever stands before us sees the same size.
_MAX_SIZE: Final = 2**63 - 1

# What stands in a line: never CR, LF, NUL or another control character than the tab.
_TEXT: Final = rb"[\t\x20-\x7e\x80-\xff]"
_DIGITS: Final = rb"[0-9A-Fa-f]"
_EXTENSIONS: Final = rb";%b{0,%d}" % (_TEXT, MAX_EXTENSION_BYTES)
_SIZE_LINE: Final = re.compile(rb"\r\n(%b{1,16})(?:%b)?\r\n" % (_DIGITS, _EXTENSIONS)).match
#: As much of one as there is, for want of the rest.
_SIZE_LINE_BEGUN: Final = re.compile(rb"\r(?:\n(?:%b{1,16}(?:%b)?\r?)?)?" % (_DIGITS, _EXTENSIONS)).match
_LONG_SIZE: Final = re.compile(rb"\r\n%b{17}" % _DIGITS).match
_LONG_EXTENSIONS: Final = re.compile(rb"\r\n%b{1,16};%b{%d}" % (_DIGITS, _TEXT, MAX_EXTENSION_BYTES + 1)).match
_TRAILER: Final = re.compile(rb"[!#$%%&'*+.^_`|~0-9A-Za-z-]+:%b*\r\n" % _TEXT).fullmatch


class SizedBody:
    """A body with a length.

    Attributes:
        rest: None: the body goes on. Else it is complete, and this came behind it.
    """

    __slots__ = ("_left", "rest")

    def __init__(self, size: int) -> None:
        self._left = size
        self.rest: bytes | None = None if size else b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes, of any number, and return the pieces of the body in them, none of them empty.

        Raises:
            ValueError: the body was complete.
        """
        if self.rest is not None:
            raise ValueError("the body is complete")
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            return [data] if data else []
        self.rest = data[left:]
        return [data[:left]]


class ChunkedBody:
    """A body in chunks.

    Theory of operation. What comes next is the data of a chunk, of which so many bytes are left; or the CRLF behind it
    and the next size line, taken as one (the first size line is seen as if a chunk stood before it); or a trailer. Of a
    line that is not complete the beginning is kept, within its bound. So no byte of a body is copied more than once,
    and the verdict does not depend on how the bytes were cut.

    Attributes:
        rest: None: the body goes on. Else it is complete, and this came behind it.
    """

    __slots__ = ("_in_trailers", "_is_broken", "_kept", "_left", "_trailer_bytes", "rest")

    def __init__(self) -> None:
        self.rest: bytes | None = None
        self._left = 0  # bytes of the chunk
        self._kept = b"\r\n"
        self._in_trailers = False
        self._trailer_bytes = 0
        self._is_broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes, of any number, and return the pieces of the body in them, none of them empty.

        Raises:
            BadBody: the body is malformed. Answer and close: where the next request begins is unknown.
            ValueError: the body was complete, or malformed.
        """
        if self.rest is not None or self._is_broken:
            raise ValueError("the body is complete, or malformed")
        pieces: list[bytes] = []
        data, self._kept = self._kept + data, b""  # not copied when nothing was kept
        at, end, left = 0, len(data), self._left
        while at < end:
            if left:
                piece = data[at : at + left]
                pieces.append(piece)
                at += len(piece)
                left -= len(piece)
            elif self._in_trailers:
                at = self._take_trailer(data, at, pieces)
            elif line := _SIZE_LINE(data, at):
                at = line.end()
                left = int(line[1], 16)
                self._in_trailers = not left
                if left > _MAX_SIZE:
                    raise self._broken("the size of a chunk is too large", pieces)
            else:
                self._begin_size_line(data, at, pieces)
                break
        self._left = left
        return pieces

    def _begin_size_line(self, data: bytes, at: int, pieces: list[bytes]) -> None:
        begun = _SIZE_LINE_BEGUN(data, at)
        if begun is not None and begun.end() == len(data):
            self._kept = data[at:]
        elif not data.startswith(b"\r\n", at):
            raise self._broken("the data of a chunk is not followed by CRLF", pieces)
        elif _LONG_SIZE(data, at):
            raise self._broken("the size of a chunk is too large", pieces)
        elif _LONG_EXTENSIONS(data, at):
            raise self._broken(f"the extensions of a chunk have more than {MAX_EXTENSION_BYTES} bytes", pieces)
        else:
            raise self._broken(
                "a chunk begins with its size in hexadecimal digits, extensions or none, and CRLF", pieces
            )

    def _take_trailer(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Take a trailer, the empty line behind the last one, or the beginning of one; return where to go on."""
        end = (data.find(b"\n", at) + 1) or len(data)
        if self._trailer_bytes + end - at > MAX_TRAILER_BYTES:
            raise self._broken(f"the trailers have more than {MAX_TRAILER_BYTES} bytes together", pieces)
        line = data[at:end]
        if line[-1:] != b"\n":
            self._kept = line
        elif line == b"\r\n":
            self.rest = data[end:]
            return len(data)
        elif _TRAILER(line):
            self._trailer_bytes += len(line)
        else:
            raise self._broken("a trailer is not a name, a colon, a value and CRLF", pieces)
        return end

    def _broken(self, detail: str, pieces: list[bytes]) -> BadBody:
        self._is_broken = True
        return BadBody(detail, pieces)


def body_of(head: RequestHead) -> SizedBody | ChunkedBody:
    """Return what takes the body behind a head; one without a body is complete at once."""
    return ChunkedBody() if head.chunked else SizedBody(head.content_length)
