"""Requests that wait for messages: polls and streams become rows, and listeners of the hub.

It knows what each of them asks for, who is kept out, and how one ends that never began. What they are told is the hub's
matter, and how it is written that of `deliveries`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from megacomet.errors import PeerError
from megacomet.model.hub import Hub
from megacomet.model.position import format_position
from megacomet.model.session import Session
from megacomet.names import check_client_id, mailbox_of
from megacomet.rows import Rows
from megacomet.settings import Settings
from megacomet.wire import http
from megacomet.wire.streams import is_websocket
from megacomet.worker.answers import Answers
from megacomet.worker.blocks import Blocks
from megacomet.worker.deliveries import Deliveries
from megacomet.worker.openings import Opening, open_echo, open_events, open_objects, open_socket
from megacomet.worker.polls import Poll, object_poll, script_poll
from megacomet.worker.refusals import Refusals
from megacomet.worker.small_pages import SmallPages

#: A poll that wants its answer at once, and a stream, wait for the manager's page so long, seconds.
PATIENCE_S: Final = 10
#: Who sends more than that on a stream that does not listen is no EventSource.
MOST_HEARD_BYTES: Final = 8192

#: What begins a stream, by path.
OPENINGS: Final = {b"/comet/events": open_events, b"/comet/stream": open_objects, b"/comet/ws": open_socket}


class Listening:
    """See the module."""

    def __init__(
        self,
        rows: Rows,
        hub: Hub,
        out: Deliveries,
        answers: Answers,
        small: SmallPages,
        refusals: Refusals,
        blocks: Blocks,
        settings: Settings,
        *,
        most: int,
        touch: Callable[[], None],
        is_closing: Callable[[], bool],
    ) -> None:
        """
        Args:
            rows: the connections.
            hub: the listeners.
            out: writes to them.
            answers, small, refusals: what is answered at once.
            blocks: who is kept out.
            settings: the server's.
            most: connections of this worker beyond which nobody may wait; 0: no bound.
            touch: called when the hub may have something for the manager.
            is_closing: tells whether everybody is let go.
        """
        self._rows = rows
        self._hub = hub
        self._out = out
        self._answers = answers
        self._small = small
        self._refusals = refusals
        self._blocks = blocks
        self._settings = settings
        self._most = most
        self._touch = touch
        self._is_closing = is_closing
        self._heard: dict[int, int] = {}

    def heard(self, fd: int, data: bytes) -> None:
        """Bytes came from a stream that does not listen."""
        heard = self._heard[fd] = self._heard.get(fd, 0) + len(data)
        if heard > MOST_HEARD_BYTES:
            self._out.lose(fd, "failed")

    def leave(self, fd: int) -> None:
        """The connection is gone."""
        self._touch()
        self._hub.leave(fd)
        self._heard.pop(fd, None)

    def script(self, fd: int, head: http.RequestHead) -> None:
        """`GET /<client>.js`."""
        client = http.split_path(head.target)[0][:-3]
        if head.query or b"last-event-id" in head.headers or head.method == b"HEAD" or self._answers.origins:
            self._poll(fd, head, script_poll(client, head, self._answers.origin_of(head)))
        elif self._blocks.is_any((mailbox_of(client),)):
            self._small.stay_away(fd, self._answers.origin_of(head), head.minor)
        else:  # nothing to be read but a name: this is the way that is taken a million times
            self._park_mailbox(fd, mailbox_of(check_client_id(client)), math.inf)

    def stream(self, fd: int, head: http.RequestHead) -> None:
        """`GET /comet/events` and the like: answers without an end."""
        read = OPENINGS[head.target]
        session = read(head, self._answers.origin_of(head), self._settings.channels_per_connection)
        if head.method == b"HEAD":
            assert isinstance(session.options, Opening)
            self._small.stream_head(fd, session.options)
            return
        if self._blocks.is_any(session.channels):
            if head.target == b"/comet/ws":
                raise _cut_off()
            self._small.stay_away(fd, self._answers.origin_of(head), head.minor)
            return
        self._heard.pop(fd, None)  # a number that had another stream before
        self._park(fd, PATIENCE_S)
        self._hub.park_session(fd, session)

    def echo(self, fd: int, head: http.RequestHead) -> None:
        """The WebSocket that says what it hears, for conformance tests."""
        opening = open_echo(head, self._answers.origin_of(head))
        self._park(fd, PATIENCE_S)
        self._out.echo(fd, opening)

    def object(self, fd: int, head: http.RequestHead) -> None:
        """`GET /comet/poll`."""
        settings = self._settings
        poll = object_poll(
            head,
            self._answers.origin_of(head),
            timeout_s=settings.poll_timeout_s,
            most_channels=settings.channels_per_connection,
        )
        self._poll(fd, head, poll)

    def _poll(self, fd: int, head: http.RequestHead, poll: Poll) -> None:
        if head.method == b"HEAD":
            self._small.poll_head(
                fd, head, poll.form, self._hub.epoch and format_position(self._hub.epoch, self._hub.head)
            )
            return
        if self._blocks.is_any(poll.channels):
            self._small.stay_away(fd, self._answers.origin_of(head), head.minor)
            return
        if poll.is_plain:
            self._park_mailbox(fd, poll.channels[0], poll.timeout_s)
        else:
            self._park(fd, poll.timeout_s or PATIENCE_S)
            self._hub.park_session(fd, poll.session())

    def _park_mailbox(self, fd: int, mailbox: bytes, timeout_s: float) -> None:
        self._park(fd, timeout_s)
        self._hub.park_mailbox(fd, mailbox)

    def _park(self, fd: int, timeout_s: float) -> None:
        if self._most and self._rows.open > self._most:
            raise PeerError("overloaded", "all places are taken")
        self._rows.park(fd, timeout_s)
        self._touch()

    def expire(self, fd: int) -> None:
        """Give a poll what is at hand; a stream whose page did not come cannot begin."""
        self._touch()
        key = self._rows.keys[fd]
        if isinstance(key, Session) and key.is_stream:
            self._hub.leave(fd)
            self._not_begun(fd, key)
        else:
            self._hub.expire(fd)

    def _not_begun(self, fd: int, session: Session) -> None:
        opening = session.options
        assert isinstance(opening, Opening)
        error = PeerError("shutting-down") if self._is_closing() else PeerError("overloaded", "no answer in time")
        if self._blocks.is_any(session.channels):
            if not is_websocket(opening.encoding):
                self._small.stay_away(fd, opening.origin)
                return
            error = _cut_off()
        self._refusals.opening(fd, opening, error)


def _cut_off() -> PeerError:
    return PeerError("forbidden", "this client was cut off")
