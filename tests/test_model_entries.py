"""Messages on their way, and the pages of streams: each position in them must hold for who drops there."""

from __future__ import annotations

import pytest

from megacomet.model.entries import Entry, Page, entry_of, make_page
from megacomet.model.results import NO_RESULT, Result
from megacomet.wire import frames


def entries(*offsets: int) -> list[Entry]:
    return [Entry(0, b"a", b"e-%d" % n, b"1", n, NO_RESULT) for n in offsets]


def test_entry_of() -> None:
    """A record of the link as a message."""
    [frame] = frames.decode(frames.encode(frames.MESSAGE, offset=7, channel=b"a", data=b"[1]"))
    result = Result(3)
    entry = entry_of(b"e", 2, frame, result)
    assert (entry.record, entry.channel, entry.id, entry.data, entry.offset) == (2, b"a", b"e-7", b"[1]", 7)
    assert entry.result is result
    assert entry_of(b"e", 2, frame).result is NO_RESULT


def test_each_is_itself() -> None:
    """Two messages of the same content are two, whatever is done with them."""
    one, other = entries(1, 1)
    assert one == one
    assert one != other
    assert len({one, other}) == 2


@pytest.mark.parametrize("since", [b"", b"oldest", b"e-3", b"f-3", b"e-99"])
def test_nothing_was_missed(since: bytes) -> None:
    """The newest position and nothing else."""
    assert make_page(b"e", since, [], [], 9) == Page(b"e-9", (), b"e-9", (), b"")


@pytest.mark.parametrize(
    ("since", "gaps", "missed", "first", "passed", "last"),
    [
        # what was missed, up to the end of the log or not
        (b"e-3", [], [5, 9], b"e-3", b"e-4", b""),
        (b"e-3", [], [5, 6], b"e-3", b"e-4", b"e-9"),
        (b"e-4", [], [5, 6], b"e-4", b"e-4", b"e-9"),
        # from the beginning, and what waits in a mailbox
        (b"oldest", [], [5, 9], b"e-4", b"e-4", b""),
        (b"", [], [5], b"e-4", b"e-4", b"e-9"),
        (b"oldest", [], [1], b"e-0", b"e-0", b"e-9"),
        # gaps: the client's own, then just before what is kept, or the end
        (b"e-3", [b"a"], [5], b"e-3", b"e-4", b"e-9"),
        (b"e-3", [b"a"], [], b"e-3", b"e-9", b""),
        # another epoch, and ahead of the head
        (b"f-99", [b"a"], [5], b"f-99", b"e-4", b"e-9"),
        (b"f-99", [b"a"], [], b"f-99", b"e-9", b""),
        (b"e-99", [b"a"], [5], b"e-99", b"e-4", b"e-9"),
        # what waited in a mailbox is older than where the client stands: nothing is taken back
        (b"e-7", [], [2], b"e-7", b"e-7", b"e-9"),
        (b"e-7", [b"a"], [2, 8], b"e-7", b"e-7", b"e-9"),
    ],
)
def test_pages(since: bytes, gaps: list[bytes], missed: list[int], first: bytes, passed: bytes, last: bytes) -> None:
    """Where the client stands before, after the gaps, and after all."""
    page = make_page(b"e", since, gaps, found := entries(*missed), 9)
    assert page == Page(first, gaps, passed, found, last)
