"""What an earlier manager left behind: a zygote with workers and clients is taken over, or made to go.

Runs before the reactor does, so it waits in plain socket calls, each with a bound.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Final

import attrs
from twisted.logger import Logger

from megacomet.listeners import Listeners
from megacomet.zygote import FDS_A_MESSAGE

#: A zygote answers at once, or it is none.
ANSWER_S: Final = 5.0

_log = Logger()


@attrs.frozen
class Inheritance:
    """What a zygote had.

    Attributes:
        listeners: copies of its listeners.
        nonce: what its workers show at the link.
        workers: how many it has.
    """

    listeners: Listeners
    nonce: str
    workers: int


def take_over(control_path: str, identity: str, stop_s: float) -> Inheritance | None:
    """Look for a zygote that lost its manager.

    Args:
        control_path: where it would be.
        identity: what workers must have been made from to suit us, see `megacomet.zygote.Birth`.
        stop_s: how long workers take to go.

    Returns:
        Its belongings when it suits, None when there is none any more.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(ANSWER_S)
        try:
            control.connect(control_path)
            about = _ask(control, "report")
            if about["birth"] == identity:
                listeners = _receive_listeners(control)
                return Inheritance(listeners, about["nonce"], len(about["workers"]))
            _log.warn("workers of an earlier start with other settings are asked to go")
            control.settimeout(stop_s + ANSWER_S)
            _send(control, "retire")
            while control.recv(4096):
                pass
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError) as e:
            # Refused: it is gone and its socket's name is left. Anything else: nothing that could be worked with.
            if not isinstance(e, ConnectionRefusedError):
                _log.warn("the zygote of an earlier start is of no use: {why}", why=e)
    return None


def _send(control: socket.socket, op: str) -> None:
    control.sendall(json.dumps({"op": op}).encode() + b"\n")


def _ask(control: socket.socket, op: str) -> dict[str, Any]:
    """Ask, and return the answer: one line, and nothing behind it is read."""
    _send(control, op)
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = control.recv(1)
        if not byte:
            raise ConnectionError("it hung up")
        line += byte
    answer: dict[str, Any] = json.loads(line)
    return answer


def _receive_listeners(control: socket.socket) -> Listeners:
    answer = _ask(control, "listeners")
    descriptors: list[int] = []
    try:
        while len(descriptors) < answer["count"]:
            data, received, _, _ = socket.recv_fds(control, 1, FDS_A_MESSAGE)
            if not data:
                raise ConnectionError("it hung up")
            descriptors += received
        return Listeners.unpack(answer["layout"], descriptors)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
