"""`GET /metrics`: who may have the page of the metrics, and how many may have it at once.

What is on it, and how often it is made, others know (`IPage`).
"""

from __future__ import annotations

from typing import Final, Protocol

from megacomet.api.needs import IChannel
from megacomet.api.request import Request
from megacomet.errors import PeerError
from megacomet.model.keys import READ

PATH: Final = b"/metrics"
#: Of scrapers that do not read: each holds a page of some hundred KB and one of the manager's connections, until its
#: time of `keep_alive_s` is over. Prometheus servers are few.
MOST_UNREAD: Final = 16


class IPage(Protocol):
    """The page; see `megacomet.metrics.page.Page`."""

    def render(self, accept: bytes) -> tuple[bytes, bytes]:
        """Return content type and body for a header Accept."""


class Scrapes:
    """Gives the page to scrapers."""

    def __init__(self, page: IPage, is_open: bool, most: int = MOST_UNREAD) -> None:
        """
        Args:
            page: what they are given.
            is_open: whether no key is needed.
            most: so many may have it without having read it.
        """
        self._page = page
        self._is_open = is_open
        self._most = most
        self._unread: set[IChannel] = set()

    def serve(self, request: Request) -> None:
        """Answer a scrape.

        Raises:
            PeerError: `unauthorized`, `forbidden`, `overloaded`.
        """
        if not self._is_open:
            request.owner(READ)
        elif request.channel.home is not None:
            # As with refusals: who needs no key is not to sit in the few places that are here.
            request.channel.persistent = False
        # One that has gone is left by Twisted as it was: its transport looks full for ever.
        self._unread = {c for c in self._unread & request.site.channels if c._waitingForTransport}
        if len(self._unread) >= self._most:
            raise PeerError("overloaded", f"{self._most} scrapers do not read")
        content_type, body = self._page.render(request.getHeader(b"accept") or b"")
        request.reply(200, body, content_type)
        if request.channel._waitingForTransport:
            self._unread.add(request.channel)
