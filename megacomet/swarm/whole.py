"""Owns a whole run: its own server if none is named, ramp, hold, pushes, a killed worker, a message to all, verdict."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import time
from typing import Any, Final

import attrs

from megacomet.doctor.readings import Files
from megacomet.swarm import asking, pipes, processes
from megacomet.swarm.measures import HELD, IDLE, PUSHED, REACHED, Measures
from megacomet.swarm.meter import Meter
from megacomet.swarm.options import Options, Unusable
from megacomet.swarm.own_server import HOST, STOP_S, ServerPlan, free_port, keep_server
from megacomet.swarm.report import Report
from megacomet.swarm.run import Run
from megacomet.swarm.sources import first_port

# The stages, in their order.
SERVER: Final = "server"
RAMP: Final = "ramp"
HOLD: Final = "hold"
PUSH: Final = "push"
KILL: Final = "kill"
BROADCAST: Final = "broadcast"
END: Final = "end"
STAGES: Final = (SERVER, RAMP, HOLD, PUSH, KILL, BROADCAST, END)

_ASK_S: Final = 0.5
#: The workers tell the manager once a second how many they hold.
_COUNT_S: Final = 30.0
#: The keeper of the server has this much longer than the server to end.
_KEEPER_S: Final = STOP_S + 15.0


class WholeRun(Run):
    """One whole run; what is in the way of a stage ends it, with a report on what was seen."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._keeper: processes.Child | None = None
        self._meter = Meter(None)
        self._stages: list[tuple[str, float]] = []
        self._counted = [-1, -1]
        self._pushes = False
        self._lost = -1
        self._back_s = -1.0
        self._excused = 0
        #: the own server's processes while nobody was pushed to, and the one of them that was killed
        self._server_pids: tuple[int, ...] = ()
        self._killed = 0

    def run(self) -> Report:
        """Go through the stages, and judge.

        Raises:
            Unusable: the port of the own server is not free.
        """
        report = super().run()
        options = self._options
        measures = Measures(
            options.server_workers,
            len(self._server_pids),
            options.wanted or options.clients,
            options.bound,
            options.low,
            (self._counted[0], self._counted[1]),
            tuple(self._stages),
            self._meter.marks,
            self._lost,
            round(self._back_s, 2),
            self._meter.series,
        )
        troubles = (*report.troubles, *in_gaps(report))
        return attrs.evolve(report, measures=measures, excused=self._excused, troubles=troubles)

    # stages

    def _phases(self) -> None:
        for stage, act in (
            (SERVER, self._serve),
            (RAMP, self._ramp),
            (HOLD, self._be_idle),
            (PUSH, self._be_busy),
            (KILL, self._lose_a_worker),
            (BROADCAST, self._reach_all),
        ):
            if self._stops:
                break
            self._enter(stage)
            act()
        self._end_pushing()
        if (lost := self._sum("dropped") - max(0, self._lost)) and not self._stops:
            self._troubles.append(f"{lost:,} connections lost that no killed worker had")
        if self._interrupts:
            self._troubles.append(f"interrupted at the stage {self._stage!r}")
        if self._swarm:
            self._held_s = time.monotonic() - self._began - self._connect_s
        self._at_end = self._counts()
        self._enter(END)
        self._finish()

    def _enter(self, stage: str) -> None:
        self._stage = stage
        self._stages.append((stage, round(time.monotonic() - self._began, 2)))
        if self._options.live:
            self._show(time.monotonic())

    def _serve(self) -> None:
        """Start the own server, and wait until it is ready; with another's there is nothing to do."""
        if self._options.own_server:
            try:
                port = free_port(self._options.server_port, first_port(Files()))
            except OSError as e:
                raise Unusable(f"--server-port: {self._options.server_port}: {os.strerror(e.errno or 0)}") from None
            plan = ServerPlan(self._options.server_workers, port)
            self._keeper = self._forked(functools.partial(keep_server, plan))
            self._beside.append(self._keeper)
            self._until(lambda: "key" in self._told())
            if self._stops:
                return
            address = (HOST, port)
            self._options = attrs.evolve(
                self._options, addresses=(address,), push_address=address, host=HOST, key=self._told()["key"]
            )
            self._meter = Meter(self._told()["pid"])
            self._settle()
        self._began = time.monotonic()
        self._stages = [(stage, 0.0) for stage, _ in self._stages]
        self._meter.begin()

    def _ramp(self) -> None:
        self._start()
        self._connect_s = self._reach("connected")
        self._reach("ready")
        if self._sum("connected"):
            self._counted[0] = self._count_of_server()
        elif not self._stops:
            self._fail("no client connected")

    def _be_idle(self) -> None:
        self._hold(self._options.settle_s)
        self._mark(HELD)
        self._hold(self._options.hold_s / 2)
        self._mark(IDLE)
        self._server_pids = tuple(self._meter.pids)

    def _be_busy(self) -> None:
        self._pushes = True
        self._begin_pushing()
        self._hold(self._options.hold_s / 2)
        self._mark(PUSHED)

    def _lose_a_worker(self) -> None:
        """Kill the own server's worker that has most clients, and wait until they are back; then push no more."""
        options = self._options
        if self._keeper is None:
            return
        victim = asking.busiest_worker(options.push_address, options.key)
        if victim is None or victim[0] not in self._meter.pids:
            self._troubles.append("no worker was killed: the server did not tell which one has clients")
        else:
            dropped, errors, ended = self._sum("dropped"), self._push_errors(), self._ended_by_workers()
            for child in self._swarm:
                child.command(pipes.FAILING)
            began = time.monotonic()
            self._killed = victim[0]
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(self._killed, signal.SIGKILL)

            def all_back() -> bool:
                return self._sum("dropped") > dropped and self._all_wait()

            end = began + options.drain_s
            self._until(lambda: all_back() or time.monotonic() > end)
            if all_back():
                self._back_s = time.monotonic() - began
            elif not self._stops:
                self._troubles.append(f"not all clients were back {options.drain_s:,.0f} s after a worker was killed")
            self._excused = self._push_errors() - errors
            self._end_pushing()
            self._lost = self._sum("dropped") - dropped
            if 0 <= ended < (now := self._ended_by_workers()):
                self._troubles.append(f"{now - ended:,} connections were ended by workers that were not killed")

    def _reach_all(self) -> None:
        self._end_pushing()
        if self._lost >= 0:
            self._counted[1] = self._count_of_server()
        self._push_to_everyone()
        self._rest()
        self._settle()
        self._mark(REACHED)
        gone = {*self._server_pids} - {self._killed, *self._meter.pids}
        if gone and not self._stops:
            self._troubles.append(f"{len(gone)} processes of the server died that were not killed")

    def _end_pushing(self) -> None:
        if self._pushes:
            self._pushes = False
            super()._end_pushing()

    def _fail(self, trouble: str) -> None:
        """Note what makes it of no use to go on."""
        self._troubles.append(trouble)
        self._failed = True

    # what is looked at

    def _mark(self, name: str) -> None:
        if not self._stops:
            self._meter.mark(name, self._pids())

    def _settle(self) -> None:
        """Give the server a moment to become quiet."""
        self._hold(min(1.0, self._options.settle_s))

    def _all_wait(self) -> bool:
        return self._sum("waiting") >= len(self._indexes)

    def _push_errors(self) -> int:
        return sum(sum(child.live.get("errors", {}).values()) for child in self._pushing())

    def _ended_by_workers(self) -> int:
        return asking.ended_by_workers(self._options.push_address, self._options.key)

    def _count_of_server(self) -> int:
        """Return how many connections the server counts, as soon as it counts all; -1: it was not asked, or is silent.

        On several machines it counts those of all.
        """
        if self._options.part[1] > 1 or self._stops:
            return -1
        wanted, counted = len(self._indexes), -1
        end = time.monotonic() + _COUNT_S
        while not self._stops and time.monotonic() < end:
            told = asking.connections(self._options.push_address, self._options.key)
            counted = counted if told < 0 else told
            if counted == wanted:
                break
            self._hold(_ASK_S)
        if not self._stops:
            self._troubles += miscounted(counted, wanted, must_tell=self._options.own_server)
        return counted

    def _pids(self) -> list[int]:
        return [child.pid for child in self._children()]

    def _look(self, now: float) -> None:
        if self._keeper is not None and not self._failed and self._stage != END:
            told = self._told()
            if "trouble" in told or self._keeper.ended:
                self._fail(str(told.get("trouble", "the process that keeps the server has died")))
        counts = {name: self._sum(name) for name in ("connected", "waiting")}
        self._meter.sample(counts, self._pids())

    def _told(self) -> dict[str, Any]:
        assert self._keeper is not None
        return self._keeper.final or self._keeper.live

    # the end

    def _ended(self) -> None:
        """End the own server, and see that nothing of it is left."""
        keeper = self._keeper
        if keeper is None:
            return
        keeper.finish()
        end = time.monotonic() + _KEEPER_S
        while not keeper.ended and time.monotonic() < end:
            self._gather(0.1, live=False)
        told = self._told()
        self._reap(keeper)
        if keeper.final is None and told:  # it was killed, or hangs
            if "pid" in told:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(int(told["pid"]), signal.SIGKILL)
            shutil.rmtree(told["folder"], ignore_errors=True)


def miscounted(counted: int, wanted: int, *, must_tell: bool) -> tuple[str, ...]:
    """Return what is wrong with the server's own count of connections.

    Args:
        counted: what it told last; -1: it told nothing.
        wanted: how many clients there are.
        must_tell: another's server may keep it from our key.
    """
    if counted == wanted or (counted < 0 and not must_tell):
        return ()
    if counted < 0:
        return ("the server did not tell how many connections it has",)
    return (f"{counted:,} connections by the server's own count, {wanted:,} clients",)


def in_gaps(report: Report) -> tuple[str, ...]:
    """Return what never arrived since clients were told of a gap: all that a whole run pushes has to arrive."""
    number = report.verdict.skipped + report.rooms.skipped + report.everybody.skipped
    return (f"{number:,} messages in gaps that clients were told of",) if number else ()
