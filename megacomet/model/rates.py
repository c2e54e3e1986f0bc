"""What happened between two looks at what the server's processes have counted, and how much of it a second.

A worker's figures are as old as its last beat, and beats do not keep step with whoever looks: between two looks a
second apart there may be none, or two. So what a worker did is divided by what passed on its own clock.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import starmap
from operator import sub
from typing import Final

import attrs

#: What is looked at of a worker: these, then the classes of the latencies.
OF_WORKERS: Final = ("accepts", "out", "bytes_out", "refused", "requests")
#: And of what the manager counts itself; `cpu` is what zygotes have taken of processors, seconds.
OF_MANAGER: Final = ("in", "refused", "requests", "cpu")
#: A worker that the look before did not know was born between the two when it is no older than the time between them
#: and this, seconds: it takes a moment until it tells something.
BORN_S: Final = 2.0


@attrs.frozen
class Told:
    """What a worker, and those before it in its place, had counted.

    Attributes:
        pid: of the process that told it.
        uptime_s: how long that had run.
        counted: as in `OF_WORKERS`, then the latencies by class.
    """

    pid: int
    uptime_s: float
    counted: array[float]


@attrs.frozen
class Look:
    """All counts at one moment.

    Attributes:
        at_s: when, seconds of a clock that never jumps.
        own: the manager's, as in `OF_MANAGER`.
        workers: by number; one that has told nothing yet is not in it.
    """

    at_s: float
    own: tuple[float, ...]
    workers: Mapping[int, Told]


@attrs.frozen
class Happened:
    """What happened between two looks.

    Attributes:
        rates: a second, by the names of `OF_WORKERS` and `OF_MANAGER`, summed over all processes.
        workers: by number, as in `OF_WORKERS`.
    """

    rates: Mapping[str, float]
    workers: Mapping[int, tuple[float, ...]]


def happened(before: Look, now: Look) -> Happened | None:
    """Return what happened a second.

    Args:
        before, now: two looks, the older one first.

    Returns:
        None: one of the workers is older than the manager, and its first figures came between the two.
    """
    over_s = now.at_s - before.at_s
    if any(number not in before.workers and not _is_born(told, over_s) for number, told in now.workers.items()):
        return None
    rates = dict.fromkeys(OF_WORKERS, 0.0)
    workers = {}
    for number, grown, grown_s in _grown(before, now):
        each = tuple(count / grown_s for count in grown[: len(OF_WORKERS)])
        workers[number] = each
        for name, rate in zip(OF_WORKERS, each, strict=True):
            rates[name] += rate
    for name, count in zip(OF_MANAGER, starmap(sub, zip(now.own, before.own, strict=True)), strict=True):
        rates[name] = rates.get(name, 0.0) + count / over_s
    return Happened(rates, workers)


def latencies(before: Look, now: Look) -> list[float]:
    """Return how many messages were written between two looks, by the class of the time that they took."""
    all_grown = [grown[len(OF_WORKERS) :] for _, grown, _ in _grown(before, now)]
    return [sum(each) for each in zip(*all_grown, strict=True)]


def _grown(before: Look, now: Look) -> Iterator[tuple[int, list[float], float]]:
    """Yield number, what was counted between the looks, and the time that it was counted in, by worker."""
    over_s = now.at_s - before.at_s
    for number, told in now.workers.items():
        was = before.workers.get(number)
        if was is not None:
            grown_s = told.uptime_s - was.uptime_s if told.pid == was.pid else over_s
            if grown_s > 0:
                yield number, list(map(sub, told.counted, was.counted)), grown_s
        elif _is_born(told, over_s):
            yield number, list(told.counted), over_s
        # Else it is older than this manager: when it did all that, nobody knows.


def _is_born(told: Told, over_s: float) -> bool:
    return told.uptime_s <= over_s + BORN_S


class Looks:
    """The last looks, as far back as somebody may ask."""

    def __init__(self, back_s: float) -> None:
        """Begin without any; `back_s` is the most that `back` is asked for."""
        self._back_s = back_s
        self._looks: deque[Look] = deque()

    def add(self, look: Look) -> None:
        """Keep a look, newer than all before."""
        self._looks.append(look)
        while len(self._looks) > 1 and look.at_s - self._looks[1].at_s >= self._back_s:
            self._looks.popleft()

    def back(self, seconds: float) -> Look | None:
        """Return the newest look that is so much older than the last one; None: there is none."""
        last = self._looks[-1].at_s if self._looks else 0.0
        return next((look for look in reversed(self._looks) if last - look.at_s >= seconds), None)

    def silent_s(self, number: int, apart_s: float) -> float:
        """Return for how long at least a worker has told nothing, seconds.

        Args:
            number: of the worker; of one that is not known it is 0.
            apart_s: looks that are further apart tell nothing: who looks was held up itself, or the machine slept.
        """
        if not self._looks or (told := self._looks[-1].workers.get(number)) is None:
            return 0.0
        since = self._looks[-1].at_s
        for look in reversed(self._looks):
            was = look.workers.get(number)
            if since - look.at_s > apart_s or was is None or (was.pid, was.uptime_s) != (told.pid, told.uptime_s):
                break
            since = look.at_s
        return self._looks[-1].at_s - since
