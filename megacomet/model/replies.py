"""What the manager replies to streams beside what they missed: the history of a channel, and publications.

The other end is `requests`.
"""

from __future__ import annotations

from collections.abc import Callable

from megacomet.errors import Refused
from megacomet.model.message import Publication, Published
from megacomet.model.polls import ANSWER_BYTES
from megacomet.model.position import parse_since
from megacomet.model.store import IMessageStore, Missed
from megacomet.wire import frames


class Replies:
    """Replies to requests, which come as records of the link and are replied to by such."""

    def __init__(
        self,
        store: IMessageStore,
        publish: Callable[[Publication, float, Callable[[Published | Refused], None]], None],
    ) -> None:
        """Reply from a store; `publish` is the router's."""
        self._store = store
        self._publish = publish

    def history(self, send: Callable[[bytes], None], frame: frames.Frame, now: float) -> None:
        """Send what is kept of a channel; nobody joins it by that.

        Raises:
            BadPosition: the worker has let one through.
        """
        since = parse_since(frame.data)
        if since is None:
            raise ValueError("a history is asked for from a position on")

        def done(missed: Missed) -> None:
            for message in missed.messages:
                offset, channel, data = message.offset, message.channel, message.data
                send(frames.encode(frames.PAST, number=frame.number, offset=offset, channel=channel, data=data))
            is_cut = missed.more and bool(missed.messages)
            at = missed.messages[-1].offset if is_cut else missed.head
            flags = (frames.MORE if is_cut else 0) | (frames.GAP if missed.gaps else 0)
            send(frames.encode(frames.PAST_END, flags=flags, number=frame.number, offset=at))

        self._store.read([frame.channel], since, frame.offset, ANSWER_BYTES, now, done)

    def publish(self, send: Callable[[bytes], None], frame: frames.Frame, now: float) -> None:
        """Publish what a stream has sent, and tell it the position, or why not."""
        key, data = frame.data[: frame.offset], frame.data[frame.offset :]

        def done(outcome: Published | Refused) -> None:
            if isinstance(outcome, Refused):
                send(frames.encode(frames.REFUSED, number=frame.number, data=outcome.code.encode()))
            else:
                send(frames.encode(frames.PUBLISHED, number=frame.number, offset=outcome.offset))

        self._publish(Publication(frame.channel, data, key=key or None), now, done)
