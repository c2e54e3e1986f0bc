"""The audit log: a line of JSON for everything that changes something, `<state_dir>/audit.log`.

    {"time":"2026-11-28T09:00:00.250Z","action":"disconnect","key":"shop","address":"192.0.2.7:50312",
     "request_id":"f00-1","result":"done","client":"sue","disconnected":2}

Owns the file and the form of its lines. What is worth a line, the doors know. It never fails: what the file does not
take stands in the server's log instead.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import Logger

from megacomet.model.notes import DONE

FILE_NAME: Final = "audit.log"
#: Read too: whether the last line is complete. Not waiting: a pipe in its place would hold the server up. No link: root
#: opens the file in a directory where others may put one.
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class AuditLog:
    """The file; an `IAudit`."""

    _log = Logger()

    def __init__(self, path: str, now: Callable[[], float], uid: int | None = None, gid: int | None = None) -> None:
        """Open the file, or log why it cannot be opened; then each note tries again.

        Args:
            path: of the file; its directory must be there.
            now: seconds since the epoch.
            uid, gid: who shall own it, None: whoever runs this.
        """
        self._path = path
        self._now = now
        self._owner = None if uid is None else (uid, -1 if gid is None else gid)
        self._fd = -1
        self._is_cut = False
        self.reopen()

    def reopen(self) -> None:
        """Open the file anew, as after its rotation; when that fails, go on with the one that is open."""
        try:
            fd, is_cut = self._open()
        except OSError as e:
            self._log.error("the audit log {path} cannot be opened: {why}", path=self._path, why=_why(e))
            return
        self.close()
        self._fd, self._is_cut = fd, is_cut

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def note(
        self,
        action: str,
        *,
        key: str | None,
        address: str | None,
        request_id: str | None,
        result: str = DONE,
        **what: object,
    ) -> None:
        """See `IAudit.note`."""
        moment = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        who = {"key": key, "address": address, "request_id": request_id, "result": result}
        entry = json.dumps({"time": moment, "action": action, **who, **what}, separators=(",", ":"), default=str)
        try:
            self._append(entry.encode("ascii") + b"\n")
        except OSError as e:
            self._log.error(
                "the audit log {path} has not taken an entry: {why}; it was {entry}",
                path=self._path,
                why=_why(e),
                entry=entry,
            )

    def _append(self, line: bytes) -> None:
        """Write a line at once and whole; raise `OSError` when it could not be."""
        if self._fd < 0:
            self._fd, self._is_cut = self._open()
        # What is left of a line that was cut has an end of its own, so that the next one can be read.
        data = b"\n" + line if self._is_cut else line
        written = os.write(self._fd, data)
        if written:
            self._is_cut = written < len(data)
        if written < len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written")

    def _open(self) -> tuple[int, bool]:
        """Return the file's descriptor, and whether its last line lacks its end."""
        fd = os.open(self._path, _FLAGS, 0o600)
        try:
            found = os.fstat(fd)
            if stat.S_ISREG(found.st_mode) and self._owner is not None and os.geteuid() == 0 and found.st_nlink == 1:
                os.fchown(fd, *self._owner)
            return fd, found.st_size > 0 and os.pread(fd, 1, found.st_size - 1) != b"\n"
        except BaseException:
            os.close(fd)
            raise


def address_text(address: object) -> str | None:
    """Return the `IAddress` of a peer as text: `192.0.2.7:50312`, `[2001:db8::7]:50312`, or `unix` for a UNIX socket.

    Of another kind, and of none: None.
    """
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    return "unix" if isinstance(address, UNIXAddress) else None


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
