"""When a client comes back, how long it waits, which transport it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from megacomet.client.items import POLL, SSE, TRANSPORTS, WEBSOCKET
from megacomet.client.rules import (
    FIRST_PROBE_S,
    MOST_ADVICE_S,
    MOST_DELAY_S,
    MOST_PROBE_S,
    POLL_S,
    Backoff,
    Ladder,
    PollTime,
    Probing,
    comes_back,
    wait_in_reason,
    wait_of_header,
)


def always(value: float) -> Callable[[], float]:
    """Chance that is none."""
    return lambda: value


@pytest.mark.parametrize(
    "code",
    [
        *(0, 200, 302, 408, 426, 429, 500, 502, 503, 504, 1000, 1001, 1006, 1011, 1012, 1013),
        *(3000, 3001, 3008, 3012, 3499, 4000, 4499),
    ],
)
def test_comes_back(code: int) -> None:
    """What passes, and what the server asks to come back after."""
    assert comes_back(code)


@pytest.mark.parametrize("code", [204, 400, 401, 403, 404, 405, 1002, 1003, 1007, 1009, 3500, 3503, 3999, 4500, 4999])
def test_does_not_come_back(code: int) -> None:
    """What would be the same again, and what the server forbids."""
    assert not comes_back(code)


@pytest.mark.parametrize(
    ("reason", "wait_s"),
    [
        ("", 0),
        ("shutdown", 0),
        ("shutdown retry=3", 3),
        ("retry=2.5", 2.5),
        ("noretry=3", 0),
        ("retry=-1", 0),
        ("retry=999999999", MOST_ADVICE_S),
        ("retry=9999999999999", MOST_ADVICE_S),
    ],
)
def test_wait_in_reason(reason: str, wait_s: float) -> None:
    """A close reason may hold the least wait, and an absurd one is cut."""
    assert wait_in_reason(reason) == wait_s


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        *((None, 0), ("", 0), ("7", 7), (" 7 ", 7), ("-7", 0), ("soon", 0), ("Sat, 28 Nov 2026 09:00:00 GMT", 0)),
        *(("86400", MOST_ADVICE_S), ("\u0663", 0)),
    ],
)
def test_wait_of_header(value: str | None, wait_s: float) -> None:
    """Retry-After in seconds; a date and nonsense say nothing."""
    assert wait_of_header(value) == wait_s


def test_delays_grow_and_are_random() -> None:
    """Each failure doubles the range; the delay is anything in it, down to nothing."""
    backoff = Backoff(always(0.999_999))
    delays = [backoff.delay() for _ in range(10)]
    assert delays == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30], rel=1e-3)
    assert max(delays) <= MOST_DELAY_S
    assert Backoff(always(0.0)).delay() == 0


def test_a_thousand_failures() -> None:
    """Whoever waits for days waits no longer than the most."""
    backoff = Backoff(always(0.5))
    assert [backoff.delay() for _ in range(1000)][-1] == MOST_DELAY_S / 2


def test_reset() -> None:
    """After a connection that held, delays are short again."""
    backoff = Backoff(always(1.0))
    backoff.delay()
    backoff.delay()
    backoff.reset()
    assert backoff.delay() == 0.5


@pytest.mark.parametrize(("chance", "delay_s"), [(0.0, 10), (0.5, 12.5), (1.0, 15)])
def test_advice_is_a_least_wait(chance: float, delay_s: float) -> None:
    """What the server asks for, and up to half of it more, so that not all come at once."""
    assert Backoff(always(chance)).delay(10) == delay_s


def test_advice_does_not_shorten() -> None:
    """A server that says "one second" to whoever has failed for long does not hasten it."""
    backoff = Backoff(always(1.0))
    for _ in range(8):
        backoff.delay()
    assert backoff.delay(1) == MOST_DELAY_S


class TestLadder:
    """Down at once, up when there is something better."""

    def test_down(self) -> None:
        """What does not open makes room for the next one, and after the last one there is a pause."""
        ladder = Ladder(TRANSPORTS)
        assert (ladder.current, ladder.better) == (WEBSOCKET, ())
        assert ladder.failed()
        assert (ladder.current, ladder.better, ladder.is_lowest) == (SSE, (WEBSOCKET,), False)
        assert ladder.failed()
        assert (ladder.current, ladder.better, ladder.is_lowest) == (POLL, (WEBSOCKET, SSE), True)
        assert not ladder.failed()
        assert ladder.current == WEBSOCKET

    def test_from_what_works(self) -> None:
        """After a lost round it begins with what has worked, and then by turns at the very top."""
        ladder = Ladder(TRANSPORTS)
        ladder.failed()
        ladder.opened(SSE)
        begun = []
        for _ in range(4):
            while ladder.failed():
                pass
            begun.append(ladder.current)
        assert begun == [SSE, WEBSOCKET, SSE, WEBSOCKET]

    def test_only_one(self) -> None:
        """With a single transport there is nothing but pauses."""
        ladder = Ladder([SSE])
        assert not ladder.failed()
        assert (ladder.current, ladder.better, ladder.is_lowest) == (SSE, (), True)

    @pytest.mark.parametrize(("lasted_s", "has_brought"), [(10, False), (0.1, True), (3600, True)])
    def test_what_held_stays(self, lasted_s: float, has_brought: bool) -> None:
        """A connection that has held or brought something is opened again in the same way, however often."""
        ladder = Ladder(TRANSPORTS)
        for _ in range(5):
            ladder.opened(WEBSOCKET)
            assert ladder.broke(lasted_s, has_brought)
            assert ladder.current == WEBSOCKET

    def test_two_brief_ones(self) -> None:
        """What opens and breaks at once, twice, does not really work: the next one down."""
        ladder = Ladder(TRANSPORTS)
        ladder.opened(WEBSOCKET)
        assert not ladder.broke(9.9, False)
        assert ladder.current == WEBSOCKET
        ladder.opened(WEBSOCKET)
        assert not ladder.broke(0, False)
        assert ladder.current == SSE
        assert ladder.better == (WEBSOCKET,)

    def test_brief_ones_apart(self) -> None:
        """One that held in between counts."""
        ladder = Ladder(TRANSPORTS)
        for lasted_s in (1, 20, 1):
            ladder.opened(WEBSOCKET)
            ladder.broke(lasted_s, False)
        assert ladder.current == WEBSOCKET

    def test_brief_at_the_bottom(self) -> None:
        """Below the last one there is none."""
        ladder = Ladder([WEBSOCKET, POLL])
        for _ in range(6):
            ladder.opened(POLL)
            ladder.broke(0, False)
        assert ladder.current == POLL


def test_probing() -> None:
    """A better one is looked for after a minute, then less and less often, and anew after success."""
    probing = Probing()
    assert [probing.delay() for _ in range(6)] == [60, 120, 240, 480, 600, 600]
    assert (FIRST_PROBE_S, MOST_PROBE_S) == (60, 600)
    probing.reset()
    assert probing.delay() == 60


@pytest.mark.parametrize(
    ("after_s", "asked_s"), [(30, 24), (30.4, 24), (3, POLL_S), (10, 8), (50, POLL_S), (65, POLL_S)]
)
def test_poll_time(after_s: float, asked_s: int) -> None:
    """A proxy that ends requests after 30 s is asked for less; what broke at once says nothing of it."""
    time = PollTime()
    time.was_cut(after_s)
    assert time.asked_s == asked_s


def test_poll_time_has_an_end() -> None:
    """A poll is not made shorter than is of use."""
    time = PollTime()
    for _ in range(9):
        time.was_cut(time.asked_s - 0.5)
    assert 5 <= time.asked_s <= 10
