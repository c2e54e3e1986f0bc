"""HTTP on parked connections: the requests that a worker answers, and those it hands to the manager.

It cuts requests out of bytes, knows what stands at which path, parks polls in the hub and writes the hub's answers.
It has no state of its own for a connection: the rows have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from megacomet.browser_client import NONE as NO_CLIENT
from megacomet.browser_client import PATHS as BROWSER_PATHS
from megacomet.browser_client import BrowserClient
from megacomet.errors import PeerError
from megacomet.kinds import ASKING, CLOSES, ENTRANCE, IDLE, SOCKET, STATE, STREAM, TAKING, census
from megacomet.model.answers import IAnswers
from megacomet.model.hub import Hub
from megacomet.model.keys import NO_KEY
from megacomet.model.row_keys import IRowKeys
from megacomet.parking import ParkingLot
from megacomet.settings import Settings
from megacomet.wire import http
from megacomet.wire.keyless import needs_key
from megacomet.worker.answers import Answers
from megacomet.worker.blocks import Blocks
from megacomet.worker.closing import Closing, Partings
from megacomet.worker.deliveries import OLD, Deliveries
from megacomet.worker.draining import Draining
from megacomet.worker.handover import Handover, ILink
from megacomet.worker.listening import OPENINGS, Listening
from megacomet.worker.openings import count_forms
from megacomet.worker.pusher import Pusher
from megacomet.worker.pushes import Pushes
from megacomet.worker.refusals import Refusals, is_managers
from megacomet.worker.small_pages import SmallPages
from megacomet.worker.sockets import SHUTDOWN, Sockets

#: Of the entrance: the original's ports, where there are only `/<client>.js`, one answer a connection.
CLASSIC: Final = ENTRANCE

_NOT_FOUND: Final = "nothing stands here"


class Front:
    """The worker's HTTP.

    Attributes:
        hub: the listeners; fed by the link.
        draining: the way to let everybody go and come back.
    """

    _log = Logger()

    def __init__(
        self,
        lot: ParkingLot,
        settings: Settings,
        clock: IReactorTime,
        unix_s: Callable[[], float],
        pusher: Pusher,
        *,
        most: int = 0,
        hub: Callable[[IRowKeys, IAnswers], Hub] = Hub,
        browser_client: BrowserClient = NO_CLIENT,
    ) -> None:
        """Stand before a lot; nothing is handed over before `link` is set.

        Args:
            lot: made by `make_lot`.
            settings: the server's.
            clock: for work that goes on in the next turn.
            unix_s: the time of the day, for the header Date.
            pusher: has the manager publish.
            most: connections of this worker beyond which polls are answered 503; 0: no bound.
            hub: makes the hub on the rows' keys.
            browser_client: the client for browsers.
        """
        self._lot, self._rows = lot, lot.rows
        self._settings = settings
        self._clock, self._unix_s = clock, unix_s
        self._answers = Answers(settings.origins, unix_s())
        self._small = SmallPages(lot.rows, self._answers, lambda: self.link, browser_client)
        self._refusals = Refusals(lot.rows, self._answers)
        self._blocks = Blocks(clock.seconds)
        self._out = out = Deliveries(lot.rows, self._answers, settings, self._blocks)
        self.hub = out.hub = hub(lot.rows.keys, out)
        self._sockets = out.sockets = Sockets(
            *(lot.rows, self.hub, out, settings, clock),
            link=lambda: self.link,
        )
        self._listening = Listening(
            *(lot.rows, self.hub, out, self._answers, self._small, self._refusals, self._blocks, settings),
            most=most,
            touch=self._touch,
            is_closing=lambda: self._closing.begun,
        )
        out.expire, out.left = self._listening.expire, self._touch
        self._pushes = Pushes(lot.rows, self._answers, self._refusals.counts, pusher, silence_s=settings.keep_alive_s)
        self._closing = Closing(lot.rows, clock, Partings(lot.rows, self._expire, out.farewell, SHUTDOWN))
        self.draining = Draining(lot, clock, self._expire, out.farewell, self.turned)
        self._handover = Handover(lot.rows, self._refusals.request, self._closing.look)
        self._pages, self._is_hub_touched = self._make_pages(), False
        lot.front = self

    def _make_pages(self) -> dict[bytes, Callable[[int, http.RequestHead], None]]:
        """Return what stands at fixed paths."""
        pages: dict[bytes, Callable[[int, http.RequestHead], None]] = {
            b"/comet/poll": self._listening.object,
            **dict.fromkeys(OPENINGS, self._listening.stream),
            b"/healthz": self._small.health,
            b"/readyz": self._small.readiness,
            **dict.fromkeys(BROWSER_PATHS, self._small.browser_client),
        }
        if not self._settings.admin:
            pages[b"/"] = self._small.entrance
        if self._settings.ws_echo:
            pages[self._settings.ws_echo.encode()] = self._listening.echo
        return pages

    @property
    def link(self) -> ILink:
        """The link to the manager."""
        return self._handover.link

    @link.setter
    def link(self, link: ILink) -> None:
        self._handover.link = link

    # -- what the worker wants

    def tick(self, now: float) -> None:
        """A second has passed; `now` is of the lot's clock."""
        self._answers.tick(self._unix_s())
        self._tick_on(now)
        self.draining.tick()
        if self._closing.begun:
            self._closing.begin()

    def _tick_on(self, now: float) -> None:
        if self._lot.tick(now):
            self._clock.callLater(0, self._tick_on, now)

    def take_back(self, fd: int, unread: bytes) -> None:
        """Serve a connection that the manager gives back, with what it has read and not used."""
        self._lot.adopt(fd, unread)
        self.turned()

    def counts(self) -> dict[str, Any]:
        """Return the figures of this worker, as JSON knows them."""
        rows = census(self._rows.kinds)
        return {
            "connections": {"poll": rows["waiting"], **count_forms(self._rows.forms)},
            "rows": rows,
            "messages": self._out.written,
            "gaps": self._out.gaps,
            "encoded": self._out.encoded,
            "compressed": self._out.compressed,
            "channels": self.hub.channels,
            "handed_over": self._handover.taken,
            "backlog_bytes": self._rows.owed,
            "refused": dict(self._refusals.counts),
            "answered": {str(status): count for status, count in self._pushes.answered.items()},
            "drain": self.draining.counts(),
            **self._lot.counts(),
        }

    # -- what the lot wants

    def received(self, fd: int, data: bytes, known: int) -> None:
        """Serve the requests in what a connection sent; see `parking.IFront`."""
        rows = self._rows
        while True:
            end = http.find_head_end(data, known)
            if end < 0:
                if len(data) > http.MAX_HEAD_BYTES:
                    self._refusals.request(fd, http.oversized(data))
                else:
                    rows.keep(fd, data)
                return
            rest = self._serve(fd, data, end)
            if not rest:
                return
            data, known = rest, 0
            if rows.kinds[fd] & STATE != IDLE:
                rows.hold(fd, data)
                return
            rows.begin(fd)

    def gone(self, fd: int) -> None:
        """Nobody reads the answer to the poll any more; see `parking.IFront`."""
        self._listening.leave(fd)
        self._sockets.forget(fd)
        self._pushes.forget(fd)

    def due(self, fd: int) -> None:
        """The time of a poll, of a ping or of a head is over; see `parking.IFront`."""
        state = self._rows.kinds[fd] & STATE
        if state == STREAM:
            self._out.ping(fd)
        elif state in (SOCKET, ASKING):
            self._sockets.due(fd)
        elif self._rows.keys[fd] is not None:
            self._listening.expire(fd)
        else:
            self._refusals.request(fd, PeerError("head-timeout"))

    def heard(self, fd: int, data: bytes) -> None:
        """Bytes came from a stream; see `parking.IFront`."""
        if self._rows.kinds[fd] & STATE == SOCKET:
            self._sockets.heard(fd, data)
        else:
            self._listening.heard(fd, data)

    def taken(self, fd: int, data: bytes) -> None:
        """Bytes came of a body; see `parking.IFront`."""
        self._pushes.taken(fd, data)

    def flushed(self, fd: int) -> None:
        """A stream is owed nothing any more; see `parking.IFront`."""
        self._sockets.flushed(fd)

    def _touch(self) -> None:
        self._is_hub_touched = True

    def turned(self) -> None:
        """Have the manager told, once a turn, who came and went; see `parking.IFront`."""
        if self._is_hub_touched:
            self._is_hub_touched = False
            self.link.touch()
        self._closing.look()
        self.draining.look()

    # -- requests

    def _serve(self, fd: int, data: bytes, end: int) -> bytes:
        """Serve the request whose head ends there; return what stands behind it."""
        if data[:5] == b"POST " and self._is_ordinary(fd):
            rest = self._pushes.begin_again(fd, data, end)
            if rest is not None:
                return rest
        try:
            head = http.parse_head(data[:end])
        except PeerError as e:
            self._refusals.request(fd, e)
            return b""
        if head.method == b"POST" and self._are_pushes(fd, head):
            return self._push(fd, head, data, end)
        self._serve_here(fd, head, data)
        return data[end:]

    def _is_ordinary(self, fd: int) -> bool:
        """Tell whether a connection has nothing before it but its next requests."""
        return not (self._rows.kinds[fd] & CLASSIC or self._closing.begun or self.draining.per_s)

    def _are_pushes(self, fd: int, head: http.RequestHead) -> bool:
        """Tell whether a request is one of those to the API that the worker answers."""
        return self._pushes.serves(head) and not (self._rows.kinds[fd] & CLASSIC or self._settings.admin)

    def _push(self, fd: int, head: http.RequestHead, data: bytes, end: int) -> bytes:
        """Take a push or a batch; return what stands behind it."""
        self._flag(fd, head)
        try:
            if self._closing.begun:
                raise PeerError("shutting-down")
            return self._pushes.begin(fd, head, data, end)
        except PeerError as e:
            self._refusals.request(fd, e, head)
            return b""

    def _flag(self, fd: int, head: http.RequestHead) -> None:
        flags = 0 if head.keep_alive and not (self._closing.begun or self.draining.per_s) else CLOSES
        if not head.minor:
            flags |= OLD
        self._rows.flag(fd, flags | CLOSES if self._rows.kinds[fd] & CLASSIC else flags)

    def _serve_here(self, fd: int, head: http.RequestHead, data: bytes) -> None:
        """Serve a request that is no push."""
        self._flag(fd, head)
        is_classic = self._rows.kinds[fd] & CLASSIC
        target = head.target
        try:
            if target[-3:] == b".js" and target.rfind(b"/") == 0 and (is_classic or target not in BROWSER_PATHS):
                if self._is_to_be_answered(fd, head):
                    self._listening.script(fd, head)
            elif is_classic:
                raise PeerError("not-found", _NOT_FOUND)
            elif is_managers(target):
                self._hand_over(fd, head, data)
            elif target == b"*":
                self._is_to_be_answered(fd, head)
            elif target in self._pages:
                if self._is_to_be_answered(fd, head):
                    self._pages[target](fd, head)
            else:
                raise PeerError("not-found", _NOT_FOUND)
        except PeerError as e:
            self._refusals.request(fd, e, head)

    def _is_to_be_answered(self, fd: int, head: http.RequestHead) -> bool:
        """Check what all paths of the worker have in common; False when that was the answer.

        None of these requests has a use for a body, and one that is skipped wrongly is a request that somebody else
        has smuggled in: whoever sends one is refused and the connection closed.
        """
        method = head.method
        if method not in (b"GET", b"HEAD", b"OPTIONS"):
            raise PeerError("method-not-allowed", "GET, HEAD and OPTIONS are")
        if head.content_length or head.chunked:
            raise PeerError("bad-request", "a request of this kind has no body")
        origin = head.headers.get(b"origin", b"")
        if method == b"OPTIONS":
            keep_alive = not self._rows.kinds[fd] & CLOSES
            allowed = self._answers.origins
            self._rows.answer(
                fd, http.preflight(origin, allowed, keep_alive=keep_alive, minor=head.minor, headers=self._answers.date)
            )
            return False
        if self._answers.origins and origin and origin not in self._answers.origins:
            raise PeerError("bad-origin", "pages of this origin are not let in")
        if self._closing.begun:
            raise PeerError("shutting-down")
        return True

    def _hand_over(self, fd: int, head: http.RequestHead, data: bytes) -> None:
        if self._settings.admin:
            raise PeerError("not-found", _NOT_FOUND)
        if self._closing.begun:
            raise PeerError("shutting-down")
        if b"authorization" not in head.headers and needs_key(head.target):
            raise PeerError("unauthorized", NO_KEY)
        self._handover.give(fd, data)

    # -- the end

    def stop(self) -> Deferred[None]:
        """Listen no more, answer every poll with what is at hand, close all connections.

        Returns:
            what fires when the last one is gone; `tick` must go on being called until then.
        """
        if not self._closing.begun:
            self.draining.halt()
            self._closing.begin()
            self._lot.stop_listening()
        return self._closing.done

    def _expire(self, fd: int) -> None:
        """Give what waits what is at hand, and give up a body that is being received."""
        if self._rows.kinds[fd] & STATE == TAKING:
            self._pushes.forget(fd)
            self._rows.close(fd)
        else:
            self._listening.expire(fd)
