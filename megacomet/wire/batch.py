"""Batches of the REST API: the lines of NDJSON, what became of them, and the answer.

What a line holds is a push (`push`).
"""

from __future__ import annotations

from bisect import insort
from typing import Final

import attrs
import msgspec

from megacomet.errors import BadData, PeerError
from megacomet.wire.answers import BatchDone, BatchError, as_json
from megacomet.wire.push import PushResult

#: In the answer to a batch; one bad program makes every line fail in the same way.
MAX_BATCH_ERRORS: Final = 100

_BLANK: Final = b" \t\r"


class BatchLine(msgspec.Struct, frozen=True, gc=False):
    """One line of a batch that is not blank.

    Attributes:
        number: its place in the body, from 1 on, blank lines counted, as an editor shows it.
        body: without its end; None: it was longer than the bound, and is gone.
    """

    number: int
    body: bytes | None


class BatchLines:
    """Cuts a body of NDJSON into lines as it arrives; keeps at most one unfinished line, and that one bounded."""

    def __init__(self, max_line_bytes: int) -> None:
        """
        Args:
            max_line_bytes: a longer line is dropped up to its end; `ENVELOPE_BYTES` and what `data` may have.
        """
        self._max = max_line_bytes
        self._ended = 0  # lines
        self._kept = bytearray()
        self._size = 0  # of the unfinished line, dropped bytes included

    def feed(self, data: bytes) -> list[BatchLine]:
        """Take the next piece of the body, of any size, and return the lines that ended with it."""
        head, *rest = data.split(b"\n")
        if not rest:
            self._keep(head)
            return []
        lines: list[BatchLine] = []
        self._keep(head)
        self._end(lines)
        last = rest.pop()
        for text in rest:
            self._ended += 1
            if len(text) > self._max:
                lines.append(BatchLine(self._ended, None))
            elif text and (text := text.strip(_BLANK)):
                lines.append(BatchLine(self._ended, text))
        self._keep(last)
        return lines

    def close(self) -> list[BatchLine]:
        """Return the last line when it lacks its end."""
        lines: list[BatchLine] = []
        if self._size:
            self._end(lines)
        return lines

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._size += len(piece)
            if self._size > self._max:
                self._kept.clear()
            else:
                self._kept += piece

    def _end(self, lines: list[BatchLine]) -> None:
        self._ended += 1
        text = bytes(self._kept.strip(_BLANK))
        if self._size > self._max:
            lines.append(BatchLine(self._ended, None))
        elif text:
            lines.append(BatchLine(self._ended, text))
        self._kept.clear()
        self._size = 0


def too_long_line(max_line_bytes: int) -> PeerError:
    """Return the error of a `BatchLine` without a body."""
    return BadData("too-large", f"a line has at most {max_line_bytes} bytes")


@attrs.define
class BatchCount:
    """What became of a batch so far.

    Attributes:
        lines: pushes, blank lines not counted.
        sent, queued, unheard: messages by their status; one push to several targets makes several.
        repeated: messages that were answered from an earlier push with the same key; not in the three above.
        failed: lines that published nothing.
        errors: of the first of them, by line: line number, code, detail.
    """

    lines: int = 0
    sent: int = 0
    queued: int = 0
    unheard: int = 0
    repeated: int = 0
    failed: int = 0
    errors: list[tuple[int, str, str]] = attrs.field(factory=list)

    @property
    def published(self) -> int:
        """Messages that are new to the log."""
        return self.sent + self.queued + self.unheard

    def fail(self, line: int, error: PeerError) -> None:
        """Count a line that published nothing."""
        self.failed += 1
        self.note(line, error.code, error.detail or error.title)

    def note(self, line: int, code: str, detail: str) -> None:
        """Remember what is wrong with a line, if it is one of the first. What is refused is known later than bad JSON.

        Args:
            line, code, detail: see `errors`.
        """
        insort(self.errors, (line, code, detail))
        if len(self.errors) > MAX_BATCH_ERRORS:
            self.errors.pop()

    def count(self, result: PushResult) -> None:
        """Count a message that was published."""
        if result.repeated:
            self.repeated += 1
        elif result.status == "sent":
            self.sent += 1
        elif result.status == "queued":
            self.queued += 1
        else:
            self.unheard += 1


def batch_answer(count: BatchCount, position: bytes) -> bytes:
    """Return the body that answers a batch; its status is 422 when lines are there and all failed, else 200.

    Args:
        position: everything that the batch published is up to it.
    """
    told = (count.lines, count.sent, count.queued, count.unheard, count.repeated, count.failed)
    errors = [BatchError(*error) for error in count.errors]
    return as_json(BatchDone(*told, errors, position.decode()))
