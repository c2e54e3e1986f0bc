"""Who listens where, inside one worker: channel -> descriptors.

A channel with one subscriber maps to the plain number, with more to a set: nearly all are mailboxes, and a set costs
216 bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator


class Subscriptions:
    """Channels and the descriptors of the connections that listen to them."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[bytes, int | set[int]] = {}

    def add(self, channel: bytes, fd: int) -> bool:
        """Subscribe; tells whether it is the channel's first subscriber. Adding twice changes nothing."""
        there = self._of.setdefault(channel, fd)
        if there is fd:
            return True
        if isinstance(there, set):
            there.add(fd)
        elif there != fd:
            self._of[channel] = {there, fd}
        return False

    def remove(self, channel: bytes, fd: int) -> bool:
        """Unsubscribe; tells whether it was the channel's last subscriber."""
        there = self._of.get(channel)
        if isinstance(there, set):
            there.discard(fd)
            if len(there) == 1:
                self._of[channel] = there.pop()
            return False
        if there == fd:
            del self._of[channel]
            return True
        return False

    def of(self, channel: bytes) -> Collection[int]:
        """Return the channel's subscribers, () for none. Not to be kept over a change."""
        there = self._of.get(channel)
        if there is None:
            return ()
        return there if isinstance(there, set) else (there,)

    def __contains__(self, channel: object) -> bool:
        return channel in self._of

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)
