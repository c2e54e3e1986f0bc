"""Owns HTTP's chunks of a stream that does not end (RFC 9112, 7.1). No state: what is not complete is given back.

`megacomet.swarm.answers` joins the chunks of a whole answer; here each chunk counts when it is there.
"""

from __future__ import annotations

from megacomet.swarm.answers import BadAnswer

_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
#: More is no chunk of ours: a size line that never ends must not be waited for.
_LONGEST_SIZE_LINE_BYTES = 1024


def unchunked(data: bytes) -> tuple[bytes, bytes, bool]:
    """Take the complete chunks off the data.

    Returns:
        what they hold, what is left of the data, and whether the last chunk (of no bytes) was among them: what is left
        is then of no stream any more.

    Raises:
        BadAnswer: these are no chunks.
    """
    pieces: list[bytes] = []
    at = 0
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            if len(data) - at > _LONGEST_SIZE_LINE_BYTES:
                raise BadAnswer(f"no chunk size: {data[at:][:40]!r}")
            return b"".join(pieces), data[at:], False
        digits = data[at:line_end].split(b";", 1)[0].rstrip(b" \t")
        if not 0 < len(digits) <= 8 or not _HEXADECIMAL.issuperset(digits):
            raise BadAnswer(f"no chunk size: {data[at:line_end][:40]!r}")
        size = int(digits, 16)
        if size == 0:
            return b"".join(pieces), data[line_end + 2 :], True
        start = line_end + 2
        end = start + size
        if len(data) < end + 2:
            return b"".join(pieces), data[at:], False
        if data[end : end + 2] != b"\r\n":
            raise BadAnswer(f"a chunk that does not end where it says: {data[end:][:40]!r}")
        pieces.append(data[start:end])
        at = end + 2


def chunk(payload: bytes) -> bytes:
    """Return the payload as one chunk; b"" for none."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""
