"""What the kernel knows of a connection, asked when somebody wants to know: it costs nothing while nobody does.

A field of ours for it would be 8 bytes a connection, 8 MB for a million of them. The kernel keeps a time of change
with every socket, as with a file, and has no use for it: a stream that begins sets it, and it is read with the rest.
For a poll TCP says when the last bytes came, and those were its request; what comes later is not read.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

#: In struct tcp_info of linux/tcp.h: tcpi_last_data_recv, milliseconds.
_LAST_DATA_RECEIVED: Final = struct.Struct("52xI")


def mark(fd: int) -> None:
    """Have the kernel remember that something begins now on a socket."""
    try:
        os.utime(fd)
    except OSError:
        pass  # a kernel that cannot; nobody is told a time then


def marked_at(fd: int) -> float | None:
    """Return when a socket was marked, UNIX seconds, or None.

    What is said of one that never was means nothing: the kernel gives a new socket the place of an old one, with its
    time in it.
    """
    return os.fstat(fd).st_mtime or None


def address_of(fd: int) -> str | None:
    """Return the peer's address with its port, "unix" for a UNIX socket, None when there is no peer any more."""
    borrowed = socket.socket(fileno=fd)
    try:
        if borrowed.family == socket.AF_UNIX:
            return "unix"
        host, port = borrowed.getpeername()[:2]
    except OSError:
        return None
    finally:
        borrowed.detach()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def silent_s(fd: int) -> float | None:
    """Return since how many seconds nothing has come from the peer; None when it is no TCP."""
    borrowed = socket.socket(fileno=fd)
    try:
        info = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.size)
    except OSError:
        return None
    finally:
        borrowed.detach()
    return float(_LAST_DATA_RECEIVED.unpack(info)[0]) / 1000
