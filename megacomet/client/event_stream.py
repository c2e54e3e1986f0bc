"""Server-sent events out of bytes, as the HTML standard has them ("Interpreting an event stream").

Bytes may come in pieces of any size. Knows no connection and nothing of what the events mean.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from megacomet.client.objects import MOST_BYTES, Garbage

_LINES: Final = re.compile("\r\n|\r|\n")
_DIGITS: Final = re.compile("[0-9]{1,9}").fullmatch


class Event(NamedTuple):
    """An event.

    Attributes:
        kind: its name, "message" when it has none.
        id: the last id that the stream has told.
        data: without the last line break.
    """

    kind: str
    id: str
    data: str


class EventStream:
    """A reader of one stream.

    Attributes:
        retry_ms: the last reconnection time that was told; None: none was.
    """

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = False
        self._unread: list[str] = []  # of the line that has not ended, in pieces
        self._unread_size = 0
        self._ends_with_cr = False
        self._kind = ""
        self._id = self._last_id = ""
        self._data: list[str] = []
        self._data_size = 0

    def receive(self, data: bytes) -> Iterator[Event]:
        """Take the next bytes; yield the events that they complete.

        Raises:
            Garbage: one that is longer than any of ours.
        """
        text = self._decoder.decode(data)
        if not self._begun and text:
            self._begun, text = True, text.removeprefix("\ufeff")
        if self._ends_with_cr and text:
            self._ends_with_cr, text = False, text.removeprefix("\n")  # the CR has ended its line already
        if text.endswith("\r"):
            self._ends_with_cr = True
        first, *others = _LINES.split(text) if "\r" in text else text.split("\n")
        self._unread.append(first)
        self._unread_size += len(first)
        if others:
            lines = ["".join(self._unread), *others[:-1]]
            self._unread, self._unread_size = [others[-1]], len(others[-1])
            for line in lines:
                if line:
                    self._field(line)
                elif (event := self._dispatch()) is not None:
                    yield event
        if self._unread_size + self._data_size > MOST_BYTES:
            raise Garbage(f"an event of more than {MOST_BYTES:,} characters")

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._data_size += len(line) + 1
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "event":
            self._kind = value
        elif name == "retry" and _DIGITS(value):
            self.retry_ms = int(value)

    def _dispatch(self) -> Event | None:
        self._last_id = self._id
        kind, data = self._kind, self._data
        self._kind, self._data, self._data_size = "", [], 0
        return Event(kind or "message", self._last_id, "\n".join(data)) if data else None
