"""What all workers are told."""

from __future__ import annotations

from megacomet.model.receipts import Token
from megacomet.model.ways import tell_all


class Link:
    """A link that keeps what is sent."""

    listening = has_room = True

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Token | None]] = []

    def send(self, record: bytes, token: Token | None) -> None:
        self.sent.append((record, token))


def test_all_are_told() -> None:
    """It is done when the last one has worked it off, with what they have counted together."""
    links, done = [Link(), Link()], list[int]()
    tell_all(links, b"record", done.append)
    tokens = []
    for link in links:
        [(record, token)] = link.sent
        assert record == b"record"
        assert token is not None
        assert token.receipt is not None
        tokens.append(token.receipt)
    tokens[0].reported(2)
    assert done == []
    tokens[1].reported(3)
    assert done == [5]


def test_nobody_is_told() -> None:
    """Where there are no workers it is done at once."""
    done: list[int] = []
    tell_all([], b"record", done.append)
    assert done == [0]
