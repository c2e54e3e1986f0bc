"""Fuzzing of chunked bodies: a million inputs, and each is read the same however it is cut, or refused the same.

Needs atheris (`make bench` installs it). What holds for all: nothing is raised but a `BadBody`; whole, byte by byte and
in pieces of the size that the first byte of the input says, the same body comes out with the same rest or the same
fault; and Twisted's decoder takes what is taken here, with the same body and the same rest. The seeds are
`bench/corpus/transfer/`.
"""

from __future__ import annotations

import sys
from typing import Final, NamedTuple

from bench.figures import Figure, Options
from bench.fuzzing import CORPORA, fuzz, main

CORPUS: Final = CORPORA / "transfer"
#: Sizes of pieces.
MOST: Final = 40


class Read(NamedTuple):
    """What was made of an input.

    Attributes:
        body: what was read of it.
        rest: what came behind it; None: it is not complete.
        fault: why it is refused; None: it is not.
    """

    body: bytes
    rest: bytes | None = None
    fault: str | None = None


def run(options: Options) -> list[Figure]:
    """Fuzz in a process of its own."""
    return fuzz("bench.fuzz_transfer", CORPUS, options)


def check(payload: bytes) -> None:
    """Hold one input against what holds for all.

    Raises:
        AssertionError: it does not hold.
    """
    data = payload[1:]
    whole = read(data, len(data) or 1)
    assert read(data, 1) == whole
    assert read(data, payload[0] % MOST + 1 if payload else 1) == whole
    assert whole.rest is None or data.endswith(whole.rest)
    if not whole.fault:
        # Twisted forgot the backslash among the characters of extensions.
        plain = data.replace(b"\\", b"/")
        assert twisted(plain) == read(plain, len(plain) or 1)


def read(data: bytes, size: int) -> Read:
    """Feed the data in pieces of this size."""
    from megacomet.errors import BadBody
    from megacomet.wire import transfer

    body = transfer.ChunkedBody()
    found = b""
    for at in range(0, len(data), size):
        try:
            pieces = body.feed(data[at : at + size])
        except BadBody as e:
            return Read(found + b"".join(e.pieces), None, e.detail)
        assert all(pieces)
        found += b"".join(pieces)
        if body.rest is not None:
            return Read(found, body.rest + data[at + size :])
    return Read(found)


def twisted(data: bytes) -> Read:
    """Read the data with Twisted's decoder."""
    from twisted.web import http

    pieces: list[bytes] = []
    rests: list[bytes] = []
    decoder = http._ChunkedTransferDecoder(pieces.append, rests.append)
    try:
        decoder.dataReceived(data)
    except http._MalformedChunkedDataError as e:
        return Read(b"".join(pieces), None, str(e))
    return Read(b"".join(pieces), rests[0] if rests else None)


if __name__ == "__main__":
    main(sys.argv[1:], check, ["megacomet.wire.transfer"])
