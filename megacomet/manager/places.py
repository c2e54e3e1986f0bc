"""What supervision is made of: a worker's place and its states, and whom the supervisor deals with."""

from __future__ import annotations

import enum
import signal
from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.internet.interfaces import IDelayedCall


class IZygote(Protocol):
    """Whoever forks.

    Attributes:
        restarts: how often its process has ended and was replaced.
    """

    restarts: int

    @property
    def pid(self) -> int:
        """Its process, 0 when there is none."""

    @property
    def up(self) -> bool:
        """Whether requests reach it."""

    def fork(self, number: int) -> None:
        """Ask for a worker; `Supervisor.forked` or `Supervisor.failed` follows, or the zygote's end."""

    def kill(self, why: str) -> None:
        """End a zygote that does not answer; `Supervisor.zygote_down` follows."""


class IProcess(Protocol):
    """A worker's process."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it is gone."""

    def watch(self, gone: Callable[[], None]) -> None:
        """Have `gone` called when it ends."""

    def close(self) -> None:
        """Watch no more."""


class State(enum.Enum):
    """Of a worker's place, see `megacomet.manager.supervisor`."""

    EMPTY = "empty"
    ASKED = "asked"
    ALONE = "alone"
    LINKED = "linked"


@attrs.define(eq=False)
class Place:
    """One worker's place.

    Attributes:
        number: of the worker.
        state: where its worker stands.
        pid, process: of the worker, 0 and None when there is none.
        is_orphan: whether the zygote that forked it is gone.
        born: when it was forked.
        deaths: how many died in a row without having lived `STABLE_S`.
        why: why we killed it, "" if we did not.
        on_purpose: whether its end was asked for, so that it does not count.
        was_linked: whether the process has had its link.
        restarts: how many processes have ended here.
        last_end: how the last of them ended, "" if none has.
        timer: of the back-off, or of the wait for a link.
        shutter: shuts the listeners.
    """

    number: int
    state: State = State.EMPTY
    pid: int = 0
    process: IProcess | None = None
    is_orphan: bool = False
    born: float = 0.0
    deaths: int = 0
    why: str = ""
    on_purpose: bool = False
    was_linked: bool = False
    restarts: int = 0
    last_end: str = ""
    timer: IDelayedCall | None = None
    shutter: IDelayedCall | None = None


class ITell(Protocol):
    """Takes what happens, for those who look on: `megacomet.manager.events.Events.tell`."""

    def __call__(self, name: str, **data: object) -> None:
        """Tell.

        Args:
            name: what has happened, see `docs/reference/events.md`.
            data: what is to be said of it, as JSON knows it.
        """


def tell_nobody(name: str, **data: object) -> None:
    """Be an `ITell` where nobody looks on."""
