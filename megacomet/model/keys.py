"""Who may use the API: bearer keys, kept as hashes, and the check of an Authorization header.

What a scope allows, the doors know; where the keys come from, `megacomet.api.access` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

import attrs
import msgspec

from megacomet.errors import PeerError

#: What a key may allow: to publish, to look, or everything.
PUSH: Final = "push"
READ: Final = "read"
ADMIN: Final = "admin"
SCOPES: Final = (PUSH, READ, ADMIN)
#: What the server's own key is called, where the others have names.
OWN_NAME: Final = "api-key"
#: What whoever sends none is told, and whoever sends another.
NO_KEY: Final = "send the header Authorization: Bearer <key>"
UNKNOWN_KEY: Final = "the key is not known here"


def digest_of(key: bytes) -> bytes:
    """Return the hash that stands for a key: SHA-256, 32 bytes.

    A slow hash with a salt is for what people choose. A key of ours is drawn from 2^256: nobody tries them all, however
    quick a try is, and here one is made with every request.
    """
    return hashlib.sha256(key).digest()


@attrs.frozen
class NamedKey:
    """A key with a name, without the key itself.

    Attributes:
        name: see `key_lines.check_name`.
        scope: one of `SCOPES`.
        digest: its hash, see `digest_of`.
        created: when it was made, RFC 3339 in UTC.
    """

    name: str
    scope: str
    digest: bytes
    created: str


@attrs.frozen
class Identity:
    """Whoever holds a key.

    Attributes:
        id: 8 bytes of the key's hash, which tell publishers apart.
        scope: what the key allows; "admin" allows all.
        name: the key's, `OWN_NAME` for the server's own.
    """

    id: bytes
    scope: str
    name: str

    def allows(self, scope: str) -> bool:
        """Tell whether the key allows what a scope allows."""
        return self.scope in (scope, ADMIN)

    def demand(self, scope: str) -> None:
        """Check that the key allows what a scope allows.

        Raises:
            PeerError: `forbidden`.
        """
        if not self.allows(scope):
            raise PeerError("forbidden", f"this needs a key of scope {scope}")


class Keys:
    """The keys that are accepted, at this moment. They are not kept, only their hashes.

    Attributes:
        version: another one whenever they have changed.
    """

    def __init__(self, keys: Iterable[tuple[str, str]], named: Iterable[NamedKey] = ()) -> None:
        """Accept these keys; the arguments are those of `replace`."""
        self.version = 0
        self._changed: list[Callable[[], None]] = []
        self.replace(keys, named)

    def replace(self, keys: Iterable[tuple[str, str]], named: Iterable[NamedKey]) -> None:
        """Accept these keys and no others from now on.

        Args:
            keys: the server's own: each key and its scope. Where one is among the named ones too, this scope counts.
            named: the others.
        """
        known = {key.digest: Identity(key.digest[:8], key.scope, key.name) for key in named}
        for key, scope in keys:
            digest = digest_of(key.encode())
            known[digest] = Identity(digest[:8], scope, OWN_NAME)
        self._accept(known)

    def _accept(self, known: dict[bytes, Identity]) -> None:
        self._known = known
        self._by_id = {identity.id: identity for identity in known.values()}
        self.version += 1
        for changed in self._changed:
            changed()

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have it called whenever others are accepted from then on."""
        self._changed.append(changed)

    def pack(self) -> bytes:
        """Return all that somebody else has to know to accept the same keys: hashes, scopes and names."""
        return msgspec.json.encode([[digest.hex(), who.scope, who.name] for digest, who in self._known.items()])

    def unpack(self, packed: bytes) -> None:
        """Accept the keys that somebody else accepts, and no others from now on.

        Raises:
            ValueError: this is not what `pack` returns.
        """
        try:
            told = [(bytes.fromhex(digest), scope, name) for digest, scope, name in msgspec.json.decode(packed)]
        except (TypeError, msgspec.DecodeError):
            raise ValueError("these are no keys") from None
        self._accept({digest: Identity(digest[:8], scope, name) for digest, scope, name in told})

    def check(self, authorization: bytes | None) -> Identity:
        """Return whose key an Authorization header carries (RFC 6750, 2.1).

        Args:
            authorization: the header's value, None without one.

        Raises:
            PeerError: `unauthorized`.
        """
        if authorization is None:
            raise PeerError("unauthorized", NO_KEY)
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise PeerError("unauthorized", "the scheme of Authorization is Bearer")
        return self.whose(key)

    def whose(self, key: bytes) -> Identity:
        """Return whose key it is; spaces around it do not count.

        Raises:
            PeerError: `unauthorized`.
        """
        # How long this takes may tell something of a hash, which tells nothing of its key.
        found = self._known.get(digest_of(key.strip()))
        if found is None:
            raise PeerError("unauthorized", UNKNOWN_KEY)
        return found

    def by_id(self, id_: bytes) -> Identity | None:
        """Return whoever is told by an id; None: the key is not accepted, or not any more."""
        return self._by_id.get(id_)

    def know(self, identity: Identity) -> bool:
        """Tell whether a key that was accepted still is, with the same scope."""
        return identity in self._known.values()
