"""What comes back of a message that was handed to workers."""

from __future__ import annotations

from megacomet.model.receipts import Receipt


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
