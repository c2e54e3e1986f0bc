"""Broadcasts: messages to many at a pace, which an operator may pause, resume and cancel.

                 pause          resume         cancel         over
    running      paused         -              cancelled      done
    paused       -              running        cancelled      done
    cancelled    -              -              -              cancelled
    done         -              -              -              done

A broadcast is a message of the log like every other; what happens to it on its way, the router and its `rollouts` know.
It is over when no worker has a connection left that it is due to. One that is cancelled is taken back from the log, and
ends when every worker has heard of it: from then on nobody is written it.

Owns their states and which may be had. The list begins anew with the manager: so do the log, and the workers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import attrs
from twisted.internet.defer import Deferred

from megacomet.errors import PeerError, Refused
from megacomet.manager.places import ITell
from megacomet.model.message import Publication, Published
from megacomet.model.position import format_position
from megacomet.model.rollouts import Rollout
from megacomet.model.router import Router
from megacomet.names import EVERYONE
from megacomet.publishing.pushing import IPressure
from megacomet.wire.broadcasts import Broadcast, Order
from megacomet.wire.described import time_text

#: So many are remembered. A broadcast is an event of the day, and what was published stands in the audit log.
KEPT: Final = 50
#: So many may be under way at a time: each takes a byte a connection in the workers, and time of the others.
MOST_AT_WORK: Final = 4
#: One that is over is among those that are looked at for so long, seconds.
LOOKED_AT_S: Final = 60.0

_STEPS: Final = {
    ("running", "pause"): "paused",
    ("paused", "resume"): "running",
    ("running", "cancel"): "cancelled",
    ("paused", "cancel"): "cancelled",
    ("running", "over"): "done",
    ("paused", "over"): "done",
    ("cancelled", "over"): "cancelled",
}


@attrs.define(eq=False)
class _One:
    """One broadcast.

    Attributes:
        channel: that it goes to.
        per_s: connections a second.
        size: of its data, bytes; they themselves are the store's to keep.
        by: the name of the key that it was asked for with.
        id: of its message.
        rollout: how far it is.
        started, ended: when, seconds since the epoch; 0: not yet.
        state: see the module.
        begun: fires when all workers have it.
    """

    channel: bytes
    per_s: int
    size: int
    by: str
    rollout: Rollout
    started: float
    id: str = ""
    state: str = "running"
    ended: float = 0.0
    begun: Deferred[None] = attrs.field(factory=Deferred)


class Broadcasts:
    """All broadcasts; see `megacomet.api.broadcasts.IBroadcasts`."""

    def __init__(
        self,
        router: Router,
        pressure: IPressure,
        tell: ITell,
        now: Callable[[], float],
        unix_s: Callable[[], float],
        everyone: Callable[[], int],
        subscribers: Callable[[bytes], Awaitable[int]],
    ) -> None:
        """
        Args:
            router: publishes.
            pressure: tells when to wait.
            tell: told of each change of state.
            now: seconds, monotonic.
            unix_s: seconds since the epoch.
            everyone: tells how many connections wait.
            subscribers: tells how many hear a channel.
        """
        self._router = router
        self._pressure = pressure
        self._tell = tell
        self._now = now
        self._unix_s = unix_s
        self._everyone = everyone
        self._subscribers = subscribers
        self._kept: list[_One] = []

    # -- look

    def listed(self) -> list[Broadcast]:
        """Return the last ones, the newest first."""
        return [_told(one) for one in reversed(self._kept)]

    def find(self, id_: str) -> Broadcast:
        """Return one; raise `PeerError` `not-found` when it is not known."""
        return _told(self._find(id_))

    def look(self) -> list[Broadcast]:
        """Return those that are not over and those that were a minute ago, the newest first."""
        since = self._unix_s() - LOOKED_AT_S
        return [_told(one) for one in reversed(self._kept) if not one.ended or one.ended >= since]

    async def estimate(self, order: Order) -> int:
        """Return to how many connections a broadcast would go.

        Raises:
            PeerError: `overloaded`: a worker does not answer.
        """
        return self._everyone() if order.channel == EVERYONE else await self._subscribers(order.channel)

    # -- act

    async def start(self, order: Order, by: str) -> Broadcast:
        """Publish a broadcast; return it when all workers have it.

        Args:
            order: what and where to.
            by: the name of the key.

        Raises:
            PeerError: `conflict`: there are too many; or what the store refuses.
        """
        while self._pressure.full():
            await self._pressure.wait()
        if sum(not one.ended for one in self._kept) >= MOST_AT_WORK:
            raise PeerError("conflict", f"{MOST_AT_WORK} broadcasts are under way already")
        rollout = Rollout(lambda: self._changed(one))
        one = _One(order.channel, order.per_s, len(order.data), by, rollout, self._unix_s())
        answered: Deferred[Published | Refused] = Deferred()
        publication = Publication(order.channel, order.data, order.ttl_s)
        self._router.publish(publication, self._now(), answered.callback, rollout.receipt)
        outcome = await answered
        if isinstance(outcome, Refused):
            raise outcome
        self._router.rollouts.begin(outcome.offset, rollout)
        one.id = format_position(self._router.epoch, outcome.offset).decode()
        self._keep(one)
        self._changed(one)
        await one.begun
        return _told(one)

    async def pause(self, id_: str) -> Broadcast:
        """Have one written to nobody more until it is resumed; return it when the workers have heard of it.

        Raises:
            PeerError: `not-found`, `conflict`.
        """
        one = self._find(id_)
        self._step(one, "pause")
        paused: Deferred[int] = Deferred()
        self._router.pause(one.rollout.offset, paused.callback)
        await paused
        return _told(one)

    async def resume(self, id_: str) -> Broadcast:
        """Have it go on; raises as `pause` does."""
        one = self._find(id_)
        self._step(one, "resume")
        one.rollout.pace(one.per_s)
        return _told(one)

    async def cancel(self, id_: str) -> Broadcast:
        """Take one back; return it when nobody will be written it any more. Raises as `pause` does."""
        one = self._find(id_)
        self._step(one, "cancel", is_told=False)
        gone: Deferred[int] = Deferred()
        self._router.withdraw(one.channel, one.rollout.offset, self._now(), gone.callback)
        await gone
        self._end(one)
        return _told(one)

    # -- states

    def _keep(self, one: _One) -> None:
        self._kept.append(one)
        if len(self._kept) > KEPT:
            self._kept.remove(next(each for each in self._kept if each.ended))

    def _find(self, id_: str) -> _One:
        for one in self._kept:
            if one.id == id_:
                return one
        raise PeerError("not-found", "no such broadcast is known")

    def _step(self, one: _One, what: str, *, is_told: bool = True) -> None:
        state = _STEPS.get((one.state, what))
        if state is None:
            raise PeerError("conflict", f"the broadcast is {one.state}")
        one.state = state
        if is_told:
            self._say(one)

    def _say(self, one: _One) -> None:
        rollout = one.rollout
        figures = {"written": rollout.written, "connections": rollout.connections}
        self._tell("broadcast", id=one.id, channel=one.channel.decode(), state=one.state, **figures)

    def _changed(self, one: _One) -> None:
        """All workers have it, or one of them is done with it, or gone."""
        if not one.id or not one.rollout.is_begun or one.ended:
            return
        if not one.begun.called:
            if one.state == "running":
                self._say(one)
            one.begun.callback(None)
        if one.state == "cancelled":
            return  # it ends when all have heard of it
        if one.rollout.is_over:
            self._end(one)
        elif one.state == "running":
            one.rollout.pace(one.per_s)

    def _end(self, one: _One) -> None:
        one.ended = self._unix_s()
        self._router.rollouts.end(one.rollout.offset)
        self._step(one, "over")


def _told(one: _One) -> Broadcast:
    rollout = one.rollout
    return Broadcast(
        id=one.id,
        channel=one.channel.decode(),
        state=one.state,
        per_s=one.per_s,
        connections=rollout.connections,
        written=rollout.written,
        lost=rollout.lost,
        started=time_text(one.started),
        ended=time_text(one.ended) if one.ended else None,
        by=one.by,
        bytes=one.size,
    )
