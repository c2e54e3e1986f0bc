"""How a worker says no: errors as answers, and what an EventSource is told instead of a temporary one."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

from megacomet.errors import PeerError
from megacomet.kinds import CLOSES, LINGERS
from megacomet.rows import Rows
from megacomet.wire import http, streams
from megacomet.worker.answers import RETRY_MS, TEMPORARY, Answers
from megacomet.worker.openings import Opening

#: What is answered so is the last request of its connection: a stranger has one, and what passes is tried again later.
_LAST: Final = frozenset({401, 503})
_MANAGERS: Final = frozenset({b"api", b"console", b"metrics"})


def is_managers(target: bytes) -> bool:
    """Tell whether the manager serves the path."""
    return target[1:].partition(b"/")[0] in _MANAGERS


class Refusals:
    """Answers of requests that are refused.

    Attributes:
        counts: errors told, by code.
    """

    def __init__(self, rows: Rows, answers: Answers) -> None:
        self._rows = rows
        self._answers = answers
        self.counts: Counter[str] = Counter()

    def request(self, fd: int, error: PeerError, head: http.RequestHead | None = None) -> None:
        """Tell what is wrong; without a request that could be read, or with a body in the way, close then."""
        rows = self._rows
        self.counts[error.code] += 1
        # A push that is told 200 counts as published, whatever it would have liked to read.
        is_events = (
            head is not None and head.method != b"POST" and b"text/event-stream" in head.headers.get(b"accept", b"")
        )
        if head is not None and is_events and error.code in TEMPORARY:
            self._come_back(fd, head.headers.get(b"origin", b""), minor=head.minor, is_head=head.method == b"HEAD")
            return
        is_last = head is None or head.content_length > 0 or head.chunked or error.status in _LAST
        if is_last:
            rows.flag(fd, CLOSES | LINGERS)
        keep_alive = not rows.kinds[fd] & CLOSES
        cors = head is None or not is_managers(head.target)
        rows.answer(fd, self._answers.problem(error, head, keep_alive=keep_alive, cors=cors))

    def opening(self, fd: int, opening: Opening, error: PeerError) -> None:
        """Refuse a stream that cannot begin, when its request is no longer at hand."""
        self.counts[error.code] += 1
        if streams.transport(opening.encoding) == "sse":
            self._come_back(fd, opening.origin, minor=1, is_head=False)
        else:
            self._rows.flag(fd, CLOSES | LINGERS)
            self._rows.answer(fd, self._answers.problem(error, None, keep_alive=False))

    def _come_back(self, fd: int, origin: bytes, *, minor: int, is_head: bool) -> None:
        self._rows.flag(fd, CLOSES | LINGERS)
        data = self._answers.come_back(random.randint(*RETRY_MS), origin, minor=minor, head_only=is_head)
        self._rows.answer(fd, data)
