"""`/api/channels`: what a list is asked for with, and the form in which channels and their history are told.

It must not know where the answers come from: that is `IChannels`.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import UNSET, Raw

from megacomet.api.acts import Act
from megacomet.api.query import Query, last_of, limit_in
from megacomet.errors import PeerError
from megacomet.model.position import Since, parse_before, parse_since
from megacomet.model.ranking import Place, parse_place
from megacomet.model.views import ChannelPage, ChannelView, HistoryView
from megacomet.names import check_channel, check_prefix
from megacomet.wire.answers import (
    ChannelInfo,
    ChannelList,
    History,
    HistoryMessage,
    ListedChannel,
    Removed,
    as_json,
)
from megacomet.wire.described import time_text as time_text
from megacomet.wire.http import split_path

#: What a list may be sorted by; the first unless asked for.
SORTS: Final = ("name", "subscribers")


class IChannels(Protocol):
    """Knows the channels."""

    async def page(self, prefix: bytes, after: bytes, limit: int) -> ChannelPage:
        """Return the channels that come next by name; raise `PeerError` when a worker does not answer."""

    async def ranked(self, prefix: bytes, after: Place | None, limit: int) -> ChannelPage:
        """Return the channels that come next by subscribers; raise `PeerError` when a worker does not answer."""

    async def channel(self, channel: bytes) -> ChannelView:
        """Return how a channel stands; raise `PeerError` when a worker does not answer."""

    async def history(
        self, channel: bytes, since: Since | None, before: Since | None, limit: int, newest_first: bool
    ) -> HistoryView:
        """Return what is kept of a channel behind one position and before another."""

    async def clear(self, channel: bytes) -> int:
        """Drop what is kept of a channel, and return how many messages that were."""


class Channels:
    """Each method is a door: it returns the body of the answer (`clear` more), or raises `PeerError`."""

    def __init__(self, channels: IChannels) -> None:
        self._channels = channels

    async def page(self, query: Query) -> bytes:
        """`GET /api/channels`."""
        prefix, after, limit = check_prefix(last_of(query, b"prefix")), last_of(query, b"after"), limit_in(query)
        if _by_subscribers(query):
            page = await self._channels.ranked(prefix, parse_place(after), limit)
        else:
            page = await self._channels.page(prefix, after and check_channel(after), limit)
        channels = [ListedChannel(text(each.channel), each.subscribers, each.messages) for each in page.channels]
        return as_json(ChannelList(channels, None if page.after is None else text(page.after)))

    async def channel(self, path: bytes) -> bytes:
        """`GET /api/channels/{c}`."""
        view = await self._channels.channel(channel_in(path))
        waiting = UNSET if view.waiting is None else view.waiting
        name, position = text(view.channel), text(view.position)
        return as_json(ChannelInfo(name, view.subscribers, view.messages, position, waiting))

    async def history(self, path: bytes, query: Query) -> bytes:
        """`GET /api/channels/{c}/history`."""
        view = await self._channels.history(
            channel_in(path),
            parse_since(last_of(query, b"since")),
            parse_before(last_of(query, b"before")),
            limit_in(query),
            last_of(query, b"reverse") == b"1",
        )
        messages = [HistoryMessage(text(each.id), Raw(each.data), time_text(each.published)) for each in view.messages]
        return as_json(History(messages, text(view.position), view.gap, view.more))

    async def clear(self, path: bytes) -> Act:
        """`DELETE /api/channels/{c}/history`."""
        channel = channel_in(path)
        removed = await self._channels.clear(channel)
        return Act(as_json(Removed(removed)), {"channel": text(channel), "removed": removed})


def channel_in(path: bytes) -> bytes:
    """Return the channel that a path names, which is one segment of it, cut before it is decoded.

    Raises:
        PeerError: `bad-name`, `bad-request`.
    """
    return check_channel(split_path(path)[2])


def text(name: bytes) -> str:
    """Return a name or a position as JSON has it."""
    return name.decode()


def _by_subscribers(query: Query) -> bool:
    asked = last_of(query, b"sort").decode("ascii", "replace") or SORTS[0]
    if asked not in SORTS:
        raise PeerError("bad-request", f"channels are sorted by one of these: {', '.join(SORTS)}")
    return asked == SORTS[1]
