"""What a worker answers at once and in full: how it is, heads without their bodies, and that a client stays away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from megacomet.browser_client import NONE as NO_CLIENT
from megacomet.browser_client import BrowserClient
from megacomet.errors import PeerError
from megacomet.kinds import CLOSES
from megacomet.rows import Rows
from megacomet.wire import http
from megacomet.wire.answers import Readiness, as_json
from megacomet.wire.tags import is_known
from megacomet.worker.answers import JSON, TEXT, Answers
from megacomet.worker.handover import ILink
from megacomet.worker.openings import Opening
from megacomet.worker.polls import Form

#: A page asks once an hour; after an upgrade of the server all have the new client by then.
CLIENT_CACHE: Final = b"public, max-age=3600"
#: Let in where a page loads only what says that it may be loaded (Cross-Origin-Embedder-Policy).
FROM_ANYWHERE: Final = b"Cross-Origin-Resource-Policy: cross-origin\r\n"


class SmallPages:
    """Answers that need nothing but the request."""

    def __init__(
        self, rows: Rows, answers: Answers, link: Callable[[], ILink], browser_client: BrowserClient = NO_CLIENT
    ) -> None:
        """
        Args:
            rows: the connections.
            answers: how they look.
            link: the link to the manager.
            browser_client: the client for browsers.
        """
        self._rows = rows
        self._answers = answers
        self._link = link
        self._browser_client = browser_client

    def health(self, fd: int, head: http.RequestHead) -> None:
        """`GET /healthz`: whether this worker is of use."""
        if not self._link().up:
            raise PeerError("overloaded", "the manager is away")
        self._page(fd, head, TEXT, b"ok")

    def readiness(self, fd: int, head: http.RequestHead) -> None:
        """`GET /readyz`: whether all workers listen."""
        link = self._link()
        if not (link.up and link.ready):
            raise PeerError("overloaded", "not all workers listen")
        self._page(fd, head, JSON, as_json(Readiness(True, link.workers)))

    def entrance(self, fd: int, head: http.RequestHead) -> None:
        """`GET /`: people find the console."""
        lines = self._answers.lines(self._answers.origin_of(head)) + b"Location: /console/\r\n"
        is_head = head.method == b"HEAD"
        self._rows.answer(
            fd, http.response(302, lines, b"", keep_alive=self._stays(fd), minor=head.minor, head_only=is_head)
        )

    def browser_client(self, fd: int, head: http.RequestHead) -> None:
        """`GET /megacomet.js` and its like, which pages of any origin may load, those kept apart from others too."""
        file = self._browser_client.get(head.target)
        if file is None:
            raise PeerError("not-found", "this server has no client for browsers")
        is_known_there = is_known(file.tag, (head.headers.get(b"if-none-match", b""),))
        lines = b"%bContent-Type: %b\r\nETag: %b\r\n%b" % (
            self._answers.lines(self._answers.origin_of(head)),
            file.content_type,
            file.tag,
            FROM_ANYWHERE,
        )
        data = http.response(
            304 if is_known_there else 200,
            lines,
            file.body,
            keep_alive=self._stays(fd),
            minor=head.minor,
            head_only=True,
            cache_control=CLIENT_CACHE,
        )
        is_body_wanted = not is_known_there and head.method != b"HEAD"
        self._rows.answer(fd, data, file.body if is_body_wanted else b"")

    def _page(self, fd: int, head: http.RequestHead, content_type: bytes, body: bytes) -> None:
        lines = self._answers.lines(self._answers.origin_of(head)) + content_type
        is_head = head.method == b"HEAD"
        self._rows.answer(
            fd, http.response(200, lines, body, keep_alive=self._stays(fd), minor=head.minor, head_only=is_head)
        )

    def poll_head(self, fd: int, head: http.RequestHead, form: Form, position: bytes) -> None:
        """HEAD of a poll: it waits for nothing and takes nothing."""
        data = self._answers.poll(form, [], position, [], keep_alive=self._stays(fd), minor=head.minor, head_only=True)
        self._rows.answer(fd, data)

    def stream_head(self, fd: int, opening: Opening) -> None:
        """HEAD of a stream."""
        self._rows.answer(fd, self._answers.stream_head(opening))

    def stay_away(self, fd: int, origin: bytes, minor: int = 1) -> None:
        """Answer a client that is kept out: an EventSource does not come back after that."""
        lines = self._answers.lines(origin)
        self._rows.answer(fd, http.response(204, lines, b"", keep_alive=self._stays(fd), minor=minor))

    def _stays(self, fd: int) -> bool:
        return not self._rows.kinds[fd] & CLOSES
