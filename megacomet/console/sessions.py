"""Sessions: who has signed in, for how long, and whose session is over.

The server keeps no table of sessions: a token tells all of it, and what it tells is checked against the keys at every
request. Time is an argument, Unix seconds. A clock may be put back and forth: a session of the future is none, one
whose beginning is a little ahead of us is.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final, Protocol

import attrs

from megacomet.console.tokens import ID_BYTES, LIFE_S, Seal, Session
from megacomet.errors import PeerError
from megacomet.model.keys import Identity, Keys

#: A session is renewed when its token is older, seconds: not with every request of a page.
RENEW_S: Final = 600
#: So far ahead of our clock a token may be, seconds: clocks are put back a little by those who keep them right.
AHEAD_S: Final = 600

NO_SESSION: Final = "sign in first"
OVER: Final = "the session is over: sign in again"
REVOKED: Final = "the key of this session was revoked"
RESCOPED: Final = "the key of this session has another scope now: sign in again"


class ISignedOut(Protocol):
    """Sessions that were signed out; see `signed_out.SignedOut`."""

    def __contains__(self, id_: bytes) -> bool:
        """Tell whether a session was."""

    def add(self, id_: bytes, until: float, now: float) -> None:
        """Remember one; raise `PeerError` when that cannot be."""


@attrs.frozen
class Member:
    """Somebody who has signed in.

    Attributes:
        session: the session.
        identity: the key's, as it is known at this moment.
    """

    session: Session
    identity: Identity


class Sessions:
    """See the module."""

    def __init__(self, keys: Keys, seal: Seal, signed_out: ISignedOut) -> None:
        """
        Args:
            keys: those that are accepted.
            seal: signs tokens.
            signed_out: remembers who has left.
        """
        self._keys = keys
        self.seal = seal
        self._signed_out = signed_out

    def begin(self, identity: Identity, now: float) -> Member:
        """Begin a session for whoever has shown a key."""
        moment = round(now, 3)
        return Member(Session(secrets.token_bytes(ID_BYTES), identity.id, identity.scope, moment, moment), identity)

    def find(self, tokens: Iterable[bytes], now: float) -> Member:
        """Return who has signed in: the first of the tokens that is valid.

        Raises:
            PeerError: `unauthorized`; the detail says whether there was no session, or why it is over.
        """
        why = NO_SESSION
        for token in tokens:
            session = self.seal.read(token)
            found = self._check(session, now) if session is not None else OVER
            if not isinstance(found, str):
                return found
            why = found
        raise PeerError("unauthorized", why)

    def _check(self, session: Session, now: float) -> Member | str:
        """Return whose session it is, or why it is over."""
        if session.id in self._signed_out or not _is_alive(session, now):
            return OVER
        identity = self._keys.by_id(session.key_id)
        if identity is None:
            return REVOKED
        if identity.scope != session.scope:
            return RESCOPED
        return Member(session, identity)

    def holds(self, session: Session, now: float) -> bool:
        """Tell whether a session that was found still is one."""
        return not isinstance(self._check(session, now), str)

    def renew(self, member: Member, now: float) -> Member | None:
        """Return the session renewed, None while that is not needed."""
        age = now - member.session.renewed
        if 0 <= age < RENEW_S:
            return None
        return attrs.evolve(member, session=attrs.evolve(member.session, renewed=round(now, 3)))

    def end(self, member: Member, now: float) -> None:
        """Sign out: no token of the session is valid any more.

        Raises:
            PeerError: `overloaded`.
        """
        self._signed_out.add(member.session.id, now + AHEAD_S + LIFE_S, now)


def _is_alive(session: Session, now: float) -> bool:
    return session.renewed - AHEAD_S <= now < session.expires
