"""A worker: the parts of the role put together."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from megacomet import link
from megacomet.browser_client import NONE as NO_CLIENT
from megacomet.browser_client import BrowserClient
from megacomet.collector import trim
from megacomet.forking import LateEpoll
from megacomet.kinds import ENTRANCE
from megacomet.link import LinkRefused
from megacomet.listeners import Listener
from megacomet.pulse import Pulse
from megacomet.rlimits import open_descriptors
from megacomet.settings import Settings
from megacomet.turns import Turns
from megacomet.wire.workers import MOST_PER_S
from megacomet.worker.front import Front
from megacomet.worker.heartbeat import MOST_REST_S, Heartbeat
from megacomet.worker.looking import Looking
from megacomet.worker.pusher import Pusher
from megacomet.worker.room import make_lot, share_of
from megacomet.worker.uplink import Uplink

#: A worker that is restarted lets its connections go for so long, seconds: two rounds over all of them. Who has not
#: asked for anything by then is closed as at a stop.
RESTART_S: Final = 2.0


class Worker:
    """A worker: front, lot and link; see `megacomet.worker.uplink.IWorker`."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        *,
        workers: int,
        nonce: bytes,
        clock: Callable[[], float] = time.monotonic,
        connect: Callable[[str], socket.socket] = link.connect,
        browser_client: BrowserClient = NO_CLIENT,
    ) -> None:
        """Put the parts together; nothing runs before `start`.

        Args:
            reactor: that the worker will have.
            settings: the server's.
            workers: how many there are.
            nonce: to show to the manager.
            clock: seconds, monotonic.
            connect: makes a connection to the manager's path.
            browser_client: the client for browsers.
        """
        self._reactor = reactor
        self._settings = settings
        self._listeners: list[Listener] = []
        self._most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._own = 0
        self._clock = clock
        self._lot = make_lot(settings, now=clock(), descriptors=self._most)
        self._connections = LateEpoll(self._lot.rows.epoll)
        self._pusher = Pusher(reactor, settings.message_bytes)
        self._front = Front(
            *(self._lot, settings, reactor, time.time, self._pusher),
            most=share_of(settings.capacity, workers),
            browser_client=browser_client,
        )
        self._turns = Turns(len(os.sched_getaffinity(0)))
        self._link = Uplink(
            reactor, self._front.hub, self, self._pusher, nonce=nonce, clock=clock, connect=connect, turns=self._turns
        )
        self._front.link = self._link
        self._pulse = Pulse()
        self._heartbeat = Heartbeat(reactor, self._second, self._rest_s, self._tick)
        self._lot.wake = self._heartbeat.wake
        self._stirred = self._lot.stirred()
        self._looking = Looking(self._front.hub.listeners, self._lot.rows, reactor, clock=clock, unix_s=time.time)
        self._is_open = self._held_back = self._is_trimmed = False
        self._restarting = self._stopping = self._ended = False

    def start(self, number: int, listeners: list[Listener], link_path: str) -> None:
        """Let clients queue, then dial: when the link stands, the manager knows that this worker listens.

        Args:
            number: this worker's.
            listeners: what it listens on.
            link_path: where the manager is.

        Raises:
            OSError: the kernel does not let us listen.
        """
        self._listeners = listeners
        self._connections.open()
        self._reactor.addReader(self._lot)
        for listener in listeners:
            listener.listen()
        self._own = open_descriptors() + 1  # the link is to come
        self._heartbeat.start()  # what was built in the zygote has its time
        self._link.dial(number, link_path)

    def linked(self) -> None:
        """Take those who have queued; before the first link their requests could only be answered 503."""
        if self._is_open:
            return
        self._is_open = True
        for listener in self._listeners:
            self._lot.listen(listener.socket, flags=ENTRANCE if listener.classic else 0, is_shared=listener.shared)

    def _second(self, after_s: float) -> None:
        self._pulse.feel(self._clock(), time.process_time(), after_s)
        self._tick(0.0)
        self._link.tick()

    def _tick(self, ago_s: float) -> None:
        try:
            self._front.tick(self._clock() - ago_s)
        except Exception:
            self._log.failure("the work of a second failed")

    def _rest_s(self) -> float:
        is_ending = self._stopping or self._restarting or self._front.draining.per_s
        before, self._stirred = self._stirred, self._lot.stirred()
        if is_ending or self._stirred != before or not self._link.is_calm:
            self._is_trimmed = False
            return link.BEAT_S
        if not self._is_trimmed:  # once for each time in which something happened
            self._is_trimmed = True
            trim(0)
        return self._lot.rest_s(MOST_REST_S)

    def wake(self) -> None:
        """Something is about to happen: see `Heartbeat.wake`."""
        self._heartbeat.wake()

    # -- what the link wants

    def counts(self) -> dict[str, object]:
        """Return what the manager is told every second."""
        is_listening = not self._stopping and not self._front.draining.per_s
        used = self._own + self._lot.rows.open
        return {
            "listening": is_listening,
            "descriptors": {"used": used, "left": self._most - used},
            **self._pulse.counts(),
            **self._link.meters.counts(),
            **self._front.counts(),
        }

    def hold_back(self, is_behind: bool) -> None:
        """While the manager is behind nothing is read from clients, and nobody is let in."""
        if is_behind != self._held_back:
            self._held_back = is_behind
            if is_behind:
                self._reactor.removeReader(self._lot)
            else:
                self._reactor.addReader(self._lot)

    def take_back(self, fd: int, unread: bytes) -> None:
        """Serve a connection that the manager gives back."""
        self.wake()
        self._front.take_back(fd, unread)

    def restart(self) -> None:
        """End for a successor: let everybody go as in a drain, so that nobody is refused; stop when all have gone.

        Where nobody else listens, those who come meanwhile wait for the successor in the queue.
        """
        if self._stopping or self._restarting:
            return
        self.wake()
        self._restarting = True
        stop_s = self._settings.stop_s
        self._log.info("restarting: {n} connections go", n=self._lot.rows.open)
        self._reactor.callLater(stop_s, self._end)
        self._reactor.callLater(min(RESTART_S, stop_s / 2), self.stop)
        self._front.draining.begin(MOST_PER_S, is_succeeded=self._link.workers == 1, gone=self.stop)

    def look(self, question: bytes) -> Deferred[bytes]:
        """Return the answer to what the manager asks."""
        return self._looking.look(question)

    def stop(self) -> None:
        """Listen no more, answer everybody, end; at the latest when the time of a stop is over."""
        if self._stopping:
            return
        self.wake()
        self._stopping = True
        self._log.info("ending: {n} connections are answered and closed", n=self._lot.rows.open)
        self._reactor.callLater(self._settings.stop_s, self._end)
        self._front.stop().addCallback(self._all_gone)

    def drain(self, per_s: int) -> None:
        """Listen no more and let everybody go, so many a second; 0: listen again.

        Raises:
            LinkRefused: it ends already.
        """
        if self._stopping or self._restarting:
            raise LinkRefused("it is ending")
        self.wake()
        if per_s:
            self._log.info("drained: {n} connections go, {per_s} a second", n=self._lot.rows.open, per_s=per_s)
            self._front.draining.begin(per_s)
        else:
            self._log.info("drained no more: listening")
            self._front.draining.undo()

    def _all_gone(self, _: None) -> None:
        # Not in the middle of what has ended the last one; what the hub has for the manager leaves before the end.
        self._reactor.callLater(0, self._hang_up)

    def _hang_up(self) -> None:
        self._link.hang_up().addBoth(lambda _: self._end())

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._reactor.stop()

    def orphaned(self) -> None:
        """No manager came back: answer everybody, end."""
        self.stop()

    def discard(self) -> None:
        """Hang up, and close what is this worker's own; it was not one that clients have known."""
        self._heartbeat.stop()
        self._link.hang_up()
        self._reactor.removeReader(self._lot)
        self._lot.rows.epoll.close()
        self._turns.close()
