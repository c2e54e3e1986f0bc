"""What the hub's decisions look like on connections: answers of polls, pages of streams, messages to one and to many.

It writes; how the bytes look, others know (`answers`, `wire.streams`). A message is encoded once for all connections
that want it in the same form, and compressed once.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence
from typing import Final

from twisted.logger import Logger

from megacomet.kinds import CLOSES, FRONT, LINGERS
from megacomet.model.entries import Entry, Page
from megacomet.model.hub import Hub
from megacomet.model.session import Session
from megacomet.multisend import Multisend
from megacomet.rows import Rows
from megacomet.settings import Settings
from megacomet.wire import ops, streams, websocket
from megacomet.wire.cutoff import REASONS, CutOff
from megacomet.worker.answers import RETRY_MS, Answers
from megacomet.worker.blocks import Blocks
from megacomet.worker.openings import ENCODING, TOLD, Opening
from megacomet.worker.polls import form_of
from megacomet.worker.sockets import SLOW, Sockets

#: Of a request: HTTP/1.0, which must be told when the connection stays open.
OLD: Final = FRONT
#: A page is never larger: the hub's megabyte of data, twice for escapes, and the names of a thousand channels. Cutting
#: off whoever reads it slowly would have him ask for the same page for ever.
PAGE_BYTES: Final = 4_000_000


class Deliveries:
    """Writes to the rows what the hub says; see `model.answers.IAnswers`.

    Attributes:
        hub: whose rows these are; to be set before anything is written.
        sockets: the WebSockets among them; to be set as well.
        expire: answers what waits on a row with what is at hand; to be set as well.
        left: called when a stream was taken from the hub, of which the manager is to be told; to be set as well.
        blocks: the clients that are kept out.
        written: messages written to connections.
        gaps: gaps told, one for each connection and channel.
        encoded: how often a message was put into a form; of these, how often it was compressed.
    """

    _log = Logger()

    hub: Hub
    sockets: Sockets
    expire: Callable[[int], None]
    left: Callable[[], None]

    def __init__(self, rows: Rows, answers: Answers, settings: Settings, blocks: Blocks) -> None:
        self._rows = rows
        self._answers = answers
        self._ping_s = settings.ping_s
        self._most = settings.backlog_bytes
        self._multisend = Multisend()
        self._pings: dict[int, bytes] = {}
        self._pings_at = b""
        self.blocks = blocks
        self.written = 0
        self.gaps = 0
        self.encoded = 0
        self.compressed = 0

    # -- polls

    def answer(
        self,
        fd: int,
        key: bytes | Session,
        messages: list[tuple[bytes, bytes, bytes]],
        position: bytes,
        gaps: list[bytes],
    ) -> bool:
        """Answer the poll that waits on a row."""
        kind = self._rows.kinds[fd]
        packed = key.options if isinstance(key, Session) else b""  # who waits as a name wants a script
        assert isinstance(packed, bytes)
        form = form_of(packed)
        try:
            data = self._answers.poll(
                form, messages, position, gaps, keep_alive=not kind & CLOSES, minor=0 if kind & OLD else 1
            )
            is_written = self._rows.answer(fd, data)
        except Exception:
            self._log.failure("the answer to connection {fd} failed", fd=fd)
            self._rows.drop(fd, "failed")
            return False
        if is_written:
            self.written += len(messages)
            self.gaps += len(gaps)
        return is_written

    # -- streams

    def page(self, fd: int, session: Session, page: Page) -> bool:
        """Write the page of a stream; the first one begins it."""
        if session.is_open:
            encoding, data = self._rows.forms[fd] & ENCODING, b""
            if session.joins_late and session.token is not None:
                assert isinstance(session.token, bytes)
                data = websocket.frame(websocket.TEXT, ops.ok_position(session.token, page.first))
        else:
            opening = session.options
            assert isinstance(opening, Opening)
            encoding, data = opening.encoding, self._begin(fd, opening) + streams.position(opening.encoding, page.first)
        if page.gaps:
            data += streams.gaps(encoding, page.gaps, page.first, page.passed)
        data += b"".join([self._encode(entry, encoding) for entry in page.entries])
        if page.last:
            data += streams.position(encoding, page.last)
        is_written = self._send(fd, data, max(self._most, PAGE_BYTES))
        if is_written:
            self.written += len(page.entries)
            self.gaps += len(page.gaps)
            if session.is_open:
                self.sockets.answered(fd)
        return is_written

    def _begin(self, fd: int, opening: Opening) -> bytes:
        """Make a stream of the row; return the head of its answer."""
        is_socket = streams.is_websocket(opening.encoding)
        # Those who come together are not to be pinged together for ever.
        first_s = random.uniform(1, self._ping_s) if self._ping_s > 1 else self._ping_s
        self._rows.stream(fd, opening.form, first_s, is_socket=is_socket)
        head = self._answers.stream_head(opening)
        if streams.transport(opening.encoding) == "sse":
            head += streams.retry(opening.encoding, random.randint(*RETRY_MS))
        return head

    def echo(self, fd: int, opening: Opening) -> None:
        """Begin a WebSocket that hears nothing but itself."""
        self._send(fd, self._begin(fd, opening), self._most)

    def write(self, fd: int, entries: Sequence[Entry], position: bytes) -> bool:
        """Write messages to a stream, then a position."""
        encoding = self._rows.forms[fd] & ENCODING
        data = b"".join([self._encode(entry, encoding) for entry in entries])
        if position:
            data += streams.position(encoding, position)
        is_written = self._send(fd, data, self._most)
        if is_written:
            self.written += len(entries)
        return is_written

    def spread(self, fds: list[int], entry: Entry) -> tuple[int, list[int]]:
        """Write one message to many rows, to those of the same form at once."""
        polls: list[int] = []
        lost = 0
        forms = bytes(map(self._rows.forms.__getitem__, fds))
        for form in set(forms):
            alike = (
                fds if forms.count(form) == len(fds) else [fd for fd, f in zip(fds, forms, strict=True) if f == form]
            )
            if form:
                lost += self._spread_to(alike, self._encode(entry, form & ENCODING))
            else:
                polls = alike
        connections = len(fds) - len(polls) - lost
        self.written += connections
        return connections, polls

    def _spread_to(self, fds: list[int], data: bytes) -> int:
        """Write the same to streams; returns how many of them could not be written to."""
        rows, lost = self._rows, 0
        if rows.backlogs and (behind := rows.backlogs.keys() & fds):
            fds = [fd for fd in fds if fd not in behind]
            lost = sum(not self._send(fd, data, self._most) for fd in behind)
        sent = self._multisend.send(fds, data)
        if sent.count(len(data)) == len(fds):
            rows.sent += len(data) * len(fds)
            return lost
        for fd, size in zip(fds, sent, strict=True):
            rows.sent += max(size, 0)
            if size == len(data):
                continue
            why = "gone"
            if size >= 0 or size == -errno.EAGAIN:
                why = rows.send_later(fd, data, max(size, 0), self._most)
            if why:
                self.lose(fd, why)
                lost += 1
        return lost

    def say(self, fd: int, data: bytes) -> bool:
        """Write something that is no message to a stream; tells whether the stream goes on."""
        return self._send(fd, data, self._most)

    def _send(self, fd: int, data: bytes, most: int) -> bool:
        why = self._rows.send(fd, data, most)
        if why:
            self.lose(fd, why)
        return not why

    def _encode(self, entry: Entry, encoding: int) -> bytes:
        ready = entry.encoded
        if ready is None:
            ready = entry.encoded = {}
        data = ready.get(encoding)
        if data is None:
            data = ready[encoding] = streams.message(encoding, entry.channel, entry.id, entry.data)
            self.encoded += 1
            self.compressed += encoding > streams.WS
        return data

    # -- signs of life, and ends

    def ping(self, fd: int) -> None:
        """Write a ping, and where the stream stands; it is due again after a while."""
        position = self.hub.position(fd) or self.hub.streams.stood_at(fd)
        rows = self._rows
        form = rows.forms[fd]
        if not form:  # what was due to it could not be written
            return
        if position != self._pings_at:
            self._pings.clear()
            self._pings_at = position
        data = self._pings.get(form)
        if data is None:
            if position:
                data = streams.ping(form & ENCODING, position, bool(form & TOLD))
            else:  # a WebSocket that catches up, or an echo
                data = websocket.frame(websocket.PING, b"")
            self._pings[form] = data
        if self._send(fd, data, self._most):
            rows.deadlines.arm(fd, self._ping_s)

    def lose(self, fd: int, why: str) -> None:
        """A stream cannot be written to: its row is free then."""
        self._leave(fd)
        rows = self._rows
        # Without a backlog a part of what was too much may be on its way, and a close frame would stand in its middle.
        if why == "slow" and streams.is_websocket(rows.forms[fd] & ENCODING) and fd in rows.backlogs:
            self._close_slow(fd)
        else:
            rows.drop(fd, why)

    def _close_slow(self, fd: int) -> None:
        self._rows.ended["slow"] += 1
        self._rows.finish(fd, SLOW, is_slow=True)

    def _leave(self, fd: int) -> None:
        self.hub.leave(fd)
        self.sockets.forget(fd)
        self.left()

    def give_up(self, fd: int) -> None:
        """Too much waits for the page of a stream that subscribes to more, which only WebSockets do."""
        self._leave(fd)
        self._close_slow(fd)

    def farewell(self, fd: int, close: bytes, *, comes_back: bool = True) -> None:
        """End a stream in order, behind what is due to it.

        Args:
            close: the close frame for a WebSocket.
            comes_back: whether an EventSource is told when to.
        """
        self.hub.position(fd)
        form = self._rows.forms[fd]
        if not form:
            return
        self._leave(fd)
        encoding = form & ENCODING
        data = streams.ending(encoding)
        if streams.is_websocket(encoding):
            data = close
        elif comes_back and streams.transport(encoding) == "sse":
            data = streams.retry(encoding, random.randint(*RETRY_MS)) + data
        self._rows.finish(fd, data)

    def cut_off(self, fds: list[int], cut: CutOff, mailbox: bytes) -> int:
        """End the connections of a client; see `model.answers.IAnswers`."""
        if not cut.reconnect and cut.block_s:
            self.blocks.block(mailbox, cut.block_s)
        close = websocket.close_frame(cut.code, REASONS.get(cut.code, b""))
        for fd in fds:
            if self._rows.forms[fd]:
                self.farewell(fd, close, comes_back=cut.reconnect)
            else:
                self._rows.flag(fd, self._rows.kinds[fd] & (OLD | LINGERS) | CLOSES)
                self.expire(fd)
        return len(fds)

    # -- replies, which only WebSockets ask for

    def history(self, fd: int, token: object, entries: Sequence[Entry], position: bytes, gap: bool) -> None:
        """What a WebSocket asked for of a history."""
        assert token is None or isinstance(token, bytes)
        if token is not None:
            messages = [(e.channel, e.id, e.data) for e in entries]
            self.sockets.say(fd, ops.ok_history(token, messages, position, gap))
        self.sockets.answered(fd)

    def published(self, fd: int, token: object, position: bytes, code: str) -> None:
        """What became of what a WebSocket published."""
        assert token is None or isinstance(token, bytes)
        if code:
            self.sockets.refuse_for(fd, token, code)
        elif token is not None:
            self.sockets.say(fd, ops.ok_message(token, position))
        self.sockets.answered(fd)

    def unanswered(self, fd: int, token: object) -> None:
        """The manager is gone, and with it what a WebSocket asked."""
        assert token is None or isinstance(token, bytes)
        self.sockets.refuse(fd, token, 100, "the manager is away; what became of the request is not known")
        self.sockets.answered(fd)
