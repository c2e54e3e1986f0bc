"""What the manager asks of a message store: an ordered log with retention, gaps, mailboxes and idempotency keys.

Theory of operation. `append` puts a publication into the log and calls back when it is safe. The *feed* gives every
message once, in the log's order; delivery starts there. `read` gives what a reader missed. A message of a mailbox is
kept until its time to live is over and *waits* until it was written to some connection: `claim` says that it is on its
way to one more worker, `written` that it arrived there, `returned` that it did not. It waits again when the last
claim has returned and none was written. What is claimed is handed to no reader without a position.

Time is an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import attrs
from zope.interface import Attribute, Interface

from megacomet.errors import Refused
from megacomet.model.listing import Listing, Span
from megacomet.model.message import Appended, Message, Publication
from megacomet.model.position import Since


@attrs.frozen
class Retention:
    """How long the messages of a namespace are kept.

    Attributes:
        ttl_s: seconds; 0 keeps nothing.
        messages: at most so many a channel.
        data_bytes: at most so many bytes of data a channel; 0: no bound of its own.
    """

    ttl_s: float
    messages: int
    data_bytes: int = 0


@attrs.frozen
class Missed:
    """What a reader missed.

    Attributes:
        messages: in the order of the log, over all channels asked for.
        head: everything up to it is in `messages`, or in what `more` leaves out.
        gaps: the channels of which something after the reader's position is, or may be, no longer kept.
        more: whether the limit cut the list off; then the reader stands at the last message.
        is_foreign: whether the position is not of this log; `gaps` has all channels then, since nobody can tell.
    """

    messages: list[Message]
    head: int
    gaps: list[bytes]
    more: bool = False
    is_foreign: bool = False


class Held(NamedTuple):
    """How much a store has of one channel.

    Attributes:
        messages: that are kept.
        waiting: of these, the messages of a mailbox that wait or are on their way.
    """

    messages: int
    waiting: int


class PastMessage(NamedTuple):
    """A message of a history.

    Attributes:
        offset: in the log.
        data: JSON.
        published: when, seconds of the store's time.
    """

    offset: int
    data: bytes
    published: float


@attrs.frozen
class Past:
    """A history.

    Attributes:
        messages: in the order that was asked for.
        head: see `Missed`.
        gap: whether something after the position is, or may be, no longer kept.
        more: whether a bound cut the list off.
    """

    messages: list[PastMessage]
    head: int
    gap: bool
    more: bool


class IMessageStore(Interface):
    """An ordered log of messages."""

    epoch: bytes = Attribute("bytes of [0-9a-z], 1-16: one life of this log; another life has another epoch.")
    head: int = Attribute("the offset of the last message that went through the feed, 0 before the first.")
    refused: Mapping[str, int] = Attribute("publications that were refused, by code; it goes on counting.")

    def feed(take: Callable[[Message, bool, object], None]) -> None:
        """Have `take(message, kept, note)` called for every message from now on, once and in order.

        The note is what was given to `append` with the message, None when it was appended elsewhere.
        """

    def unfeed(take: Callable[[Message, bool, object], None]) -> None:
        """Have `take` called no more."""

    def append(
        publication: Publication, now: float, done: Callable[[Appended | Refused], None], note: object = None
    ) -> None:
        """Put a publication into the log; `done` is called once it is safe, after the feed has had the message.

        `Refused` carries `mailbox-full` or `store-full`. A publication whose key was seen within the window calls
        `done` with the first one's outcome and puts nothing into the log.
        """

    def answered(key: bytes, status: str) -> None:
        """Remember what the publisher of a key was told, for its repeats."""

    def read(
        channels: Sequence[bytes],
        since: Since,
        limit: int,
        max_bytes: int,
        now: float,
        done: Callable[[Missed], None],
    ) -> None:
        """Call `done` with what is kept of the channels after `since`.

        `done` runs in the same instant as the store's last look at the log: nothing goes through the feed in between.
        At least one message is given when there is one, however large. Of a mailbox, what waits and was surely
        never written is given too when it is older than `since`: nothing else would ever bring it.
        """

    def held(channel: bytes, now: float) -> Held:
        """Return how much is kept of a channel."""

    def history(
        channel: bytes,
        since: Since | None,
        limit: int,
        max_bytes: int,
        now: float,
        done: Callable[[Past], None],
        *,
        before: int | None = None,
        newest_first: bool = False,
    ) -> None:
        """Call `done` with what is kept of a channel after `since`, for somebody who looks and is no reader.

        With `before` only what has a lower offset.

        Without a position: all of a channel, and of a mailbox what waits or is on its way. At least one message is
        given when there is one, however large.
        """

    def clear(channel: bytes, last: int, most: int, now: float) -> int:
        """Drop what is kept of a channel up to an offset, so many messages at most; return how many there were.

        Whoever resumes from before is told of a gap. What is on its way may still arrive.
        """

    def withdraw(channel: bytes, offset: int, now: float) -> bool:
        """Take a message of a channel back that is no mailbox; return whether it was still kept.

        No reader gets it any more, and none is told of a gap because of it. It stays in the log's count, and what is on
        its way may still arrive.
        """

    def listing(span: Span, limit: int) -> Listing:
        """Begin to search for the first channels of a span of which something is kept."""

    def acknowledge(channel: bytes, since: Since) -> None:
        """A reader of the mailbox says that it stands at `since`.

        What waits up to there only because a worker died before it could report was written: it waits no more.
        """

    def waiting(channel: bytes, now: float) -> list[Message]:
        """Return the messages of a mailbox that wait and are not claimed, oldest first."""

    def in_flight(channel: bytes) -> bool:
        """Tell whether a message of the mailbox is claimed, not written yet, and not returned by all."""

    def claim(channel: bytes, offset: int) -> None:
        """One more worker has the message on its way to a connection."""

    def written(channel: bytes, offset: int) -> None:
        """A claim ended: the message was written to a connection; it waits no more."""

    def returned(channel: bytes, offset: int, doubtful: bool = False) -> None:
        """A claim ended: the message was not written; `doubtful`: or was, by a worker that died before it said so."""

    def expire(now: float) -> None:
        """Drop what is past its time."""

    def counts() -> dict[str, int]:
        """Return `messages`, `bytes`, `channels`, `waiting` as they stand now."""
