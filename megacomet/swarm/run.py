"""Owns the phases of a run: its processes, what is waited for, when it ends."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import attrs

from megacomet.swarm import judging, pipes, processes
from megacomet.swarm.judging import Outcome, added
from megacomet.swarm.options import Options
from megacomet.swarm.plan import Plan
from megacomet.swarm.publisher import CHANNEL, EVERYONE, PushPlan
from megacomet.swarm.report import Report, live_json, live_line

#: How long children may take to tell their last words (a million clients' receipts are some megabytes).
_FAREWELL_S: Final = 30.0
#: What the live lines tell, summed over the processes of clients.
_SUMMED: Final = (
    *("connected", "ready", "open", "waiting", "answered", "timeouts", "closed", "dropped", "reconnects", "stale"),
    *("foreign", "misdelivered", "heard", "heard_again", "connect_cpu_s", "delivered", "room_delivered"),
    *("everyone_delivered", "repeated", "out_of_order", "gaps", "switches"),
)


class Run:
    """One run; `run` goes through its phases."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._indexes = options.indexes
        self._began = 0.0
        self._swarm: list[processes.Child] = []
        self._publisher: processes.Child | None = None
        self._batch: processes.Child | None = None
        self._rooms: processes.Child | None = None
        self._criers: processes.Child | None = None
        self._poll = select.poll()
        self._at: dict[int, processes.Child] = {}
        self._interrupts = 0
        self._next_line = 0.0
        self._last: dict[str, float] = {}
        self._last_at = 0.0
        self._connect_s = self._held_s = 0.0
        self._at_end: dict[str, Any] = {"waiting": 0, "transports": {}}
        #: what went wrong beside the messages; something of it ended the run
        self._troubles: list[str] = []
        self._failed = False
        #: processes that outlast the others: their owner ends them
        self._beside: list[processes.Child] = []
        #: where it stands, for the live lines; "": it has no stages
        self._stage = ""

    def run(self) -> Report:
        """Go through the phases, and judge."""
        with self._interruptible():
            self._began = time.monotonic()
            try:
                self._phases()
            finally:
                for child in self._children():
                    self._reap(child)
                self._ended()
        return judging.report(
            self._options,
            Outcome(
                clients=[c.final for c in self._swarm],
                publisher=_last_words(self._publisher),
                batch=_last_words(self._batch),
                rooms=_last_words(self._rooms),
                criers=_last_words(self._criers),
                connect_s=self._connect_s,
                held_s=self._held_s,
                at_end=self._at_end,
                interrupted=self._interrupts > 0,
                troubles=tuple(self._troubles),
            ),
        )

    def _phases(self) -> None:
        """Connect, hold, push, let the last messages arrive."""
        self._start()
        self._connect_s = self._reach("connected")
        connected_at = time.monotonic()
        self._reach("ready")
        self._push()
        self._held_s = time.monotonic() - connected_at
        self._at_end = self._counts()
        self._finish()

    def _ended(self) -> None:
        """Do what is left to do when the processes are gone, however they went."""

    @property
    def _stops(self) -> bool:
        """Whether no more is begun."""
        return self._interrupts > 0 or self._failed

    @property
    def _is_cut_off(self) -> bool:
        """Whether nothing more is waited for."""
        return self._interrupts > 1 or self._failed

    # processes

    def _start(self) -> None:
        options, began_ns = self._options, time.monotonic_ns()
        count = min(options.processes, len(self._indexes)) or 1
        bounds = [self._indexes.start + len(self._indexes) * n // count for n in range(count + 1)]
        for n in range(count):
            plan = Plan(
                first=bounds[n],
                count=bounds[n + 1] - bounds[n],
                addresses=options.addresses,
                family=options.family,
                host=options.host,
                prefix=options.prefix,
                sources=options.sources_of(n),
                rate=options.rate / count,
                since=options.since,
                began_ns=began_ns,
                mix=options.mix,
                rooms=options.shared,
                switch_s=options.switch_s,
                away_s=options.away_s,
                everyone=options.everyone_s > 0,
            )
            self._swarm.append(self._forked(functools.partial(processes.run_clients, plan)))
        self._start_pushing()

    def _start_pushing(self) -> None:
        options = self._options
        plan = self._push_plan(options.push_rate)
        if options.batch:
            self._batch = self._forked(lambda c, r: processes.run_batch(plan, options.batch, c, r))
        if options.everyone or options.push_rate is not None:
            self._publisher = self._forked(functools.partial(processes.run_publisher, plan))
        if options.room_rate is not None:
            shared = options.shared
            to_rooms = attrs.evolve(
                self._push_plan(options.room_rate),
                first=shared.first,
                count=shared.count,
                prefix=shared.prefix,
                to=CHANNEL,
                listeners=shared.listeners(self._indexes, options.mix.listens),
            )
            self._rooms = self._forked(functools.partial(processes.run_publisher, to_rooms))
        if options.everyone_s:
            plan = self._push_plan(1 / options.everyone_s)
            to_all = attrs.evolve(plan, first=0, count=1, to=EVERYONE, listeners=(len(self._indexes),))
            self._criers = self._forked(functools.partial(processes.run_publisher, to_all))

    def _push_plan(self, rate: float | None) -> PushPlan:
        options = self._options
        return PushPlan(
            first=self._indexes.start,
            count=len(self._indexes),
            address=options.push_address,
            family=options.family,
            host=options.host,
            key=options.key,
            prefix=options.prefix,
            rate=(rate or 0.0) / options.part[1],
            connections=options.push_connections,
            seed=options.part[0],
        )

    def _forked(self, work: Callable[[int, int], None]) -> processes.Child:
        child = processes.fork(work, [*self._children(), *self._beside])
        self._at[child.reports] = child
        self._poll.register(child.reports, select.POLLIN)
        return child

    def _reap(self, child: processes.Child) -> None:
        if not child.ended:
            self._poll.unregister(child.reports)
        child.reap()

    def _pushing(self) -> list[processes.Child]:
        return [c for c in (self._publisher, self._batch, self._rooms, self._criers) if c is not None]

    def _children(self) -> list[processes.Child]:
        return [*self._swarm, *self._pushing()]

    # phases

    def _reach(self, name: str) -> float:
        """Wait until all clients count as this, or no new one has for the patience; returns the seconds so far."""
        wanted = len(self._indexes)
        reached, moved_at = -1, time.monotonic()
        while not self._stops:
            now, before = time.monotonic(), reached
            reached = self._sum(name)
            if reached > before:
                moved_at = now
            if reached >= wanted or now - moved_at > self._options.patience_s:
                break
            self._gather(0.05)
        return time.monotonic() - self._began

    def _push(self) -> None:
        """Push while holding, then wait for what is still under way."""
        if self._stops:
            return
        self._hold(self._options.settle_s)
        self._begin_pushing()
        self._hold(self._options.hold_s)
        if self._batch is not None:
            self._until(lambda: _done(self._batch, pipes.GO))
        self._end_pushing()
        self._push_to_everyone()
        self._rest()

    def _hold(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._until(lambda: time.monotonic() >= end)

    def _single(self) -> list[processes.Child]:
        """Return those that push single messages at a rate."""
        single = self._publisher if self._options.push_rate is not None else None
        return [c for c in (single, self._rooms, self._criers) if c]

    def _begin_pushing(self) -> None:
        for child in [*self._swarm, *self._single(), *filter(None, [self._batch])]:
            child.command(pipes.GO)

    def _end_pushing(self) -> None:
        """Have nothing more be made, and wait for what was."""
        for child in self._single():
            child.command(pipes.HALT)
        self._within(self._options.drain_s, lambda: all(_done(c, pipes.HALT) for c in self._single()))
        for child in self._swarm:
            child.command(pipes.HALT)
        if self._options.publishes:
            self._rising(self._delivered, self._promised)

    def _push_to_everyone(self) -> None:
        if self._publisher is not None and self._options.everyone:
            self._publisher.command(pipes.EVERYONE)
            self._rising(lambda: self._sum("heard"), lambda: len(self._indexes))
            self._within(self._options.drain_s, lambda: _done(self._publisher, pipes.EVERYONE))

    def _rest(self) -> None:
        """Wait until all wait: who got an answer asks again at once, who switched after a rest; reports are older."""
        rest_s = self._options.drain_s if self._options.switch_s else 1.0
        self._within(rest_s, lambda: self._sum("waiting") >= self._sum("connected"))

    def _rising(self, count: Callable[[], int], wanted: Callable[[], int]) -> None:
        """Wait until there are as many as wanted, or until no more have come for the time of `--drain`."""
        arrived, moved_at = -1, 0.0
        while not self._is_cut_off and count() < wanted():
            now, before = time.monotonic(), arrived
            arrived = count()
            if arrived > before:
                moved_at = now
            elif now - moved_at > self._options.drain_s:
                return
            self._gather(0.05)

    def _finish(self) -> None:
        for child in self._children():
            child.finish()
        end = time.monotonic() + _FAREWELL_S
        while time.monotonic() < end and not all(c.ended for c in self._children()):
            self._gather(0.1, live=False)

    def _until(self, reached: Callable[[], bool]) -> None:
        """Go on until it is reached; an interrupt ends that."""
        while not self._stops and not reached():
            self._gather(0.05)

    def _within(self, seconds: float, reached: Callable[[], bool]) -> None:
        """Give it so long to be reached: after an interrupt too, else what is under way would count as lost."""
        end = time.monotonic() + seconds
        while not self._is_cut_off and not reached() and time.monotonic() < end:
            self._gather(0.05)

    # gathering

    def _gather(self, seconds: float, live: bool = True) -> None:
        for descriptor, _ in self._poll.poll(seconds * 1000):
            child = self._at[descriptor]
            child.read()
            if child.ended:
                self._poll.unregister(descriptor)
        now = time.monotonic()
        self._look(now)
        if live and self._options.live and now >= self._next_line:
            self._next_line = now + 1
            self._show(now)

    def _look(self, now: float) -> None:
        """Look at what is to be looked at beside the children."""

    def _sum(self, name: str) -> int:
        return sum(c.live.get(name, 0) for c in self._swarm)

    def _pushed(self, name: str) -> int:
        return sum(c.live.get(name, 0) for c in self._pushing())

    def _promised(self) -> int:
        return self._pushed("promised")

    def _delivered(self) -> int:
        return self._sum("delivered") + self._sum("room_delivered") + self._sum("everyone_delivered")

    def _counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = {name: self._sum(name) for name in _SUMMED}
        counts["acknowledged"] = self._pushed("acknowledged")
        counts["errors"] = added(c.live.get("errors", {}) for c in self._swarm)
        counts["transports"] = added(c.live.get("transports", {}) for c in self._swarm)
        return counts

    def _show(self, now: float) -> None:
        counts, seconds = self._counts(), now - self._began
        if self._options.json:
            print(live_json(seconds, counts, self._stage), file=sys.stderr, flush=True)
            return
        passed = max(now - self._last_at, 0.001)
        rates = {name: (counts[name] - self._last.get(name, 0)) / passed for name in ("connected", "answered")}
        self._last, self._last_at = counts, now
        line = live_line(seconds, counts, rates, self._stage)
        start, end = ("\r\x1b[K", "") if sys.stderr.isatty() else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Turn signals into an orderly end with a report; the second ends it without waiting."""

        def interrupt(number: int, frame: FrameType | None) -> None:
            self._interrupts += 1

        before = {number: signal.signal(number, interrupt) for number in processes.SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self._options.live and not self._options.json and os.isatty(2):
                print(file=sys.stderr)


def _last_words(child: processes.Child | None) -> dict[str, Any] | None:
    """Return what the process told at its end, {} when it told nothing; None without a process."""
    return None if child is None else child.final or {}


def _done(child: processes.Child | None, command: bytes) -> bool:
    """Whether the child has obeyed the command and has nothing under way (or is no more)."""
    if child is None or child.ended:
        return True
    return command.decode("ascii") in child.live.get("obeyed", ()) and bool(child.live["idle"])
