"""What a program gets from the client: messages, gaps, changes of the connection, and what became of a push.

`Message` and `Position` are also what comes by a WebSocket, so that a message is decoded once, into what is handed out.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import msgspec

CONNECTING: Final = "connecting"
CONNECTED: Final = "connected"
DISCONNECTED: Final = "disconnected"

WEBSOCKET: Final = "websocket"
SSE: Final = "sse"
POLL: Final = "poll"
#: All transports, the best one first.
TRANSPORTS: Final = (WEBSOCKET, SSE, POLL)


class Message(msgspec.Struct, frozen=True, gc=False, tag_field="op", tag="message"):
    """A message.

    Attributes:
        channel: where it was published; `@` and the client id of a mailbox, `*` of what is said to everyone.
        id: its position.
        data: what was published, decoded from JSON.
    """

    channel: str
    id: str
    data: Any


class Gap(msgspec.Struct, frozen=True):
    """Something of these channels after the position that was known is, or may be, no longer kept by the server.

    Attributes:
        channels: their names.
        position: where they go on; "" when the server does not say.
    """

    channels: tuple[str, ...]
    position: str


Item = Message | Gap


@attrs.frozen
class Change:
    """What has become of the connection.

    Attributes:
        state: "connecting", "connected" or "disconnected" (for good).
        transport: "websocket", "sse" or "poll": the one that is tried, or that stands; "" of "disconnected".
        code: why the one before ended: close code, HTTP status, or 0.
        reason: the same, for people; "" at the beginning.
        delay_s: until it is tried.
    """

    state: str
    transport: str = ""
    code: int = 0
    reason: str = ""
    delay_s: float = 0.0


@attrs.frozen
class Pushed:
    """What became of a push to one target.

    Attributes:
        id: the message's position; "" when it was refused.
        status: "sent" (somebody listens), "queued" (nobody does, it is kept), "unheard" (nobody, and nothing is kept)
            or "refused", which only stands beside others.
        connections: how many it was written to; None: no receipt was asked for.
        repeated: whether an earlier push with the same key is answered again.
        channel: the target; `@` and its id of a client.
        code: why it was refused; else "".
    """

    id: str
    status: str
    connections: int | None = None
    repeated: bool = False
    channel: str = ""
    code: str = ""
