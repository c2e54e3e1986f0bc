"""Pushes that this worker has decoded, on their way to the manager and back.

What was decoded in a turn of the reactor leaves in one box, and few boxes are on their way at once: the more there is
to push, the more of it shares a box, which costs both ends as much as several pushes do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet import link
from megacomet.errors import Refused
from megacomet.model.keys import Keys
from megacomet.model.position import format_position
from megacomet.publishing.pushing import Outcome, Sender, refused
from megacomet.wire.push import Push
from megacomet.wire.pushed import decode_told, encode_push

#: Boxes on their way at once: while the manager works on one, the next is gathered.
BOXES_UNDER_WAY: Final = 2
#: From so many gathered bytes on, batches wait.
FULL_BYTES: Final = 4 * link.BOX_BYTES

_AWAY: Final = "the manager is away"
_LOST: Final = "the link to the manager was lost before its answer: the message may have been published or not"


class IEnd(Protocol):
    """A connection to the manager."""

    def publish(self, pushes: bytes) -> Deferred[dict[str, Any]]:
        """Send a box of pushes; fires with the answer to `megacomet.link.Publish`."""

    def abort(self) -> None:
        """End the connection at once."""


class _Asked(NamedTuple):
    """A push that is not answered yet."""

    targets: tuple[bytes, ...]
    done: Callable[[Outcome], None]


class Pusher:
    """Has the manager publish; an `IPushing`, and its own `IPressure`.

    Attributes:
        keys: that the manager accepts, as it said last.
        up: whether there is a manager.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorTime, max_data_bytes: int) -> None:
        """
        Args:
            reactor: for turns.
            max_data_bytes: the most that the data of a message may have.
        """
        self.reactor = reactor
        self.max_data_bytes = max_data_bytes
        self.pressure = self
        self.batches = 0
        self.keys = Keys([])
        self._epoch = b""
        self._head = 0
        self._end: IEnd | None = None
        self._under_way = 0
        self._turn: IDelayedCall | None = None
        self._records: list[bytes] = []
        self._gathered_bytes = 0
        self._last = 0
        self._asked: dict[int, _Asked] = {}
        self._easing: list[Deferred[None]] = []

    # -- the link

    @property
    def up(self) -> bool:
        return self._end is not None

    def linked(self, end: IEnd, epoch: bytes, head: int, keys: bytes) -> None:
        """The link stands."""
        self._end = end
        self._epoch, self._head = epoch, head
        self.keys.unpack(keys)

    def unlinked(self) -> None:
        """The link is lost: nobody knows what became of the pushes that were on their way."""
        self._end = None
        self._under_way = 0
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._records.clear()
        self._gathered_bytes = 0
        asked, self._asked = self._asked, {}
        outcome = refused(Refused("overloaded", _LOST))
        for push in asked.values():
            self._answer(push, outcome)
        self._ease()

    # -- pushing

    def position(self) -> bytes:
        """See `IPushing.position`."""
        return format_position(self._epoch, self._head)

    def publish(
        self,
        push: Push,
        sender: Sender,
        done: Callable[[Outcome], None],
        *,
        wants_receipt: bool = False,
        handed: Callable[[], None] | None = None,
    ) -> bool:
        """See `IPushing.publish`: the manager publishes in the order in which it is given."""
        if self._end is None:
            done(refused(Refused("overloaded", _AWAY)))
            return True
        origin = json.dumps([sender.request_id, sender.address()]).encode() if push.everyone else b""
        number = self._last = self._last % 0xFFFF_FFFF + 1
        self._asked[number] = _Asked(push.targets, done)
        record = encode_push(number, push, sender.identity.id, wants_receipt, origin)
        self._records.append(record)
        self._gathered_bytes += len(record)
        if self._turn is None and self._under_way < BOXES_UNDER_WAY:
            self._turn = self.reactor.callLater(0, self._send)
        return True

    def full(self) -> bool:
        """Tell whether batches are to wait."""
        return self._gathered_bytes > FULL_BYTES

    def wait(self) -> Deferred[None]:
        """Return what fires when there is room again."""
        easing: Deferred[None] = Deferred()
        self._easing.append(easing)
        self._ease()
        return easing

    def _ease(self) -> None:
        if self._easing and not self.full():
            easing, self._easing = self._easing, []
            for waiting in easing:
                waiting.callback(None)

    # -- boxes

    def _send(self) -> None:
        self._turn = None
        while self._records and self._end is not None and self._under_way < BOXES_UNDER_WAY:
            self._send_box(self._end)
        self._ease()

    def _send_box(self, end: IEnd) -> None:
        records, size, count = self._records, 0, 0
        while count < len(records) and size < link.BOX_BYTES:
            size += len(records[count])
            count += 1
        box, self._records = records[:count], records[count:]
        self._gathered_bytes -= size
        self._under_way += 1
        published = end.publish(b"".join(box))
        published.addCallback(self._published, end)
        published.addErrback(self._failed, end)

    def _published(self, answer: dict[str, Any], end: IEnd) -> None:
        if end is not self._end:
            return
        self._under_way -= 1
        self.told(answer["told"], answer["head"])
        if self._records and self._turn is None:
            self._send()

    def told(self, told: bytes, head: int) -> None:
        """The manager has told what became of some pushes, and where the log stands."""
        self._head = max(self._head, head)
        for number, results, refusal in decode_told(told, self._targets):
            push = self._asked.pop(number)
            why = None if refusal is None else Refused(*refusal)
            accepted = why is None or any(result.status != "refused" for result in results)
            self._answer(push, Outcome(results, why, accepted))

    def _answer(self, push: _Asked, outcome: Outcome) -> None:
        try:
            push.done(outcome)
        except Exception:  # of ours, and no reason to leave the others without their answers
            self._log.failure("who asked for a push failed on its answer")

    def _targets(self, number: int) -> tuple[bytes, ...]:
        asked = self._asked.get(number)
        return asked.targets if asked is not None else ()

    def _failed(self, failure: Failure, end: IEnd) -> None:
        """What was asked has failed: a link that cannot be trusted is ended, and `unlinked` deals with the rest."""
        if end is self._end:
            self._log.warn("the manager did not take pushes: {why}", why=failure.getErrorMessage())
            end.abort()
