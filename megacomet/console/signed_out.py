"""Sessions that were signed out before their time: the file `<state_dir>/console-signed-out`.

A token is valid by its signature alone, also after a restart, so whoever signs out is remembered until the last token
of the session is over. Lines of one length, written at their places: what was not written whole is written again, a
kill loses nothing, and old lines are written over when the file is full, without a byte more on the disk.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from typing import Final

from twisted.logger import Logger

from megacomet.console.tokens import ID_BYTES
from megacomet.errors import PeerError, StartError

FILE_NAME: Final = "console-signed-out"
#: In twelve hours; 350 KB. Nobody signs out so often, but a program with a key might.
MOST: Final = 10_000

_LINE: Final = b"%012d %b\n"
_ID_CHARS: Final = 23
_LINE_BYTES: Final = 12 + 1 + _ID_CHARS + 1
_IS_LINE: Final = re.compile(rb"(\d{12}) ([A-Za-z0-9_-]{%d})\n" % _ID_CHARS).fullmatch
#: See `megacomet.api.audit`: no pipe holds us up, and root opens no link that others have put here.
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class SignedOut:
    """The sessions that were signed out."""

    _log = Logger()

    def __init__(self, state_dir: str, uid: int | None = None, gid: int | None = None, most: int = MOST) -> None:
        """Open the file, and read it.

        Args:
            state_dir: it must be there.
            uid, gid: who shall own the file, None: whoever runs this.
            most: so many are remembered.

        Raises:
            StartError: it cannot be opened or read, or is broken; it is named.
        """
        self._path = os.path.join(state_dir, FILE_NAME)
        self._most = most
        try:
            self._fd = os.open(self._path, _FLAGS, 0o600)
        except OSError as e:
            raise self._cannot("opened", e) from None
        try:
            self._until = self._read(uid, gid)
        except BaseException:
            self.close()
            raise

    def _cannot(self, what: str, error: OSError) -> StartError:
        why = (error.strerror or str(error)).lower()
        return StartError(f"the sessions that were signed out, {self._path}, cannot be {what}: {why}")

    def _read(self, uid: int | None, gid: int | None) -> dict[bytes, int]:
        """Return what the file has, and learn which of it need not be written again."""
        try:
            found = os.fstat(self._fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError("it is not a file")
            if uid is not None and os.geteuid() == 0 and found.st_nlink == 1:
                os.fchown(self._fd, uid, -1 if gid is None else gid)
            data = os.pread(self._fd, _LINE_BYTES * self._most, 0)
        except OSError as e:
            raise self._cannot("read", e) from None
        until = {}
        for at in range(0, len(data) - _LINE_BYTES + 1, _LINE_BYTES):  # a part at the end was never confirmed
            line = _IS_LINE(data, at, at + _LINE_BYTES)
            if line is None:
                raise StartError(
                    f"line {at // _LINE_BYTES + 1} of {self._path} is broken: remove it together with console-secret, "
                    "and everybody signs in again"
                )
            until[base64.urlsafe_b64decode(line[2] + b"=")] = int(line[1])
        # Behind those that were written anew their old lines may stand: then what is known has other places, and the
        # next one has it all written again.
        self._written = len(until) if len(until) == len(data) // _LINE_BYTES else 0
        return until

    def __contains__(self, id_: bytes) -> bool:
        return id_ in self._until

    def add(self, id_: bytes, until: float, now: float) -> None:
        """Remember a session.

        It holds at once. When the file does not take it, that is logged, and it is tried again with the next one.

        Args:
            id_: of the session.
            until: Unix seconds, after which none of its tokens is valid.
            now: Unix seconds.

        Raises:
            PeerError: `overloaded`: too many are remembered; it is not signed out.
        """
        assert len(id_) == ID_BYTES
        if id_ in self._until:
            return
        if len(self._until) >= self._most:
            # Not before it must be: a clock that was put forward and back brings nobody back.
            self._until = {each: end for each, end in self._until.items() if end > now}
            self._written = 0
        if len(self._until) >= self._most:
            raise PeerError("overloaded", f"{self._most} sessions were signed out in a few hours")
        self._until[id_] = int(until) + 1
        try:
            self._write()
        except OSError as e:
            self._log.error(
                "{path} has not taken a session that was signed out: {why}; it is valid again after a restart",
                path=self._path,
                why=(e.strerror or str(e)).lower(),
            )

    def _write(self) -> None:
        """Write the lines that are not written yet; raise `OSError`."""
        new = list(self._until.items())[self._written :]
        lines = b"".join(_LINE % (until, base64.urlsafe_b64encode(id_).rstrip(b"=")) for id_, until in new)
        taken = os.pwrite(self._fd, lines, self._written * _LINE_BYTES)
        if taken < len(lines):
            raise OSError(f"only {taken} of {len(lines)} bytes were written")
        self._written += len(new)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
