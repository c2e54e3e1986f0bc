"""The shelf of mailboxes: every state of a message, every report on it, and what it counts."""

from __future__ import annotations

import pytest

from megacomet.model.gaps import Gaps
from megacomet.model.mailboxes import Mailboxes
from megacomet.model.retention import full_cost
from megacomet.model.store import Retention

T0 = 1000.0
SUE = b"@sue"
DATA = b'"x"'
RULE = Retention(60, 3, 30)


def shelf_with(messages: int) -> Mailboxes:
    """Return a shelf with so many messages for sue, the offsets 1, 2, 3..."""
    shelf = Mailboxes(Gaps())
    for offset in range(1, messages + 1):
        shelf.keep(offset, SUE, DATA, 60, False, T0)
    return shelf


def apply(shelf: Mailboxes, reports: str, offset: int = 1) -> None:
    """Report on a message: c claimed, w written, r returned, d returned in doubt, a acknowledged by a reader."""
    for report in reports:
        if report == "c":
            shelf.claim(SUE, offset)
        elif report == "w":
            shelf.written(SUE, offset)
        elif report == "a":
            shelf.acknowledge(SUE, offset)
        else:
            shelf.returned(SUE, offset, report == "d")


def state(shelf: Mailboxes) -> str:
    """Return what one sees of a mailbox with one message."""
    if shelf.in_flight(SUE):
        assert not shelf.waiting(SUE, T0)
        assert shelf.open == 1
        return "claimed"
    assert shelf.open == len(shelf.waiting(SUE, T0))
    return "waits" if shelf.open else "written"


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ("", "waits"),
        ("a", "waits"),
        ("r", "waits"),
        ("d", "waits"),
        ("w", "written"),
        ("c", "claimed"),
        ("ca", "claimed"),
        ("cr", "waits"),
        ("cra", "waits"),
        ("cd", "waits"),
        ("cda", "written"),
        ("cdc", "claimed"),
        ("cdca", "claimed"),
        ("cdcr", "waits"),
        ("cdcra", "written"),
        ("cw", "written"),
        ("cc", "claimed"),
        ("ccr", "claimed"),
        ("ccrr", "waits"),
        ("ccrrr", "waits"),
        ("ccrrrc", "claimed"),
        ("ccdra", "written"),
        ("ccw", "written"),
        ("ccwr", "written"),
        ("ccrw", "written"),
        ("cwc", "written"),
        ("cwcr", "written"),
        ("cwcd", "written"),
        ("cwca", "written"),
        ("cww", "written"),
        ("da", "waits"),
    ],
)
def test_the_states_of_a_message(reports: str, expected: str) -> None:
    """A message waits until it was written, is with somebody while anybody has it, and is written for good."""
    shelf = shelf_with(1)
    apply(shelf, reports)
    assert state(shelf) == expected
    assert shelf.messages == 1
    assert shelf.open_bytes == (0 if expected == "written" else shelf.bytes)
    assert len(shelf.age) == (expected == "written")
    shelf.expire(T0 + 60, 100)
    assert (shelf.messages, shelf.open, shelf.bytes, shelf.open_bytes, len(shelf.age)) == (0, 0, 0, 0, 0)


def test_what_cannot_be_given_up_is_counted_with_its_row() -> None:
    """One message that waits holds its mailbox's row, the last that is written lets it go."""
    shelf = shelf_with(2)
    assert shelf.open_bytes == shelf.bytes
    shelf.written(SUE, 1)
    assert shelf.open_bytes == full_cost(SUE, DATA)
    shelf.written(SUE, 2)
    assert shelf.open_bytes == 0
    assert shelf.open_cost(SUE, DATA) == shelf.open_cost(b"@bob", DATA) == full_cost(SUE, DATA)
    shelf.keep(3, SUE, DATA, 60, False, T0)
    assert shelf.open_bytes == full_cost(SUE, DATA)
    assert shelf.open_cost(SUE, DATA) < full_cost(SUE, DATA)


def test_written_messages_leave_in_the_order_in_which_they_were_written() -> None:
    """The row goes with the last of its messages."""
    shelf = shelf_with(3)
    for offset in (2, 3, 1):
        apply(shelf, "cw", offset)
    left = []
    while shelf.drop_oldest(T0):
        row = shelf.row(SUE, T0)
        left.append([kept.offset for kept in row.messages] if row else [])
    assert left == [[1, 3], [1], []]
    assert shelf.bytes == 0
    assert not shelf.drop_oldest(T0)


def test_what_waits_is_never_among_what_may_be_dropped() -> None:
    """Neither what waits nor what is on its way gives way."""
    shelf = shelf_with(2)
    shelf.claim(SUE, 1)
    assert not shelf.drop_oldest(T0)
    row = shelf.row(SUE, T0)
    assert row is not None
    shelf.trim(row, DATA, Retention(60, 1, 1), T0)
    assert shelf.messages == 2


@pytest.mark.parametrize(
    ("messages", "data", "full"),
    [
        (0, DATA, False),
        (0, b"1" * 30, False),
        (0, b"1" * 31, True),
        (2, DATA, False),
        (3, DATA, True),
        (2, b"1" * 25, True),
    ],
)
def test_a_mailbox_is_full_by_messages_or_bytes(messages: int, data: bytes, full: bool) -> None:
    """The cap counts what is open and the new message."""
    shelf = shelf_with(messages)
    assert shelf.full(shelf.row(SUE, T0), data, RULE) == full


def test_a_mailbox_without_a_bound_in_bytes_is_full_by_messages_only() -> None:
    """Zero is no bound of bytes here, as the retention's own row says."""
    shelf = shelf_with(2)
    assert not shelf.full(shelf.row(SUE, T0), b"1" * 10_000, Retention(60, 3))


def test_what_waits_from_long_ago_is_found_up_to_a_position() -> None:
    """Without what is on its way, was written, or may have been."""
    shelf = shelf_with(6)
    apply(shelf, "c", 1)
    apply(shelf, "cd", 2)
    apply(shelf, "cw", 3)
    row = shelf.row(SUE, T0)
    assert row is not None
    assert [kept.offset for kept in shelf.overdue(row, 5)] == [4, 5]
    for offset in (4, 5, 6):
        apply(shelf, "cw", offset)
    apply(shelf, "cw", 2)
    assert shelf.overdue(row, 6) == []


def test_a_claimed_message_that_runs_out_takes_its_claims_along() -> None:
    """The mailbox is free for the next request at once."""
    shelf = shelf_with(1)
    apply(shelf, "cc")
    shelf.keep(2, SUE, DATA, 120, False, T0)
    shelf.expire(T0 + 60, 100)
    assert not shelf.in_flight(SUE)
    apply(shelf, "wrd")
    assert [m.offset for m in shelf.waiting(SUE, T0 + 60)] == [2]
    assert shelf.open == 1
