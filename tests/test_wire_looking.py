"""What is asked of a worker and what it answers: it comes out as it was put in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import DecodeError

from megacomet.wire import looking
from megacomet.wire.looking import (
    Connection,
    CountBins,
    CountListeners,
    FindConnections,
    ListChannels,
    Names,
    TakeCensus,
)

NAMES = st.binary(max_size=255)


LIMITS = st.integers(0, 2**40)


@given(
    st.one_of(
        st.builds(ListChannels, NAMES, NAMES, LIMITS),
        st.builds(CountListeners, NAMES),
        st.builds(FindConnections, NAMES, LIMITS),
        st.builds(TakeCensus, NAMES, st.integers(0, 2**61)),
        st.builds(CountBins, st.integers(0, 2**61), LIMITS, LIMITS),
    )
)
def test_questions(question: looking.Question) -> None:
    """A question is the same at the other end."""
    assert looking.decode_question(looking.encode(question)) == question


@given(st.lists(st.tuples(NAMES, st.integers(0, 2**40))), st.booleans())
def test_names(names: list[tuple[bytes, int]], more: bool) -> None:
    """A page of names too, whatever bytes are in them."""
    assert looking.decode_names(looking.encode(Names(names, more))) == Names(names, more)


@given(st.dictionaries(NAMES, st.integers(1, 2**40)))
def test_counts(counts: dict[bytes, int]) -> None:
    """And counts by name."""
    assert looking.decode_counts(looking.encode(counts)) == counts


def test_numbers_and_connections() -> None:
    """And so are the other answers, with what is not known."""
    assert looking.decode_count(looking.encode(7)) == 7
    connections = [Connection("poll", None, None, [b"@sue"], 0), Connection("ws", "[::1]:5", 1.5, [b"a", b"b"], 9)]
    assert looking.decode_connections(looking.encode(connections)) == connections


@pytest.mark.parametrize("data", [b"", b"\xc1", looking.encode(7), b"\x93\x09\xc4\x00\xc4\x00"])
def test_what_is_no_question(data: bytes) -> None:
    """Something else is told from a question."""
    with pytest.raises(DecodeError):
        looking.decode_question(data)
