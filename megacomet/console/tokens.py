"""The token of a session: what its cookie holds, signed. Bytes in, values out; no clock, no file, no request.

A token is 100 characters of base64 without a spare bit, so that each session at each renewal has one token and no other
text is taken for it.
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
from typing import Final

import attrs

from megacomet.model.keys import SCOPES

#: How long a session lives from its last renewal, and from its beginning, seconds.
LIFE_S: Final = 12 * 3600
LONGEST_S: Final = 7 * 24 * 3600
#: Of the random id: more than anybody guesses, and the whole is a multiple of three bytes.
ID_BYTES: Final = 17
SECRET_BYTES: Final = 32

_FORM: Final = 1
_LAYOUT: Final = struct.Struct(f">BB8sQQ{ID_BYTES}s")
_MAC_BYTES: Final = 32
_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{100}").fullmatch
#: What is signed begins with what it is for: nobody can have the one signed to use it as the other.
_OF_SESSION: Final = b"session\0"
_OF_CSRF: Final = b"csrf\0"


@attrs.frozen
class Session:
    """A session, as its token tells it.

    Attributes:
        id: random; it stays the same when the session is renewed.
        key_id: of the key that it was begun with, `Identity.id`.
        scope: that the key had then.
        issued: when it was begun, Unix seconds to the millisecond.
        renewed: when it was renewed last, likewise.
    """

    id: bytes
    key_id: bytes
    scope: str
    issued: float
    renewed: float

    @property
    def expires(self) -> float:
        """When it is over, unless it is renewed before."""
        return min(self.renewed + LIFE_S, self.issued + LONGEST_S)


class Seal:
    """Makes tokens, and knows its own."""

    def __init__(self, secret: bytes) -> None:
        """Sign with a secret of `SECRET_BYTES`."""
        self._secret = secret

    def token(self, session: Session) -> bytes:
        """Return the token of a session."""
        issued, renewed = (max(0, round(each * 1000)) for each in (session.issued, session.renewed))
        told = _LAYOUT.pack(_FORM, SCOPES.index(session.scope), session.key_id, issued, renewed, session.id)
        return base64.urlsafe_b64encode(told + self._mac(_OF_SESSION, told))

    def read(self, token: bytes) -> Session | None:
        """Return the session of a token, None when it is not one of ours, whole and unchanged."""
        if _TOKEN(token) is None:
            return None
        raw = base64.urlsafe_b64decode(token)
        told, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(_OF_SESSION, told)):
            return None
        form, scope, key_id, issued, renewed, id_ = _LAYOUT.unpack(told)
        if form != _FORM:
            return None
        return Session(id_, key_id, SCOPES[scope], issued / 1000, renewed / 1000)

    def csrf(self, id_: bytes) -> str:
        """Return what the pages of a session show that they are its pages, by the session's id."""
        return base64.urlsafe_b64encode(self._mac(_OF_CSRF, id_)).rstrip(b"=").decode()

    def is_csrf(self, id_: bytes, given: bytes) -> bool:
        """Tell whether somebody has shown it."""
        return hmac.compare_digest(self.csrf(id_).encode(), given)

    def _mac(self, purpose: bytes, told: bytes) -> bytes:
        return hmac.digest(self._secret, purpose + told, "sha256")
