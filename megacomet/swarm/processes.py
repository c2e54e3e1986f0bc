"""Owns the processes of a run: how they are forked, what each of them does until its command pipe ends.

A child ignores the terminal's signals: it ends when its parent closes the pipe or dies, and reports before it goes.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import attrs

from megacomet.swarm import pipes
from megacomet.swarm.batch import Batch
from megacomet.swarm.clients import Clients
from megacomet.swarm.plan import Plan
from megacomet.swarm.publisher import Publisher, PushPlan

#: Many clients on the server's own machine must not keep the server from its work: what was measured would be the
#: scheduler.
NICER: Final = 15
#: What ends a run; its children leave them to it.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: How often a child tells its counters.
REPORT_S: Final = 0.2
#: A publisher's longest wait: a rate of thousands a second is kept by its own shorter ones.
_LONGEST_WAIT_S: Final = 0.2


class _Counter(Protocol):
    called: bool

    def turn(self, longest_s: float) -> None: ...
    def counts(self) -> dict[str, Any]: ...


@attrs.define
class Child:
    """A forked process, seen from its parent.

    Attributes:
        commands: descriptor to write commands to.
        reports: descriptor to read objects from.
        live: the counters that it told last.
        final: its last words, None until then.
        ended: its pipe has ended.
    """

    pid: int
    commands: int
    reports: int
    reader: pipes.Reader = attrs.Factory(pipes.Reader)
    live: dict[str, Any] = attrs.Factory(dict)
    final: dict[str, Any] | None = None
    ended: bool = False

    def command(self, byte: bytes) -> None:
        """Tell it something; a child that is gone is noticed by its pipe."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.commands, byte)

    def read(self) -> None:
        """Take in what it has told."""
        piece = os.read(self.reports, 1 << 20)
        self.ended = not piece
        for plain in self.reader.feed(piece):
            if plain.pop("final", False):
                self.final = plain
            else:
                self.live = plain

    def finish(self) -> None:
        """Ask it to report and to end; idempotent."""
        if self.commands >= 0:
            os.close(self.commands)
            self.commands = -1

    def reap(self) -> None:
        """Wait for its end; one that has not ended its pipe is killed."""
        self.finish()
        if not self.ended:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.reports)
        os.waitpid(self.pid, 0)


def fork(work: Callable[[int, int], None], others: Sequence[Child]) -> Child:
    """Fork a child that calls `work(commands, reports)` and then exits.

    Args:
        others: children forked before; the new one must not keep their command pipes open.
    """
    commands, commanding = os.pipe()
    reporting, reports = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(commands)
        os.close(reports)
        return Child(pid, commanding, reporting)
    for descriptor in (commanding, reporting, *(c.commands for c in others), *(c.reports for c in others)):
        os.close(descriptor)
    status = 1
    try:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()
        work(commands, reports)
        status = 0
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def run_clients(plan: Plan, commands: int, reports: int) -> None:
    """What a process of clients does; on the machine of the server it steps back behind it (like `nice`)."""
    os.nice(NICER)
    clients = Clients(plan)
    clients.watch(commands)
    started = time.process_time()
    reporter = _Reporter(clients, reports)
    while True:
        clients.turn(reporter.due_s())
        if clients.called:
            clients.called = False
            command = os.read(commands, 1)
            if not command:
                break
            if command == pipes.GO:
                clients.begin()
            elif command == pipes.HALT:
                clients.halt()
            elif command == pipes.FAILING:
                clients.ledger.failing()
        reporter.report()
    counts = clients.counts()
    counts["connect_cpu_s"] = max(0.0, counts["connect_cpu_s"] - started)
    pipes.send(reports, {"final": True, **counts, **clients.ledger.last_words()})


def run_publisher(plan: PushPlan, commands: int, reports: int) -> None:
    """What the process does that pushes single messages."""
    publisher = Publisher(plan)
    publisher.watch(commands)
    obeyed: list[str] = []
    reporter = _Reporter(publisher, reports, lambda: {"idle": publisher.idle, "obeyed": obeyed})
    while True:
        publisher.turn(min(reporter.due_s(), _LONGEST_WAIT_S))
        if publisher.called:
            publisher.called = False
            command = os.read(commands, 1)
            if not command:
                break
            _obey(publisher, command)
            obeyed.append(command.decode("ascii"))
        reporter.report()
    publisher.give_up()
    pipes.send(
        reports,
        {
            "final": True,
            **publisher.counts(),
            "latency": publisher.latency.to_json(),
            "published": publisher.published.to_json(),
        },
    )


def run_batch(plan: PushPlan, source: str, commands: int, reports: int) -> None:
    """What the process does that pushes a batch."""
    if os.read(commands, 1) != pipes.GO:
        return
    batch = Batch(plan, source, commands)
    batch.run()
    pipes.send(reports, {**batch.counts(), "idle": True, "obeyed": [pipes.GO.decode("ascii")]})
    while os.read(commands, 1):
        pass
    pipes.send(reports, {"final": True, **batch.counts(), "published": batch.published.to_json()})


def _obey(publisher: Publisher, command: bytes) -> None:
    if command == pipes.GO:
        publisher.begin()
    elif command == pipes.HALT:
        publisher.halt()
    elif command == pipes.EVERYONE:
        publisher.push_to_everyone()


class _Reporter:
    """Tells a child's counters over its pipe now and then."""

    def __init__(self, counter: _Counter, reports: int, more: Callable[[], dict[str, Any]] = dict) -> None:
        self._counter = counter
        self._reports = reports
        self._more = more
        self._next = time.monotonic()

    def due_s(self) -> float:
        """Return the seconds until the next report."""
        return max(0.0, self._next - time.monotonic())

    def report(self) -> None:
        """Tell, if it is time."""
        clock = time.monotonic()
        if clock >= self._next:
            self._next = clock + REPORT_S
            pipes.send(self._reports, {**self._counter.counts(), **self._more()})
