"""`/api/broadcasts`: messages to many at a pace, and what may be done with one while it is under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from megacomet.api.acts import Act
from megacomet.wire.broadcasts import (
    Broadcast,
    Order,
    broadcast_json,
    broadcasts_json,
    decode_broadcast,
    estimate_json,
)
from megacomet.wire.http import split_path

_WANTED: Final = (b"1",)


class IBroadcasts(Protocol):
    """Knows the broadcasts, and has them go on or not; see `megacomet.manager.broadcasts.Broadcasts`.

    What is about one raises `PeerError` `not-found`, or `conflict` when it is not in a state for that.
    """

    def listed(self) -> Sequence[Broadcast]:
        """Return the last ones, the newest first."""

    def find(self, id_: str, /) -> Broadcast:
        """Return one."""

    async def estimate(self, order: Order, /) -> int:
        """Return to how many connections one would go."""

    async def start(self, order: Order, by: str, /) -> Broadcast:
        """Begin one."""

    async def pause(self, id_: str, /) -> Broadcast:
        """Have one written to nobody more for now."""

    async def resume(self, id_: str, /) -> Broadcast:
        """Have it go on."""

    async def cancel(self, id_: str, /) -> Broadcast:
        """Take it back."""


class Broadcasts:
    """What the doors do."""

    def __init__(self, broadcasts: IBroadcasts, max_data_bytes: int) -> None:
        """`max_data_bytes`: the most that the data of a message may have."""
        self._broadcasts = broadcasts
        self._max_data_bytes = max_data_bytes

    def listed(self) -> bytes:
        """`GET /api/broadcasts`."""
        return broadcasts_json(self._broadcasts.listed())

    def one(self, path: bytes) -> bytes:
        """`GET /api/broadcasts/{id}`."""
        return broadcast_json(self._broadcasts.find(broadcast_in(path)))

    def order(self, body: bytes) -> Order:
        """Return what the body of `POST /api/broadcasts` asks for; raise `PeerError` when it cannot be."""
        return decode_broadcast(body, self._max_data_bytes)

    async def estimate(self, order: Order) -> bytes:
        """`POST /api/broadcasts?estimate=1`."""
        return estimate_json(order, await self._broadcasts.estimate(order))

    async def start(self, order: Order, by: str) -> Act:
        """`POST /api/broadcasts`."""
        begun = await self._broadcasts.start(order, by)
        noted = {"id": begun.id, "channel": begun.channel, "per_s": begun.per_s}
        return Act(broadcast_json(begun), noted | {"connections": begun.connections, "bytes": begun.bytes})

    async def pause(self, path: bytes) -> Act:
        """`POST /api/broadcasts/{id}/pause`."""
        return await self._act(self._broadcasts.pause, path)

    async def resume(self, path: bytes) -> Act:
        """`POST /api/broadcasts/{id}/resume`."""
        return await self._act(self._broadcasts.resume, path)

    async def cancel(self, path: bytes) -> Act:
        """`DELETE /api/broadcasts/{id}`."""
        return await self._act(self._broadcasts.cancel, path)

    @staticmethod
    async def _act(do: Callable[[str], Awaitable[Broadcast]], path: bytes) -> Act:
        broadcast = await do(broadcast_in(path))
        return Act(broadcast_json(broadcast), {"id": broadcast.id, "written": broadcast.written})


def wants_estimate(query: Sequence[bytes]) -> bool:
    """Tell whether the values of `estimate` ask for one."""
    return tuple(query) == _WANTED


def broadcast_in(path: bytes) -> str:
    """Return the broadcast that a path names, which is one segment of it, cut before it is decoded.

    Raises:
        PeerError: `bad-request`.
    """
    return split_path(path)[2].decode("ascii", "replace")
