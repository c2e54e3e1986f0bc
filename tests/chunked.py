"""Chunked bodies, good and bad. All hold the same push, so that a bad one that is let through publishes something."""

from __future__ import annotations

from typing import Final, NamedTuple

from megacomet.wire.transfer import MAX_EXTENSION_BYTES, MAX_TRAILER_BYTES

BODY: Final = b'{"channel":"a","data":1}'
SIZE: Final = b"18"
CHUNK: Final = SIZE + b"\r\n" + BODY + b"\r\n"
END: Final = b"0\r\n\r\n"

BAD_SIZE: Final = "a chunk begins with its size in hexadecimal digits, extensions or none, and CRLF"
BAD_END: Final = "the data of a chunk is not followed by CRLF"
BAD_TRAILER: Final = "a trailer is not a name, a colon, a value and CRLF"
LONG_SIZE: Final = "the size of a chunk is too large"
LONG_EXTENSIONS: Final = "the extensions of a chunk have more than 256 bytes"
LONG_TRAILERS: Final = "the trailers have more than 8192 bytes together"


class Bad(NamedTuple):
    """A malformed body.

    Attributes:
        data: it.
        detail: what is told.
        before: what was read of it before the fault.
    """

    data: bytes
    detail: str
    before: bytes = b""


def sized(size: bytes, behind: bytes = b"\r\n") -> bytes:
    """Return a body whose only chunk has this for a size line."""
    return size + behind + BODY + b"\r\n" + END


def trailed(*lines: bytes) -> bytes:
    """Return a body with these trailers, ended as they are."""
    return CHUNK + b"0\r\n" + b"".join(lines) + b"\r\n"


FULL_TRAILER: Final = b"T: " + b"x" * (MAX_TRAILER_BYTES - 7) + b"\r\n"

#: By what is special; what they hold is `BODY`.
GOOD: Final[dict[str, bytes]] = {
    "one chunk": CHUNK + END,
    "a chunk for each byte": b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + END,
    "leading zeros": sized(b"0" * 14 + SIZE),
    "sixteen zeros at the end": CHUNK + b"0" * 16 + b"\r\n\r\n",
    "small letters": b"a\r\n" + BODY[:10] + b"\r\ne\r\n" + BODY[10:] + b"\r\n" + END,
    "capital letters": b"0A\r\n" + BODY[:10] + b"\r\n0E\r\n" + BODY[10:] + b"\r\n" + END,
    "extension": sized(SIZE + b";a"),
    "extensions": sized(SIZE + b';a=b;c="d;e \\" \xe4";f'),
    "extension with white space": sized(SIZE + b"; a =\tb"),
    "extension of nothing": sized(SIZE + b";"),
    "extension of the greatest length": sized(SIZE + b";" + b"x" * MAX_EXTENSION_BYTES),
    "extension of the last chunk": CHUNK + b"0;a=b\r\n\r\n",
    "trailer": trailed(b"T: x\r\n"),
    "trailers": trailed(b"A:\r\n", b"b-c!:  d\te \xe4 : \r\n", b"A: again\r\n"),
    "trailer that a head would not have": trailed(b"Content-Length: 5\r\n", b"Transfer-Encoding: gzip\r\n"),
    "trailer of the greatest length": trailed(FULL_TRAILER),
}

