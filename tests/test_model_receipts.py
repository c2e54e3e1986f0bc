"""What comes back of a message that was handed to workers."""

from __future__ import annotations

from megacomet.model.receipts import Outcome, Receipt, outcomes
from megacomet.wire import frames


def test_all_have_reported() -> None:
    """The count is told once, when every worker has reported and the message was handed to all."""
    told: list[int] = []
    receipt = Receipt(told.append)
    receipt.handed()
    receipt.reported(3)
    receipt.handed()
    receipt.reported(0)
    assert told == []
    receipt.reported(2)
    assert (told, receipt.connections) == ([5], 5)


def test_handed_to_nobody() -> None:
    """A message that no worker wanted was written to nobody."""
    told: list[int] = []
    Receipt(told.append).reported(0)
    assert told == [0]


def test_outcomes() -> None:
    """What the answer of a box says of its records; one may be returned and counted, in any order."""
    said = [
        frames.encode(frames.RECEIPT, number=0, offset=3),
        frames.encode(frames.RETURNED, number=2, flags=frames.ABSENT),
        frames.encode(frames.RECEIPT, number=2),
        frames.encode(frames.RECEIPT, number=4),
        frames.encode(frames.RETURNED, number=4),
        frames.encode(frames.RECEIPT, flags=frames.LATER, number=7, offset=99),
    ]
    assert outcomes(b"".join(said)) == {
        0: Outcome(connections=3),
        2: Outcome(written=False),
        4: Outcome(written=False),
        7: Outcome(later=99),
    }
