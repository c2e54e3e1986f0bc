"""The server's own key, which a fresh server makes for itself: the file `<state_dir>/api-key`.

The file of the keys with names is `key_file.py`'s.
"""

from __future__ import annotations

import os
import secrets
from typing import Final, NamedTuple

from megacomet.errors import StartError
from megacomet.statedir import make_file

FILE_NAME: Final = "api-key"
KEY_BYTES: Final = 32
#: A file that is longer is not one of ours.
_MAX_FILE_BYTES: Final = 1024


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
        _make(state_dir, path, uid, gid)
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


def _make(state_dir: str, path: str, uid: int | None, gid: int | None) -> None:
    """Write a new key, and make its directory if there is none."""
    if not os.path.isdir(state_dir):
        os.makedirs(state_dir, mode=0o755, exist_ok=True)
        os.chmod(state_dir, 0o700)
        os.chown(state_dir, -1 if uid is None else uid, -1 if gid is None else gid)
    make_file(path, secrets.token_urlsafe(KEY_BYTES).encode() + b"\n", uid, gid)
