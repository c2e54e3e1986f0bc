"""The server's events: told as they happen to whoever listens, the last ones kept for those who come back.

What each of them means and holds stands in `docs/reference/events.md`. What happens thousands of times a second is
gathered (`watch`): one event says how often.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import attrs
import msgspec
from twisted.logger import Logger

#: So many events are kept: a reader that was away for a minute has missed a few, also when workers keep dying.
KEPT: Final = 1000


@attrs.frozen
class Event:
    """One event.

    Attributes:
        id: of this start of the manager, and its number.
        name: what has happened.
        data: a JSON object.
    """

    id: str
    name: str
    data: bytes


class Events:
    """All events of the manager since its start.

    Attributes:
        epoch: of this start.
    """

    _log = Logger()

    def __init__(self, epoch: str, unix_s: Callable[[], float], kept: int = KEPT) -> None:
        """
        Args:
            epoch: of this start; letters and digits.
            unix_s: the time of the day.
            kept: how many are kept.
        """
        self.epoch = epoch
        self._unix_s = unix_s
        self._kept: deque[Event] = deque(maxlen=kept)
        self._number = 0
        self._listeners: list[Callable[[Event], None]] = []

    def tell(self, name: str, **data: object) -> None:
        """Something has happened.

        Args:
            name: what.
            data: what is to be said of it; the time is added.
        """
        time = datetime.fromtimestamp(self._unix_s(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._number += 1
        event = Event(f"{self.epoch}-{self._number}", name, msgspec.json.encode({"time": time, **data}))
        self._kept.append(event)
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:  # whoever tells has other things to do than to look after those who listen
                self._log.failure("a listener of events failed")

    @property
    def last_id(self) -> str:
        """The id of the last event; of the state before the first one, when there is none yet."""
        return f"{self.epoch}-{self._number}"

    def after(self, id_: str) -> list[Event] | None:
        """Return the events behind one.

        Args:
            id_: that a reader had last.

        Returns:
            None when some of them are not kept any more, or when the id is of another start, or none.
        """
        epoch, _, number = id_.rpartition("-")
        if epoch != self.epoch or not number.isdecimal():
            return None
        missed = self._number - int(number)
        if not 0 <= missed <= len(self._kept):
            return None
        return list(self._kept)[len(self._kept) - missed :]

    @property
    def kept(self) -> list[Event]:
        """All events that are kept, the oldest first."""
        return list(self._kept)

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have a listener told of every event from now on."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[Event], None]) -> None:
        """Tell a listener no more."""
        self._listeners.remove(listener)
