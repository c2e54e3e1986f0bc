"""The workers as operators see them: how each of them stands, and what may be done with it.

It asks supervision, links and listeners, and owns nothing but the rules: who is told to go must be there, and somebody
must be left who listens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from twisted.internet.error import ConnectionDone, ConnectionLost

from megacomet.errors import PeerError
from megacomet.link import LinkRefused
from megacomet.listeners import Listeners
from megacomet.manager.downlink import Downlink
from megacomet.manager.links import Links
from megacomet.manager.places import ITell, Place, State
from megacomet.manager.supervisor import Supervisor
from megacomet.wire.workers import WorkerInfo

#: All that a worker may be in.
STATES: Final = ("down", "starting", "up", "unlinked", "draining", "drained", "restarting")
_BY_PLACE: Final = {State.EMPTY: "down", State.ASKED: "starting", State.ALONE: "starting", State.LINKED: "up"}


class IManager(Protocol):
    """What is needed of the manager: its parts, and the memory of its processes."""

    @property
    def supervisor(self) -> Supervisor:
        """Supervision."""

    @property
    def links(self) -> Links:
        """The links."""

    def memory_of(self, now: float) -> Mapping[int, int]:
        """Return bytes by process."""


class Workforce:
    """See `megacomet.api.workers.IWorkers`."""

    def __init__(self, manager: IManager, listeners: Listeners, tell: ITell, now: Callable[[], float]) -> None:
        """
        Args:
            manager: whose workers they are.
            listeners: say who can listen where.
            tell: told what was done.
            now: seconds, monotonic.
        """
        self._manager = manager
        self._listeners = listeners
        self._tell = tell
        self._now = now
        self._asked: set[int] = set()

    # -- look

    def look(self, memory: Mapping[int, int] | None = None) -> Sequence[WorkerInfo]:
        """Return how all workers stand, by number.

        Args:
            memory: bytes by process; None: it is measured.
        """
        if memory is None:
            memory = self._manager.memory_of(self._now())
        return [self._info(place, memory) for place in self._manager.supervisor.places]

    def _info(self, place: Place, memory: Mapping[int, int]) -> WorkerInfo:
        link = self._manager.links.of(place.number)
        counts = link.counts if link is not None else {}
        rows = counts.get("rows")
        return WorkerInfo(
            worker=place.number,
            state=self._state(place, link),
            pid=place.pid or None,
            connections=counts.get("connections"),
            open=None if rows is None else sum(rows.values()),
            memory_bytes=memory.get(place.pid) if place.pid else None,
            cpu_s=counts.get("cpu_s"),
            cpu_share=counts.get("cpu_share"),
            lag_s=counts.get("lag_s"),
            uptime_s=counts.get("uptime_s"),
            restarts=place.restarts,
            last_end=place.last_end or None,
            drain=counts.get("drain"),
        )

    def state(self, number: int) -> str:
        """Return the state of a worker.

        Raises:
            PeerError: `not-found`.
        """
        return self._state(self._place(number), self._manager.links.of(number))

    @staticmethod
    def _state(place: Place, link: Downlink | None) -> str:
        if place.process is not None and place.on_purpose:
            return "restarting"
        if place.was_linked and place.pid and (link is None or place.state is not State.LINKED):
            return "unlinked"
        if link is not None and link.is_drained:
            return "draining" if link.counts["drain"]["left"] else "drained"
        if link is not None and link.counts.get("listening") is False:
            return "restarting"  # somebody else has sent it the signal
        return _BY_PLACE[place.state]

    def _place(self, number: int) -> Place:
        places = self._manager.supervisor.places
        if not 0 <= number < len(places):
            raise PeerError("not-found", f"there are the workers 0 to {len(places) - 1}")
        return places[number]

    # -- act

    def restart(self, number: int) -> str:
        """Have a worker end in order and replaced.

        Returns:
            its state.

        Raises:
            PeerError: `not-found`, `conflict`.
        """
        before = self.state(number)
        if not self._manager.supervisor.restart(number):
            raise PeerError("conflict", f"worker {number} is {before}")
        return self.state(number)

    async def drain(self, number: int, per_s: int) -> str:
        """Have a worker listen no more, and let its connections go.

        Args:
            number: of the worker.
            per_s: so many a second.

        Returns:
            its state.

        Raises:
            PeerError: `not-found`, `conflict`: it is not up, or nobody else is at an address of its.
        """
        if not self._listens(number):
            raise PeerError("conflict", f"worker {number} is {self.state(number)}")
        if alone := self._where_alone(number):
            raise PeerError("conflict", f"no other worker listens at {alone}: clients would find nobody")
        self._asked.add(number)
        try:
            await self._ask(number, per_s)
        finally:
            self._asked.discard(number)
        self._tell("worker-drain", worker=number, per_s=per_s)
        return self.state(number)

    async def undrain(self, number: int) -> str:
        """Take back `drain`; raises as it does."""
        before = self.state(number)
        if before not in ("draining", "drained"):
            raise PeerError("conflict", f"worker {number} is {before}")
        await self._ask(number, 0)
        self._tell("worker-undrain", worker=number)
        return self.state(number)

    async def _ask(self, number: int, per_s: int) -> None:
        link = self._manager.links.of(number)
        assert link is not None
        try:
            await link.drain(per_s)
        except (LinkRefused, ConnectionDone, ConnectionLost) as e:
            raise PeerError("conflict", f"worker {number} is not to be had: {e}") from None

    def _listens(self, number: int) -> bool:
        return self.state(number) == "up" and number not in self._asked

    def _where_alone(self, number: int) -> str:
        """Return the first address where nobody would listen without the worker, "" when there is none."""
        for address in self._listeners.addresses:
            if number in address.sockets and not any(self._listens(n) for n in address.sockets if n != number):
                return address.label
        return ""
