"""How long messages take, as a worker measures it."""

from __future__ import annotations

from megacomet.model.results import Result, Worked
from megacomet.worker.meters import Meters


def test_times() -> None:
    """A message counts from its acceptance, a message to many from its arrival as well; what was seen is taken out."""
    meters = Meters()
    box = Result(1, accepted_s=10.0, came_s=10.2)
    worked = [Worked(box, 3, False), Worked(box, 1, True)]
    meters.look(worked, 10.5)
    assert worked == []
    assert (sum(meters.latency.counts), round(meters.latency.sum_s, 6)) == (4, 2.0)
    assert (sum(meters.fanout.counts), round(meters.fanout.sum_s, 6)) == (1, 0.3)
    assert meters.counts() == {"latency": meters.latency.told(), "fanout": meters.fanout.told()}


def test_what_is_not_known_is_not_counted() -> None:
    """A box that does not say when its messages were accepted counts for nothing; no time is less than none."""
    meters = Meters()
    meters.look([Worked(Result(1, came_s=5.0), 2, False), Worked(Result(2, accepted_s=9.0), 1, False)], 8.0)
    assert (sum(meters.latency.counts), meters.latency.counts[0], meters.latency.sum_s) == (1, 1, 0.0)
