"""What a worker process runs: its reactor, its log, and the parts of the role put together."""

from __future__ import annotations

import gc
import resource
import signal
import time
from typing import Any, Final

from twisted.application.internet import ClientService
from twisted.internet import epollreactor
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, globalLogBeginner

from megacomet.collector import THRESHOLDS
from megacomet.kinds import ENTRANCE
from megacomet.listeners import BACKLOG
from megacomet.logs import PipeObserver, worker_name
from megacomet.worker.front import Front
from megacomet.worker.room import make_lot, share_of
from megacomet.worker.uplink import Uplink
from megacomet.zygote import WorkerRun

#: The descriptor that every process of the server logs to.
LOG_FD: Final = 2
#: Deadlines are whole seconds.
TICK_S: Final = 1.0


class Worker:
    """A worker: front, lot and link; see `megacomet.worker.uplink.IWorker`."""

    _log = Logger()

    def __init__(self, reactor: Any, born: WorkerRun) -> None:
        """Put the parts together; nothing runs before `start`.

        Args:
            reactor: this process's.
            born: what the zygote gave.
        """
        self._reactor = reactor
        self._settings = born.settings
        self._listeners = born.listeners
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._lot = make_lot(born.settings, now=time.monotonic(), descriptors=descriptors)
        self._front = Front(
            self._lot,
            born.settings,
            reactor,
            unix_s=time.time,
            most=share_of(born.settings.capacity, born.workers),
        )
        uplink = Uplink(reactor, self._front.hub, self, number=born.number, nonce=born.nonce, clock=time.monotonic)
        self._front.link = uplink
        self._link: ClientService = uplink.dial(born.link_path)
        self._tick = LoopingCall(self._every_second)
        self._is_open = False
        self._stopping = False
        self._ended = False

    def start(self) -> None:
        """Let clients queue, then dial: when the link stands, the manager knows that this worker listens.

        Raises:
            OSError: the kernel does not let us listen.
        """
        self._reactor.addReader(self._lot)
        for listener in self._listeners:
            listener.socket.listen(BACKLOG)
        self._tick.start(TICK_S)
        self._link.startService()

    def linked(self) -> None:
        """Take those who have queued; before the first link their requests could only be answered 503."""
        if self._is_open:
            return
        self._is_open = True
        for listener in self._listeners:
            self._lot.listen(listener.socket, flags=ENTRANCE if listener.classic else 0, is_shared=listener.shared)

    def _every_second(self) -> None:
        try:
            self._front.tick(time.monotonic())
        except Exception:
            self._log.failure("the work of a second failed")

    # -- what the link wants

    def counts(self) -> dict[str, object]:
        """Return what the manager is told every second."""
        return {"listening": not self._stopping, **self._front.counts()}

    def take_back(self, fd: int, unread: bytes) -> None:
        """Serve a connection that the manager gives back."""
        self._front.take_back(fd, unread)

    def stop(self) -> None:
        """Listen no more, answer everybody, end; at the latest when the time of a stop is over."""
        if self._stopping:
            return
        self._stopping = True
        self._reactor.callLater(self._settings.stop_s, self._end)
        self._front.stop().addCallback(self._all_gone)

    def _all_gone(self, _: None) -> None:
        # What the hub has for the manager leaves by the end of this turn, and the link is closed behind it.
        self._reactor.callLater(0, self._hang_up)

    def _hang_up(self) -> None:
        self._link.stopService().addBoth(lambda _: self._end())

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._reactor.stop()

    def orphaned(self) -> None:
        """No manager came back: answer everybody, end."""
        self.stop()


def run(born: WorkerRun) -> int:
    """Be a worker until it is told to stop; called in a fork of the zygote, where nothing runs yet.

    Returns:
        The exit status.
    """
    globalLogBeginner.beginLoggingTo([PipeObserver(LOG_FD, worker_name(born.number))])
    epollreactor.install()
    from twisted.internet import reactor as installed

    reactor: Any = installed
    gc.set_threshold(*THRESHOLDS)  # frozen it was before the fork
    worker = Worker(reactor, born)
    worker.start()
    signal.signal(signal.SIGTERM, lambda _number, _frame: reactor.callFromThread(worker.stop))
    reactor.run(installSignalHandlers=False)
    return 0
