"""The binary protocol of MegaComet of 2011, as an application of old speaks it to port 9000.

    2 <client id> NUL <message> NUL       push the message to the client
    1 <one byte>                          a worker of old says its number: read and ignored

Commands follow each other without anything between. There is no answer to anything, so a bad push is dropped up to its
second NUL and told about as an event. Any other byte where a command must begin breaks the stream: a web page that is
made to POST to this port must not get a push in after its first line.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from megacomet.errors import BadName
from megacomet.names import CLIENT_MAX_BYTES, check_client_id

_PUSH: Final = 2
_WORKER: Final = 1

_COMMAND, _NUMBER, _ID, _TEXT = range(4)


class Push(NamedTuple):
    """A message for a client.

    Attributes:
        client: a client id.
        text: UTF-8; `jsonbytes.json_string` makes data of it.
    """

    client: bytes
    text: bytes


class Dropped(NamedTuple):
    """A push that cannot be taken.

    Attributes:
        reason: "bad-id", "bad-text" (not UTF-8), "too-large" (the message) or "cut-off" (the connection ended in it).
    """

    reason: str


class Ignored(NamedTuple):
    """A command that means nothing any more.

    Attributes:
        command: its byte.
    """

    command: int


ClassicEvent = Push | Dropped | Ignored


class ClassicParser:
    """Parses one connection's bytes.

    Theory of operation: the state says what the next byte belongs to, a command, a worker's number, an id or a text.
    What an id or text has so far is kept only up to its bound; of a longer one only that it is too long.

    Attributes:
        broken: the stream does not speak the protocol; nothing more is parsed, close the connection.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self.broken = False
        self._max_text = max_message_bytes
        self._state = _COMMAND
        self._kept = bytearray()
        self._over = False
        self._client: bytes | None = None  # None: the id was bad, so the text is skipped

    def feed(self, data: bytes) -> list[ClassicEvent]:
        """Take the next bytes, of any number, and return what they completed."""
        events: list[ClassicEvent] = []
        at = 0
        while at < len(data) and not self.broken:
            if self._state == _COMMAND:
                self._command(data[at])
                at += 1
            elif self._state == _NUMBER:
                events.append(Ignored(_WORKER))
                self._state = _COMMAND
                at += 1
            else:
                end = data.find(0, at)
                if end < 0:
                    self._keep(data[at:])
                    break
                self._end(data[at:end], events)
                at = end + 1
        return events

    def close(self) -> list[ClassicEvent]:
        """Take the end of the connection and return what it cut off."""
        return [Dropped("cut-off")] if self._state in (_ID, _TEXT) and not self.broken else []

    def _command(self, command: int) -> None:
        if command == _PUSH:
            self._state = _ID
        elif command == _WORKER:
            self._state = _NUMBER
        else:
            self.broken = True

    def _keep(self, piece: bytes) -> None:
        most = CLIENT_MAX_BYTES if self._state == _ID else self._max_text
        skipped = self._state == _TEXT and self._client is None
        if self._over or skipped or len(self._kept) + len(piece) > most:
            self._over = True
            self._kept.clear()
        else:
            self._kept += piece

    def _end(self, piece: bytes, events: list[ClassicEvent]) -> None:
        """Take the last piece of an id or text."""
        self._keep(piece)
        field = None if self._over else bytes(self._kept)
        self._kept.clear()
        self._over = False
        if self._state == _ID:
            self._client = _checked(field)
            self._state = _TEXT
        else:
            events.append(_event(self._client, field))
            self._state = _COMMAND


def _checked(client: bytes | None) -> bytes | None:
    try:
        return check_client_id(client or b"")
    except BadName:
        return None


def _event(client: bytes | None, text: bytes | None) -> ClassicEvent:
    if client is None:
        return Dropped("bad-id")
    if text is None:
        return Dropped("too-large")
    if not text.isascii():
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            return Dropped("bad-text")
    return Push(client, text)
