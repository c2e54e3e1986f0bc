"""Assembly: everything that runs in the manager is put together here, from `makeService` on.

In the order of twistd: `makeService` in the terminal; `privilegedStartService` as a daemon, with all privileges: the
limit of descriptors, the state directory, the API key, every socket; then `--uid` and `--gid`; `startService`: the
log pipe, the link, the zygote.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import secrets
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, NoReturn

import attrs
from twisted.application.internet import TimerService
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import Logger, globalLogPublisher
from twisted.python.failure import Failure

from megacomet import __version__, collector, whereabouts
from megacomet.api.access import Access
from megacomet.api.classic import classic_label
from megacomet.api.doors import own_addresses, own_doors
from megacomet.api.stats import Stats
from megacomet.binding import bind_all, cannot_listen
from megacomet.console.assembly import Membership
from megacomet.core import Ground, make_core
from megacomet.errors import StartError
from megacomet.hangup import Hangup, foreground_terminal
from megacomet.logs import LogRelay
from megacomet.manager.logpipe import LogPipe
from megacomet.manager.main import ask_all
from megacomet.manager.nursery import Nursery
from megacomet.manager.processes import Process, open_process
from megacomet.manager.supervisor import Supervisor
from megacomet.manager.takeover import take_over
from megacomet.options import Options
from megacomet.proctitle import set_title
from megacomet.readiness import READY, STOPPING, tell_service_manager
from megacomet.rlimits import raise_descriptor_limit, workers_for
from megacomet.settings import Settings, to_json
from megacomet.statedir import prepare
from megacomet.whereabouts import Door, Whereabouts
from megacomet.zygote import Birth

#: Twisted's own is 50: a burst of API clients would be refused.
BACKLOG: Final = 1024
#: Of the time of a stop, what is left for ourselves when the workers had theirs.
WORKERS_PART: Final = 0.8
#: So often the manager gives back what it does not need any more, seconds.
TRIM_S: Final = 60.0


class Server(MultiService):
    """The manager as a service; its children are the doors that it listens on itself."""

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        sources: Mapping[str, str],
        reactor: Any,
        uid: int | None = None,
        gid: int | None = None,
    ) -> None:
        """
        Args:
            settings: all of them.
            sources: where each of them came from.
            reactor: the global one.
            uid, gid: who will run the server; None: who starts it.
        """
        super().__init__()
        trimming = TimerService(TRIM_S, collector.trim)
        trimming.clock = reactor
        trimming.setServiceParent(self)
        self._settings = settings
        self._sources = sources
        self._reactor = reactor
        self._uid = uid
        self._gid = gid
        self._started = time.time()
        self._was_ready = False
        self._ground: Ground | None = None
        self._hangup = Hangup(reactor, foreground_terminal)

    # -- with privileges

    def privilegedStartService(self) -> None:
        """Take everything that needs privileges, or that may be refused.

        Raises:
            StartError: names what stands in the way.
        """
        set_title("manager")
        self._hangup.listen()  # before the lock says whom to send it
        try:
            self._ground = self._prepare()
            core = self._core = make_core(self._settings, self._sources, self._reactor, self._ground, self._stats)
            ways = {"publisher": core.router, "pressure": core.links}
            for door in own_doors(self._settings, self._reactor, site=core.site, dropped=core.dropped, **ways):
                door.setServiceParent(self)
            super().privilegedStartService()
        except StartError as e:
            self._refuse(e)
        except CannotListenError as e:
            self._refuse(cannot_listen(e, self._ground.listeners.addresses if self._ground else ()))

    def _prepare(self) -> Ground:
        settings = self._settings
        limit = raise_descriptor_limit()
        cores = len(os.sched_getaffinity(0))
        workers = workers_for(settings.workers, settings.capacity, limit, cores)
        if settings.capacity:
            self._look_at_the_machine(workers, cores)
        state = prepare(settings.state_dir, self._uid, self._gid)
        try:
            access = Access(settings, time.time, self._uid, self._gid)
            membership = Membership(settings.state_dir, self._uid, self._gid)
            self._hangup.reload = access.reload
            identity = _identity(settings, workers)
            found = take_over(state.control_path, identity, settings.stop_s)
            listeners = found.listeners if found is not None else bind_all(settings, workers)
        except BaseException:
            state.release()
            raise
        nonce = found.nonce if found is not None else secrets.token_hex(16)
        if found is not None:
            self._log.info("{workers} workers of an earlier manager are taken over", workers=found.workers)
        inherited = found is not None
        return Ground(state, access, membership, workers, limit, listeners, nonce, inherited, identity, self._started)

    def _look_at_the_machine(self, workers: int, cores: int) -> None:
        """Warn of what is too low for the capacity that was asked for."""
        # What is imported stays in memory: who asks for no capacity does without.
        from megacomet.doctor.finding import Aim
        from megacomet.doctor.readings import Files
        from megacomet.doctor.start import warnings

        for low in warnings(Files(), Aim(self._settings.capacity, workers, self._settings, cores=cores)):
            self._log.warn("{low}", low=low)

    def _refuse(self, error: StartError) -> NoReturn:
        """End the start with one line, not a traceback; twistd removes its pid file and tells who waits for it."""
        if self._ground is not None and not self._ground.is_inherited:
            self._ground.listeners.remove_paths()
        self._log.critical("{why}", why=str(error))
        sys.excepthook = _one_line
        raise error from None

    # -- without privileges

    def startService(self) -> None:
        """Start what runs.

        Raises:
            StartError: what could be had with privileges cannot be used without them.
        """
        super().startService()
        try:
            self._start()
        except OSError as e:
            self._refuse(StartError(f"cannot start as user {os.geteuid()}: {e}"))

    def _start(self) -> None:
        ground, core = self._ground, self._core
        assert ground is not None
        collector.calm()
        reactor, state = self._reactor, ground.state
        self._log_pipe = LogPipe(reactor, state.log_path, LogRelay(globalLogPublisher, time.time))
        self._link_port = _listen_for_links(reactor, state.link_path, core.links.factory())
        core.links.start()
        core.watch.start()
        core.vitals.start()
        self._nursery = Nursery(
            reactor, self._birth(ground), ground.listeners, state.control_path, self._log_pipe.open_writer
        )
        supervisor = core.manager.supervisor = Supervisor(
            reactor,
            ground.workers,
            open_process=self._open_process,
            shut=ground.listeners.shut,
            all_up=self._all_up,
            tell=core.events.tell,
        )
        supervisor.zygote, self._nursery.family = self._nursery, supervisor
        core.live.start()
        self._nursery.start(running=ground.is_inherited)
        if ground.is_inherited:
            # Its clients are being served: that one of its workers does not come up is no reason to start all over.
            tell_service_manager(READY)

    def _birth(self, ground: Ground) -> Birth:
        layout, descriptors = ground.listeners.pack()
        return Birth(
            identity=ground.identity,
            settings=to_json(attrs.evolve(self._settings, api_key="")),
            link_path=ground.state.link_path,
            nonce=ground.nonce,
            layout=layout,
            descriptors=len(descriptors),
            workers=ground.workers,
        )

    def _open_process(self, pid: int) -> Process | None:
        return open_process(self._reactor, pid)

    def _all_up(self) -> None:
        ground = self._ground
        assert ground is not None
        if self._was_ready:
            self._log.info("all workers are up again")
            return
        self._was_ready = True
        self._tell_where()
        labels = ground.listeners.labels
        if self._settings.classic:
            labels.append(classic_label(self._settings.classic_interface))
        self._log.info(
            "ready: {addresses}, {workers} workers, up to {room} connections",
            addresses=" ".join(labels),
            workers=ground.workers,
            room=ground.room(self._settings.capacity),
        )
        tell_service_manager(READY)

    def _tell_where(self) -> None:
        """Leave in the state directory where we are found."""
        ground = self._ground
        assert ground is not None
        doors = dict.fromkeys(
            Door(f"unix:{each.path}" if each.path else each.label, each.kind) for each in ground.listeners.addresses
        )
        told = Whereabouts(os.getpid(), __version__, ground.since, [*doors, *own_addresses(self._settings)])
        try:
            whereabouts.write(ground.state.path, told)
        except OSError as e:
            self._log.warn("where the server listens could not be told in {path}: {why}", path=ground.state.path, why=e)

    def _stats(self) -> Stats:
        core, ground = self._core, self._ground
        assert ground is not None
        return Stats(
            version=__version__,
            started=ground.since,
            connections=core.manager.connections(),
            messages={"in": sum(core.router.published.values()), "out": core.links.written},
            store=core.store.counts(),
            memory=core.manager.memory(time.monotonic()),
        )

    # -- the end

    def stopService(self) -> Deferred[None]:
        """End everything: workers answer their clients, then nothing is left. Fires when it is so."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        ground, core = self._ground, self._core
        assert ground is not None
        patience_s = self._settings.stop_s * WORKERS_PART
        self._log.info("stopping")
        tell_service_manager(STOPPING)
        ended = core.manager.supervisor.stop(patience_s)
        own = gatherResults([self._quiet(MultiService.stopService(self)), self._quiet(core.site.stop())], True)
        timer = self._reactor.callLater(patience_s, own.cancel)
        Deferred.fromCoroutine(ask_all(core.links, self._not_asked)).addErrback(self._failed)
        await ended
        await self._nursery.stop()
        with contextlib.suppress(Exception):
            await own
        if timer.active():
            timer.cancel()
        core.links.stop()
        core.watch.stop()
        core.vitals.stop()
        core.live.stop()
        await self._link_port.stopListening()
        self._log_pipe.close()
        ground.listeners.remove_paths()
        ground.listeners.close()
        ground.access.close()
        ground.membership.close()
        ground.state.clear()
        whereabouts.remove(ground.state.path)
        ground.state.release()
        self._log.info("stopped")

    def _quiet(self, ending: Any) -> Deferred[Any]:
        """Return a Deferred of our own: cancelling it lets go of what does not end, and its failures are told here."""
        ended: Deferred[Any] = Deferred()
        if ending is None:
            ended.callback(None)
        else:
            ending.addErrback(self._failed).addBoth(lambda _: None if ended.called else ended.callback(None))
        return ended

    def _not_asked(self, number: int, error: Exception) -> None:
        self._log.debug("worker {number} could not be asked to stop: {why}", number=number, why=error)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("a part of the server did not end well", failure)


def makeService(options: Options) -> IService:
    """Return the server as twistd's options and ours want it."""
    from twisted.internet import reactor

    parent: Any = options.parent or {}
    uid, gid = parent.get("uid"), parent.get("gid")
    if uid is not None and gid is None:
        gid = pwd.getpwuid(uid).pw_gid  # as twistd does
    return Server(options.settings, options.sources, reactor, uid, gid)


# -- parts


def _listen_for_links(reactor: Any, path: str, factory: Factory[Any]) -> Any:
    # Nobody else listens there: the lock of the state directory is ours.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return reactor.listenUNIX(path, factory, mode=0o600, backlog=BACKLOG)


def _identity(settings: Settings, workers: int) -> str:
    """Return what tells whether workers of another start would be the same as ours."""
    parts = (__version__, sys.version, to_json(attrs.evolve(settings, api_key="")), str(workers))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, StartError) and sys.__stderr__ is not None:
        print(f"megacomet: {error}", file=sys.__stderr__)
    else:
        sys.__excepthook__(kind, error, trace)
