"""One request at the manager's doors: what is checked before its body is read, and the form of every answer.

Owns the order of the checks (path, key, method, type, length) and the bounds of bodies. What a request means, the doors
know: small ones get their whole body through Klein, a batch gets it piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import parse_qs

from megacomet.api.audit import address_text
from megacomet.api.needs import IChannel, IReply, ISink, ISite, IVisit
from megacomet.errors import PeerError, TooMany, WrongMethod
from megacomet.model.keys import Identity
from megacomet.model.notes import DONE
from megacomet.publishing.pushing import Sender
from megacomet.wire.http import RequestHead, response, stream_head
from megacomet.wire.keyless import needs_key
from megacomet.wire.problems import problem_response
from megacomet.wire.requests import JSON, answer_lines, check_type, too_large

#: Of requests whose body nobody asks for.
SMALL_BODY_BYTES: Final = 64 * 1024
#: Seconds for Retry-After, spread so that not all come back at once.
_WAIT_S: Final = {"too-many-requests": 5, "overloaded": 5, "shutting-down": 10}


class Request(server.Request):
    """See the module.

    Attributes:
        site: the site that it belongs to.
        identity: who asks; None where no key is needed.
        path: as it was sent; of a request that comes by the console, that of the door.
        request_id: given by the client or made, for answers and logs.
    """

    # Twisted names its own classes: ours are made of them, and are not known here.
    channel: IChannel  # type: ignore[assignment]
    transport: Any
    site: ISite  # type: ignore[assignment]
    identity: Identity | None = None
    request_id = "-"
    method = b"GET"
    path = b""
    clientproto = b"HTTP/1.1"
    content: Any
    defaultContentType = None
    _log = Logger()
    _sink: ISink | None = None
    _visit: IVisit | None = None
    _lines = b""  # of every answer
    _refusal: PeerError | None = None
    _answered = False
    _whole = False

    def begin(self, head: RequestHead, raw: bytes, has_body: bool) -> bool:
        """Check a request whose head is complete.

        Args:
            head, raw: the head.
            has_body: whether a body follows.

        Returns:
            whether to go on with the body and `complete`; False: it is answered.
        """
        self.site = self.channel.site
        self._peer = self.channel.getPeer()  # the channel is gone when the connection is
        self._head, self._raw = head, raw
        self.method, self.path = head.method, head.target
        self.uri = head.target + b"?" + head.query if head.query else head.target
        if not head.minor:
            self.clientproto = b"HTTP/1.0"
        self.request_id = self.site.request_ids.of(head.headers)
        self._pieces: list[bytes] = []
        self._size = 0
        try:
            self._check(head)
        except PeerError as e:
            if has_body:
                self._cut_off(e)
                return False
            self._refusal = e
        return True

    def _check(self, head: RequestHead) -> None:
        """Decide by the head alone; raise `PeerError`."""
        if not head.target.isascii():
            raise PeerError("bad-request", "a target is ASCII, everything else is percent-encoded")
        self._max_bytes: int | None = SMALL_BODY_BYTES
        # Before anything else is looked at. Who asks for the description may have no key, and has none here.
        if needs_key(head.target) or head.target in self.site.keyed:
            self.identity = self.site.keys.check(head.headers.get(b"authorization"))
        elif self.site.console.serves(head.target):
            self._come_by_console(head)
        body = self.site.bodies.get(self.path) if head.method == b"POST" else None
        if body is not None:
            check_type(head.headers, body.types)
            self._max_bytes = body.max_bytes
            if body.sink is not None:
                self._sink = body.sink(self)
        if self._max_bytes is not None and head.content_length > self._max_bytes:
            raise too_large(self._max_bytes)

    def _come_by_console(self, head: RequestHead) -> None:
        """Take who asks, and for which door, from the console: its session is all that counts there."""
        console = self.site.console
        self._lines = console.lines
        address = address_text(self._peer)
        visit = self._visit = console.visit(head, self._raw, address, self.channel.isSecure(), self.request_id)
        self.identity = visit.identity
        if visit.answer is None:
            self.path = visit.path
            self.uri = self.path + b"?" + head.query if head.query else self.path

    def check_type(self, types: tuple[bytes, ...]) -> None:
        """Check the type of the body; see `megacomet.wire.requests.check_type`."""
        check_type(self._head.headers, types)

    def handleContentChunk(self, data: bytes) -> None:
        """Take the next piece of the body."""
        if self._answered:
            return
        if self._sink is not None:
            self._sink.feed(data)
            return
        self._size += len(data)
        if self._max_bytes is not None and self._size > self._max_bytes:
            self._cut_off(too_large(self._max_bytes))
        else:
            self._pieces.append(data)

    def complete(self) -> None:
        """The body is complete: answer."""
        self._whole = True
        if self._refusal is not None:
            self.reply_problem(self._refusal)
            self.finish()
        elif self._visit is not None and self._visit.answer is not None:
            self._answer_by_console(self._visit.answer)
        elif self._sink is not None:
            self._sink.end().addCallbacks(self._reply_sink, self.processingFailed)
        else:
            self.content = BytesIO(b"".join(self._pieces))
            self.args = parse_qs(self._head.query, True) if self._head.query else {}
            self.process()

    def _answer_by_console(self, answer_to: Callable[[bytes], IReply]) -> None:
        try:
            answer = answer_to(b"".join(self._pieces))
        except PeerError as e:
            self.reply_problem(e)
        except Exception:
            self.processingFailed(Failure())
            return
        else:
            self.reply(answer.status, answer.body, answer.content_type, answer.lines, answer.cache_control)
        self.finish()

    def process(self) -> None:
        """Hand the request to the site's resource, with the path as it was sent: what Klein decodes may hold a "/".

        `requestHeaders` is filled for what has no `Body`; a push looks at no header that is not checked by then.
        """
        if self.path not in self.site.bodies:
            for line in self._raw.split(b"\r\n")[1:-2]:
                name, _, value = line.partition(b":")
                self.requestHeaders.addRawHeader(name, value.strip())
        self.prepath = []
        self.postpath = self.path[1:].split(b"/")
        if self.path.startswith(b"//"):  # Klein leaves out what it takes for empty, and would reach an unchecked door
            self.reply_problem(PeerError("not-found"))
            self.finish()
            return
        try:
            self.render(self.site.resource)
        except Exception:
            self.processingFailed(Failure())

    def getRequestHostname(self) -> bytes:
        """Return a constant: nothing here depends on the Host, and Klein makes a name of every one that is sent."""
        return b"localhost"

    def isSecure(self) -> bool:
        """Return a constant: nothing here makes an address of its own, and Klein asks twice a request."""
        return False

    def owner(self, scope: str) -> Identity:
        """Return who asks, whose key must allow what a scope allows.

        Raises:
            PeerError: `forbidden`, or `unauthorized`: the path is not one of those for which a key was asked.
        """
        if self.identity is None:
            raise PeerError("unauthorized")
        self.identity.demand(scope)
        return self.identity

    def sender(self, scope: str) -> Sender:
        """Return who pushes; see `owner`."""
        return Sender(self.owner(scope), self.request_id, lambda: address_text(self._peer))

    @property
    def query(self) -> bytes:
        """What stands behind the "?" of the target, as it was sent."""
        return self._head.query

    @property
    def is_allowed(self) -> bool:
        """Whether key or session of this request still count: one that is answered for long asks again."""
        if self._visit is not None:
            return self._visit.holds()
        return self.identity is not None and self.site.keys.know(self.identity)

    def audit(self, action: str, result: str = DONE, **what: object) -> None:
        """Note in the audit log what this request has changed, also when its client is gone by now.

        Call it where the change is made known, not behind the Deferred that Klein is given: that one is cancelled when
        the client goes away.

        Args:
            action, result, what: see `IAudit.note`.
        """
        self.site.audit.note(
            action,
            key=self.identity.name if self.identity is not None else None,
            address=address_text(self._peer),
            request_id=self.request_id,
            result=result,
            **what,
        )

    # -- answers

    def reply(
        self,
        status: int,
        body: bytes,
        content_type: bytes = JSON,
        headers: bytes = b"",
        cache_control: bytes = b"no-store",
    ) -> None:
        """Write the whole answer, and leave it to the caller to `finish`.

        Args:
            headers: more lines, each with its CRLF; with a policy of its own for pages, the console's do not count.
            cache_control: the value of Cache-Control.
        """
        if self._disconnected or self._answered:
            return
        self._let_strangers_go()
        self._answered = True
        self.startedWriting = 1
        self.code = status
        site, channel = self.site, self.channel
        site.answered[status] += 1
        lines = answer_lines(site.date_line(), content_type, self.request_id) + headers
        if b"Content-Security-Policy:" not in headers:
            lines += self._lines
        head = self._head
        channel.transport.write(
            response(
                status,
                lines,
                body,
                keep_alive=bool(channel.persistent),
                minor=head.minor,
                head_only=head.method == b"HEAD",
                cache_control=cache_control,
            )
        )

    def begin_stream(self, content_type: bytes) -> bool:
        """Write the head of an answer that ends with its connection; `write_on` writes what follows.

        Returns:
            False when nothing follows: only the head was asked for, or the client is gone.
        """
        if self._disconnected or self._answered:
            return False
        self._answered = True
        self.startedWriting = 1
        self.code = 200
        self.site.answered[200] += 1
        self.channel.persistent = False
        lines = (
            answer_lines(self.site.date_line(), content_type, self.request_id)
            + b"X-Accel-Buffering: no\r\n"
            + self._lines
        )
        head = stream_head(lines, is_chunked=False, cache_control=b"no-cache, no-transform")
        self.channel.transport.write(head)
        return self.method != b"HEAD"

    def write_on(self, data: bytes) -> None:
        """Write more of an answer that `begin_stream` has begun."""
        if not self._disconnected:
            self.channel.transport.write(data)

    def reply_problem(self, error: PeerError) -> None:
        """Write an error as the answer, and leave it to the caller to `finish`."""
        if self._disconnected or self._answered:
            return
        self._let_strangers_go()
        self._answered = True
        self.startedWriting = 1
        self.code = error.status
        self.site.refuse(error)
        wait_s = _WAIT_S.get(error.code)
        retry_after = error.wait_s if isinstance(error, TooMany) else self.site.spread(wait_s) if wait_s else None
        self.channel.transport.write(
            problem_response(
                error,
                request_id=self.request_id,
                keep_alive=bool(self.channel.persistent),
                minor=self._head.minor,
                head_only=self._head.method == b"HEAD",
                allow=error.allow.encode() if isinstance(error, WrongMethod) else b"",
                retry_after=retry_after,
                cors=self.site.date_line() + self._lines,
            )
        )

    def _let_strangers_go(self) -> None:
        """Strangers come by the workers, who have many places: they are not to sit in the few that are here."""
        if self.identity is None and self.channel.home is not None:
            self.channel.persistent = False

    def _cut_off(self, error: PeerError) -> None:
        """Answer before the body is read; it never will be."""
        self.channel.persistent = False
        self.reply_problem(error)
        self.finish()

    def _reply_sink(self, answer: tuple[int, bytes]) -> None:
        if not self._disconnected and not self._answered:
            self.reply(*answer)
            self.finish()

    def processingFailed(self, reason: Failure) -> None:
        """Log an error of ours, and answer it without telling its inside."""
        self.log_failure(reason)
        if not self._disconnected and not self._answered:
            self.channel.persistent = self.channel.persistent and self._whole
            self.reply_problem(PeerError("internal"))
            self.finish()

    def log_failure(self, reason: Failure) -> None:
        """Log an error of ours with its traceback and the request that it happened in."""
        self._log.failure(
            "{method} {path} failed, request {request_id}",
            failure=reason,
            method=self.method.decode("ascii", "replace"),
            path=self.path.decode("ascii", "replace"),
            request_id=self.request_id,
        )
