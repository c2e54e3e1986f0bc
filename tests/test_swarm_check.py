"""The load client's check: losses, repeats and disorder are told exactly, and nothing else is told."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megacomet.swarm.check import (
    EXAMPLES,
    LOST,
    OUT_OF_ORDER,
    REPEATED,
    Published,
    Receipts,
    Verdict,
    judge,
    read_text,
    text_of,
)


def published(count: int, messages: int) -> tuple[Published, list[tuple[int, int]]]:
    """Give out messages in turn; returns them in order."""
    book = Published(count)
    return book, [(n % count, book.next_number(n % count)) for n in range(messages)]


def arrived(count: int, messages: Iterable[tuple[int, int]]) -> Receipts:
    receipts = Receipts(count)
    for client, number in messages:
        receipts.received(client, number)
    return receipts


def counts(verdict: Verdict) -> tuple[int, int, int, int]:
    return verdict.lost, verdict.repeated, verdict.out_of_order, verdict.strange


def test_all_well() -> None:
    """Everything once and in order: no fault is told."""
    book, messages = published(7, 100)
    verdict = judge([arrived(7, messages)], book)
    assert verdict.clean
    assert (verdict.acknowledged, verdict.delivered) == (100, 100)


def test_negative_control() -> None:
    """A server that drops one message in 10,000 and repeats another one in 10,000 is reported exactly."""
    book, messages = published(1000, 100_000)
    kept = [m for n, m in enumerate(messages) if n % 10_000 != 1234]
    repeats = [m for n, m in enumerate(messages) if n % 10_000 == 8765]
    verdict = judge([arrived(1000, [*kept, *repeats])], book)
    assert counts(verdict) == (10, 10, 0, 0)
    assert not verdict.clean
    assert (verdict.acknowledged, verdict.delivered) == (100_000, 99_990)
    assert {e for e in verdict.examples if e[0] == LOST} == {
        (LOST, c, n) for i, (c, n) in enumerate(messages) if i % 10_000 == 1234
    }


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1, 2, 3], (0, 0, 0, 0)),
        ([], (3, 0, 0, 0)),
        ([1, 2], (1, 0, 0, 0)),
        ([1, 3], (1, 0, 0, 0)),
        ([3], (2, 0, 0, 0)),
        ([1, 3, 2], (0, 0, 1, 0)),
        ([3, 2, 1], (0, 0, 2, 0)),
        ([1, 1, 2, 3], (0, 1, 0, 0)),
        ([1, 2, 3, 3, 3], (0, 2, 0, 0)),
        ([1, 3, 2, 2], (0, 1, 1, 0)),
        ([1, 2, 3, 4], (0, 0, 0, 1)),
        ([1, 2, 3, 6], (0, 0, 0, 1)),
        ([1, 2, 3, 0], (0, 0, 0, 1)),
        ([1, 2, 3, 5_000_000], (0, 0, 0, 1)),
    ],
)
def test_one_client(numbers: list[int], expected: tuple[int, int, int, int]) -> None:
    """Lost, repeated, out of order and strange, for three messages to one client."""
    book, _ = published(1, 3)
    verdict = judge([arrived(1, [(0, n) for n in numbers])], book)
    assert counts(verdict) == expected
    assert verdict.delivered == len({n for n in numbers if 1 <= n <= 3})


@pytest.mark.parametrize("came", [True, False])
def test_not_acknowledged(came: bool) -> None:
    """A message that the server did not acknowledge may arrive or not: neither is a fault."""
    book, messages = published(2, 6)
    book.unacknowledged(0, 3)
    verdict = judge([arrived(2, [m for m in messages if came or m != (0, 3)])], book)
    assert verdict.clean
    assert verdict.acknowledged == 5


def test_refused_but_untold() -> None:
    """A batch that tells only the first hundred refusals: the others are not counted as lost."""
    book, messages = published(1, 10)
    book.untold = 3
    verdict = judge([arrived(1, messages[:6])], book)
    assert (verdict.lost, verdict.acknowledged) == (1, 7)
    assert verdict.examples == ()


def test_parts_in_order() -> None:
    """The receipts of several processes are laid side by side."""
    book, messages = published(10, 50)
    first = arrived(4, [m for m in messages if m[0] < 4])
    second = arrived(6, [(c - 4, n) for c, n in messages if c >= 4 and (c, n) != (7, 5)])
    verdict = judge([first, second], book)
    assert counts(verdict) == (1, 0, 0, 0)
    assert verdict.examples == ((LOST, 7, 5),)


def test_examples_are_bounded() -> None:
    """However much goes wrong, only the first of each kind are told by number."""
    book, messages = published(3, 300)
    receipts = arrived(3, [m for m in reversed(messages) if m[1] != 50])
    for client in range(3):
        for number in range(1, 40):
            receipts.received(client, number)
    verdict = judge([receipts], book)
    kinds = [kind for kind, _, _ in verdict.examples]
    assert kinds.count(REPEATED) == EXAMPLES
    assert kinds.count(OUT_OF_ORDER) == EXAMPLES
    assert kinds.count(LOST) == 3


def test_one_client_that_loses_much() -> None:
    """A single client's many losses are told too, not only counted."""
    book, _ = published(1, 100)
    verdict = judge([Receipts(1)], book)
    assert verdict.lost == 100
    assert len(verdict.examples) == EXAMPLES


@given(st.randoms(use_true_random=False), st.integers(1, 5), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_against_a_model(chance: random.Random, clients: int, messages: int) -> None:
    """Whatever is dropped, repeated and shuffled, the figures are those of a plain count."""
    book, sent = published(clients, messages)
    came = [m for m in sent for _ in range(chance.choice([0, 1, 1, 1, 2]))]
    for _ in range(chance.randrange(4)):
        if came:
            came.insert(chance.randrange(len(came)), came.pop(chance.randrange(len(came))))
    refused = {m for m in sent if chance.random() < 0.1}
    for client, number in refused:
        book.unacknowledged(client, number)
    receipts = Receipts.from_json(json.loads(json.dumps(arrived(clients, came).to_json())))
    verdict = judge([receipts], Published.from_json(json.loads(json.dumps(book.to_json()))))
    late = sum(first_time_below_highest(c, came) for c in range(clients))
    expected = (len(set(sent) - set(came) - refused), len(came) - len(set(came)), late, 0)
    assert counts(verdict) == expected
    assert (verdict.delivered, verdict.acknowledged) == (len(set(came)), messages - len(refused))


def first_time_below_highest(client: int, came: list[tuple[int, int]]) -> int:
    seen: set[int] = set()
    late = 0
    for number in (n for c, n in came if c == client):
        late += number not in seen and any(number < other for other in seen)
        seen.add(number)
    return late


@pytest.mark.parametrize("make", [Receipts, Published])
def test_memory_in_the_good_case(make: Callable[[int], Receipts | Published]) -> None:
    """A client costs four bytes as long as nothing is wrong with it."""
    book = make(1000)
    column = next(getattr(book, name) for name in book.__slots__ if name in ("_last", "_highest"))
    assert column.itemsize * len(column) == 4000


def test_text() -> None:
    """A message's text is read back; somebody else's text is told apart."""
    assert read_text(text_of(7, "c12", 345).encode()) == (7, b"c12", 345)
    for other in (b"", b"hello", b"a b c", b"1 c", b"1 c x", b"1 c 2 3", b"\xef\xbc\x91 c 2"):
        assert read_text(other) is None
