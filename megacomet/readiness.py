"""Telling the service manager that has started us when we are ready and when we stop: systemd's sd_notify(3).

It names a socket in the environment, and waits for us where the unit says `Type=notify`. Started by anybody else
there is no such name, and nothing is told.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Final

from twisted.logger import Logger

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"

_VARIABLE: Final = "NOTIFY_SOCKET"

_log = Logger()


def send_datagram(address: bytes, data: bytes) -> None:
    """Send a datagram to a UNIX socket, without waiting.

    Raises:
        OSError: nobody takes it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(data, address)


def tell_service_manager(
    state: str,
    environment: Mapping[str, str] = os.environ,
    send: Callable[[bytes, bytes], None] = send_datagram,
) -> None:
    """Tell a state, if there is somebody to be told. That nobody takes it is logged: the server runs on.

    Args:
        state: `READY` or `STOPPING`; telling it again changes nothing.
        environment: of this process.
        send: takes address and datagram, raises OSError.
    """
    path = environment.get(_VARIABLE, "")
    if not path:
        return
    # An abstract name has a byte of zero where the variable has an @.
    address = b"\0" + os.fsencode(path[1:]) if path.startswith("@") else os.fsencode(path)
    try:
        send(address, state.encode())
    except OSError as e:
        _log.warn("{state} could not be told to {path}: {why}", state=state, path=path, why=e.strerror or str(e))
