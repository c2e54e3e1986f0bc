"""Idempotency keys: what the first publication with a key was answered with, for a window of seconds.

A key stands for one publisher, one target and what the publisher chose; whoever makes it puts them together.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from megacomet.model.message import Appended

#: Bytes of process memory that a remembered key takes beside its own: its object, the record and the place in the dict.
#: Measured by `python -m bench.memory_store`.
KEY_BYTES: Final = 240


class Outcome(NamedTuple):
    """What the first publication with a key came to."""

    offset: int
    kept: bool
    status: str
    forgotten_at: float


class Keys:
    """Keys in the order in which they came, so those to forget first stand first.

    Attributes:
        bytes: what the keys take, with their overhead.
        repeats: publications that were answered as the first with their key.
    """

    __slots__ = ("_outcomes", "_window_s", "bytes", "repeats")

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._outcomes: dict[bytes, Outcome] = {}
        self.bytes = self.repeats = 0

    def __len__(self) -> int:
        return len(self._outcomes)

    def recall(self, key: bytes, now: float) -> Appended | None:
        """Return how the first publication with the key is answered again; None when there was none in the window."""
        outcome = self._outcomes.get(key)
        if outcome is None:
            return None
        if outcome.forgotten_at <= now:
            self._forget(key)
            return None
        self.repeats += 1
        return Appended(outcome.offset, outcome.kept, repeated=True, status=outcome.status)

    def remember(self, key: bytes, offset: int, kept: bool, now: float) -> None:
        """Remember a key that is not known."""
        self._outcomes[key] = Outcome(offset, kept, "", now + self._window_s)
        self.bytes += cost(key)

    def answered(self, key: bytes, status: str) -> None:
        """Remember with which status the first publication was answered; nothing when the key is forgotten."""
        outcome = self._outcomes.get(key)
        if outcome is not None:
            self._outcomes[key] = outcome._replace(status=status)

    def expire(self, now: float, most: int) -> bool:
        """Forget at most so many keys that are past the window; tell whether that was all."""
        old = []
        for key, outcome in islice(self._outcomes.items(), most):
            if outcome.forgotten_at > now:
                break
            old.append(key)
        for key in old:
            self._forget(key)
        return len(old) < most

    def _forget(self, key: bytes) -> None:
        del self._outcomes[key]
        self.bytes -= cost(key)


def cost(key: bytes) -> int:
    """Return what a remembered key takes, bytes."""
    return KEY_BYTES + len(key)
