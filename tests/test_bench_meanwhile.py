"""What goes on beside what is measured."""

from __future__ import annotations

import threading

import pytest

from bench.meanwhile import meanwhile


def test_it_goes_on_until_the_end() -> None:
    """It runs during the block, and is over behind it."""
    began, found = threading.Event(), []

    def act(over: threading.Event) -> None:
        began.set()
        over.wait()
        found.append("over")

    with meanwhile(act):
        began.wait()
        assert found == []
    assert found == ["over"]


def test_its_error_is_the_benchmarks() -> None:
    """A flood that broke is no figure."""

    def act(_: threading.Event) -> None:
        raise RuntimeError("a batch: 503")

    with pytest.raises(RuntimeError, match="a batch: 503"), meanwhile(act):
        pass


def test_the_first_error_is_told() -> None:
    """When the block itself fails, that is told, and the rest is ended."""
    found = []

    def act(over: threading.Event) -> None:
        over.wait()
        found.append("over")
        raise RuntimeError("later")

    with pytest.raises(ValueError, match="first"), meanwhile(act):
        raise ValueError("first")
    assert found == ["over"]
