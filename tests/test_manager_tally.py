"""What workers have counted, beyond the death of some of them."""

from __future__ import annotations

from typing import Any

from megacomet.manager.tally import Tally


def counts(accepted: int, **more: Any) -> dict[str, Any]:
    """What a worker says, and things in it that are no counts."""
    return {"accepted": accepted, "uptime_s": 60.0, "rows": {"idle": 7}, **more}


def test_a_successor_goes_on() -> None:
    """What a worker had counted stays when another process takes its place, and that one's is added."""
    tally = Tally()
    tally.told(0, 100, counts(5, refused={"not-found": 2}))
    tally.told(0, 100, counts(9, refused={"not-found": 3, "overloaded": 1}))
    assert tally.of(0) == {("accepted",): 9, ("refused", "not-found"): 3, ("refused", "overloaded"): 1}
    tally.told(0, 101, counts(0))
    assert tally.of(0) == {("accepted",): 9, ("refused", "not-found"): 3, ("refused", "overloaded"): 1}
    tally.told(0, 101, counts(4, refused={"not-found": 1}))
    tally.told(0, 102, counts(1))
    assert tally.of(0) == {("accepted",): 14, ("refused", "not-found"): 4, ("refused", "overloaded"): 1}


def test_the_same_process_on_another_link() -> None:
    """A worker that dials again tells the same figures: they count once."""
    tally = Tally()
    tally.told(3, 100, counts(5))
    tally.told(3, 100, counts(6))
    assert tally.of(3)["accepted",] == 6
    assert tally.of(0) == {}


def test_times_are_added_by_class() -> None:
    """Histograms of one process after the other are one histogram."""
    tally = Tally()
    tally.told(0, 100, {"latency": {"counts": [1, 2], "sum_s": 0.5}})
    tally.told(0, 101, {"latency": {"counts": [3, 0], "sum_s": 0.25}})
    assert tally.of(0) == {("latency", "0"): 4, ("latency", "1"): 2, ("latency", "sum_s"): 0.75}


def test_what_was_told_last() -> None:
    """What a process has told last and what was counted before it can be had apart."""
    tally = Tally()
    assert (tally.last(0), tally.past(0)) == (None, None)
    tally.told(0, 100, counts(5))
    assert (tally.last(0), tally.past(0)) == ((100, counts(5)), None)
    tally.told(0, 101, counts(1))
    assert (tally.last(0), tally.past(0)) == ((101, counts(1)), {("accepted",): 5})
