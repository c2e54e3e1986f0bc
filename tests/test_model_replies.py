"""What the manager replies to the requests of streams, out of a real store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from megacomet.errors import BadPosition, Refused
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Publication, Published
from megacomet.model.replies import Replies
from megacomet.model.store import Retention
from megacomet.wire import frames


class Desk:
    """Replies on a store with five messages of `a` between those of `b`, of which three a channel are kept."""

    def __init__(self) -> None:
        self.store = MemoryStore(b"e", lambda _: Retention(1e6, 3, 0), 10**9)
        for n in range(10):
            self.store.append(Publication(b"ab"[n % 2 : n % 2 + 1], b"%d" % n), 0.0, lambda _: None, None)
        self.published: list[Publication] = []
        self.outcome: Published | Refused = Published(11, "sent")
        self.replies = Replies(self.store, self.publish)
        self.sent: list[frames.Frame] = []

    def publish(self, publication: Publication, now: float, done: Callable[[Published | Refused], None]) -> None:
        self.published.append(publication)
        done(self.outcome)

    def send(self, record: bytes) -> None:
        self.sent += frames.decode(record)


def frame(kind: int, **fields: object) -> frames.Frame:
    [one] = frames.decode(frames.encode(kind, number=7, **fields))  # type: ignore[arg-type]
    return one


@pytest.mark.parametrize(
    ("since", "limit", "found", "flags", "at"),
    [
        (b"oldest", 100, [5, 7, 9], 0, 10),
        (b"e-5", 100, [7, 9], 0, 10),
        (b"e-5", 1, [7], frames.MORE, 7),
        (b"e-10", 100, [], 0, 10),
        (b"e-1", 100, [5, 7, 9], frames.GAP, 10),
        (b"f-1", 2, [5, 7], frames.GAP | frames.MORE, 7),
    ],
)
def test_history(since: bytes, limit: int, found: list[int], flags: int, at: int) -> None:
    """What is kept of the channel, and where its reader stands then."""
    desk = Desk()
    desk.replies.history(desk.send, frame(frames.HISTORY, channel=b"a", data=since, offset=limit), 0.0)
    *past, end = desk.sent
    assert [(f.kind, f.number, f.channel, f.offset) for f in past] == [(frames.PAST, 7, b"a", n) for n in found]
    assert [f.data for f in past] == [b"%d" % (n - 1) for n in found]
    assert (end.kind, end.number, end.flags, end.offset) == (frames.PAST_END, 7, flags, at)


def test_a_history_from_nowhere() -> None:
    """Workers ask from a position on."""
    desk = Desk()
    for since, error in ((b"", ValueError), (b"x", BadPosition)):
        with pytest.raises(error):
            desk.replies.history(desk.send, frame(frames.HISTORY, channel=b"a", data=since), 0.0)


def test_a_publication() -> None:
    """The key is cut off the data, and what becomes of it is told."""
    desk = Desk()
    desk.replies.publish(desk.send, frame(frames.PUBLISH, channel=b"a", data=b"keydata", offset=3), 0.0)
    desk.outcome = Refused("store-full")
    desk.replies.publish(desk.send, frame(frames.PUBLISH, channel=b"a", data=b"data"), 0.0)
    assert [(p.channel, p.data, p.key) for p in desk.published] == [(b"a", b"data", b"key"), (b"a", b"data", None)]
    assert [(f.kind, f.number, f.offset, f.data) for f in desk.sent] == [
        (frames.PUBLISHED, 7, 11, b""),
        (frames.REFUSED, 7, 0, b"store-full"),
    ]
