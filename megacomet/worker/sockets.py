"""WebSockets on parked connections: from frames to requests, one at a time, and the answers to them.

Nothing stands for a connection on which nothing is pending. While a frame or a message is incomplete it has a reader;
while a request waits for the manager it has what came behind it, and nothing more is read from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from megacomet.errors import OpError, PeerError
from megacomet.kinds import ASKING, FRONT, SOCKET, STATE
from megacomet.model.hub import Hub
from megacomet.names import is_reserved
from megacomet.rows import Rows
from megacomet.settings import Settings
from megacomet.wire import ops, streams, websocket
from megacomet.worker.handover import ILink
from megacomet.worker.openings import ECHO, ENCODING

#: The row's own flag: a ping was sent, and nothing has come since.
PINGED: Final = FRONT
#: So many bad requests in a row end the connection.
STRIKES: Final = 5
#: What a request may have beside the data of a message: a thousand names of channels in JSON.
ENVELOPE_BYTES: Final = 300_000
#: The longest message of the echo; the conformance suites send 16 MB.
ECHO_BYTES: Final = 16 * 1024 * 1024
#: What the echo may owe: a message, and what was read in the same turn.
ECHO_BACKLOG_BYTES: Final = 4 * ECHO_BYTES

SHUTDOWN: Final = websocket.close_frame(3001, b"shutdown")
SLOW: Final = websocket.close_frame(3008, b"slow")
NO_PONG: Final = websocket.close_frame(3012, b"no pong")
BAD_REQUEST: Final = websocket.close_frame(3501, b"bad request")
BINARY: Final = websocket.close_frame(1003, b"binary data")
_CLOSED: Final = websocket.frame(websocket.CLOSE, b"")

#: What a publication was refused for, as the code of an answer.
_REFUSALS: Final = {"store-full": 507, "mailbox-full": 507, "too-large": 106}
_BAD_REQUEST: Final = 107


class IStreams(Protocol):
    """Writes to streams."""

    def say(self, fd: int, data: bytes) -> bool:
        """Write something that is no message; tells whether the stream goes on."""

    def farewell(self, fd: int, close: bytes) -> None:
        """End a stream in order."""

    def ping(self, fd: int) -> None:
        """Write a ping."""

    def lose(self, fd: int, why: str) -> None:
        """A stream cannot be written to."""


@attrs.define(eq=False)
class _Waiting:
    """A connection whose request is under way: what came behind it."""

    events: deque[websocket.Event]
    is_answered: bool = False


class Sockets:
    """The WebSockets of a worker."""

    _log = Logger()

    def __init__(
        self,
        rows: Rows,
        hub: Hub,
        out: IStreams,
        settings: Settings,
        clock: IReactorTime,
        *,
        link: Callable[[], ILink],
    ) -> None:
        """
        Args:
            rows: the connections.
            hub: the listeners.
            out: writes.
            settings: the server's.
            clock: for work that goes on in the next turn.
            link: the link to the manager.
        """
        self._rows = rows
        self._hub = hub
        self._out = out
        self._settings = settings
        self._clock = clock
        self._link = link
        self._most = settings.message_bytes + ENVELOPE_BYTES
        self._readers: dict[int, websocket.FrameReader] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._answered: list[tuple[int, _Waiting]] = []
        self._strikes: dict[int, int] = {}

    # -- what the connections do

    def heard(self, fd: int, data: bytes) -> None:
        """Bytes came from a WebSocket."""
        rows = self._rows
        rows.kinds[fd] &= ~PINGED
        rows.deadlines.arm(fd, self._settings.ping_s)
        reader = self._readers.pop(fd, None) if self._readers else None
        if reader is None:
            form = rows.forms[fd]
            events, reader = websocket.read_frames(
                data,
                max_message_bytes=ECHO_BYTES if form & ECHO else self._most,
                deflate=form & ENCODING > streams.WS,
            )
        else:
            events = reader.receive(data)
            if reader.idle:
                reader = None
        if reader is not None:
            self._readers[fd] = reader
        self._serve(fd, deque(events))

    def flushed(self, fd: int) -> None:
        """A WebSocket has taken all that it was owed: an echo goes on."""
        if self._rows.forms[fd] & ECHO:
            self.answered(fd)

    def due(self, fd: int) -> None:
        """The time of a ping, or of the answer to one."""
        rows = self._rows
        if rows.kinds[fd] & STATE == ASKING:
            self._out.ping(fd)  # it is not read, so no answer is waited for
        elif rows.kinds[fd] & PINGED:
            self._out.farewell(fd, NO_PONG)
        else:
            self._out.ping(fd)
            if rows.kinds[fd] & STATE == SOCKET:
                rows.kinds[fd] |= PINGED
                rows.deadlines.arm(fd, self._settings.pong_s)

    def forget(self, fd: int) -> None:
        """The connection is gone."""
        self._readers.pop(fd, None)
        self._waiting.pop(fd, None)
        self._strikes.pop(fd, None)

    # -- one after the other

    def _serve(self, fd: int, events: deque[websocket.Event]) -> None:
        pongs: list[bytes] = []  # a flood of pings is answered in one write
        while events:
            event = events.popleft()
            if isinstance(event, websocket.Ping):
                pongs.append(websocket.frame(websocket.PONG, event.payload))
                continue
            if pongs:
                self._out.say(fd, b"".join(pongs))
                pongs = []
            if self._rows.kinds[fd] & STATE != SOCKET:
                break
            if isinstance(event, websocket.Message) and not self._can_be_asked(fd):
                events.appendleft(event)
                self._ask(fd)
                break
            self._event(fd, event)
            if self._rows.kinds[fd] & STATE != SOCKET:
                break
        if pongs:
            self._out.say(fd, b"".join(pongs))
        if fd in self._waiting:
            self._waiting[fd].events = events

    def _can_be_asked(self, fd: int) -> bool:
        """Tell whether a request may be served: after a lost link the page of what was missed comes first."""
        return bool(self._rows.forms[fd] & ECHO) or self._hub.streams.is_live(fd) or not self._link().up

    def _event(self, fd: int, event: websocket.Event) -> None:
        if isinstance(event, websocket.Message):
            if self._rows.forms[fd] & ECHO:
                self._echo(fd, event)
            elif event.opcode == websocket.TEXT:
                self._request(fd, event.payload)
            else:
                self._out.farewell(fd, BINARY)
        elif isinstance(event, websocket.Close):
            code = event.code
            self._out.farewell(fd, _CLOSED if code is None else websocket.close_frame(code))
        elif isinstance(event, websocket.Violation):
            self._out.farewell(fd, websocket.close_frame(event.code, event.reason))

    def _echo(self, fd: int, message: websocket.Message) -> None:
        rows = self._rows
        data = streams.socket_frame(rows.forms[fd] & ENCODING, message.opcode, message.payload)
        why = rows.send(fd, data, ECHO_BACKLOG_BYTES)
        if why:
            self._out.lose(fd, why)
        elif fd in rows.backlogs:  # no more is read than is taken
            self._ask(fd)

    def _ask(self, fd: int) -> None:
        self._waiting[fd] = _Waiting(deque())
        self._rows.ask(fd)

    def answered(self, fd: int) -> None:
        """The request of a connection was answered: it goes on, in another turn."""
        waiting = self._waiting.get(fd)
        if waiting is None or waiting.is_answered:
            return
        waiting.is_answered = True
        self._answered.append((fd, waiting))
        if len(self._answered) == 1:
            self._clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        answered, self._answered = self._answered, []
        for fd, waiting in answered:
            if self._waiting.get(fd) is waiting and self._rows.kinds[fd] & STATE == ASKING:
                del self._waiting[fd]
                self._rows.listen(fd)
                try:
                    self._serve(fd, waiting.events)
                except Exception:
                    self._log.failure("connection {fd} failed", fd=fd)
                    self._out.lose(fd, "failed")
        self._link().touch()

    # -- requests

    def _request(self, fd: int, payload: bytes) -> None:
        try:
            request = ops.parse(payload, self._settings.message_bytes)
            self._strikes.pop(fd, None)
            self._check_link(request.id)
            if isinstance(request, ops.Subscribe):
                self._subscribe(fd, request)
            elif isinstance(request, ops.Unsubscribe):
                self._unsubscribe(fd, request)
            elif isinstance(request, ops.Publish):
                self._publish(fd, request)
            elif isinstance(request, ops.History):
                self._history(fd, request)
            elif position := self._hub.position(fd):
                self._ok(fd, request.id, ops.ok_position, position)
        except OpError as e:
            self.refuse(fd, e.id, e.code, e.message)

    def _ok(self, fd: int, id_: bytes | None, form: Callable[[bytes, bytes], bytes], position: bytes) -> None:
        if id_ is not None:
            self.say(fd, form(id_, position))

    def _subscribe(self, fd: int, request: ops.Subscribe) -> None:
        here = self._hub.streams.channels_of(fd)
        new = tuple(channel for channel in request.channels if channel not in here)
        most = self._settings.channels_per_connection
        if sum(not is_reserved(channel) for channel in here) + len(new) > most:
            raise OpError(106, f"a connection has at most {most} channels", request.id)
        position = self._hub.position(fd, whole=bool(new))
        if not position:
            return
        if new:
            self._ask(fd)
            self._hub.streams.subscribe(fd, new, request.since, request.id)
            self._link().touch()
        else:
            self._ok(fd, request.id, ops.ok_position, position)

    def _unsubscribe(self, fd: int, request: ops.Unsubscribe) -> None:
        if self._hub.position(fd, whole=True):
            self._hub.streams.unsubscribe(fd, request.channels)
            self._link().touch()
            if request.id is not None:
                self.say(fd, ops.ok(request.id))

    def _publish(self, fd: int, request: ops.Publish) -> None:
        if not self._settings.client_publish:
            raise OpError(103, "clients may not publish here", request.id)
        # No name holds a NUL, and no key of the API's publishers begins so.
        key = b"" if request.key is None else b"ws\0%b\0%b" % (request.channel, request.key)
        self._ask(fd)
        self._hub.requests.publish(fd, request.channel, request.data, key, request.id)
        self._link().touch()

    def _history(self, fd: int, request: ops.History) -> None:
        if request.channel not in self._hub.streams.channels_of(fd):
            raise OpError(103, "not subscribed to the channel", request.id)
        self._ask(fd)
        self._hub.requests.ask_history(fd, request.channel, request.since, request.limit, request.id)
        self._link().touch()

    def _check_link(self, id_: bytes | None) -> None:
        if not self._link().up:
            raise OpError(100, "the manager is away", id_)

    # -- answers

    def say(self, fd: int, payload: bytes) -> None:
        """Write an object to a WebSocket."""
        self._out.say(fd, websocket.frame(websocket.TEXT, payload))

    def refuse(self, fd: int, id_: bytes | None, code: int, message: str) -> None:
        """Answer a request with an error; too many bad ones in a row end the connection."""
        self.say(fd, ops.error(id_, code, message))
        if code == _BAD_REQUEST and self._rows.kinds[fd] & STATE == SOCKET:
            strikes = self._strikes[fd] = self._strikes.get(fd, 0) + 1
            if strikes == STRIKES:
                self._out.farewell(fd, BAD_REQUEST)

    def refuse_for(self, fd: int, id_: bytes | None, code: str) -> None:
        """Answer a publication that the store has refused."""
        self.refuse(fd, id_, _REFUSALS.get(code, 100), PeerError(code).title)
