"""The manager's role: what links, supervision and the doors need of one another, in one object."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, fail

from megacomet.link import LinkRefused
from megacomet.manager.adoption import Adoption
from megacomet.manager.links import Links
from megacomet.manager.memory import MEASURE_S, Memory
from megacomet.manager.supervisor import Supervisor


class Manager:
    """See `megacomet.manager.downlink.IManager`, and `megacomet.api.health.IReadiness`.

    The parts know one another through it, so they are put in after it was made.

    Attributes:
        supervisor, links, adoption: the parts.
    """

    supervisor: Supervisor
    links: Links
    adoption: Adoption

    def __init__(self) -> None:
        self._processes = Memory()
        self._measured = -math.inf
        self._memory: Mapping[str, int] = {}

    # -- what the links want

    def worker_up(self, number: int, pid: int) -> None:
        """A worker's link stands, and the worker knows it."""
        self.supervisor.worker_up(number, pid)

    def worker_down(self, number: int) -> None:
        """A worker's link is lost."""
        self.supervisor.worker_down(number)

    def kill(self, number: int, why: str) -> None:
        """A worker is beyond help."""
        self.supervisor.kill(number, why)

    async def adopt(self, number: int, fd: int, head: bytes, peer: bytes) -> None:
        """Serve a connection that a worker hands over.

        Raises:
            LinkRefused: there is no room.
        """
        self.adoption.adopt(fd, head, peer, lambda back, unread: self._give_back(number, back, unread))

    def _give_back(self, number: int, fd: int, unread: bytes) -> Deferred[None]:
        """Give a connection to the worker it came from, or to another when that one is gone or lets its own go."""
        link = self.links.of(number)
        if link is None or link.is_drained:
            link = next((other for other in self.links.all() if not other.is_drained), link)
        if link is None:
            return fail(LinkRefused("no worker has its link"))
        return Deferred.fromCoroutine(link.give_back(fd, unread))

    # -- what the doors want

    @property
    def ready(self) -> bool:
        """Whether every worker listens."""
        return self.links.ready

    @property
    def workers(self) -> int:
        """How many workers there should be."""
        return self.links.workers

    def connections(self) -> Mapping[str, int]:
        """Return how many connections the workers said that they have, by transport."""
        total: Counter[str] = Counter({"poll": 0, "sse": 0, "stream": 0, "ws": 0})
        for link in self.links.all():
            total.update(link.counts.get("connections", {}))
        return total

    def memory(self, now: float) -> Mapping[str, int]:
        """Return the memory of the processes in bytes, what they share divided among them.

        It is measured once a second at most, see `Memory`.

        Args:
            now: seconds, monotonic.
        """
        if now >= self._measured + MEASURE_S:
            self._measured = now
            self._memory = self.parts_of(self.memory_of(now))
        return self._memory

    def parts_of(self, found: Mapping[int, int]) -> Mapping[str, int]:
        """Return what `memory_of` has found by role."""
        own, zygote = found[os.getpid()], found.get(self._zygote(), 0)
        return {"manager": own, "zygote": zygote, "workers": sum(found.values()) - own - zygote}

    def memory_of(self, now: float) -> Mapping[int, int]:
        """Return the same by process: the manager's own, the zygote's, and the workers'."""
        pids = (os.getpid(), self._zygote(), *(pid for _, pid in self.supervisor.states))
        return self._processes.of(filter(None, pids), now)

    def _zygote(self) -> int:
        zygote = self.supervisor.zygote
        return zygote.pid if zygote is not None else 0


async def ask_all(links: Links, failed: Callable[[int, Exception], None]) -> None:
    """Ask every worker to answer everybody and end.

    Args:
        links: to the workers.
        failed: told of who could not be asked; their end is a matter of the supervisor's patience.
    """
    asked = [(link.number, Deferred.fromCoroutine(link.stop())) for link in links.all()]
    for number, answer in asked:
        try:
            await answer
        except Exception as e:
            failed(number, e)
