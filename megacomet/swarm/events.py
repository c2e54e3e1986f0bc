"""Owns what a transport tells a client: flat tuples, since most of them are messages and there are very many.

An event is (kind, position, channel, text). What a kind does not say is b"".
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from megacomet.swarm.answers import BadAnswer

#: A message: its id, its channel (b"" in raw form: the client's mailbox), its text.
MESSAGE: Final = 0
#: A position; and that something of the channel is, or may be, gone.
POSITION: Final = 1
GAP: Final = 2
#: What the connection has to do: answer a ping (its payload as text), answer a close (its code as text), end.
PING: Final = 3
CLOSE: Final = 4
END: Final = 5

Event = tuple[int, bytes, bytes, bytes]

#: A message object as the server writes it, when nothing in it is escaped: its groups are channel, id and text.
MESSAGE_OBJECT: Final = (
    rb'\{"op":"message","channel":"([^"\\\r\n]*)","id":"([0-9a-z]{1,16}-[0-9]{1,19})","data":"([^"\\\r\n]*)"\}'
)
_MESSAGE: Final = re.compile(MESSAGE_OBJECT).fullmatch


def read_object(raw: bytes) -> Event | None:
    """Read an object of a WebSocket or of a stream; None: it says nothing that matters here.

    Raises:
        BadAnswer: it is none.
    """
    message = _MESSAGE(raw)
    if message is not None:
        channel, position, text = message.groups()
        return MESSAGE, position, channel, text
    plain = read_json(raw)
    op = plain.get("op")
    if op == "message":
        return message_of(plain, plain.get("id"))
    if op == "position":
        return POSITION, _encoded(plain.get("position")), b"", b""
    if op == "gap":
        return GAP, _encoded(plain.get("position")), _encoded(plain.get("channel")), b""
    return None


def message_of(plain: dict[str, Any], position: Any) -> Event:
    """Return the message of an object with `channel` and `data`.

    Raises:
        BadAnswer: they are not there.
    """
    if "data" not in plain:
        raise BadAnswer(f"a message without data: {plain!r:.80}")
    data = plain["data"]
    text = data if isinstance(data, str) else json.dumps(data)
    return MESSAGE, _encoded(position), _encoded(plain.get("channel")), text.encode("utf-8", "surrogatepass")


def read_json(raw: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        BadAnswer: it is none.
    """
    try:
        plain = json.loads(raw)
    except ValueError:  # UnicodeDecodeError is one
        plain = None
    if not isinstance(plain, dict):
        raise BadAnswer(f"no JSON object: {raw[:80]!r}")
    return plain


def gaps_of(channels: Any, position: bytes) -> list[Event]:
    """Return the gaps of a list of channels.

    Raises:
        BadAnswer: it is no list.
    """
    if not isinstance(channels, list):
        raise BadAnswer(f"no list of channels: {channels!r:.80}")
    return [(GAP, position, _encoded(channel), b"") for channel in channels]


def _encoded(name: Any) -> bytes:
    if not isinstance(name, str):
        raise BadAnswer(f"no name or position: {name!r:.80}")
    return name.encode("utf-8", "surrogatepass")
