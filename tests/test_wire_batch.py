"""Batches of the REST API: their lines, and the answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.errors import PeerError
from megacomet.wire.batch import MAX_BATCH_ERRORS, BatchCount, BatchLine, BatchLines, batch_answer, too_long_line
from megacomet.wire.push import PushResult


def lines_of(body: bytes, size: int, most: int = 100) -> list[tuple[int, bytes | None]]:
    lines = BatchLines(most)
    found: list[BatchLine] = []
    for at in range(0, len(body), size):
        found += lines.feed(body[at : at + size])
    return [(line.number, line.body) for line in found + lines.close()]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", []),
        (b"\n\r\n  \n", []),
        (b"a\nb\n", [(1, b"a"), (2, b"b")]),
        (b"a\nb", [(1, b"a"), (2, b"b")]),
        (b"a\r\n\r\n\n b \r\nc\r\n", [(1, b"a"), (4, b"b"), (5, b"c")]),
        (b"a\n   ", [(1, b"a")]),
        (b"a\n" + b"x" * 101 + b"\nb\n", [(1, b"a"), (2, None), (3, b"b")]),
        (b"x" * 100 + b"\n" + b"y" * 100, [(1, b"x" * 100), (2, b"y" * 100)]),
        (b"x" * 101, [(1, None)]),
        (b"\n" + b"x" * 5000 + b"\n\nb", [(2, None), (4, b"b")]),
        (b"a\0b\n\xff\n", [(1, b"a\0b"), (2, b"\xff")]),
    ],
)
def test_lines_of_a_batch(body: bytes, lines: list[tuple[int, bytes | None]], size: int) -> None:
    """Lines come out with their numbers, blank ones skipped; one that is too long spoils no other."""
    assert lines_of(body, size) == lines


@given(st.lists(st.sampled_from([b"a", b"bb", b"", b" ", b"\r", b"x" * 12, b"y" * 11]), max_size=8), st.integers(1, 9))
def test_lines_do_not_depend_on_the_pieces(lines: list[bytes], size: int) -> None:
    """Whatever the network makes of a body, its lines are the same."""
    body = b"\n".join(lines)
    assert lines_of(body, size, 11) == lines_of(body, len(body) + 1, 11)


def test_line_without_end_is_not_kept() -> None:
    """A line that never ends costs no memory beyond its bound."""
    lines = BatchLines(1000)
    for _ in range(100):
        assert lines.feed(b"x" * 900) == []
        assert len(lines._kept) <= 1000
    assert lines.feed(b"\nb\n") == [BatchLine(1, None), BatchLine(2, b"b")]
    assert (too_long_line(1000).code, too_long_line(1000).status) == ("too-large", 413)


def test_answer_to_a_batch() -> None:
    """A batch is answered with what became of its messages and the first errors."""
    count = BatchCount(lines=6)
    for status in ("sent", "sent", "queued", "unheard"):
        count.count(PushResult(b"@sue", b"ab-1", status))
    count.count(PushResult(b"@sue", b"ab-1", "sent", repeated=True))
    count.fail(17, PeerError("bad-fields", "data is missing", "/data"))
    assert count.published == 4
    assert json.loads(batch_answer(count, b"ab-4")) == {
        "lines": 6,
        "sent": 2,
        "queued": 1,
        "unheard": 1,
        "repeated": 1,
        "failed": 1,
        "errors": [{"line": 17, "code": "bad-fields", "detail": "data is missing"}],
        "position": "ab-4",
    }


def test_errors_of_a_batch_are_bounded() -> None:
    """A program whose every line is wrong is told of the first hundred."""
    count = BatchCount()
    for line in range(1, 1001):
        count.fail(line, PeerError("bad-json"))
    answer = json.loads(batch_answer(count, b"ab-0"))
    assert answer["failed"] == 1000
    assert [error["line"] for error in answer["errors"]] == list(range(1, MAX_BATCH_ERRORS + 1))
    assert answer["errors"][0]["detail"] == "The body is not JSON"


def test_errors_stand_in_the_order_of_the_lines() -> None:
    """Those of the first hundred lines are told, in whichever order they become known."""
    count = BatchCount(lines=300)
    for line in [*range(2, 301, 2), *range(1, 301, 2)]:
        count.fail(line, PeerError("bad-json", "x"))
    assert count.failed == 300
    assert count.errors == [(line, "bad-json", "x") for line in range(1, MAX_BATCH_ERRORS + 1)]
