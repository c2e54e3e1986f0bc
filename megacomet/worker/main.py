"""What a worker process runs: its reactor, its log, and the parts of the role put together.

All of it is built in the zygote, once; a fork of it only starts (see `megacomet.forking`).
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import time
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger, globalLogBeginner

from megacomet.collector import THRESHOLDS
from megacomet.forking import LateEpoll, LateReactor
from megacomet.kinds import ENTRANCE
from megacomet.listeners import BACKLOG, Listener
from megacomet.logs import ZYGOTE, PipeObserver, worker_name
from megacomet.settings import Settings
from megacomet.turns import Turns
from megacomet.worker.front import Front
from megacomet.worker.looking import Looking
from megacomet.worker.room import make_lot, share_of
from megacomet.worker.uplink import Uplink
from megacomet.zygote import Birth, Run

#: The descriptor that every process of the server logs to.
LOG_FD: Final = 2
#: Deadlines are whole seconds.
TICK_S: Final = 1.0


class Worker:
    """A worker: front, lot and link; see `megacomet.worker.uplink.IWorker`."""

    _log = Logger()

    def __init__(self, reactor: Any, settings: Settings, *, workers: int, nonce: bytes) -> None:
        """Put the parts together; nothing runs before `start`.

        Args:
            reactor: that the worker will have.
            settings: the server's.
            workers: how many there are.
            nonce: to show to the manager.
        """
        self._reactor = reactor
        self._settings = settings
        self._listeners: list[Listener] = []
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._lot = make_lot(settings, now=time.monotonic(), descriptors=descriptors)
        self._connections = LateEpoll(self._lot.rows.epoll)
        self._front = Front(self._lot, settings, reactor, unix_s=time.time, most=share_of(settings.capacity, workers))
        self._link = Uplink(
            reactor, self._front.hub, self, nonce=nonce, clock=time.monotonic, turns=Turns(len(os.sched_getaffinity(0)))
        )
        self._front.link = self._link
        self._looking = Looking(
            self._front.hub.listeners, self._lot.rows, reactor, clock=time.monotonic, unix_s=time.time
        )
        self._is_open = False
        self._held_back = False
        self._stopping = False
        self._ended = False

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
            listener.socket.listen(BACKLOG)
        self._every_second()  # what was built in the zygote has its time
        self._link.dial(number, link_path)

    def linked(self) -> None:
        """Take those who have queued; before the first link their requests could only be answered 503."""
        if self._is_open:
            return
        self._is_open = True
        for listener in self._listeners:
            self._lot.listen(listener.socket, flags=ENTRANCE if listener.classic else 0, is_shared=listener.shared)

    def _every_second(self) -> None:
        self._reactor.callLater(TICK_S, self._every_second)
        try:
            self._front.tick(time.monotonic())
        except Exception:
            self._log.failure("the work of a second failed")

    # -- what the link wants

    def counts(self) -> dict[str, object]:
        """Return what the manager is told every second."""
        return {"listening": not self._stopping, **self._front.counts()}

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
        self._front.take_back(fd, unread)

    def look(self, question: bytes) -> Deferred[bytes]:
        """Return the answer to what the manager asks."""
        return self._looking.look(question)

    def stop(self) -> None:
        """Listen no more, answer everybody, end; at the latest when the time of a stop is over."""
        if self._stopping:
            return
        self._stopping = True
        self._log.info("ending: {n} connections are answered and closed", n=self._lot.rows.open)
        self._reactor.callLater(self._settings.stop_s, self._end)
        self._front.stop().addCallback(self._all_gone)

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


def prepare(birth: Birth, settings: Settings) -> Run:
    """Build what all workers are forks of; called in the zygote.

    Returns:
        what a fork is to run.
    """
    observer = PipeObserver(LOG_FD, ZYGOTE)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    late = LateReactor()
    reactor = late.reactor
    worker = Worker(reactor, settings, workers=birth.workers, nonce=bytes.fromhex(birth.nonce))

    def run(number: int, listeners: list[Listener]) -> int:
        observer.process = worker_name(number)
        late.install()
        gc.set_threshold(*THRESHOLDS)  # frozen it was before the fork
        worker.start(number, listeners, birth.link_path)
        signal.signal(signal.SIGTERM, lambda _number, _frame: reactor.callFromThread(worker.stop))
        reactor.run(installSignalHandlers=False)
        return 0

    return run
