"""What a worker measures of messages on their way: how long they take to be written, and how long a message to many.

It is looked once per slice of work, not per message, so that a time ends with the slice that wrote the last byte: it is
too long by what else the slice did, milliseconds at most.
"""

from __future__ import annotations

from megacomet.model.histogram import Histogram
from megacomet.model.results import Worked


class Meters:
    """Measures.

    Attributes:
        latency: from the manager's acceptance of a message to when it was written.
        fanout: from the arrival of a message to many to when it was written to the last of them.
    """

    def __init__(self) -> None:
        self.latency = Histogram()
        self.fanout = Histogram()

    def look(self, worked: list[Worked], now: float) -> None:
        """A slice of work is over.

        Args:
            worked: what it has finished; taken out.
            now: seconds, of the clock that all processes of the machine have.
        """
        for result, messages, is_fanout in worked:
            if result.accepted_s:
                self.latency.add(max(0.0, now - result.accepted_s), messages)
            if is_fanout:
                self.fanout.add(max(0.0, now - result.came_s))
        worked.clear()

    def counts(self) -> dict[str, object]:
        """Return the figures for the manager, as JSON knows them."""
        return {"latency": self.latency.told(), "fanout": self.fanout.told()}
