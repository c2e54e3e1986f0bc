"""What comes back of a message that was handed to workers: whether it was written, and to how many connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from megacomet.wire import frames


class Receipt:
    """Counts the connections that a message was written to, over all workers that it was handed to.

    Attributes:
        flags: of the record that hands it to a worker.
    """

    __slots__ = ("_counted", "_outstanding", "connections")

    flags: ClassVar[int] = frames.WANTS_RECEIPT

    def __init__(self, counted: Callable[[int], None]) -> None:
        self._counted = counted
        self._outstanding = 1  # the router itself, until it has handed the message to all
        self.connections = 0

    def handed(self) -> None:
        """One more worker will report."""
        self._outstanding += 1

    def reported(self, connections: int) -> None:
        """A worker reported."""
        self.connections += connections
        self._outstanding -= 1
        if not self._outstanding:
            self._counted(self.connections)


class Counting:
    """The receipts of fan-outs that go on at some workers."""

    def __init__(self) -> None:
        self._of: dict[object, dict[int, Receipt]] = {}

    def later(self, link: object, offset: int, receipt: Receipt) -> None:
        """The worker at the other end of a link will report on the message with this offset."""
        self._of.setdefault(link, {})[offset] = receipt

    def counted(self, link: object, offset: int, connections: int) -> None:
        """It reported.

        Raises:
            ValueError: it was not to report on that.
        """
        receipt = self._of.get(link, {}).pop(offset, None)
        if receipt is None:
            raise ValueError(f"a worker counted message {offset}, of which nobody wants to know")
        receipt.reported(connections)

    def lost(self, link: object) -> None:
        """It will not report any more."""
        for receipt in self._of.pop(link, {}).values():
            receipt.reported(0)


class Token(NamedTuple):
    """What the answer of a box decides about one of its records.

    Attributes:
        channel, offset: the message of a mailbox that was claimed; offset 0 when nothing was.
        receipt: where the connections are counted, None when nobody asked.
    """

    channel: bytes
    offset: int
    receipt: Receipt | None


class Outcome(NamedTuple):
    """What a worker reported on one record of a box.

    Attributes:
        written: whether it was written to a connection at least.
        connections: to how many, when the token asks for it.
        later: the offset of a message for which that number comes later, else 0.
    """

    written: bool = True
    connections: int = 0
    later: int = 0


#: Of what a worker says nothing about.
WRITTEN: Final = Outcome()


def outcomes(results: bytes) -> dict[int, Outcome]:
    """Read the answer of a box: what became of its records, by index; the others are `WRITTEN`."""
    found: dict[int, Outcome] = {}
    for frame in frames.decode(results):
        outcome = found.get(frame.number, WRITTEN)
        if frame.kind == frames.RETURNED:
            outcome = outcome._replace(written=False)
        elif frame.flags & frames.LATER:
            outcome = outcome._replace(later=frame.offset)
        else:
            outcome = outcome._replace(connections=frame.offset)
        found[frame.number] = outcome
    return found
