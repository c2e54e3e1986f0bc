"""A look at what all processes have counted, for the rates: from what the parts of the manager know anyway."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from megacomet.manager.main import Manager
from megacomet.manager.tally import Key, Tally
from megacomet.manager.vitals import Vitals
from megacomet.model.histogram import BOUNDS_S
from megacomet.model.rates import Look, Told
from megacomet.model.router import Router

_CLASSES = range(len(BOUNDS_S) + 1)


class IDoors(Protocol):
    """What is counted at the doors of the API."""

    @property
    def answered(self) -> Mapping[int, int]:
        """Requests that the manager has answered, by status."""

    @property
    def refused(self) -> Mapping[str, int]:
        """Those that it has answered with an error, by code."""


@attrs.frozen
class Counted:
    """Where counts are.

    Attributes:
        manager, router, vitals: the parts of the manager.
        doors: gives those of the API.
    """

    manager: Manager
    router: Router
    vitals: Vitals
    doors: Callable[[], IDoors]

    def look(self, at_s: float) -> Look:
        """Look at all counts.

        Args:
            at_s: now, see `Look`.
        """
        zygote, doors = self.manager.supervisor.zygote, self.doors()
        own = (
            sum(self.router.published.values()),
            sum(doors.refused.values()),
            sum(doors.answered.values()),
            self.vitals.cpu_s_of_zygote(zygote.pid if zygote is not None else 0),
        )
        tally, workers = self.manager.links.tally, {}
        for place in self.manager.supervisor.places:
            if (told := _told(tally, place.number)) is not None:
                workers[place.number] = told
        return Look(at_s, own, workers)


def _told(tally: Tally, number: int) -> Told | None:
    last, past = tally.last(number), tally.past(number)
    if last is None:
        return None
    pid, counts = last
    counted = _of_process(counts)
    if past is not None:
        counted = array("d", map(sum, zip(counted, _of_past(past), strict=True)))
    return Told(pid, counts["uptime_s"], counted)


def _of_process(counts: Mapping[str, Any]) -> array[float]:
    """Return what a process has told, in the order of `Told.counted`."""
    refused, answered = (sum(counts[name].values()) for name in ("refused", "answered"))
    plain = (counts["accepted"], counts["messages"], counts["bytes"], refused, answered)
    return array("d", (*plain, *counts["latency"]["counts"]))


def _of_past(past: Mapping[Key, float]) -> array[float]:
    """Return the same of those that are gone."""
    refused, answered = (
        sum(count for key, count in past.items() if key[0] == name) for name in ("refused", "answered")
    )
    plain = (past["accepted",], past["messages",], past["bytes",], refused, answered)
    return array("d", (*plain, *(past["latency", str(n)] for n in _CLASSES)))
