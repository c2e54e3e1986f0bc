"""What the workers have counted since the manager's start, also those of them that are gone.

A worker's figures begin at nothing when it does. Here those that a successor takes the place of are kept and added, so
that no sum ever falls; the last second of a worker that dies is not in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

#: Of what a worker tells, what only goes up.
COUNTED: Final = (
    *("accepted", "bytes", "compressed", "cpu_s", "encoded", "gaps", "given_back", "handed_over", "messages"),
    *("times_full", "gone", "idle", "silent", "slow", "failed"),
)
#: Of the same, what is counted by something: a mapping.
COUNTED_BY: Final = ("refused", "answered")
HISTOGRAMS: Final = ("latency", "fanout")

#: ("accepted",), ("refused", "overloaded"), ("latency", "3") for a class, ("latency", "sum_s")
Key = tuple[str, ...]


class Tally:
    """The counts, by the worker's number."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, Mapping[str, Any]]] = {}
        self._past: dict[int, Counter[Key]] = {}

    def told(self, number: int, pid: int, counts: Mapping[str, Any]) -> None:
        """A worker has told its counts.

        Args:
            number: of the worker.
            pid: of its process; another one than before begins anew.
            counts: what it said, kept as it is.
        """
        last = self._last.get(number)
        if last is not None and last[0] != pid:
            self._past.setdefault(number, Counter()).update(_flat(last[1]))
        self._last[number] = pid, counts

    def last(self, number: int) -> tuple[int, Mapping[str, Any]] | None:
        """Return pid and counts as a worker has told them last, None: none ever has."""
        return self._last.get(number)

    def past(self, number: int) -> Counter[Key] | None:
        """Return what those before a worker have counted, None: it is the first."""
        return self._past.get(number)

    def of(self, number: int) -> Counter[Key]:
        """Return all that a worker and those before it have counted."""
        counted = Counter(self._past.get(number, ()))
        if number in self._last:
            counted.update(_flat(self._last[number][1]))
        return counted


def _flat(counts: Mapping[str, Any]) -> Counter[Key]:
    flat: Counter[Key] = Counter({(name,): counts[name] for name in COUNTED if name in counts})
    for name in COUNTED_BY:
        flat.update({(name, by): count for by, count in counts.get(name, {}).items()})
    for name in HISTOGRAMS:
        if (told := counts.get(name)) is not None:
            flat.update({(name, str(n)): count for n, count in enumerate(told["counts"])})
            flat[name, "sum_s"] = told["sum_s"]
    return flat
