"""The worker's end of one connection to the manager: what comes down it, and the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet import link
from megacomet.model.answers import Box
from megacomet.wire import frames
from megacomet.wire.pushed import decode_verdict
from megacomet.worker.pusher import Pusher


class IUplink(Protocol):
    """What a connection to the manager tells."""

    @property
    def clock(self) -> Callable[[], float]:
        """The clock: seconds, monotonic."""

    def dialled(self, end: UplinkEnd) -> None:
        """A connection stands."""

    def lost(self, end: UplinkEnd) -> None:
        """A connection ended."""

    def deliver(self, box: Box) -> None:
        """A box came; `UplinkEnd.worked_off` answers it."""

    def give_back(self, fd: int, unread: bytes) -> None:
        """A connection that was handed over came back."""

    def stop(self) -> None:
        """The manager wants the worker to end."""

    def drain(self, per_s: int) -> bytes:
        """The manager wants the worker to let its connections go, 0: to take that back; return what a beat says.

        Raises:
            LinkRefused: it cannot be.
        """

    def look(self, question: bytes) -> Deferred[bytes]:
        """The manager wants to know something; see `megacomet.wire.looking`."""

    @property
    def pusher(self) -> Pusher:
        """Hears what became of pushes, and which keys the API takes."""


class UplinkEnd(link.LinkEnd):
    """One connection to the manager."""

    takes: ClassVar = {link.DELIVER: "delivered", link.PUSHES: "pushes_received"}
    _log = Logger()

    def __init__(self, uplink: IUplink) -> None:
        super().__init__()
        self._uplink = uplink
        self.silent_beats = 0
        self.untaken = 0

    def connectionMade(self) -> None:
        super().connectionMade()
        self._uplink.dialled(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._uplink.lost(self)  # before what waits for an answer hears of it, lest it try again on this link
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        self.silent_beats = 0
        super().dataReceived(data)

    def delivered(self, value: bytes) -> None:
        """A box of the down stream came."""
        try:
            number, head, answered, accepted_s, records = frames.decode_box(value)
            self._uplink.deliver(Box(number, head, answered, records, accepted_s, self._uplink.clock()))
        except Exception:
            self._log.failure("a box of the manager cannot be worked off; dialling again")
            link.transport_of(self).abortConnection()

    def publish(self, pushes: bytes) -> None:
        """Send a box of pushes; `Pusher.told` hears what became of them."""
        self.send_value(link.PUSHES, pushes)

    def worked_off(self, results: bytes) -> None:
        """The oldest box without an answer was worked off."""
        self.send_value(link.WORKED, results)

    def pushes_received(self, value: bytes) -> None:
        """The manager told what became of pushes."""
        try:
            boxes, head, told = decode_verdict(value)
            self._uplink.pusher.told(told, boxes, head)
        except ValueError as e:
            self._log.error("what the manager told of pushes cannot be read: {why}", why=str(e))
            link.transport_of(self).abortConnection()

    @link.Keys.responder
    def keys(self, keys: bytes) -> dict[str, object]:
        self._uplink.pusher.keys.unpack(keys)
        return {}

    @link.GiveBack.responder
    def give_back(self, fd: int, unread: bytes) -> dict[str, object]:
        self._uplink.give_back(fd, unread)
        return {}

    @link.Stop.responder
    def stop(self) -> dict[str, object]:
        self._uplink.stop()
        return {}

    @link.Drain.responder
    def drain(self, per_s: int) -> dict[str, object]:
        return {"counts": self._uplink.drain(per_s)}

    @link.Undrain.responder
    def undrain(self) -> dict[str, object]:
        return {"counts": self._uplink.drain(0)}

    @link.Look.responder
    def look(self, question: bytes) -> Deferred[dict[str, bytes]]:
        answer: Deferred[dict[str, bytes]] = Deferred()
        maybeDeferred(self._uplink.look, question).addBoth(self._looked, answer)
        return answer

    def _looked(self, found: bytes | Failure, answer: Deferred[dict[str, bytes]]) -> None:
        if self.transport is None:  # nobody is there any more to be told
            return
        if not isinstance(found, Failure):
            answer.callback({"answer": found})
            return
        if not found.check(link.LinkRefused):
            self._log.failure("the manager asked for something that failed", found)
        answer.errback(link.LinkRefused(found.getErrorMessage()))
