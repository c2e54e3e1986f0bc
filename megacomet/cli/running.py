"""Running a coroutine on the reactor, for commands that wait for more than one thing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from megacomet.cli.statuses import complain

T = TypeVar("T")


def run(command: str, main: Callable[[Any], Coroutine[Deferred[Any], Any, T]]) -> T:
    """Run a coroutine until it ends; return what it returns, or raise what it raises.

    Ctrl-C ends it, in order: that is `KeyboardInterrupt`, as without a reactor. Other signals do what they always do.

    Args:
        command: its name, for warnings.
        main: is given the reactor.
    """
    from twisted.internet import reactor

    globalLogBeginner.beginLoggingTo([Warnings(command)], redirectStandardIO=False, discardBuffer=True)
    running: Run[T] = Run(reactor, main)
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as it is in the background of a shell without job control
        signal.signal(signal.SIGINT, lambda *_: running.interrupt())
    try:
        return running.run()
    finally:
        signal.signal(signal.SIGINT, before)


class Run(Generic[T]):
    """One coroutine, and the reactor for it."""

    def __init__(self, reactor: Any, main: Callable[[Any], Coroutine[Deferred[Any], Any, T]]) -> None:
        self._reactor = reactor
        self._main = main
        self._coroutine: Deferred[T] | None = None
        self._outcome: T | Failure | None = None
        self._is_interrupted = False

    def run(self) -> T:
        """Run it to its end."""
        self._reactor.callWhenRunning(self._begin)
        self._reactor.run(installSignalHandlers=False)
        if self._is_interrupted:
            raise KeyboardInterrupt
        if isinstance(self._outcome, Failure):
            self._outcome.raiseException()
        return self._outcome  # type: ignore[return-value]

    def interrupt(self) -> None:
        """End it early; asked again, at once."""
        again, self._is_interrupted = self._is_interrupted, True
        self._reactor.callFromThread(self._reactor.stop if again else self._cancel)

    def _begin(self) -> None:
        self._coroutine = Deferred.fromCoroutine(self._main(self._reactor))
        self._coroutine.addBoth(self._end)

    def _cancel(self) -> None:
        if self._coroutine is not None:
            self._coroutine.cancel()

    def _end(self, outcome: T | Failure) -> None:
        self._outcome = outcome
        if self._reactor.running:
            self._reactor.stop()


@implementer(ILogObserver)
class Warnings:
    """Tells what the log of a command has to say that its user should know."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.warn:
            complain(self._command, formatEvent(event))
