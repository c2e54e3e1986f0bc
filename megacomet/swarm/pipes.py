"""Owns what crosses the pipes between the process that gathers and its children: JSON objects, each with its length.

Down there are only single bytes, the commands; the end of the pipe means "finish": so no child outlives its parent.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

#: To a publisher: begin; give out no more (then it reports when the last answer has come).
#: To the clients: pushing begins, and with it switching; switch no more.
GO: Final = b"g"
HALT: Final = b"h"
#: To the publisher: one message to everyone.
EVERYONE: Final = b"e"
#: To the clients: from now on a worker is missing.
FAILING: Final = b"f"

_LENGTH: Final = struct.Struct(">I")


def send(descriptor: int, plain: Mapping[str, Any]) -> None:
    """Write one object; the descriptor blocks.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    payload = json.dumps(plain, separators=(",", ":")).encode("ascii")
    left = memoryview(_LENGTH.pack(len(payload)) + payload)
    while left:
        left = left[os.write(descriptor, left) :]


class Reader:
    """Cuts objects out of the pieces that a pipe gives."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """Take a piece, give the objects that are complete."""
        held = self._held
        held += piece
        while len(held) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held)
            end = _LENGTH.size + length
            if len(held) < end:
                return
            plain = json.loads(bytes(held[_LENGTH.size : end]))
            del held[:end]
            yield plain
