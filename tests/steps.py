"""One delayed call at a time: `Clock.advance(0)` makes all, those that they make for the next turn included."""

from __future__ import annotations

from twisted.internet.task import Clock


def step(clock: Clock) -> None:
    """Make the next call that is due."""
    call = clock.calls.pop(0)
    assert call.getTime() <= clock.seconds()
    call.called = 1
    call.func(*call.args, **call.kw)
