"""`/api/channels`: what a list is asked for with, and the form in which channels and their history are told.

It must not know where the answers come from: that is `IChannels`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import UNSET, Raw

from megacomet.api.acts import Act
from megacomet.errors import PeerError
from megacomet.model.position import Since, parse_since
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

#: Channels of a page, messages of a history: unless asked for, ...
LIMIT: Final = 100
#: ... and at most: a thousand take the manager some milliseconds.
MOST_LIMIT: Final = 1000

_COUNT: Final = re.compile(rb"[0-9]{1,4}").fullmatch

#: A query: by name all the values that were given.
Query = Mapping[bytes, list[bytes]]


class IChannels(Protocol):
    """Knows the channels."""

    async def page(self, prefix: bytes, after: bytes, limit: int) -> ChannelPage:
        """Return the channels that come next by name; raise `PeerError` when a worker does not answer."""

    async def channel(self, channel: bytes) -> ChannelView:
        """Return how a channel stands; raise `PeerError` when a worker does not answer."""

    async def history(self, channel: bytes, since: Since | None, limit: int, newest_first: bool) -> HistoryView:
        """Return what is kept of a channel."""

    async def clear(self, channel: bytes) -> int:
        """Drop what is kept of a channel, and return how many messages that were."""


class Channels:
    """Each method is a door: it returns the body of the answer (`clear` more), or raises `PeerError`."""

    def __init__(self, channels: IChannels) -> None:
        self._channels = channels

    async def page(self, query: Query) -> bytes:
        """`GET /api/channels`."""
        after = _last(query, b"after")
        page = await self._channels.page(
            check_prefix(_last(query, b"prefix")), after and check_channel(after), _limit(query)
        )
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
            parse_since(_last(query, b"since")),
            _limit(query),
            _last(query, b"reverse") == b"1",
        )
        messages = [HistoryMessage(text(each.id), Raw(each.data), time_text(each.published)) for each in view.messages]
        return as_json(History(messages, text(view.position), view.gap))

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


def _last(query: Query, name: bytes) -> bytes:
    return query.get(name, (b"",))[-1]


def _limit(query: Query) -> int:
    asked = _last(query, b"limit")
    if not asked:
        return LIMIT
    if _COUNT(asked) is None or not 1 <= int(asked) <= MOST_LIMIT:
        raise PeerError("bad-request", f"a limit is a whole number from 1 to {MOST_LIMIT}")
    return int(asked)
