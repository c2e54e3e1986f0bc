"""Answers of the worker as bytes: of polls, of its own small pages, of errors.

It owns the headers that they have in common, of which the date changes each second. It writes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import Final

from megacomet.errors import PeerError
from megacomet.wire import http, streams
from megacomet.wire.encodings import jsonp, poll_body, raw_form
from megacomet.wire.problems import problem_response
from megacomet.wire.requests import JSON as JSON_TYPE
from megacomet.wire.requests import RequestIds, answer_lines
from megacomet.wire.upgrade import switching
from megacomet.worker.openings import Opening
from megacomet.worker.polls import Form

ALLOW: Final = b"GET, HEAD, OPTIONS"
JSON: Final = b"Content-Type: application/json\r\n"
TEXT: Final = b"Content-Type: text/plain; charset=utf-8\r\n"
SCRIPT_TYPE: Final = b"Content-Type: text/javascript; charset=utf-8\r\n"
EVENTS_TYPE: Final = b"Content-Type: text/event-stream; charset=utf-8\r\n"
OBJECTS_TYPE: Final = b"Content-Type: application/x-ndjson\r\n"
#: nginx passes on at once what it does not buffer; caches and compressors keep their hands off.
UNBUFFERED: Final = b"X-Accel-Buffering: no\r\n"
STREAM_CACHE: Final = b"no-cache, no-transform"
#: Within so many seconds those who were turned away come back, each at a moment of its own.
RETRY_WITHIN_S: Final = 10
#: An EventSource waits so long before it comes back, milliseconds, chosen by chance for the same reason.
RETRY_MS: Final = (2000, 5000)

#: What passes: whoever is told so comes back later.
TEMPORARY: Final = frozenset({"too-many-requests", "overloaded", "shutting-down"})


class Answers:
    """Makes answers.

    Attributes:
        origins: the origins that pages may have; none: any.
        request_ids: of requests whose clients gave none.
    """

    def __init__(self, origins: Collection[str], unix_s: float) -> None:
        """Begin at a time of the day."""
        self.request_ids = RequestIds()
        self.origins = frozenset(origin.encode() for origin in origins)
        self.tick(unix_s)

    def tick(self, unix_s: float) -> None:
        """A second has passed; the date is put into words when somebody is answered."""
        self._unix_s = unix_s
        self._date = self._json_opening = b""

    @property
    def date(self) -> bytes:
        """The line with the date."""
        if not self._date:
            self._date = http.date_line(self._unix_s)
            self._common = self._date + http.cors(b"", self.origins)
        return self._date

    def lines(self, origin: bytes) -> bytes:
        """Return the lines that every answer of the public port has, for a page of the origin."""
        date = self.date
        return date + http.cors(origin, self.origins) if origin else self._common

    def origin_of(self, head: http.RequestHead) -> bytes:
        """Return a page's origin if the answer depends on it."""
        return head.headers.get(b"origin", b"") if self.origins else b""

    def poll(
        self,
        form: Form,
        messages: Sequence[tuple[bytes, bytes, bytes]],
        position: bytes,
        gaps: Sequence[bytes],
        *,
        keep_alive: bool,
        minor: int,
        head_only: bool = False,
    ) -> bytes:
        """Return the answer to a poll; without messages, that of one whose time is over.

        Args:
            form: how the poll wants it.
            messages: channel, id and data, in order; a script takes one.
            position: where the client stands then, b"" when it was promised nothing.
            gaps: channels of which something is missing.
            keep_alive: whether the connection stays open.
            minor: of the request's HTTP version.
            head_only: whether HEAD was asked.
        """
        lines = self.lines(form.origin)
        if position:
            lines = b"%bMegaComet-Position: %b\r\n" % (lines, position)
        if form.is_script:
            body = raw_form(messages[0][2]) if messages else b""
            if form.callback and messages:
                body = jsonp(form.callback, messages[0][2])
            elif not messages and not form.callback and not head_only:
                return http.response(204, lines, b"", keep_alive=keep_alive, minor=minor)
        else:
            body = poll_body(position, messages, gaps)
            if form.callback:
                body = jsonp(form.callback, body)
        lines += SCRIPT_TYPE if form.is_script or form.callback else JSON
        return http.response(200, lines, body, keep_alive=keep_alive, minor=minor, head_only=head_only)

    def stream_head(self, opening: Opening) -> bytes:
        """Return the head of an answer that does not end: 101 for a WebSocket, else 200."""
        lines = self.lines(opening.origin)
        if opening.upgrade is not None:
            return switching(opening.upgrade, b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n" + lines)
        sse = streams.transport(opening.encoding) == "sse"
        is_chunked = streams.is_chunked(opening.encoding)
        lines += EVENTS_TYPE if sse else OBJECTS_TYPE
        return http.stream_head(lines + UNBUFFERED, is_chunked=is_chunked, cache_control=STREAM_CACHE)

    def json(self, body: bytes, request_id: str, *, status: int, keep_alive: bool, minor: int) -> bytes:
        """Return an answer of the API."""
        date = self.date
        if status == 200 and keep_alive and minor:  # what nearly all are, without what they have in common
            if not self._json_opening:
                whole = http.response(200, answer_lines(date, JSON_TYPE, ""), b"", keep_alive=True, minor=1)
                self._json_opening = whole[: whole.rindex(b"\r\nContent-Length")]
            return b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (
                self._json_opening,
                request_id.encode(),
                len(body),
                body,
            )
        lines = answer_lines(date, JSON_TYPE, request_id)
        return http.response(status, lines, body, keep_alive=keep_alive, minor=minor)

    def come_back(self, retry_ms: int, origin: bytes, *, minor: int, head_only: bool) -> bytes:
        """Return what an EventSource is told instead of an error that is temporary: it would stay away for ever."""
        body = streams.retry(streams.SSE_PLAIN, retry_ms)
        lines = self.lines(origin) + EVENTS_TYPE + UNBUFFERED
        return http.response(
            200, lines, body, keep_alive=False, minor=minor, head_only=head_only, cache_control=STREAM_CACHE
        )

    def problem(
        self,
        error: PeerError,
        head: http.RequestHead | None,
        *,
        keep_alive: bool,
        cors: bool = True,
        request_id: str = "",
    ) -> bytes:
        """Return the answer for an error.

        Args:
            error: what is wrong.
            head: the request, None when there is none that can be read.
            keep_alive: whether the connection stays open.
            cors: whether pages may read it.
            request_id: of the request, "" to find or make it here.
        """
        headers = head.headers if head is not None else {}
        return problem_response(
            error,
            request_id=request_id or self.request_ids.of(headers),
            keep_alive=keep_alive,
            minor=head.minor if head is not None else 1,
            head_only=head is not None and head.method == b"HEAD",
            allow=ALLOW if error.code == "method-not-allowed" else b"",
            retry_after=random.randint(1, RETRY_WITHIN_S) if error.code in TEMPORARY else None,
            cors=self.lines(headers.get(b"origin", b"")) if cors else self.date,
        )
