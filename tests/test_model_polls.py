"""The rules of the answers of polls."""

from __future__ import annotations

from typing import Any

import pytest

from megacomet.model.entries import Entry
from megacomet.model.polls import ANSWER_BYTES, Polls, within_limits
from megacomet.model.results import NO_RESULT
from megacomet.model.session import Session
from megacomet.wire import frames


class Answers:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def answer(self, *args: Any) -> bool:
        self.told.append(args)
        return len(self.told) == 1


def entries(*offsets: int, data: bytes = b"1") -> tuple[Entry, ...]:
    return tuple(Entry(0, b"a", b"e-%d" % n, data, n, NO_RESULT) for n in offsets)


def end(*gaps: bytes, more: bool = False) -> frames.Frame:
    [frame] = frames.decode(
        frames.encode(frames.PAGE_END, flags=frames.MORE if more else 0, offset=9, data=frames.encode_names(gaps))
    )
    return frame


@pytest.mark.parametrize(
    ("sizes", "limit", "taken"),
    [
        ([], 5, 0),
        ([1, 1, 1], 5, 3),
        ([1, 1, 1], 2, 2),
        ([ANSWER_BYTES + 1, 1], 5, 1),
        ([ANSWER_BYTES, 1], 5, 1),
        ([ANSWER_BYTES - 1, 1, 1], 5, 2),
    ],
)
def test_limits(sizes: list[int], limit: int, taken: int) -> None:
    """So many messages, so many bytes, but always one."""
    given = tuple(Entry(0, b"a", b"e-1", bytes(size), n, NO_RESULT) for n, size in enumerate(sizes))
    assert within_limits(given, limit) == given[:taken]


def test_a_plain_poll() -> None:
    """It takes one message and stands at it."""
    given = entries(4, 5)
    assert Polls(Answers()).choose(3, b"@sue", given, b"e", 9) == (given[:1], 4, [])


def test_a_session_that_takes_all() -> None:
    """It stands at the head."""
    given = entries(4, 5)
    assert Polls(Answers()).choose(3, Session((b"a",), None), given, b"e", 9) == (given, 9, [])


@pytest.mark.parametrize(("since", "stands"), [(b"", 4), (b"e-7", 7), (b"f-7", 4), (b"oldest", 4)])
def test_a_session_that_is_cut_off(since: bytes, stands: int) -> None:
    """It stands at its last message, and is not taken back by what waited in its mailbox."""
    given = entries(4, 5)
    session = Session((b"a",), None, since, limit=1)
    assert Polls(Answers()).choose(3, session, given, b"e", 9) == (given[:1], stands, [])


def test_a_page() -> None:
    """With its gaps; when there was more of it, what comes live is not its next."""
    polls, session = Polls(Answers()), Session((b"a",), None, limit=1)
    session.join, session.missed = 7, list(entries(4, 5))
    found = polls.paged(3, session, end(b"a", more=True))
    assert found is not None
    assert [entry.offset for entry in found] == [4, 5]
    assert (session.join, session.missed, polls.is_cut_off(3)) == (0, None, True)
    assert polls.choose(3, session, found, b"e", 9) == (found, 5, [b"a"])
    polls.forget(3)
    polls.forget(3)
    assert not polls.is_cut_off(3)


def test_pages_without_a_message() -> None:
    """It goes on waiting, unless it has a gap or does not want to wait."""
    polls = Polls(Answers())
    assert polls.paged(3, Session((b"a",), None), end()) is None
    assert polls.paged(3, Session((b"a",), None, immediate=True), end()) == ()
    assert polls.paged(3, session := Session((b"a",), None), end(b"a", more=True)) == ()
    assert not polls.is_cut_off(3)
    assert polls.choose(3, session, (), b"e", 9) == ((), 9, [b"a"])
    polls.clear()
    assert polls.choose(3, session, (), b"e", 9) == ((), 9, [])


def test_answers() -> None:
    """They are written by others, who say whether they could."""
    answers = Answers()
    polls = Polls(answers)
    assert polls.answer(3, b"@a", entries(4), b"e-4", []) is True
    assert polls.answer(3, b"@a", entries(4), b"e-4", [b"a"]) is False
    assert answers.told == [
        (3, b"@a", [(b"a", b"e-4", b"1")], b"e-4", []),
        (3, b"@a", [(b"a", b"e-4", b"1")], b"e-4", [b"a"]),
    ]


def test_empty_answers() -> None:
    """A plain poll was promised nothing, one that joins stands where it was, another at the head."""
    answers = Answers()
    polls = Polls(answers)
    joining = Session((b"a",), None, b"e-3")
    joining.join = 1
    for key in (b"@a", joining, Session((b"a",), None, b"e-3")):
        polls.answer_empty(3, key, b"e", 9)
    assert [told[3] for told in answers.told] == [b"", b"e-3", b"e-9"]