BAD: Final[dict[str, Bad]] = {
    "empty line": Bad(b"\r\n" + CHUNK + END, BAD_SIZE),
    "no size": Bad(sized(b""), BAD_SIZE),
    "no size, an extension": Bad(sized(b";a"), BAD_SIZE),
    "no number": Bad(sized(b"x"), BAD_SIZE),
    "no number behind the first digit": Bad(sized(b"1x"), BAD_SIZE),
    "minus": Bad(sized(b"-" + SIZE), BAD_SIZE),
    "plus": Bad(sized(b"+" + SIZE), BAD_SIZE),
    "0x": Bad(sized(b"0x" + SIZE), BAD_SIZE),
    "underscore": Bad(sized(b"1_8"), BAD_SIZE),
    "fraction": Bad(sized(SIZE + b".0"), BAD_SIZE),
    "digits that are not of ASCII": Bad(sized("\u0661\u0668".encode()), BAD_SIZE),
    "space before the size": Bad(sized(b" " + SIZE), BAD_SIZE),
    "space behind the size": Bad(sized(SIZE + b" "), BAD_SIZE),
    "tab behind the size": Bad(sized(SIZE + b"\t"), BAD_SIZE),
    "vertical tab behind the size": Bad(sized(SIZE + b"\v"), BAD_SIZE),
    "space before an extension": Bad(sized(SIZE + b" ;a"), BAD_SIZE),
    "comma for an extension": Bad(sized(SIZE + b",a"), BAD_SIZE),
    "two sizes": Bad(sized(b"18 18"), BAD_SIZE),
    "NUL behind the size": Bad(sized(SIZE + b"\0"), BAD_SIZE),
    "bare LF behind the size": Bad(sized(SIZE, b"\n"), BAD_SIZE),
    "bare CR behind the size": Bad(sized(SIZE, b"\r"), BAD_SIZE),
    "two CRs behind the size": Bad(sized(SIZE, b"\r\r\n"), BAD_SIZE),
    "LF and CR behind the size": Bad(sized(SIZE, b"\n\r"), BAD_SIZE),
    "seventeen digits": Bad(sized(b"0" * 15 + SIZE), LONG_SIZE),
    "digits without end": Bad(b"1" * 20_000, LONG_SIZE),
    "zeros without end": Bad(b"0" * 20_000, LONG_SIZE),
    "size that is negative in 64 bits": Bad(sized(b"8" + b"0" * 15), LONG_SIZE),
    "size that is -1 in 64 bits": Bad(sized(b"f" * 16), LONG_SIZE),
    "size that is right in 64 bits": Bad(sized(b"1" + b"0" * 14 + SIZE), LONG_SIZE),
    "bare LF in an extension": Bad(sized(SIZE + b";a\nb"), BAD_SIZE),
    "bare CR in an extension": Bad(sized(SIZE + b";a\rb"), BAD_SIZE),
    "bare LF behind an extension": Bad(sized(SIZE + b";a", b"\n"), BAD_SIZE),
    "bare CR behind an extension": Bad(sized(SIZE + b";a", b"\r"), BAD_SIZE),
    "bare LF in a quoted extension": Bad(sized(SIZE + b';a="\n"'), BAD_SIZE),
    "NUL in an extension": Bad(sized(SIZE + b";\0"), BAD_SIZE),
    "control character in an extension": Bad(sized(SIZE + b";\x1b"), BAD_SIZE),
    "DEL in an extension": Bad(sized(SIZE + b";\x7f"), BAD_SIZE),
    "extension that is too long": Bad(sized(SIZE + b";" + b"x" * (MAX_EXTENSION_BYTES + 1)), LONG_EXTENSIONS),
    "extension without end": Bad(SIZE + b";" + b"x" * 20_000, LONG_EXTENSIONS),
    "extensions without end": Bad(SIZE + b";x=1" * 5000, LONG_EXTENSIONS),
    "data that goes on": Bad(b"17\r\n" + BODY + b"\r\n" + END, BAD_END, BODY[:-1]),
    "data that stops early": Bad(b"19\r\n" + BODY + b"\r\n" + END, BAD_END, BODY + b"\r"),
    "no line end behind the data": Bad(SIZE + b"\r\n" + BODY + END, BAD_END, BODY),
    "bare LF behind the data": Bad(SIZE + b"\r\n" + BODY + b"\n" + END, BAD_END, BODY),
    "bare CR behind the data": Bad(SIZE + b"\r\n" + BODY + b"\r" + END, BAD_END, BODY),
    "two CRs behind the data": Bad(SIZE + b"\r\n" + BODY + b"\r\r\n" + END, BAD_END, BODY),
    "space behind the data": Bad(SIZE + b"\r\n" + BODY + b" \r\n" + END, BAD_END, BODY),
    "empty line behind the data": Bad(CHUNK + b"\r\n" + END, BAD_SIZE, BODY),
    "second chunk without a size": Bad(CHUNK + b"x\r\n" + END, BAD_SIZE, BODY),
    "second chunk with a long extension": Bad(CHUNK + b"1;" + b"x" * 257 + b"\r\n", LONG_EXTENSIONS, BODY),
    "bare LF behind the last size": Bad(CHUNK + b"0\n\r\n", BAD_SIZE, BODY),
    "bare LFs at the end": Bad(CHUNK + b"0\n\n", BAD_SIZE, BODY),
    "bare LF for the empty line": Bad(CHUNK + b"0\r\n\n", BAD_TRAILER, BODY),
    "bare CR for the empty line": Bad(CHUNK + b"0\r\n\r\r\n", BAD_TRAILER, BODY),
    "another request for a trailer": Bad(CHUNK + b"0\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", BAD_TRAILER, BODY),
    "another chunk for a trailer": Bad(CHUNK + b"0\r\n" + CHUNK + END, BAD_TRAILER, BODY),
    "trailer without a colon": Bad(trailed(b"T x\r\n"), BAD_TRAILER, BODY),
    "trailer without a name": Bad(trailed(b": x\r\n"), BAD_TRAILER, BODY),
    "trailer with a space before the colon": Bad(trailed(b"T : x\r\n"), BAD_TRAILER, BODY),
    "trailer with a space before it": Bad(trailed(b" T: x\r\n"), BAD_TRAILER, BODY),
    "folded trailer": Bad(trailed(b"T: x\r\n", b" y\r\n"), BAD_TRAILER, BODY),
    "trailer folded with a tab": Bad(trailed(b"T: x\r\n", b"\ty:z\r\n"), BAD_TRAILER, BODY),
    "trailer of a name that is no token": Bad(trailed(b"T(x): x\r\n"), BAD_TRAILER, BODY),
    "trailer with a bare LF": Bad(trailed(b"T: x\n", b"U: y\r\n"), BAD_TRAILER, BODY),
    "trailer with a bare CR": Bad(trailed(b"T: x\rU: y\r\n"), BAD_TRAILER, BODY),
    "trailer with two CRs": Bad(trailed(b"T: x\r\r\n"), BAD_TRAILER, BODY),
    "trailer with a NUL": Bad(trailed(b"T: x\0\r\n"), BAD_TRAILER, BODY),
    "trailer that is too long": Bad(trailed(b"T" + FULL_TRAILER), LONG_TRAILERS, BODY),
    "trailers that are too many": Bad(
        trailed((b"T: " + b"x" * 507 + b"\r\n") * (MAX_TRAILER_BYTES // 512)), LONG_TRAILERS, BODY
    ),
    "trailer without end": Bad(CHUNK + b"0\r\nT: " + b"x" * 20_000, LONG_TRAILERS, BODY),
    "trailers without end": Bad(CHUNK + b"0\r\n" + (b"T: " + b"x" * 400 + b"\r\n") * 100, LONG_TRAILERS, BODY),
}
