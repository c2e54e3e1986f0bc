"""Connections on their way to the manager, whose requests are the manager's to answer.

Order matters. A connection leaves the lot's set *before* it is sent, and its descriptor is closed when the manager has
answered or the link is lost, *never earlier*: what is sent is a number, and it is looked up when the link is flushed.
Few are sent at once, so that a burst of requests does not stand before the messages in the link.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from megacomet.errors import PeerError
from megacomet.link import LinkRefused
from megacomet.rows import Rows

#: The peer's address: the manager asks the socket itself, and only if somebody wants to know.
_NOT_ASKED: Final = b""
#: Sent and not answered.
UNDER_WAY: Final = 32
#: Under way and waiting to be sent; each costs the manager an object of some kilobytes.
HELD: Final = 1000


class ILink(Protocol):
    """The worker's end of the link to the manager."""

    @property
    def up(self) -> bool:
        """Whether the manager is there."""

    @property
    def ready(self) -> bool:
        """Whether all workers listen."""

    @property
    def workers(self) -> int:
        """How many workers the server has."""

    def adopt(self, fd: int, head: bytes, peer: bytes) -> Deferred[Any]:
        """Hand a connection over: fires when the manager has it, `LinkRefused` when it does not want it."""

    def touch(self) -> None:
        """The hub may have something for the manager."""


class NoLink:
    """The link before there is one."""

    up = False
    ready = False
    workers = 0

    def adopt(self, fd: int, head: bytes, peer: bytes) -> Deferred[Any]:
        """Nobody is there."""
        raise LinkRefused("there is no manager")

    def touch(self) -> None:
        """Nobody is there."""


class Handover:
    """Hands connections over, one after the other.

    Attributes:
        link: where to.
        taken: how many the manager has taken.
    """

    _log = Logger()

    def __init__(self, rows: Rows, refuse: Callable[[int, PeerError], None], ended: Callable[[], None]) -> None:
        """
        Args:
            rows: what they are taken from.
            refuse: answers the request of a row that the manager does not take.
            ended: called whenever one is done with.
        """
        self.link: ILink = NoLink()
        self.taken = 0
        self._rows = rows
        self._refuse = refuse
        self._ended = ended
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._under_way = 0
        self._is_sending = False

    def __len__(self) -> int:
        return len(self._waiting) + self._under_way

    def give(self, fd: int, read: bytes) -> None:
        """Hand a connection over.

        Args:
            fd: its row.
            read: all bytes of the request and behind it that were read.

        Raises:
            PeerError: `overloaded`, with the connection untouched.
        """
        if not self.link.up:
            raise PeerError("overloaded", "the manager is away")
        if len(self) >= HELD:
            raise PeerError("overloaded", "too many requests wait for the manager")
        self._rows.release(fd)
        self._waiting.append((fd, read))
        self._send()

    def _send(self) -> None:
        if self._is_sending:  # one that was done with at once has come back to here
            return
        self._is_sending = True
        try:
            while self._waiting and self._under_way < UNDER_WAY:
                fd, read = self._waiting.popleft()
                self._under_way += 1
                Deferred.fromCoroutine(self._send_one(fd, read)).addErrback(self._failed)
        finally:
            self._is_sending = False

    async def _send_one(self, fd: int, read: bytes) -> None:
        try:
            if not self.link.up:
                raise LinkRefused("the manager is away")
            await self.link.adopt(fd, read, _NOT_ASKED)
        except LinkRefused as e:
            self._answer_here(fd, PeerError("overloaded", str(e)))
        except Exception as e:
            # The manager may have it or not: there is nothing that could be written without mixing two answers.
            self._log.debug("a connection was lost with the link: {why}", why=e)
            self._rows.close(fd)
        else:
            self.taken += 1
            self._rows.close(fd)
        finally:
            self._under_way -= 1
            self._ended()
            self._send()

    def _answer_here(self, fd: int, error: PeerError) -> None:
        """Nobody has taken the connection, so it is all ours still."""
        self._rows.retake(fd)
        try:
            self._refuse(fd, error)
        except Exception:
            self._log.failure("connection {fd} failed", fd=fd)
            self._rows.drop(fd, "failed")

    def _failed(self, failure: Any) -> None:
        self._log.failure("a connection failed to be handed over", failure)
