"""The worker's end of the link: dials the manager, feeds the hub, tells what the hub gathered, and dials again.

Link loss is a state, not an end: the worker keeps its connections for `ORPHAN_BEATS` seconds and tries again; then it
gives up.

An endpoint with `ClientService` and `LoopingCall` would do the same in fewer lines. They are not used because each
worker runs their code once, and every page of the zygote that code touches is copied for each worker: 0.9 MB of it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementedBy

from megacomet import link
from megacomet.forking import IReactor
from megacomet.model.answers import Box
from megacomet.model.hub import Hub
from megacomet.slices import timed, undisturbed
from megacomet.turns import Turns
from megacomet.wire.answers import as_json
from megacomet.worker.meters import Meters
from megacomet.worker.pacing import Pacing
from megacomet.worker.pusher import Pusher
from megacomet.worker.uplink_end import UplinkEnd

#: What connections come and go is told to the manager at most so often, seconds, and not before it has taken what was
#: told last: under load one box carries many, and whoever comes while nothing is going on is told at once. A message
#: for a poll that is not known yet waits for it.
TELL_S: Final = 0.005
#: A manager that owes us the answers to more beats than that is behind with what the workers tell. Until it has caught
#: up nothing is read from clients and nobody is let in: else workers that are faster together than it is (a million
#: clients that come in, or ask again, at once) would fill the links until it seems dead.
BEHIND_BEATS: Final = 1
#: Between two tries to reach the manager, seconds.
REDIAL_S: Final = 0.25


class IWorker(Protocol):
    """What the link needs of the rest of the worker."""

    def counts(self) -> dict[str, object]:
        """Return what the manager is told every second; must be JSON."""

    def wake(self) -> None:
        """Something is about to happen: the work of a second may have been left out until now."""

    def take_back(self, fd: int, unread: bytes) -> None:
        """Serve a connection that the manager gives back; the descriptor is the worker's from now on."""

    def hold_back(self, is_behind: bool) -> None:
        """Read nothing from clients while the manager is behind; called often with the same."""

    def linked(self) -> None:
        """The link stands: the manager knows everything that listens here. Called each time that it does."""

    def stop(self) -> None:
        """Listen no more, answer everybody, end."""

    def drain(self, per_s: int) -> None:
        """Listen no more, and let so many connections go a second; 0: take that back.

        Raises:
            LinkRefused: it ends already.
        """

    def look(self, question: bytes) -> Deferred[bytes]:
        """Return the answer to what the manager asks; see `megacomet.wire.looking`."""

    def orphaned(self) -> None:
        """No manager came for `ORPHAN_BEATS` seconds: close all, end."""


