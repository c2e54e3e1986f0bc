"""Owns how the sockets of clients are made and how they are dropped. They are plain descriptors: no object stays."""

from __future__ import annotations

import errno
import struct
from _socket import IPPROTO_IP, SO_LINGER, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET
from _socket import socket as raw_socket
from typing import Final

from megacomet.swarm.options import Address

#: linux/in.h: the port is chosen at connect time, so one address can be used towards each destination in full.
IP_BIND_ADDRESS_NO_PORT: Final = 24
_RESET: Final = struct.pack("ii", 1, 0)


def begun(family: int, source: str, address: Address) -> int:
    """Begin to connect; returns the descriptor, which does not block.

    Args:
        source: to connect from, "" as the kernel chooses.

    Raises:
        OSError: it cannot even begin.
    """
    connection = raw_socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0)
    if source:
        connection.setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        connection.bind((source, 0))
    error = connection.connect_ex(address)
    if error not in (0, errno.EINPROGRESS):
        connection.close()
        raise OSError(error, "connect")
    return connection.detach()


def reset_at_close(descriptor: int) -> None:
    """Have the close of a connection be a reset: what was not read or written is thrown away on both sides."""
    connection = raw_socket(fileno=descriptor)
    try:
        connection.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
    finally:
        connection.detach()


def name_of(error: OSError) -> str:
    """Return the name by which an error is counted, such as ECONNREFUSED."""
    return errno.errorcode.get(error.errno or 0, f"errno {error.errno}")
