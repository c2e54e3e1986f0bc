"""What the manager is told of a box, and when."""

from __future__ import annotations

from megacomet.model.results import Result, Results
from megacomet.wire import frames


def told(result: Result, absent: bool = False) -> list[tuple[int, int, int]]:
    """Kind, index, and count or flags."""
    found = frames.decode(result.records(lambda _: absent))
    return [(f.kind, f.number, f.offset if f.kind == frames.RECEIPT else f.flags) for f in found]


def test_what_was_written() -> None:
    """A message of a mailbox that was written is not returned; those that count are counted."""
    result = Result(1)
    result.unwritten = {0: b"@sue", 1: b"@bob"}
    result.counts = {0: 0, 2: 0}
    for record in (0, 0, 2, 3):
        result.written(record)
    assert told(result) == [(frames.RECEIPT, 0, 2), (frames.RECEIPT, 2, 1), (frames.RETURNED, 1, 0)]
    assert told(result, absent=True)[-1] == (frames.RETURNED, 1, frames.ABSENT)


def test_in_order() -> None:
    """A box that is worked off waits for those before it."""
    results = Results()
    one, two = results.begin(1), results.begin(2)
    two.is_over = True
    assert list(results.take()) == []
    one.is_over = True
    assert list(results.take()) == [one, two]
    assert list(results.take()) == []


def test_a_fanout_that_counts() -> None:
    """Its box does not wait for it: the number comes later, with what was counted before."""
    results = Results()
    result = results.begin(1)
    result.counts = {0: 0, 3: 0}
    results.await_fanout(result, 3, 77)
    result.is_over = True
    result.written(3)
    assert list(results.take()) == [result]
    assert told(result) == [(frames.RECEIPT, 0, 0), (frames.RECEIPT, 3, 77)]
    assert [f.flags for f in frames.decode(result.records(lambda _: False))] == [0, frames.LATER]
    assert results.outgoing() == []
    result.written(3, 64)
    results.end_fanout(result, 3)
    assert results.outgoing() == [frames.encode(frames.COUNTED, number=65, offset=77)]
    assert results.outgoing() == []


def test_a_fanout_that_ends_with_its_box() -> None:
    """The number is in the answer; of one that nobody counts there is none."""
    results = Results()
    result = results.begin(1)
    result.counts = {3: 0}
    for record in (3, 4):
        results.await_fanout(result, record, 77)
        result.written(record, 64)
        results.end_fanout(result, record)
    result.is_over = True
    assert list(results.take()) == [result]
    assert told(result) == [(frames.RECEIPT, 3, 64)]
    assert results.outgoing() == []


def test_a_page_that_goes_on_in_the_next_box() -> None:
    """The first box waits for its end, for whichever join."""
    results = Results()
    one, two = results.begin(1), results.begin(2)
    one.is_over = two.is_over = True
    one.pages = {7, 8}
    results.page_ended(9)
    results.page_ended(7)
    assert list(results.take()) == []
    results.page_ended(8)
    assert list(results.take()) == [one, two]


def test_clear() -> None:
    """After a lost link nobody is told."""
    results = Results()
    result = results.begin(1)
    result.counts = {0: 0}
    results.await_fanout(result, 0, 77)
    result.is_over = True
    list(results.take())
    results.end_fanout(result, 0)
    results.begin(2).is_over = True
    results.clear()
    assert list(results.take()) == []
    assert results.outgoing() == []
