"""Questions to the workers: all that are concerned are asked at once, and waited for, but not for ever.

Owns the rule of what is told when a worker does not answer. A part of the truth looks like the whole, so there is no
answer then, and an error that names the worker; it answers again, or is killed and replaced, within seconds. A worker
whose link is lost meanwhile has no connections that anybody could reach: it counts as one that has nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime

from megacomet.errors import PeerError
from megacomet.link import LOOK_S, LinkRefused
from megacomet.wire import looking


class IAsked(Protocol):
    """A worker that can be asked; see `megacomet.manager.downlink.Downlink`.

    Attributes:
        number: the worker's.
    """

    number: int

    async def look(self, question: bytes) -> bytes:
        """Return the worker's answer."""


async def ask(workers: Iterable[IAsked], question: looking.Question, reactor: IReactorTime) -> list[tuple[int, bytes]]:
    """Return the answers to a question with the numbers of the workers, in the order in which these were given.

    Raises:
        PeerError: `overloaded`: one has not answered in time.
    """
    encoded = looking.encode(question)
    asked = [Deferred.fromCoroutine(_ask_one(worker, encoded, reactor)) for worker in workers]
    try:
        answers = await gatherResults(asked, consumeErrors=True)
    except FirstError as e:
        e.subFailure.raiseException()
    return [answer for answer in answers if answer is not None]


async def _ask_one(worker: IAsked, question: bytes, reactor: IReactorTime) -> tuple[int, bytes] | None:
    answer = Deferred.fromCoroutine(worker.look(question))
    try:
        return worker.number, await answer.addTimeout(LOOK_S, reactor)
    except (ConnectionDone, ConnectionLost):
        return None
    except (TimedOut, LinkRefused):
        raise PeerError("overloaded", f"worker {worker.number} has not answered within {LOOK_S:g} s") from None
