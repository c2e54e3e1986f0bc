"""Sign-ins that fail: bounded for each address, and told in the audit log now and then."""

from __future__ import annotations

import pytest

from megacomet.console.attempts import MOST_FAILURES, NOTE_S, WINDOW_S, Attempts, group_of
from megacomet.errors import TooMany

NOW = 1000.0


def fail(attempts: Attempts, address: str, times: int, now: float = NOW) -> None:
    """Fail so often, as somebody who is let."""
    for _ in range(times):
        attempts.check(address, now)
        attempts.failed(address, now)


def test_ten_in_five_minutes() -> None:
    """The eleventh is refused and told when to come again; other addresses are not held up."""
    attempts = Attempts()
    fail(attempts, "a", MOST_FAILURES)
    with pytest.raises(TooMany) as caught:
        attempts.check("a", NOW + 100.5)
    assert (caught.value.status, caught.value.wait_s) == (429, 200)
    attempts.check("b", NOW)
    attempts.check("a", NOW + WINDOW_S)
    fail(attempts, "a", MOST_FAILURES, NOW + WINDOW_S)


def test_it_is_a_sliding_window() -> None:
    """Each failure counts for five minutes, and being refused prolongs nothing."""
    attempts = Attempts()
    for n in range(MOST_FAILURES):
        fail(attempts, "a", 1, NOW + n)
    for later in (10, 100, 299):
        with pytest.raises(TooMany) as caught:
            attempts.check("a", NOW + later)
        assert caught.value.wait_s == WINDOW_S - later
    fail(attempts, "a", 1, NOW + WINDOW_S)
    with pytest.raises(TooMany):
        attempts.check("a", NOW + WINDOW_S)


def test_more_at_once_than_are_let() -> None:
    """Failures of requests that were under way together are all counted, and the wait is bounded."""
    attempts = Attempts()
    for _ in range(100):
        attempts.failed("a", NOW)
    with pytest.raises(TooMany) as caught:
        attempts.check("a", NOW)
    assert caught.value.wait_s == WINDOW_S


@pytest.mark.parametrize("back_s", [1, 3600, 1e9])
def test_a_clock_put_back(back_s: float) -> None:
    """Nobody is locked out by a clock."""
    attempts = Attempts()
    fail(attempts, "a", MOST_FAILURES)
    attempts.check("a", NOW - back_s)


def test_bounded() -> None:
    """However many addresses there are, so many are remembered; those that have failed last stay."""
    attempts = Attempts(most_addresses=100)
    fail(attempts, "first", MOST_FAILURES)
    fail(attempts, "again", MOST_FAILURES - 1)
    for n in range(99):
        attempts.failed(f"other-{n}", NOW)
        if n == 50:
            attempts.failed("again", NOW)
    attempts.check("first", NOW)
    with pytest.raises(TooMany):
        attempts.check("again", NOW)
    assert len(attempts._records) == 100


def test_one_note_a_minute() -> None:
    """Of many refusals of an address one a minute is noted, and how many were passed over."""
    attempts = Attempts()
    assert attempts.note("a", NOW) == 0
    assert [attempts.note("a", NOW + n) for n in range(5)] == [None] * 5
    assert attempts.note("b", NOW) == 0
    assert attempts.note("a", NOW + NOTE_S) == 5
    assert attempts.note("a", NOW + NOTE_S) is None
    assert attempts.note("a", NOW - 3600) == 1


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7:50312", "192.0.2.7"),
        ("192.0.2.7:1", "192.0.2.7"),
        ("[2001:db8:1:2:3:4:5:6]:50312", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::]:1", "2001:db8:1:2::/64"),
        ("[2001:db8:1:3::]:1", "2001:db8:1:3::/64"),
        ("[fe80::1%eth0]:1", "fe80::/64"),
        ("[::1]:1", "::/64"),
        ("[::ffff:192.0.2.7]:50312", "192.0.2.7"),
        ("unix", "unix"),
        ("host:1", "host:1"),
        (":", ":"),
        (None, "unknown"),
    ],
)
def test_what_one_address_is(address: str | None, group: str) -> None:
    """The port does not count, and of IPv6 whatever one customer has."""
    assert group_of(address) == group
