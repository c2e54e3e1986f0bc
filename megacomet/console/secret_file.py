"""The secret that sessions are signed with: the file `<state_dir>/console-secret`, which a fresh server makes.

Whoever knows it can make sessions of any key whose hash is known. It is read at the start and never shown.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import Final

from megacomet.console.tokens import SECRET_BYTES
from megacomet.errors import StartError
from megacomet.statedir import hand_over, make_file

FILE_NAME: Final = "console-secret"
_LINE: Final = re.compile(rb"[0-9a-f]{%d}\n?" % (2 * SECRET_BYTES)).fullmatch


def load_or_make_secret(state_dir: str, uid: int | None = None, gid: int | None = None) -> bytes:
    """Read the secret of a state directory, or make it.

    Args:
        state_dir: it must be there, and its lock taken.
        uid, gid: who shall own what is made, None: whoever runs this.

    Raises:
        StartError: the file cannot be made or read, or holds no secret; it is named.
    """
    path = os.path.join(state_dir, FILE_NAME)
    if uid is not None:  # an earlier start, by root, may have made it
        hand_over(path, uid, -1 if gid is None else gid)
    found = _read(path)
    if found is not None:
        return found
    secret = secrets.token_bytes(SECRET_BYTES)
    try:
        make_file(path, secret.hex().encode() + b"\n", uid, gid)
    except OSError as e:
        why = (e.strerror or str(e)).lower()
        raise StartError(f"the console's secret cannot be written to {path}: {why}") from None
    return secret


def _read(path: str) -> bytes | None:
    try:
        # A pipe in its place would hold us up until somebody writes to it.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            raw = file.read(2 * SECRET_BYTES + 2)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise StartError(f"the console's secret {path} cannot be read: {(e.strerror or str(e)).lower()}") from None
    if _LINE(raw) is None:
        raise StartError(
            f"the console's secret {path} is not {2 * SECRET_BYTES} hexadecimal digits: remove the file, a new one is "
            "made, and everybody signs in again"
        )
    return bytes.fromhex(raw.decode())
