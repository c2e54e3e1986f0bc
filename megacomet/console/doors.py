"""The console's doors: which path is what, who may come in, and what is answered.

    /, /console                  to /console/
    /console/                    the page
    /console/@<hash>/<name>      its files
    /console/session             sign in, look, sign out
    /console/api/<rest>          the door /api/<rest>, for who has signed in

Sans-IO: a request is a head and later its body, and what comes out is a `Reply` or the path of a door of the API. A
session opens these paths only; what stands under `/api` itself asks for a key and looks at no cookie.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import attrs
import msgspec
from msgspec import Struct

from megacomet.console.attempts import Attempts, group_of
from megacomet.console.cookies import set_line, tokens_in
from megacomet.console.files import Files, policy
from megacomet.console.origins import Fields, check_own_page, fields_of, is_under_tls
from megacomet.console.serving import ASK_FIRST, FOR_EVER, Reply, file_reply
from megacomet.console.sessions import Member, Sessions
from megacomet.errors import PeerError, WrongMethod
from megacomet.model.keys import READ, Identity, Keys
from megacomet.model.notes import IAudit
from megacomet.wire.answers import as_json
from megacomet.wire.bodies import decode_body
from megacomet.wire.http import RequestHead
from megacomet.wire.requests import JSON, check_type

_PAGE: Final = b"/console/"
_SESSION: Final = b"/console/session"
_API: Final = b"/console/api"
_TO_PAGE: Final = Reply(302, b"", b"text/plain; charset=utf-8", b"Location: /console/\r\n")
_LOOKS: Final = (b"GET", b"HEAD")


class SignIn(Struct, forbid_unknown_fields=True):
    """The body of a sign-in.

    Attributes:
        key: of the API.
    """

    key: str


class SessionInfo(Struct, frozen=True):
    """A session, as its page is told of it.

    Attributes:
        name: of the key.
        scope: of the key.
        csrf: for the header X-CSRF-Token.
        expires: Unix seconds, unless it is renewed before.
        now: Unix seconds, by the server's clock.
    """

    name: str
    scope: str
    csrf: str
    expires: float
    now: float


_decode: Final = msgspec.json.Decoder(SignIn).decode


@attrs.frozen
class Visit:
    """A request that may go on.

    Attributes:
        identity: of who has signed in; None: nobody has.
        answer: takes the whole body, returns the answer or raises `PeerError`; None: the API answers it.
        path: of the API, for which the request counts from now on.
        holds: tells whether the API may go on answering it.
    """

    identity: Identity | None
    answer: Callable[[bytes], Reply] | None
    path: bytes = b""
    holds: Callable[[], bool] = bool


@attrs.frozen
class _Asked:
    """A request, of which the head is there."""

    head: RequestHead
    fields: Fields
    address: str | None
    is_secure: bool
    request_id: str

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.head.method not in _LOOKS

    @property
    def is_under_tls(self) -> bool:
        return is_under_tls(self.fields, self.is_secure)


class Console:
    """See the module.

    Attributes:
        lines: header lines of all answers under `/console`, errors too.
    """

    def __init__(
        self,
        files: Files,
        sessions: Sessions,
        keys: Keys,
        audit: IAudit,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        """
        Args:
            files: what the page is made of.
            sessions: who has signed in.
            keys: who may sign in.
            audit: takes note of who signs in and out.
            now: Unix seconds.
            clock: seconds that are never put back.
        """
        self._files = files
        self._sessions = sessions
        self._keys = keys
        self._audit = audit
        self._now = now
        self._clock = clock
        self._attempts = Attempts()
        self.lines = policy(files.import_map)

    @staticmethod
    def serves(target: bytes) -> bool:
        """Tell whether a path (not decoded) is the console's."""
        return target == b"/" or (target.startswith(b"/console") and target[8:9] in (b"/", b""))

    def visit(self, head: RequestHead, raw: bytes, address: str | None, is_secure: bool, request_id: str) -> Visit:
        """Decide by the head alone what becomes of a request.

        Args:
            head, raw: the head, parsed and as it came; `serves` holds for its target.
            address: of the client, `host:port`.
            is_secure: whether the connection is TLS.
            request_id: for the audit log.

        Raises:
            PeerError: what it is refused with, whatever its body is.
        """
        asked = _Asked(head, fields_of(raw), address, is_secure, request_id)
        target = head.target
        if target == _SESSION:
            return self._session(asked)
        if target.startswith(_API) and target[len(_API) : len(_API) + 1] in (b"/", b""):
            return self._api(asked)
        return self._file(asked)

    # -- files

    def _file(self, asked: _Asked) -> Visit:
        target, files = asked.head.target, self._files
        if target in (b"/", b"/console"):
            reply = _TO_PAGE
        elif target == _PAGE:
            if files.index is None:
                raise PeerError("not-found", "the console's files are not installed with this server")
            reply = file_reply(files.index, asked.fields, ASK_FIRST)
        elif target in files.by_path:
            reply = file_reply(files.by_path[target], asked.fields, FOR_EVER)
        else:
            raise PeerError("not-found")
        if asked.changes:
            raise WrongMethod("GET, HEAD")
        try:
            identity = self._member(asked).identity
        except PeerError:
            identity = None
        return Visit(identity, lambda _: reply)

    # -- who has signed in

    def _member(self, asked: _Asked) -> Member:
        """Return who asks; raise `PeerError` when nobody has signed in."""
        return self._sessions.find(tokens_in(asked.fields.get(b"cookie", ())), self._now())

    def _authorized(self, asked: _Asked) -> Member:
        """Return who asks, from one of our pages, with its token if it changes something; raise `PeerError`."""
        member = self._member(asked)
        # Also of who only looks: a page on another port of the host has the cookie sent, and would take up the streams.
        check_own_page(asked.fields, asked.head.host)
        if asked.changes:
            given = asked.fields.get(b"x-csrf-token", ())
            if len(given) != 1 or not self._sessions.seal.is_csrf(member.session.id, given[0]):
                raise PeerError("forbidden", "send the header X-CSRF-Token with the csrf of this session")
        return member

    def _api(self, asked: _Asked) -> Visit:
        member = self._authorized(asked)
        path = asked.head.target[len(b"/console") :]
        return Visit(member.identity, None, path, lambda: self._sessions.holds(member.session, self._now()))

    # -- signing in and out

    def _session(self, asked: _Asked) -> Visit:
        method = asked.head.method
        if method in _LOOKS:
            member = self._member(asked)
            return Visit(member.identity, lambda _: self._look(asked, member))
        if method == b"DELETE":
            member = self._authorized(asked)
            return Visit(member.identity, lambda _: self._sign_out(asked, member))
        if method != b"POST":
            raise WrongMethod("DELETE, GET, HEAD, POST")
        if b"content-type" not in asked.fields:  # a page of another origin can leave it out, and be asked nothing
            raise PeerError("unsupported-media-type", "the content type here is application/json")
        check_type(asked.head.headers, (JSON,))
        check_own_page(asked.fields, asked.head.host)
        self._limit(asked)
        return Visit(None, partial(self._sign_in, asked))

    def _limit(self, asked: _Asked) -> None:
        """Check that the address may try; raise `TooMany`."""
        try:
            self._attempts.check(group_of(asked.address), self._clock())
        except PeerError as e:
            self._note_refusal(asked, None, e)
            raise

    def _sign_in(self, asked: _Asked, body: bytes) -> Reply:
        key = decode_body(_decode, body).key
        self._limit(asked)  # there may be many requests whose heads have come before one of them has failed
        try:
            identity = self._keys.whose(key.encode())
        except PeerError as e:
            self._attempts.failed(group_of(asked.address), self._clock())
            self._note_refusal(asked, None, e)
            raise
        if not identity.allows(READ):
            error = PeerError(
                "forbidden", f"a key of scope {identity.scope} only publishes: sign in with read or admin"
            )
            self._note_refusal(asked, identity.name, error)
            raise error
        member = self._sessions.begin(identity, self._now())
        self._audit.note(
            "sign-in", key=identity.name, address=asked.address, request_id=asked.request_id, scope=identity.scope
        )
        return self._told(asked, member, has_cookie=True)

    def _note_refusal(self, asked: _Asked, key: str | None, error: PeerError) -> None:
        passed_over = self._attempts.note(group_of(asked.address), self._clock())
        if passed_over is not None:
            self._audit.note(
                "sign-in",
                key=key,
                address=asked.address,
                request_id=asked.request_id,
                result=error.code,
                passed_over=passed_over,
            )

    def _look(self, asked: _Asked, member: Member) -> Reply:
        renewed = self._sessions.renew(member, self._now())
        return self._told(asked, renewed or member, has_cookie=renewed is not None)

    def _told(self, asked: _Asked, member: Member, *, has_cookie: bool) -> Reply:
        session, identity, now = member.session, member.identity, self._now()
        csrf = self._sessions.seal.csrf(session.id)
        body = as_json(SessionInfo(identity.name, identity.scope, csrf, session.expires, now))
        if not has_cookie:
            return Reply(200, body)
        token, left_s = self._sessions.seal.token(session), max(1, round(session.expires - now))
        return Reply(200, body, lines=set_line(token, left_s, asked.is_under_tls))

    def _sign_out(self, asked: _Asked, member: Member) -> Reply:
        self._sessions.end(member, self._now())
        self._audit.note("sign-out", key=member.identity.name, address=asked.address, request_id=asked.request_id)
        return Reply(204, lines=set_line(b"", 0, asked.is_under_tls))
