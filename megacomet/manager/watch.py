"""What happens too often for an event each: looked at once a second, and told as how often it was.

The workers count and say so with each beat. Their figures go up from their start on; what one beat says more than
the one before it is what has happened. The last second of a worker that dies is not told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from megacomet.manager.places import ITell

LOOK_S: Final = 1.0


class ILink(Protocol):
    """A link, as far as it is looked at here.

    Attributes:
        number, pid: of its worker.
        counts: what that said last.
    """

    number: int
    pid: int
    counts: Mapping[str, Any]


class Watch:
    """Looks at the counts once a second."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        tell: ITell,
        *,
        links: Callable[[], list[Any]],
        site_refused: Mapping[str, int],
        store_refused: Mapping[str, int],
    ) -> None:
        """
        Args:
            clock: for the seconds.
            tell: told what has happened.
            links: gives the `ILink`s that stand.
            site_refused: requests that the manager itself answered with an error, by code; it goes on counting.
            store_refused: messages that the store did not take, likewise.
        """
        self._tell = tell
        self._links = links
        self._counters = (site_refused, store_refused)
        self._counted = [Counter(each) for each in self._counters]
        self._before: dict[int, Mapping[str, Any]] = {}
        self._drained: set[int] = set()
        self._call = LoopingCall(self._tick)
        self._call.clock = clock

    def start(self) -> None:
        """Begin to look."""
        self._call.start(LOOK_S, now=False).addErrback(lambda failure: self._log.failure("the watch ended", failure))

    def stop(self) -> None:
        """Look no more."""
        if self._call.running:
            self._call.stop()

    def _tick(self) -> None:
        try:
            self.look()
        except Exception:
            self._log.failure("a look at the counts failed")

    def look(self) -> None:
        """A second has passed: tell what has happened in it."""
        counted = [Counter(each) for each in self._counters]
        refused, unstored = (now - before for now, before in zip(counted, self._counted, strict=True))
        self._counted = counted
        slow = 0
        seen: dict[int, Mapping[str, Any]] = {}
        drained: set[int] = set()
        for link in self._links():
            if not link.counts:
                continue  # it has not had its first beat
            now, before = link.counts, self._before.get(link.pid, link.counts)
            seen[link.pid] = now
            slow += now.get("slow", 0) - before.get("slow", 0)
            refused.update(now.get("refused", {}))
            refused.subtract(before.get("refused", {}))
            if (drain := now.get("drain")) and not drain["left"]:
                drained.add(link.pid)
                if link.pid not in self._drained:
                    self._tell("worker-drained", worker=link.number, pid=link.pid)
        self._before, self._drained = seen, drained
        if slow:
            self._tell("clients-slow", closed=slow)
        if reasons := +refused:
            self._tell("requests-refused", reasons=dict(reasons))
        if unstored:
            self._tell("messages-refused", reasons=dict(unstored))
