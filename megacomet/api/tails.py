"""`GET /api/channels/{c}/tail`: what is published to a channel, for those who look on, at a pace that people can bear.

A tail is told of what came since the last time, a few times a second at most, and only of the newest: what else there
was is counted. So a tail costs the same however much is published, but for taking note of each message; and one that
does not read has nothing waiting for it but that. It is no subscriber: who listens in it does not ask (`ITap`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from msgspec import UNSET, Raw, Struct, UnsetType
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from megacomet.api.channels import channel_in, text, time_text
from megacomet.api.reader import Audience, Reader, event, opening
from megacomet.api.request import Request
from megacomet.model.message import Message
from megacomet.model.position import format_position
from megacomet.wire.answers import as_json
from megacomet.wire.described import Count, Position, Time

#: Each holds a few hundred KB, and one of the few connections that the manager keeps. People who look on are few.
MOST_TAILS: Final = 32
#: Seconds between two events of a tail at least: four a second are read as they come by nobody.
PAUSE_S: Final = 0.25
#: Messages of an event, and bytes of it, at most: what a page can show, and a megabyte a second.
MOST_MESSAGES: Final = 100
MOST_BYTES: Final = 256 * 1024
#: A message of more bytes is told by its beginning, so many characters of its JSON.
WHOLE_BYTES: Final = 16 * 1024
HEAD_CHARACTERS: Final = 1000
#: No character of UTF-8 takes more, nor does JSON make it longer: only those are escaped that take one.
_HEAD_BYTES: Final = 4 * HEAD_CHARACTERS
#: What a message takes beside its data: names of fields, the id, the time. An id has 36 bytes at most.
_AROUND_BYTES: Final = 128


class TailMessage(Struct, frozen=True, kw_only=True):
    """A message that was published.

    Attributes:
        id: its position.
        data: as it was pushed; not of a large one.
        head: of a large one, the first characters of its data.
        time: when it was published.
        bytes: of its data.
    """

    id: Position
    data: Raw | UnsetType = UNSET
    head: str | UnsetType = UNSET
    time: Time
    bytes: Count


class TailFrame(Struct, frozen=True):
    """What was published since the event before.

    Attributes:
        messages: the newest of them, oldest first.
        skipped: how many came before these, and are left out.
    """

    messages: list[TailMessage]
    skipped: Count


class ITap(Protocol):
    """Knows what is published; see `megacomet.manager.tapping.Tapping`."""

    @property
    def epoch(self) -> bytes:
        """The log's epoch."""

    def listen(self, channel: bytes, take: Callable[[Message, float], None]) -> None:
        """Have every message of a channel given to `take` from now on, with the time of the day."""

    def unlisten(self, channel: bytes, take: Callable[[Message, float], None]) -> None:
        """Give `take` nothing more."""


class _Taken(NamedTuple):
    offset: int
    data: bytes
    size: int
    published: float


class Tail(Reader):
    """One tail.

    Attributes:
        channel: that it looks at.
    """

    def __init__(
        self,
        request: Request,
        clock: IReactorTime,
        gone: Callable[[Tail], None],
        channel: bytes,
        wanted: Callable[[], None],
    ) -> None:
        """
        Args:
            request, clock, gone: see `Reader`.
            channel: to look at.
            wanted: called when there is something for it and it reads.
        """
        super().__init__(request, clock, gone)
        self.channel = channel
        self._wanted = wanted
        self._taken: deque[_Taken] = deque()
        self._bytes = 0
        self._skipped = 0

    def take(self, message: Message, published: float) -> None:
        """Take note of a message."""
        size = len(message.data)
        data = message.data if size <= WHOLE_BYTES else message.data[:_HEAD_BYTES]
        taken = self._taken
        taken.append(_Taken(message.offset, data, size, published))
        self._bytes += len(data) + _AROUND_BYTES
        while len(taken) > MOST_MESSAGES or self._bytes > MOST_BYTES:
            self._bytes -= len(taken.popleft().data) + _AROUND_BYTES
            self._skipped += 1
        if len(taken) == 1:
            self._wanted()

    @property
    def is_due(self) -> bool:
        """Whether there is something for it and it reads."""
        return bool(self._taken) and self.stalled is None

    def frame(self, epoch: bytes) -> bytes:
        """Return the next event, with all that was taken note of."""
        frame = TailFrame([_told(taken, epoch) for taken in self._taken], self._skipped)
        self._taken.clear()
        self._bytes = self._skipped = 0
        return event("messages", as_json(frame))

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self.is_due:
            self._wanted()


def _told(taken: _Taken, epoch: bytes) -> TailMessage:
    is_whole = taken.size <= WHOLE_BYTES
    return TailMessage(
        id=text(format_position(epoch, taken.offset)),
        data=Raw(taken.data) if is_whole else UNSET,
        head=UNSET if is_whole else taken.data.decode("utf-8", "ignore")[:HEAD_CHARACTERS],
        time=time_text(taken.published),
        bytes=taken.size,
    )


class Tails(Audience[Tail]):
    """All tails."""

    def __init__(self, tap: ITap, clock: IReactorTime, most: int = MOST_TAILS) -> None:
        """
        Args:
            tap: where messages come from.
            clock: for pauses and pings.
            most: so many tails there may be.
        """
        super().__init__("tails", clock, most)
        self._tap = tap
        self._told_at = -PAUSE_S
        self._telling: IDelayedCall | None = None

    def serve(self, request: Request) -> Deferred[None] | None:
        """Answer a request with the messages of a channel until the reader goes, or `stop`.

        Raises:
            PeerError: `bad-name`, `bad-request`, `overloaded`, `shutting-down`.
        """
        channel = channel_in(request.path)
        if not self.begin(request):
            return None
        tail = Tail(request, self._clock, self.gone, channel, self._tell_soon)
        request.registerProducer(tail, True)
        tail.write(opening())
        self._tap.listen(channel, tail.take)
        return self.add(tail)

    def went(self, reader: Tail) -> None:
        """See `Audience`."""
        self._tap.unlisten(reader.channel, reader.take)
        if not self.readers and self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _tell_soon(self) -> None:
        """There is something for a tail: tell of it at once, or when the pause is over."""
        if self._telling is None:
            pause = self._told_at + PAUSE_S - self._clock.seconds()
            self._telling = self._clock.callLater(max(0.0, pause), self._tell)

    def _tell(self) -> None:
        self._telling = None
        self._told_at = self._clock.seconds()
        for tail in list(self.readers):
            if tail.is_due:
                self.write(tail, tail.frame(self._tap.epoch))
