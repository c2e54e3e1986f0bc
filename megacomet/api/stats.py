"""`GET /api/stats`: the server's numbers, and the form in which they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from megacomet.wire.answers import as_json


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The server's numbers at one moment.

    Attributes:
        version: of MegaComet.
        started: when, RFC 3339 UTC.
        connections: by transport: poll, sse, stream, ws.
        messages: in (taken from publishers) and out (written to connections) since the start.
        store: messages, bytes, channels, waiting and what else the store counts.
        memory: bytes, by what takes them.
    """

    version: str
    started: str
    connections: Mapping[str, int]
    messages: Mapping[str, int]
    store: Mapping[str, int]
    memory: Mapping[str, int]


class IStats(Protocol):
    """Knows the numbers: the manager, which sums up what its workers report."""

    def stats(self) -> Stats:
        """Return them as they stand now."""


def stats_json(stats: Stats) -> bytes:
    """Return the body of the answer."""
    return as_json(stats)
