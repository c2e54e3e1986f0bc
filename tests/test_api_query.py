"""Parameters that several doors have."""

from __future__ import annotations

import pytest

from megacomet.api.query import LIMIT, MOST_LIMIT, last_of, limit_in
from megacomet.errors import PeerError


def test_the_last_one_holds() -> None:
    """Of a parameter that is given twice the last one counts; one that is not given is empty."""
    assert last_of({b"a": [b"1", b"2"]}, b"a") == b"2"
    assert last_of({}, b"a") == b""


@pytest.mark.parametrize(("asked", "limit"), [(b"", LIMIT), (b"1", 1), (b"0007", 7), (b"1000", MOST_LIMIT)])
def test_limits(asked: bytes, limit: int) -> None:
    """A limit is a whole number within bounds; an empty one is none."""
    assert limit_in({b"limit": [asked]}) == limit
    assert limit_in({}) == LIMIT


@pytest.mark.parametrize("asked", [b"0", b"1001", b"-1", b"1.5", b"x", b"10000", b"\xb2"])
def test_limits_that_are_none(asked: bytes) -> None:
    """What is no such number is told so."""
    with pytest.raises(PeerError, match="a limit is a whole number from 1 to 1000"):
        limit_in({b"limit": [asked]})
