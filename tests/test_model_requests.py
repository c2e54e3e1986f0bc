"""What streams ask of the manager, and what it replies."""

from __future__ import annotations

from typing import Any

import pytest

from megacomet.model.requests import Requests
from megacomet.wire import frames


class Replies:
    """Takes replies."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def history(self, fd: int, token: object, entries: Any, position: bytes, gap: bool) -> None:
        self.told.append((fd, token, [(e.channel, e.id, e.data) for e in entries], position, gap))

    def published(self, fd: int, token: object, position: bytes, code: str) -> None:
        self.told.append((fd, token, position, code))

    def unanswered(self, fd: int, token: object) -> None:
        self.told.append((fd, token))


def asked(requests: Requests) -> list[frames.Frame]:
    return list(frames.decode(b"".join(requests.outgoing())))


def reply(requests: Requests, kind: int, **fields: Any) -> bool:
    [frame] = frames.decode(frames.encode(kind, **fields))
    return requests.replied(0, frame, b"e")


def test_a_publication() -> None:
    """Key and data travel together; the reply is its position, or why not."""
    requests = Requests(replies := Replies())
    requests.publish(3, b"a", b"[1]", b"key", "token")
    requests.publish(4, b"b", b"2", b"", None)
    one, two = asked(requests)
    assert (one.kind, one.channel, one.offset, one.data) == (frames.PUBLISH, b"a", 3, b"key[1]")
    assert (two.channel, two.offset, two.data) == (b"b", 0, b"2")
    assert asked(requests) == []
    assert reply(requests, frames.REFUSED, number=two.number, data=b"store-full")
    assert reply(requests, frames.PUBLISHED, number=one.number, offset=8)
    assert replies.told == [(4, None, b"", "store-full"), (3, "token", b"e-8", "")]
    assert reply(requests, frames.PUBLISHED, number=one.number, offset=8)
    assert len(replies.told) == 2


def test_a_history() -> None:
    """Its messages come one by one, the end says where the reader stands."""
    requests = Requests(replies := Replies())
    requests.ask_history(3, b"a", b"e-1", 2, "x")
    requests.ask_history(4, b"a", b"", 100, "y")
    one, two = asked(requests)
    assert (one.kind, one.channel, one.data, one.offset) == (frames.HISTORY, b"a", b"e-1", 2)
    assert (two.data, two.offset) == (b"oldest", 100)
    for n in (2, 3):
        assert reply(requests, frames.PAST, number=one.number, offset=n, channel=b"a", data=b"%d" % n)
    assert replies.told == []
    assert reply(requests, frames.PAST_END, flags=frames.GAP, number=one.number, offset=3)
    assert reply(requests, frames.PAST_END, number=two.number, offset=9)
    assert replies.told == [
        (3, "x", [(b"a", b"e-2", b"2"), (b"a", b"e-3", b"3")], b"e-3", True),
        (4, "y", [], b"e-9", False),
    ]


@pytest.mark.parametrize("kind", [frames.PAST, frames.PAST_END, frames.PUBLISHED, frames.REFUSED])
def test_who_is_gone(kind: int) -> None:
    """What is replied to a connection that has gone is nobody's, and no error."""
    requests = Requests(replies := Replies())
    requests.forget(3)
    requests.publish(3, b"a", b"1", b"", None)
    requests.publish(4, b"a", b"1", b"", "other")
    one, two = asked(requests)
    requests.forget(3)
    assert reply(requests, kind, number=one.number)
    assert replies.told == []
    assert reply(requests, frames.PUBLISHED, number=two.number, offset=1)
    assert replies.told == [(4, "other", b"e-1", "")]


def test_a_lost_link() -> None:
    """Nobody can tell what became of it; what was not sent yet is not sent later."""
    requests = Requests(replies := Replies())
    requests.publish(3, b"a", b"1", b"", "sent")
    [one] = asked(requests)
    requests.publish(4, b"a", b"1", b"", "unsent")
    requests.unlinked()
    assert (replies.told, asked(requests)) == ([(3, "sent"), (4, "unsent")], [])
    assert reply(requests, frames.PUBLISHED, number=one.number, offset=1)
    assert len(replies.told) == 2


def test_records_of_others() -> None:
    """They are not for here."""
    assert not reply(Requests(Replies()), frames.MESSAGE)
