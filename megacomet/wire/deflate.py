"""permessage-deflate without context takeover (RFC 7692, 7.2): one message in, one message out, nothing kept between.

Owns the two directions of the compression. It must not know frames, nor what the data mean.
"""

from __future__ import annotations

import zlib
from typing import Final

#: What a sender cuts off the end of a message, and a receiver puts back (RFC 7692, 7.2.1 and 7.2.2).
_TAIL: Final = b"\x00\x00\xff\xff"
#: An empty last block. After a whole message it ends the stream; after one that was cut off it does not.
_LAST_BLOCK: Final = b"\x03\x00"
#: What a block may refer back to.
_WINDOW_BYTES: Final = 32768
#: How many blocks in one message may be marked as the last: each costs a new stream and a copy of what follows. Senders
#: that mark any mark one a flush, and everybody's zlib marks none.
_MAX_LAST_BLOCKS: Final = 64


def compress(payload: bytes, bits: int = 15) -> bytes:
    """Return the payload of a compressed message.

    Args:
        bits: the window that the receiver has agreed to, 9-15.
    """
    # A window that holds all of it, with the 262 bytes that zlib looks ahead, is as good as a larger one, and for a
    # small message three times as fast.
    deflate = zlib.compressobj(wbits=-min(bits, max(9, (len(payload) + 262).bit_length())))
    return (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Inflater:
    """Inflates one message, whose parts may be cut anywhere."""

    __slots__ = ("_fed", "_restarts", "_stream")

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-15)
        self._fed = False
        self._restarts = 0

    def inflate(self, data: bytes, into: bytearray, limit: int) -> None:
        """Append to `into`, which holds all of the message so far, what the next part of it inflates to.

        Args:
            limit: of `into`; when it is longer afterwards (by one byte), the message is too big and the rest of the
                part was not looked at.

        Raises:
            zlib.error: this is no deflate data.
        """
        self._fed = self._fed or bool(data)
        while data:
            if self._stream.eof:
                self._go_on(into)
            into += self._stream.decompress(data, limit - len(into) + 1)
            if len(into) > limit:
                return
            data = self._stream.unused_data

    def _go_on(self, into: bytearray) -> None:
        """Begin a stream after a block that was marked as the last, which in a message it need not be (7.2.1)."""
        self._restarts += 1
        if self._restarts > _MAX_LAST_BLOCKS:
            raise zlib.error("too many blocks are marked as the last")
        window = bytes(into[-_WINDOW_BYTES:])
        self._stream = zlib.decompressobj(-15, zdict=window) if window else zlib.decompressobj(-15)

    def finish(self, into: bytearray, limit: int) -> None:
        """Take it that the message is complete; `into` and `limit` as above.

        A message without any byte is empty: RFC 7692 wants one zero byte for it (7.2.3.6), but every receiver takes
        none. One that ends with a block marked as the last is complete, though the zero byte after it (7.2.3.4) is
        missing.

        Raises:
            zlib.error: the message was cut off.
        """
        if self._fed and not self._stream.eof:
            self.inflate(_TAIL + _LAST_BLOCK, into, limit)
            if not self._stream.eof and len(into) <= limit:
                raise zlib.error("the data are cut off")