class Uplink:
    """The worker's side of the link, over all its connections.

    Attributes:
        up: whether the manager knows everything that listens here.
        ready: whether all workers of the server listen, as the manager said last.
        workers: how many workers the server has.
        meters: how long messages take.
        pusher: has the manager publish.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactor,
        hub: Hub,
        worker: IWorker,
        pusher: Pusher,
        *,
        nonce: bytes,
        clock: Callable[[], float],
        connect: Callable[[str], socket.socket] = link.connect,
        turns: Turns,
    ) -> None:
        """
        Args:
            reactor: for connections and delayed calls.
            hub: fed with what comes down the link.
            worker: the rest of the worker.
            pusher: has the manager publish.
            nonce: what the manager gave it at birth.
            clock: seconds, monotonic.
            connect: makes a connection to a path.
            turns: tells when a fan-out may go on.
        """
        self.reactor = reactor
        self.worker = worker
        self.pusher = pusher
        self.clock = clock
        self.up = False
        self.ready = False
        self.workers = 0
        self.meters = Meters()
        self._hub = hub
        self._pacing = Pacing(hub.spreading, reactor, clock, self.touch)
        self._number = -1
        self._nonce = nonce
        self._protocol: UplinkEnd | None = None
        self._turn: IDelayedCall | None = None
        self._lonely_beats = self._unanswered_beats = 0
        self._is_calm = False
        self._told_at = -inf
        self._path = ""
        self._connect = connect
        self._turns = turns
        self._factory = ServerFactory()  # as Twisted calls what is adopted
        self._factory.protocol = lambda: UplinkEnd(self)
        self._redial: IDelayedCall | None = None
        self._hung_up: Deferred[None] | None = None
        self._was_up = self._is_gathering = False
        implementedBy(UplinkEnd)  # made when first asked for: rather here, for all workers, than in each

    def dial(self, number: int, path: str) -> None:
        """Keep dialling the manager's socket, until `hang_up`.

        Args:
            number: this worker's.
            path: of the socket.
        """
        self._number, self._path = number, path
        self._dial_now()

    def hang_up(self) -> Deferred[None]:
        """Tell what is still to be told, close the link behind it, and dial no more; fires when it has ended."""
        if self._redial is not None and self._redial.active():
            self._redial.cancel()
        self._flush()
        if self._protocol is None:
            self._hung_up = succeed(None)
        else:
            self._hung_up = Deferred()
            link.transport_of(self._protocol).loseConnection()
        return self._hung_up

    # -- the connection

    def _dial_now(self) -> None:
        try:
            connection = self._connect(self._path)
        except OSError:
            self._dial_again()
            return
        with connection:  # the reactor has a copy of its own
            self.reactor.adoptStreamConnection(connection.fileno(), socket.AF_UNIX, self._factory)

    def _dial_again(self) -> None:
        """A try has failed, or a connection has ended: try again a little later."""
        if self._hung_up is None:
            self._redial = self.reactor.callLater(REDIAL_S, self._dial_now)

    def dialled(self, protocol: UplinkEnd) -> None:
        """A connection stands: say who this is, then everything that listens here."""
        self._protocol = protocol
        hello = protocol.callRemote(
            link.Hello, protocol=link.PROTOCOL, number=self._number, pid=os.getpid(), nonce=self._nonce
        )
        hello.addCallback(self._welcomed, protocol)
        hello.addErrback(self._failed, protocol, "hello")

    def _welcomed(self, answer: dict[str, object], protocol: UplinkEnd) -> None:
        if protocol is not self._protocol:
            return
        epoch, head = answer["epoch"], answer["head"]
        assert isinstance(epoch, bytes)
        assert isinstance(head, int)
        keys = answer["keys"]
        assert isinstance(keys, bytes)
        self.up = True
        self.pusher.linked(protocol, epoch, head, keys)
        self._send(self._hub.linked(epoch, head))
        self.worker.linked()
        self._tick()
        if self._was_up:
            self._log.info("link to the manager stands again, {channels} channels told", channels=self._hub.channels)
        self._was_up = True

    def lost(self, protocol: UplinkEnd) -> None:
        """A connection ended."""
        if protocol is not self._protocol:
            return
        was_up, self.up, self.ready, self._protocol = self.up, False, False, None
        if was_up:
            self.worker.wake()
            self._lonely_beats = self._unanswered_beats = 0
            self.worker.hold_back(False)
            self._hub.unlinked()
            self.pusher.unlinked()
            self._turns.slice_over(is_done=True)
            if self._hung_up is None:
                self._log.warn("link to the manager lost")
        if self._hung_up is not None and not self._hung_up.called:
            self._hung_up.callback(None)
        self._dial_again()

    def _failed(self, failure: Failure, protocol: UplinkEnd, what: str) -> None:
        """Something that was asked of the manager failed; a link that cannot be trusted is ended."""
        if protocol is self._protocol:
            self._log.warn("the manager refused {what}: {why}", what=what, why=failure.getErrorMessage())
            link.transport_of(protocol).abortConnection()

    # -- every second

    @property
    def is_calm(self) -> bool:
        """Whether nobody would miss the beats of the next seconds while nothing happens here."""
        is_busy = self._hub.busy or self._hub.spreading.is_paced or self.pusher.is_asking
        return self._is_calm and not is_busy

    def tick(self) -> None:
        """A second has passed: beat, or look for the manager."""
        if self._hung_up is not None or self._number < 0:
            return
        try:
            self._tick()
        except Exception:
            self._log.failure("the beat of the link failed")
            self.worker.orphaned()

    def _tick(self) -> None:
        self._is_calm = self.ready and not self._unanswered_beats
        protocol = self._protocol
        if not self.up or protocol is None:
            self._lonely_beats += 1
            if self._lonely_beats > link.ORPHAN_BEATS:
                self._log.error("no manager for {n} s: giving up", n=link.ORPHAN_BEATS)
                self.worker.orphaned()
            return
        protocol.silent_beats += 1
        if protocol.silent_beats > link.SILENCE_BEATS:
            self._log.warn("the manager was silent for {n} s: dialling again", n=link.SILENCE_BEATS)
            link.transport_of(protocol).abortConnection()
            return
        beat = protocol.callRemote(link.Beat, counts=self._counts())
        beat.addCallback(self._answered_beat)
        beat.addErrback(self._failed, protocol, "beat")
        self._unanswered_beats += 1
        self.worker.hold_back(self._unanswered_beats > BEHIND_BEATS)

    def _counts(self) -> bytes:
        return as_json(self.worker.counts())

    def _answered_beat(self, answer: dict[str, object]) -> None:
        self._unanswered_beats -= 1
        self.worker.hold_back(self._unanswered_beats > BEHIND_BEATS)
        self.ready = bool(answer["ready"])
        workers = answer["workers"]
        assert isinstance(workers, int)
        self.workers = workers

    # -- boxes and records

    def deliver(self, box: Box) -> None:
        """A box came: work it off in this turn and the next ones."""
        if box.blob:
            self.worker.wake()
        behind = self._hub.has_boxes and self._turn is not None  # a turn has one slice, however many boxes came at once
        self._hub.received(box)
        if not behind:
            self._work(lambda: False)

    def _work(self, may_spread: Callable[[], bool]) -> None:
        is_over = (
            timed(self.clock) if self._hub.has_boxes else undisturbed(self.clock, self.reactor.is_anything_waiting)
        )
        results = self._hub.work(is_over, may_spread)
        if self._hub.results.worked:
            self.meters.look(self._hub.results.worked, self.clock())
        self._flush()
        if self._protocol is not None:
            for result in results:
                self._protocol.worked_off(result)
        self._turns.slice_over(is_done=not self._hub.busy)
        self._pacing.look()
        if self._hub.busy:
            self.touch()

    def touch(self) -> None:
        """Something changed in the hub: the manager is told soon, once for all changes."""
        if self._turn is None:
            wait_s = max(0.0, self._told_at + TELL_S - self.clock())
            if self._hub.busy:
                wait_s = 0.0 if self._hub.has_boxes else self._turns.wait(self.reactor, self._hurry)
            self._turn = self.reactor.callLater(wait_s, self._end_of_turn)
        elif self._hub.has_boxes:
            self._turn.reset(0)  # a box is not to wait for what is gathered

    def _end_of_turn(self) -> None:
        self._turn = None
        try:
            if self._hub.busy:
                self._work(self._turns.take)
            elif self._protocol is not None and self._protocol.untaken:
                self._is_gathering = True
            else:
                self._flush()
        except Exception:
            self._log.failure("a turn of the link failed; dialling again")
            if self._protocol is not None:
                link.transport_of(self._protocol).abortConnection()

    def _hurry(self) -> None:
        if self._turn is not None:
            self._turn.reset(0)

    def _flush(self) -> None:
        self._is_gathering = False
        if self.up and (records := self._hub.outgoing()):
            self._told_at = self.clock()
            self._send(records)

    def _send(self, records: list[bytes]) -> None:
        protocol = self._protocol
        assert protocol is not None
        batch: list[bytes] = []
        size = 0
        for record in records:
            batch.append(record)
            size += len(record)
            if size >= link.BOX_BYTES:
                self._send_box(protocol, batch)
                batch, size = [], 0
        if batch:
            self._send_box(protocol, batch)

    def _send_box(self, protocol: UplinkEnd, records: list[bytes]) -> None:
        protocol.untaken += 1
        told = protocol.callRemote(link.Want, records=b"".join(records))
        told.addCallback(self._taken, protocol)
        told.addErrback(self._failed, protocol, "what listens here")

    def _taken(self, _: dict[str, object], protocol: UplinkEnd) -> None:
        protocol.untaken -= 1
        if protocol is self._protocol and self._is_gathering:
            self.touch()

    # -- descriptors, and the end

    def give_back(self, fd: int, unread: bytes) -> None:
        """See `IUplink`."""
        self.worker.take_back(fd, unread)

    def stop(self) -> None:
        """See `IUplink`."""
        self.worker.stop()

    def drain(self, per_s: int) -> bytes:
        """See `IUplink`."""
        self.worker.drain(per_s)
        return self._counts()

    def look(self, question: bytes) -> Deferred[bytes]:
        """See `IUplink`."""
        return self.worker.look(question)

    def adopt(self, fd: int, head: bytes, peer: bytes) -> Deferred[dict[str, object]]:
        """Hand a connection to the manager; the caller closes its descriptor on the outcome, when it has been sent.

        Fires when the manager has it; fails when it is refused or the link is lost.
        """
        protocol = self._protocol
        assert protocol is not None
        assert self.up
        adopted: Deferred[dict[str, object]] = protocol.callRemote(link.Adopt, fd=fd, head=head, peer=peer)
        return adopted
