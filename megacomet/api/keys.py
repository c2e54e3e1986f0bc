"""Who may use the API: bearer keys, kept as hashes, and the key that a fresh server makes for itself.

Owns the check of an Authorization header and the file `<state_dir>/api-key`. What a scope allows, the doors know; the
file of the keys with names is `key_file.py`'s.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from typing import Final, NamedTuple

import attrs

from megacomet.errors import PeerError, StartError

#: What a key may allow: to publish, to look, or everything.
PUSH: Final = "push"
READ: Final = "read"
ADMIN: Final = "admin"
SCOPES: Final = (PUSH, READ, ADMIN)
#: What the server's own key is called, where the others have names.
OWN_NAME: Final = "api-key"
FILE_NAME: Final = "api-key"
KEY_BYTES: Final = 32
#: A file that is longer is not one of ours.
_MAX_FILE_BYTES: Final = 1024


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


class Keys:
    """The keys that are accepted, at this moment. They are not kept, only their hashes."""

    def __init__(self, keys: Iterable[tuple[str, str]], named: Iterable[NamedKey] = ()) -> None:
        """Accept these keys; the arguments are those of `replace`."""
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
        self._known = known

    def check(self, authorization: bytes | None) -> Identity:
        """Return whose key an Authorization header carries (RFC 6750, 2.1).

        Args:
            authorization: the header's value, None without one.

        Raises:
            PeerError: `unauthorized`.
        """
        if authorization is None:
            raise PeerError("unauthorized", "send the header Authorization: Bearer <key>")
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise PeerError("unauthorized", "the scheme of Authorization is Bearer")
        # How long this takes may tell something of a hash, which tells nothing of its key.
        found = self._known.get(digest_of(key.strip()))
        if found is None:
            raise PeerError("unauthorized", "the key is not known here")
        return found

    def know(self, identity: Identity) -> bool:
        """Tell whether a key that was accepted still is, with the same scope."""
        return identity in self._known.values()


class LoadedKey(NamedTuple):
    """The server's own key.

    Attributes:
        key: what clients send.
        path: of its file.
        made: whether it is new, and should be shown to whoever started the server.
    """

    key: str
    path: str
    made: bool


def load_or_make_key(state_dir: str, uid: int | None = None, gid: int | None = None) -> LoadedKey:
    """Read the key of a state directory; make directory and key where there are none.

    Args:
        state_dir: where the key lies.
        uid, gid: who shall own what is made, None: whoever runs this.

    Raises:
        StartError: the directory or the file cannot be made, read, or holds no key.
    """
    path = os.path.join(state_dir, FILE_NAME)
    key = read_key(path)
    if key is not None:
        return LoadedKey(key, path, made=False)
    try:
        _make(state_dir, path, -1 if uid is None else uid, -1 if gid is None else gid)
    except FileExistsError:  # somebody else was quicker
        made = False
    except OSError as e:
        raise StartError(f"the API key cannot be written to {path}: {e.strerror or e}") from None
    else:
        made = True
    key = read_key(path)
    if key is None:
        raise StartError(f"the API key {path} is gone again")
    return LoadedKey(key, path, made)


def read_key(path: str) -> str | None:
    """Return the key of a file, None when there is no file.

    Raises:
        StartError: it cannot be read, or holds no key.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(_MAX_FILE_BYTES + 1).strip()
    except FileNotFoundError:
        return None
    except OSError as e:
        raise StartError(f"the API key {path} cannot be read: {e.strerror or e}") from None
    if not raw:
        raise StartError(f"the API key {path} is empty: remove the file, and a new key is made")
    if len(raw) > _MAX_FILE_BYTES or not all(0x21 <= byte <= 0x7E for byte in raw):
        raise StartError(f"the API key {path} is not one line of letters, digits and signs")
    return raw.decode("ascii")


def _make(state_dir: str, path: str, uid: int, gid: int) -> None:
    """Write a new key, whole or not at all: a file that exists is complete."""
    if not os.path.isdir(state_dir):
        os.makedirs(state_dir, mode=0o755, exist_ok=True)
        os.chmod(state_dir, 0o700)
        os.chown(state_dir, uid, gid)
    unfinished = f"{path}.{secrets.token_hex(8)}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask is
            os.fchown(descriptor, uid, gid)
            os.write(descriptor, secrets.token_urlsafe(KEY_BYTES).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(unfinished, path)
    finally:
        os.unlink(unfinished)
