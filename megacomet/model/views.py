"""What is told of channels and clients to those who ask: the values, and nothing of how they are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import attrs

from megacomet.wire.looking import Connection


class Listed(NamedTuple):
    """A channel in a list.

    Attributes:
        channel: its name.
        subscribers: connections that hear it.
        messages: how many are kept.
    """

    channel: bytes
    subscribers: int
    messages: int


@attrs.frozen
class ChannelPage:
    """Some channels, in the order that was asked for.

    Attributes:
        channels: see `Listed`.
        after: what the next page is asked for with, None when this is the last.
    """

    channels: Sequence[Listed]
    after: bytes | None


@attrs.frozen
class ChannelView:
    """A channel.

    Attributes:
        channel: its name.
        subscribers: connections that hear it.
        messages: how many are kept.
        waiting: of a mailbox, how many of these were not written yet; None for other channels.
        position: whoever resumes from there misses nothing from now on.
    """

    channel: bytes
    subscribers: int
    messages: int
    waiting: int | None
    position: bytes


class PastMessage(NamedTuple):
    """A message of a history.

    Attributes:
        id: its position.
        data: JSON.
        published: when, UNIX seconds.
    """

    id: bytes
    data: bytes
    published: float


@attrs.frozen
class HistoryView:
    """What is kept of a channel.

    Attributes:
        messages: in the order that was asked for.
        position: from where to ask for what comes behind them.
        gap: whether something after the position asked from is, or may be, no longer kept.
        more: whether a bound cut the list off.
    """

    messages: Sequence[PastMessage]
    position: bytes
    gap: bool
    more: bool


class Connected(NamedTuple):
    """A connection of a client.

    Attributes:
        worker: the number of the worker that has it.
        connection: what the worker tells of it.
    """

    worker: int
    connection: Connection


@attrs.frozen
class ClientView:
    """A client.

    Attributes:
        client: its id.
        waiting: messages that were not written to any connection yet.
        connections: by worker.
    """

    client: bytes
    waiting: int
    connections: Sequence[Connected]
