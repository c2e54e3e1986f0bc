"""Supervision: every worker's place is filled, and what died is replaced, at once or with back-off.

It knows numbers, processes and time, no sockets: the zygote forks (`IZygote`), the links tell whose link stands.

Theory of operation. A worker's place is in one of these states:

    EMPTY     no process; a back-off runs, or the zygote is awaited          -> ASKED
    ASKED     the zygote was asked to fork                                   -> ALONE, EMPTY
    ALONE     a process without a link; after `LINK_S` of that it is killed  -> LINKED, EMPTY
    LINKED    the process has its link                                       -> ALONE, EMPTY

The zygote reports the end of its workers. When the zygote itself dies they live on: their ends are then seen by their
pidfds, and the next zygote forks their successors. A place that has had nobody with a link for `SHUT_S` has its
listeners shut, so that the kernel gives their clients to the other workers; the successor listens again.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from megacomet.manager.places import IProcess, ITell, IZygote, Place, State, tell_nobody

#: Pauses before the first, second ... successor of a worker that keeps dying, seconds; the last one is kept.
BACK_OFF_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
#: A worker that lived so long starts the back-off anew, seconds.
STABLE_S: Final = 60.0
#: A dead worker's listeners are kept open so long for its successor, seconds.
SHUT_S: Final = 1.0
#: A process may be without a link so long, seconds: the silence after which a worker is given up.
LINK_S: Final = 10.0
#: What the kernel needs to end a killed process, seconds; beyond it we leave it to itself.
REAP_S: Final = 5.0


class Supervisor:
    """Keeps all places filled until it is stopped."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        workers: int,
        *,
        open_process: Callable[[int], IProcess | None],
        shut: Callable[[int], None],
        all_up: Callable[[], None],
        tell: ITell = tell_nobody,
    ) -> None:
        """
        Args:
            clock: for delayed calls.
            workers: how many places there are.
            open_process: gives the process of a pid, None when it is gone already.
            shut: shuts a worker's listeners.
            all_up: called whenever all places have become LINKED.
            tell: told what happens to workers.
        """
        self.zygote: IZygote | None = None
        self._clock = clock
        self._places = [Place(number) for number in range(workers)]
        self._open_process = open_process
        self._shut = shut
        self._all_up = all_up
        self._tell = tell
        self._stopping = False
        self._ended: Deferred[None] | None = None
        self._killer: IDelayedCall | None = None

    @property
    def states(self) -> list[tuple[str, int]]:
        """State and pid of every place, for statistics."""
        return [(place.state.value, place.pid) for place in self._places]

    @property
    def places(self) -> Sequence[Place]:
        """All places, by their workers' numbers; to be looked at only."""
        return self._places

    @property
    def is_complete(self) -> bool:
        """Whether every worker has its link."""
        return all(place.state is State.LINKED for place in self._places)

    # -- what the zygote tells

    def zygote_up(self, workers: Mapping[int, int]) -> None:
        """A zygote obeys us.

        Args:
            workers: those that it has already, number -> pid; another manager had them forked.
        """
        for place in self._places:
            if place.state is State.ASKED:
                self._cancel(place)
                place.state = State.EMPTY
            pid = workers.get(place.number, 0)
            if pid and place.state is State.EMPTY:
                self._cancel(place)
                self._born(place, pid)
            elif place.state is State.EMPTY and place.timer is None:
                self._fork(place)

    def zygote_down(self) -> None:
        """The zygote is gone, or does not obey; its workers live on."""
        for place in self._places:
            if place.state is State.ASKED:
                self._cancel(place)
                place.state = State.EMPTY
            if place.pid and place.process is None:
                self._orphan_gone(place, place.pid)
            elif place.process is not None and not place.is_orphan:
                place.is_orphan = True
                place.process.watch(lambda place=place, pid=place.pid: self._orphan_gone(place, pid))  # type: ignore[misc]

    def forked(self, number: int, pid: int) -> None:
        """The zygote has forked a worker."""
        place = self._places[number]
        if place.pid != pid:
            self._cancel(place)
            self._born(place, pid)

    def failed(self, number: int, why: str) -> None:
        """The zygote could not fork a worker."""
        place = self._places[number]
        if place.state is State.ASKED:
            self._dead(place, why)

    def exited(self, number: int, pid: int, code: int) -> None:
        """The zygote has seen a worker's end.

        Args:
            number: of the worker.
            pid: of its process.
            code: its exit status, or the signal's number below zero.
        """
        place = self._places[number]
        if place.pid == pid:
            self._dead(place, _reason(code))

    def _orphan_gone(self, place: Place, pid: int) -> None:
        if place.pid == pid:
            self._dead(place, "ended after its zygote, nobody knows how")

    # -- what the links tell

    def worker_up(self, number: int, pid: int) -> None:
        """A worker listens and has its link."""
        place = self._places[number]
        if place.pid == 0:
            # The link was quicker than the zygote's word.
            self._cancel(place)
            self._born(place, pid)
        if place.pid != pid:
            self._log.error("worker {number} is process {pid}, not {other}", number=number, pid=place.pid, other=pid)
            return
        self._cancel(place)
        self._cancel_shutter(place)
        place.state = State.LINKED
        self._tell("link-up" if place.was_linked else "worker-up", worker=number, pid=pid)
        place.was_linked = True
        if self.is_complete and not self._stopping:
            self._all_up()

    def worker_down(self, number: int) -> None:
        """A worker's link is lost; the worker may dial again."""
        place = self._places[number]
        if place.state is State.LINKED:
            place.state = State.ALONE
            if not place.on_purpose:
                self._tell("link-lost", worker=number, pid=place.pid)
            self._await_link(place)

    def kill(self, number: int, why: str) -> None:
        """End a worker that is beyond help; its successor follows."""
        place = self._places[number]
        if place.process is not None and not place.why:
            place.why = why
            self._log.error("worker {number} (process {pid}) {why}: killed", number=number, pid=place.pid, why=why)
            place.process.send(signal.SIGKILL)

    def restart(self, number: int) -> bool:
        """Ask a worker to answer everybody and end; its successor follows.

        Returns:
            False when there is none, or when it ends already.
        """
        place = self._places[number]
        if place.process is None or place.on_purpose or place.why:
            return False
        place.on_purpose = True
        place.process.send(signal.SIGTERM)
        self._tell("worker-restart", worker=number, pid=place.pid)
        return True

    # -- a place's life

    def _fork(self, place: Place) -> None:
        place.timer = None
        if self.zygote is None or not self.zygote.up or self._stopping:
            return  # zygote_up asks again
        place.state = State.ASKED
        place.timer = self._clock.callLater(LINK_S, self._not_forked, place)
        self.zygote.fork(place.number)

    def _not_forked(self, place: Place) -> None:
        place.timer = None
        if self.zygote is not None:
            self.zygote.kill(f"has not forked worker {place.number} within {LINK_S:.0f} s")

    def _born(self, place: Place, pid: int) -> None:
        place.pid, place.born, place.state = pid, self._clock.seconds(), State.ALONE
        place.is_orphan, place.why, place.on_purpose, place.was_linked = False, "", False, False
        place.process = self._open_process(pid)
        if place.process is None:
            return  # gone already; the zygote says how
        self._await_link(place)
        if self._stopping:
            place.process.send(signal.SIGKILL)

    def _await_link(self, place: Place) -> None:
        self._cancel(place)
        if not self._stopping:
            place.timer = self._clock.callLater(LINK_S, self._no_link, place)

    def _no_link(self, place: Place) -> None:
        place.timer = None
        self.kill(place.number, f"has had no link for {LINK_S:.0f} s")

    def _dead(self, place: Place, reason: str) -> None:
        """A place has lost its process, or did not get one."""
        pid, lived = place.pid, self._clock.seconds() - place.born
        place.last_end, on_purpose = place.why or reason, place.on_purpose
        place.restarts += pid > 0
        if pid == 0 or lived < STABLE_S:
            place.deaths += not on_purpose
        else:
            place.deaths = int(not on_purpose)
        self._cancel(place)
        if place.process is not None:
            place.process.close()
        place.state, place.pid, place.process, place.is_orphan = State.EMPTY, 0, None, False
        if self._stopping:
            self._check_ended()
            return
        pause = BACK_OFF_S[min(max(place.deaths - 1, 0), len(BACK_OFF_S) - 1)]
        self._log.warn(
            "worker {number} (process {pid}) is gone: {why}; the next one in {pause:g} s",
            number=place.number,
            pid=pid,
            why=place.last_end,
            pause=pause,
        )
        self._tell("worker-down", worker=place.number, pid=pid, why=place.last_end, again_in_s=pause)
        if place.shutter is None:
            place.shutter = self._clock.callLater(SHUT_S, self._shut_place, place)
        if pause:
            place.timer = self._clock.callLater(pause, self._fork, place)
        else:
            self._fork(place)

    def _shut_place(self, place: Place) -> None:
        """Give the place's clients to the others.

        A successor that listens already is shut with it; it listens again when its link stands, see the worker.
        """
        place.shutter = None
        self._shut(place.number)
        self._log.warn("worker {number} is not back: its listeners are shut meanwhile", number=place.number)

    def _cancel(self, place: Place) -> None:
        if place.timer is not None and place.timer.active():
            place.timer.cancel()
        place.timer = None

    def _cancel_shutter(self, place: Place) -> None:
        if place.shutter is not None:
            place.shutter.cancel()
            place.shutter = None

    # -- the end

    def stop(self, patience_s: float) -> Deferred[None]:
        """Replace nobody from now on, and end those who do not go by themselves.

        The links ask their workers to go; those without a link are asked here.

        Args:
            patience_s: after so many seconds what is left is killed.

        Returns:
            Fires when no worker is left.
        """
        self._stopping = True
        ended = self._ended = Deferred()
        for place in self._places:
            self._cancel(place)
            self._cancel_shutter(place)
            if place.process is not None and place.state is not State.LINKED:
                place.process.send(signal.SIGTERM)
        self._killer = self._clock.callLater(patience_s, self._kill_all)
        self._check_ended()
        return ended

    def _kill_all(self) -> None:
        for place in self._places:
            self.kill(place.number, "did not end in time")
        self._killer = self._clock.callLater(REAP_S, self._give_up)

    def _give_up(self) -> None:
        self._log.error("processes {pids} do not end", pids=[place.pid for place in self._places if place.pid])
        self._end()

    def _check_ended(self) -> None:
        if not any(place.pid for place in self._places):
            self._end()

    def _end(self) -> None:
        if self._ended is None:
            return
        if self._killer is not None and self._killer.active():
            self._killer.cancel()
        ended, self._ended = self._ended, None
        ended.callback(None)


def _reason(code: int) -> str:
    if code >= 0:
        return f"it ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was ended by {name}"
