"""The clients that an operator keeps out, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Blocks:
    """Mailboxes of clients that are turned away. Who is kept out is forgotten when a worker ends."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """The clock tells seconds, monotonic."""
        self._clock = clock
        self._until: dict[bytes, float] = {}

    def block(self, mailbox: bytes, seconds: int) -> None:
        """Turn a client away from now on for so long."""
        now = self._clock()
        self._until = {each: until for each, until in self._until.items() if until > now}
        self._until[mailbox] = now + seconds

    def is_any(self, channels: Iterable[bytes]) -> bool:
        """Tell whether a connection on these channels is turned away."""
        if not self._until:
            return False
        return any(self._until.get(channel, 0.0) > self._clock() for channel in channels)
