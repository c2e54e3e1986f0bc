"""Who may use the API: bearer keys, kept as hashes, and the key that a fresh server makes for itself.

Owns the check of an Authorization header and the file `<state_dir>/api-key`. What a scope allows, the doors know.
"""

from __future__ import annotations

import hashlib
import hmac
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
FILE_NAME: Final = "api-key"
KEY_BYTES: Final = 32
#: A file that is longer is not one of ours.
_MAX_FILE_BYTES: Final = 1024


@attrs.frozen
class Identity:
    """Whoever holds a key.

    Attributes:
        id: 8 bytes of the key's hash, which tell publishers apart.
        scope: what the key allows; "admin" allows all.
    """

    id: bytes
    scope: str

    def allows(self, scope: str) -> bool:
        """Tell whether the key allows what a scope allows."""
        return self.scope in (scope, ADMIN)


class Keys:
    """The keys that are accepted. They are not kept, only their hashes."""

    def __init__(self, keys: Iterable[tuple[str, str]]) -> None:
        """
        Args:
            keys: each key and its scope.
        """
        self._known: list[tuple[bytes, Identity]] = []
        for key, scope in keys:
            digest = hashlib.sha256(key.encode()).digest()
            self._known.append((digest, Identity(digest[:8], scope)))

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
        digest = hashlib.sha256(key.strip()).digest()
        found: Identity | None = None
        for known, identity in self._known:  # always all of them: the time tells nothing about which came near
            if hmac.compare_digest(known, digest):
                found = identity
        if found is None:
            raise PeerError("unauthorized", "the key is not known here")
        return found


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
    key = _read(path)
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
    key = _read(path)
    if key is None:
        raise StartError(f"the API key {path} is gone again")
    return LoadedKey(key, path, made)


def _read(path: str) -> str | None:
    """Return the key of a file, None when there is no file."""
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
