"""Pushes that this worker has decoded, on their way to the manager and back.

What was decoded in a turn of the reactor leaves in one box, and few boxes are on their way at once: the more there is
to push, the more of it shares a box, which costs both ends as much as several pushes do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Final, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from megacomet import link
from megacomet.errors import Refused
from megacomet.model.keys import Keys
from megacomet.model.position import format_position
from megacomet.publishing.pushing import Outcome, Sender, refused
from megacomet.wire.answers import as_json
from megacomet.wire.push import Push
from megacomet.wire.pushed import decode_told, encode_push

#: Boxes on their way at once: while the manager works on one, the next is gathered. With two of them boxes are half as
#: large, and it is they that cost ...
BOXES_UNDER_WAY: Final = 1
#: ... unless they are large: those of batches, some hundred messages, follow at once, so that the manager never waits.
LARGE_BYTES: Final = 16 * 1024
LARGE_BOXES_UNDER_WAY: Final = 3
#: From so many gathered bytes on, batches wait.
FULL_BYTES: Final = 4 * link.BOX_BYTES

_AWAY: Final = "the manager is away"
_LOST: Final = "the link to the manager was lost before its answer: the message may have been published or not"


Told = TypeVar("Told")


class IEnd(Protocol):
    """A connection to the manager."""

    def publish(self, pushes: bytes) -> None:
        """Send a box of pushes; `Pusher.told` hears what became of them."""


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
        #: for each box, who waits for what the manager says of the log behind it
        self._under_way: deque[list[Callable[[bytes], None]]] = deque()
        self._askers: list[Callable[[bytes], None]] = []
        self._turn: IDelayedCall | None = None
        self._records: list[bytes] = []
        self._gathered_bytes = 0
        self._last = 0
        #: by number: the targets, and who waits for what becomes of it
        self._asked: dict[int, tuple[tuple[bytes, ...], Callable[[Outcome], None]]] = {}
        self._easing: list[Deferred[None]] = []

    # -- the link

    @property
    def up(self) -> bool:
        return self._end is not None

    @property
    def is_asking(self) -> bool:
        """Whether it waits for what the manager has to say."""
        return bool(self._asked or self._under_way)

    def linked(self, end: IEnd, epoch: bytes, head: int, keys: bytes) -> None:
        """The link stands."""
        self._end = end
        self._epoch, self._head = epoch, head
        self.keys.unpack(keys)

    def unlinked(self) -> None:
        """The link is lost: nobody knows what became of the pushes that were on their way."""
        self._end = None
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._records.clear()
        self._gathered_bytes = 0
        asked, self._asked = self._asked, {}
        askers = [*chain.from_iterable(self._under_way), *self._askers]
        self._under_way.clear()
        self._askers.clear()
        outcome = refused(Refused("overloaded", _LOST))
        for _, done in asked.values():
            self._tell(done, outcome)
        for asker in askers:
            self._tell(asker, self.position())
        self._ease()

    # -- pushing

    def position(self) -> bytes:
        """See `IPushing.position`."""
        return format_position(self._epoch, self._head)

    def ask_position(self, done: Callable[[bytes], None]) -> None:
        """See `IPushing.ask_position`."""
        if self._end is None:
            done(self.position())
            return
        self._askers.append(done)
        self._touch()

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
        origin = as_json([sender.request_id, sender.address()]) if push.everyone else b""
        number = self._last = self._last % 0xFFFF_FFFF + 1
        self._asked[number] = push.targets, done
        record = encode_push(number, push, sender.identity.id, wants_receipt, origin)
        self._records.append(record)
        self._gathered_bytes += len(record)
        self._touch()
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

    def _touch(self) -> None:
        if self._turn is None and (not self._under_way or self._may_send):
            self._turn = self.reactor.callLater(0, self._send)

    def _send(self) -> None:
        self._turn = None
        while (self._records or self._askers) and self._end is not None and self._may_send:
            self._send_box(self._end)
        self._ease()

    @property
    def _may_send(self) -> bool:
        most = BOXES_UNDER_WAY if self._gathered_bytes < LARGE_BYTES else LARGE_BOXES_UNDER_WAY
        return len(self._under_way) < most

    def _send_box(self, end: IEnd) -> None:
        records, size, count = self._records, 0, 0
        while count < len(records) and size < link.BOX_BYTES:
            size += len(records[count])
            count += 1
        box, self._records = records[:count], records[count:]
        self._gathered_bytes -= size
        askers: list[Callable[[bytes], None]] = []
        if not self._records:
            askers, self._askers = self._askers, askers
        self._under_way.append(askers)
        end.publish(b"".join(box))

    def told(self, told: bytes, boxes: int, head: int) -> None:
        """The manager has told what became of some pushes, how many boxes are worked off, and where the log stands.

        Raises:
            ValueError: it speaks another protocol.
        """
        if boxes > len(self._under_way):
            raise ValueError("more boxes are worked off than were sent")
        self._head = head
        for number, results, refusal in decode_told(told, self._targets):
            _, done = self._asked.pop(number)
            if refusal is None:
                self._tell(done, Outcome(results, None, True))
            else:
                accepted = any(result.status != "refused" for result in results)
                self._tell(done, Outcome(results, Refused(*refusal), accepted))
        for _ in range(boxes):
            for asker in self._under_way.popleft():
                self._tell(asker, self.position())
        if self._turn is None:
            self._send()

    def _tell(self, done: Callable[[Told], None], told: Told) -> None:
        """Tell somebody something; an error of ours in it is not to cost the others their answers."""
        try:
            done(told)
        except Exception:
            self._log.failure("what became of a push could not be told")

    def _targets(self, number: int) -> tuple[bytes, ...]:
        asked = self._asked.get(number)
        return asked[0] if asked is not None else ()
