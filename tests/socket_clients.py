"""A WebSocket client under test: it speaks through a real socket to a worker's front."""

from __future__ import annotations

import json
import os
from typing import Any

from megacomet.kinds import STATE
from megacomet.wire.websocket import CLOSE, PING, PONG, TEXT, close_payload, masked_frame

from .event_stream import Frame, frames
from .fronts import House
from .lots import PATIENCE_S, read_all, read_now

HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
NEWEST = "Sec-WebSocket-Protocol: megacomet.v1"
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
NOTHING = b"(nothing)"


class SocketClient:
    """A client whose handshake was answered.

    Attributes:
        head: of the answer.
        bits: of the window that the server compresses with.
        fd: the connection's number in the house.
        socket: the client's end.
    """

    def __init__(self, house: House, target: str = "/comet/ws?channel=news", *headers: str, head: int = 3) -> None:
        """Open; the manager says that nothing was missed, at this offset."""
        self.house = house
        self.bits = 15
        self._unsent = b""
        before = bytes(house.rows.kinds)
        self.socket = house.get(target, *HANDSHAKE, *headers)
        [self.fd] = [
            fd for fd, kind in enumerate(house.rows.kinds) if kind & STATE and not before[fd : fd + 1].strip(b"\0")
        ]
        house.pages(head=head)
        self.head, _, self._unread = self.socket.recv(1 << 20).partition(b"\r\n\r\n")

    def say(self, data: str | bytes | dict[str, Any], opcode: int = TEXT) -> None:
        """Send a message and let the house read it; an object as its JSON."""
        text = json.dumps(data) if isinstance(data, dict) else data
        self.send(masked_frame(opcode, text.encode() if isinstance(text, str) else text, os.urandom(4)))

    def send(self, data: bytes) -> None:
        """Send bytes and let the house read them; what it does not take now is sent before the next ones."""
        self._unsent += data
        self.socket.setblocking(False)
        try:
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
                self.house.settle()
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(PATIENCE_S)
        self.house.settle()

    def take(self) -> bytes:
        """Read, and let the house send, until nothing more comes."""
        data, self._unread = self._unread, b""
        while (more := read_now(self.socket)) != NOTHING and more:
            data += more
            self.house.settle()
            self.house.pump()
            self.send(b"")
        return data

    def close(self, code: int | None = None) -> None:
        """Send a close frame."""
        self.say(b"" if code is None else close_payload(code), CLOSE)

    def frames(self) -> list[Frame]:
        """What has come by now, each frame whole."""
        data, self._unread = self._unread, b""
        more = read_now(self.socket)
        return frames(data + (b"" if more == NOTHING else more), self.bits)

    def objects(self) -> list[Any]:
        """The objects that have come by now, and nothing else."""
        found = self.frames()
        assert {frame.opcode for frame in found} <= {TEXT}, found
        return [json.loads(frame.payload) for frame in found]

    def shown(self) -> list[str]:
        """The same in short."""
        return [short(one) for one in self.objects()]

    def ask(self, request: dict[str, Any] | str) -> Any:
        """The one answer to a request that is answered at once."""
        self.say(request)
        [answer] = self.objects()
        return answer

    def ended(self) -> tuple[int | None, bytes]:
        """Close code and reason, when the connection has been shut behind a close frame and nothing else."""
        rest = read_all(self.socket)
        [closed] = frames(self._unread + rest)
        assert closed.opcode == CLOSE, closed
        return (int.from_bytes(closed.payload[:2], "big") if closed.payload else None), closed.payload[2:]


def short(one: dict[str, Any]) -> str:
    """An object in short: data of messages, where the client stands, ids and codes of answers."""
    match one["op"]:
        case "message":
            return f"{one['data']}"
        case "position":
            return f"at {one['position']}"
        case "gap":
            return f"gap {one['channel']} {one['position']}"
        case "ok":
            return " ".join(["ok", str(one["id"]), *([one["position"]] if "position" in one else [])])
        case _:
            return f"error {one.get('id')} {one['code']}"


__all__ = ["CLOSE", "DEFLATE", "HANDSHAKE", "NEWEST", "NOTHING", "PING", "PONG", "TEXT", "SocketClient", "short"]
