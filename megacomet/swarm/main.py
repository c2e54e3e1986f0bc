"""Owns a run of the load client: its processes, its phases, when it ends and with which status."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from megacomet.swarm import pipes, processes
from megacomet.swarm.check import Published, Receipts, Verdict, judge
from megacomet.swarm.clients import Plan
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.options import Options, Unusable, parse
from megacomet.swarm.publisher import PushPlan
from megacomet.swarm.report import DIED, Report, live_json, live_line, merged

#: How long children may take to tell their last words (a million clients' receipts are some megabytes).
_FAREWELL_S: Final = 30.0
_SUMMED: Final = (
    *("connected", "open", "waiting", "answered", "timeouts", "closed", "dropped", "reconnects", "stale", "foreign"),
    *("misdelivered", "heard", "heard_again", "connect_cpu_s", "delivered", "repeated"),
)
_REPORTED: Final = (
    *("connected", "answered", "timeouts", "closed", "dropped", "reconnects", "stale", "foreign"),
    *("misdelivered", "heard", "heard_again", "connect_cpu_s"),
)


def main(arguments: Sequence[str]) -> int:
    """Run the load client; returns the exit status: 0 all well, 1 something lost or failed, 2 unusable options."""
    try:
        options = parse(arguments)
        report = _merge(options.merge) if options.merge else Run(options).run()
    except Unusable as e:
        print(f"megacomet swarm: {e}", file=sys.stderr)
        return 2
    print(json.dumps(report.to_json()) if options.json else report.page(), end="\n" if options.json else "")
    return 1 if report.problems() else 0


def _merge(names: Sequence[str]) -> Report:
    reports = []
    for name in names:
        try:
            reports.append(Report.from_json(json.loads(Path(name).read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
            raise Unusable(f"{name}: not a report: {e}") from None
    return merged(reports)


class Run:
    """One run; `run` goes through its phases."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._indexes = options.indexes
        self._began = 0.0
        self._swarm: list[processes.Child] = []
        self._publisher: processes.Child | None = None
        self._batch: processes.Child | None = None
        self._poll = select.poll()
        self._at: dict[int, processes.Child] = {}
        self._interrupts = 0
        self._next_line = 0.0
        self._last: dict[str, float] = {}
        self._last_at = 0.0

    def run(self) -> Report:
        """Connect, hold, push, let the last messages arrive, and judge."""
        with self._interruptible():
            self._began = time.monotonic()
            try:
                self._start()
                connect_s = self._connect()
                connected_at = time.monotonic()
                self._push()
                held_s = time.monotonic() - connected_at
                at_end = self._counts()
                self._finish()
            finally:
                for child in self._children():
                    child.reap()
        return self._report(connect_s, held_s, at_end)

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
            )
            self._swarm.append(self._forked(functools.partial(processes.run_clients, plan)))
        self._start_pushing()

    def _start_pushing(self) -> None:
        options = self._options
        plan = PushPlan(
            first=self._indexes.start,
            count=len(self._indexes),
            address=options.push_address,
            family=options.family,
            host=options.host,
            key=options.key,
            prefix=options.prefix,
            rate=(options.push_rate or 0.0) / options.part[1],
            connections=options.push_connections,
            seed=options.part[0],
        )
        if options.batch:
            self._batch = self._forked(lambda c, r: processes.run_batch(plan, options.batch, c, r))
        if options.everyone or options.push_rate is not None:
            self._publisher = self._forked(lambda c, r: processes.run_publisher(plan, c, r))

    def _forked(self, work: Callable[[int, int], None]) -> processes.Child:
        child = processes.fork(work, self._children())
        self._at[child.reports] = child
        self._poll.register(child.reports, select.POLLIN)
        return child

    def _children(self) -> list[processes.Child]:
        return [*self._swarm, *(c for c in (self._publisher, self._batch) if c is not None)]

    # phases

    def _connect(self) -> float:
        """Wait until all have connected, or none has for the patience; returns how long that took."""
        wanted = len(self._indexes)
        connected, moved_at = 0, time.monotonic()
        while not self._interrupts:
            self._gather(0.05)
            now, before = time.monotonic(), connected
            connected = self._sum("connected")
            if connected > before:
                moved_at = now
            if connected >= wanted or now - moved_at > self._options.patience_s:
                break
        return time.monotonic() - self._began

    def _push(self) -> None:
        """Push while holding, then wait for what is still under way."""
        if self._interrupts:
            return
        options = self._options
        settled = time.monotonic() + options.settle_s
        self._until(lambda: time.monotonic() >= settled)
        end = time.monotonic() + options.hold_s
        if self._batch is not None:
            self._batch.command(pipes.GO)
        if self._publisher is not None and options.push_rate is not None:
            self._publisher.command(pipes.GO)
        self._until(lambda: time.monotonic() >= end)
        if self._batch is not None:
            self._until(lambda: self._done(self._batch, pipes.GO))
        if self._publisher is not None and options.push_rate is not None:
            self._publisher.command(pipes.HALT)
            self._within(options.drain_s, lambda: self._done(self._publisher, pipes.HALT))
        if options.publishes:
            self._within(options.drain_s, lambda: self._sum("delivered") >= self._acknowledged())
        if self._publisher is not None and options.everyone:
            self._publisher.command(pipes.EVERYONE)
            self._within(options.drain_s, lambda: self._sum("heard") >= len(self._indexes))
            self._within(options.drain_s, lambda: self._done(self._publisher, pipes.EVERYONE))
        # Whoever just got an answer asks again at once; the last report is younger than that.
        self._within(1.0, lambda: self._sum("waiting") >= self._sum("connected"))

    def _finish(self) -> None:
        for child in self._children():
            child.finish()
        end = time.monotonic() + _FAREWELL_S
        while time.monotonic() < end and not all(c.ended for c in self._children()):
            self._gather(0.1, live=False)

    def _until(self, reached: Callable[[], bool]) -> None:
        """Go on until it is reached; an interrupt ends that."""
        while not self._interrupts and not reached():
            self._gather(0.05)

    def _within(self, seconds: float, reached: Callable[[], bool]) -> None:
        """Give it so long to be reached: after an interrupt too, else what is under way would count as lost."""
        end = time.monotonic() + seconds
        while self._interrupts < 2 and not reached() and time.monotonic() < end:
            self._gather(0.05)

    @staticmethod
    def _done(child: processes.Child | None, command: bytes) -> bool:
        """Whether the child has obeyed the command and has nothing under way (or is no more)."""
        if child is None or child.ended:
            return True
        return command.decode("ascii") in child.live.get("obeyed", ()) and bool(child.live["idle"])

    # gathering

    def _gather(self, seconds: float, live: bool = True) -> None:
        for descriptor, _ in self._poll.poll(seconds * 1000):
            child = self._at[descriptor]
            child.read()
            if child.ended:
                self._poll.unregister(descriptor)
        now = time.monotonic()
        if live and self._options.live and now >= self._next_line:
            self._next_line = now + 1
            self._show(now)

    def _sum(self, name: str) -> int:
        return sum(c.live.get(name, 0) for c in self._swarm)

    def _acknowledged(self) -> int:
        return sum(c.live.get("acknowledged", 0) for c in (self._publisher, self._batch) if c is not None)

    def _counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = {name: self._sum(name) for name in _SUMMED}
        counts["acknowledged"] = self._acknowledged()
        counts["errors"] = _added(c.live.get("errors", {}) for c in self._swarm)
        return counts

    def _show(self, now: float) -> None:
        counts, seconds = self._counts(), now - self._began
        if self._options.json:
            print(live_json(seconds, counts), file=sys.stderr, flush=True)
            return
        passed = max(now - self._last_at, 0.001)
        rates = {name: (counts[name] - self._last.get(name, 0)) / passed for name in ("connected", "answered")}
        self._last, self._last_at = counts, now
        line = live_line(seconds, counts, rates)
        start, end = ("\r\x1b[K", "") if sys.stderr.isatty() else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Turn SIGINT and SIGTERM into an orderly end with a report; the second ends it without waiting."""

        def interrupt(number: int, frame: FrameType | None) -> None:
            self._interrupts += 1

        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self._options.live and not self._options.json and os.isatty(2):
                print(file=sys.stderr)

    # judging

    def _report(self, connect_s: float, held_s: float, at_end: dict[str, Any]) -> Report:
        options = self._options
        finals = [c.final or {} for c in self._swarm]
        sums = {name: sum(f.get(name, 0) for f in finals) for name in _SUMMED}
        pushed = (self._publisher.final if self._publisher is not None else None) or {}
        batch = (self._batch.final if self._batch is not None else None) or {}
        source = batch if self._batch is not None else pushed
        first_ns, last_ns = source.get("first_ns", 0), source.get("last_ns", 0)
        arrived_ns = max((f.get("last_ns", 0) for f in finals), default=0)
        answer = batch.get("answer", {})
        return Report(
            clients=len(self._indexes),
            part="{}/{}".format(*options.part),
            processes=len(self._swarm),
            **{name: sums[name] for name in _REPORTED},
            waiting=at_end["waiting"],
            connect_s=connect_s,
            held_s=held_s,
            errors=_added(f.get("errors", {}) for f in finals) | _silent(self._children()),
            made=pushed.get("made", 0),
            behind=pushed.get("behind", 0),
            push_s=max(0, last_ns - first_ns) / 1e9,
            deliver_s=max(0, arrived_ns - first_ns) / 1e9 if first_ns else 0.0,
            push_errors=_added([pushed.get("errors", {}), {"refused in the batch": answer.get("failed", 0)}]),
            statuses=pushed.get("statuses", {}) or {k: answer[k] for k in ("sent", "queued", "unheard") if k in answer},
            lines=batch.get("lines", 0),
            batch_error=batch.get("error", "" if self._batch is None or batch else "no outcome"),
            everyone=options.everyone,
            interrupted=self._interrupts > 0,
            verdict=self._judged(finals, source),
            latency=_merged(finals, "latency"),
            reach=_merged(finals, "reach"),
            answer=Histogram.from_json(pushed["latency"]) if "latency" in pushed else Histogram(),
        )

    def _judged(self, finals: Sequence[dict[str, Any]], source: dict[str, Any]) -> Verdict:
        if "published" not in source or not all(finals):
            return Verdict()
        return judge((Receipts.from_json(f["receipts"]) for f in finals), Published.from_json(source["published"]))


def _merged(finals: Sequence[dict[str, Any]], name: str) -> Histogram:
    merged = Histogram()
    for final in finals:
        if final:
            merged.merge(Histogram.from_json(final[name]))
    return merged


def _added(kinds: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counted in kinds:
        total.update(counted)
    return {kind: number for kind, number in total.items() if number}


def _silent(children: Sequence[processes.Child]) -> dict[str, int]:
    """Count the processes that ended without last words."""
    return _added([{DIED: sum(c.final is None for c in children)}])
