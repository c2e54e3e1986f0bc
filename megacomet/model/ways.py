"""The way from the manager to one worker, as its rules know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from megacomet.model.receipts import Receipt, Token


class ILink(Protocol):
    """The way to one worker: an ordered stream of records.

    Attributes:
        listening: whether the worker has a connection that waits, as far as it is known.
    """

    listening: bool

    @property
    def has_room(self) -> bool:
        """Whether those who missed something may have it now; else `Router.read_on` is called when there is room."""

    def send(self, record: bytes, token: Token | None) -> None:
        """Put a record on the stream; the token comes back through `Router.settled`, also when the link is lost."""


def tell_all(links: Iterable[ILink], record: bytes, done: Callable[[int], None]) -> None:
    """Tell workers something.

    Args:
        links: to them.
        record: the same for all.
        done: called once, when all have worked it off, or are gone, with the sum of what they counted.
    """
    receipt = Receipt(done)
    for link in links:
        receipt.handed()
        link.send(record, Token(b"", 0, receipt))
    receipt.reported(0)
