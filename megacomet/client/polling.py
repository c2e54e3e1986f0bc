"""Connections by polls, on treq: one request after the other, each from where the last one ended."""

from __future__ import annotations

from typing import Any, Final, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet.client.failures import said
from megacomet.client.http import MOST_ERROR_BYTES, Http, discard_body, head_of, whole_body
from megacomet.client.items import Message
from megacomet.client.objects import JSON, PROBLEM, Garbage, Gone, Position, of_poll, of_problem
from megacomet.client.rules import Ending, PollTime
from megacomet.client.shelf import MOST_HELD
from megacomet.client.sse import strange
from megacomet.client.ways import Ear, Wanted

#: An answer is not larger than what may be held. (The server keeps it below 1 MB, too.)
LIMIT: Final = MOST_HELD
_log: Final = Logger()


class Clock(Protocol):
    """Tells the time."""

    def seconds(self) -> float:
        """Seconds since some moment."""


@attrs.frozen
class Polled:
    """The answer to a poll.

    Attributes:
        values: the gap, the messages and the position.
        position: behind all of it.
        size: bytes.
    """

    values: list[Message | Position | Gone]
    position: str
    size: int


class NotPolled(Exception):
    """Raised when a poll was not answered as it should be.

    Attributes:
        ending: why.
    """

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class PollWay:
    """The transport."""

    def __init__(self, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._time = PollTime()

    def open(self, wanted: Wanted, ear: Ear) -> PollConnection:
        """Begin to open a connection."""
        return PollConnection(self._http, self._clock, self._time, wanted, ear)


class PollConnection:
    """Polls that follow each other. The first one does not wait: it tells the position."""

    def __init__(self, http: Http, clock: Clock, time: PollTime, wanted: Wanted, ear: Ear) -> None:
        self._http = http
        self._clock = clock
        self._time = time
        self._wanted = wanted
        self._ear: Ear | None = ear
        self._is_paused = False
        self._asking: Deferred[Any] | None = None
        self._poll(0)

    def pause(self) -> None:
        """Ask for nothing more."""
        self._is_paused = True

    def resume(self) -> None:
        """Ask on."""
        self._is_paused = False
        if self._ear is not None and self._asking is None:
            self._poll(self._time.asked_s)

    def close(self) -> None:
        """End it, and tell nothing more."""
        self._ear = None
        if self._asking is not None:
            self._asking.cancel()

    def ask(self) -> None:
        """Nothing can be asked while a poll waits."""

    def send(self, op: dict[str, Any]) -> bool:
        """Nothing can be sent by a poll."""
        return False

    def _poll(self, timeout_s: int) -> None:
        begun = self._clock.seconds()
        asking = Deferred.fromCoroutine(poll(self._http, self._wanted, timeout_s, LIMIT))
        self._asking = asking
        asking.addCallbacks(self._polled, lambda failure: self._failed(failure, self._clock.seconds() - begun))
        if asking.called:
            self._asking = None

    def _polled(self, polled: Polled) -> None:
        self._asking = None
        ear = self._ear
        if ear is None:
            return
        self._wanted = attrs.evolve(self._wanted, since=polled.position)
        ear.heard()
        size = polled.size // max(1, len(polled.values))
        for value in polled.values:
            ear.told(value, size)
        ear.flush()
        if self._ear is not None and not self._is_paused and self._asking is None:
            self._poll(self._time.asked_s)

    def _failed(self, failure: Failure, after_s: float) -> None:
        self._asking = None
        ear, self._ear = self._ear, None
        if ear is None:
            return
        if failure.check(NotPolled) is None:
            _log.failure("a poll has failed in a way that is not known", failure)
            ear.ended(Ending(0, said(failure)))
            return
        ending: Ending = failure.value.ending  # type: ignore[union-attr]
        if not ending.is_server_s:
            self._time.was_cut(after_s)
        ear.ended(ending)


async def poll(http: Http, wanted: Wanted, timeout_s: int, limit: int) -> Polled:
    """Ask once.

    Args:
        http: where.
        wanted: what is polled for.
        timeout_s: that the server may wait for something.
        limit: the most messages.

    Raises:
        NotPolled: it was not answered as it should be.
    """
    path = f"/comet/poll?{wanted.query(('timeout', timeout_s), ('limit', limit))}"
    try:
        response = await http.get(path, {"Accept": f"{JSON}, {PROBLEM}"})
        head = head_of(response)
        if head.status != 200 and head.kind == PROBLEM:
            body = await whole_body(response, MOST_ERROR_BYTES)
            reason = of_problem(body) or f"status {head.status}"
            raise NotPolled(Ending(head.status, reason, head.wait_s, True))
        if head.status != 200 or head.kind != JSON:
            discard_body(response)
            raise NotPolled(Ending(*strange(head), head.wait_s, head.status == 204))
        body = await whole_body(response)
        values = of_poll(body)
    except Garbage as e:
        raise NotPolled(Ending(0, str(e))) from None
    except NotPolled:
        raise
    except Exception as e:
        raise NotPolled(Ending(0, said(Failure(e)))) from None
    position = values[-1]
    assert isinstance(position, Position)
    return Polled(values, position.position, len(body))
