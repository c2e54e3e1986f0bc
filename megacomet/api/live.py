"""What a console shows of the server; who makes it, others know (`ILive`)."""

from __future__ import annotations

from typing import Protocol


class ILive(Protocol):
    """Knows the figures; see `megacomet.manager.live.Live`."""

    def frame(self) -> bytes:
        """Return those of this moment as JSON; the same object for all who ask within a second."""

    def trends(self) -> bytes:
        """Return the body of `GET /api/trends`."""
