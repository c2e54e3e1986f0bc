"""What a worker answers at once and in full: how it is, heads without their bodies, and that a client stays away."""

from __future__ import annotations

from collections.abc import Callable

from megacomet.errors import PeerError
from megacomet.kinds import CLOSES
from megacomet.rows import Rows
from megacomet.wire import http
from megacomet.wire.answers import Readiness, as_json
from megacomet.worker.answers import JSON, TEXT, Answers
from megacomet.worker.handover import ILink
from megacomet.worker.openings import Opening
from megacomet.worker.polls import Form


class SmallPages:
    """Answers that need nothing but the request."""

    def __init__(self, rows: Rows, answers: Answers, link: Callable[[], ILink]) -> None:
        """
        Args:
            rows: the connections.
            answers: how they look.
            link: the link to the manager.
        """
        self._rows = rows
        self._answers = answers
        self._link = link

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
