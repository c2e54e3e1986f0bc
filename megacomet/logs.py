"""The one log stream of all processes: how a worker's events reach the manager's log, and the log's JSON form.

    worker ─ PipeObserver ─┐
    worker ─ PipeObserver ─┼─ one non-blocking pipe ─> LogRelay ─> twisted.logger of the manager ─> twistd's log
    zygote ─ raw stderr ───┘

Theory of operation. All children share the pipe. A line of at most PIPE_BUF bytes is written by the kernel whole or not
at all, so lines of several processes never mix, and a full pipe is EAGAIN instead of a wait: the line is dropped and
counted, and the next one that goes through says how many were lost. Whatever else appears on the pipe (a traceback of
the interpreter, a C library's last words) is no JSON of ours and is passed on as text.

A line on the pipe is an object with `time` (seconds since the epoch), `level`, `logger`, `process`, `text`, and where
it applies `failure` (a traceback) and `dropped` (a count).
"""

from __future__ import annotations

import json
import os
import select
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import IO, Any, Final

from constantly import NamedConstant
from twisted.logger import FileLogObserver, ILogObserver, InvalidLogLevelError, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

#: POSIX: what a pipe takes in one piece or not at all (4,096 on Linux).
LINE_MAX_BYTES: Final = select.PIPE_BUF
#: How long an unfinished line may grow before it is passed on in pieces. Lines of ours are shorter; this bounds what a
#: child that writes without line breaks costs the manager.
UNFINISHED_MAX_BYTES: Final = 64 * 1024
#: A longer name of a logger is none of ours.
LOGGER_MAX_CHARS: Final = 200
#: Stands where text was cut out.
CUT: Final = "[...]"
MANAGER: Final = "manager"
ZYGOTE: Final = "zygote"
#: The logger of lines that are not ours.
RAW_LOGGER: Final = "megacomet.stderr"
_YEAR_10000: Final = 253_402_300_800

# The keys of a relayed event; Twisted keeps the names that begin with log_ for itself.
_PROCESS: Final = "process"
_TEXT: Final = "relayed_text"
_TRACEBACK: Final = "relayed_traceback"


def worker_name(number: int) -> str:
    """Return the name of a worker process, as in the log and in `ps`."""
    return f"worker {number}"


# The form for machines


def json_observer(out: IO[Any], process: str = MANAGER) -> FileLogObserver:
    """Return an observer that writes one JSON object per line and event.

    Args:
        out: a file of text or bytes.
        process: the name of this process; events of others carry their own.
    """
    return FileLogObserver(out, lambda event: json_line(event, process))


def json_line(event: LogEvent, process: str = MANAGER) -> str:
    """Return an event as one line: time (RFC 3339, UTC), level, logger, process, text, and failure if there is one."""
    line = _plain(event, process)
    moment = datetime.fromtimestamp(line["time"], UTC)
    line["time"] = moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    return json.dumps(line) + "\n"


def _plain(event: LogEvent, process: str) -> dict[str, Any]:
    """Return an event as plain data; `time` in seconds since the epoch."""
    level = event.get("log_level")
    line: dict[str, Any] = {
        "time": event.get("log_time") or 0.0,
        "level": level.name if isinstance(level, NamedConstant) else "info",
        "logger": str(event.get("log_namespace") or event.get("log_system") or "-"),
    }
    if _TEXT in event:
        line.update(process=event[_PROCESS], text=event[_TEXT])
        traceback = event[_TRACEBACK]
    else:
        line.update(process=process, text=formatEvent(event))
        traceback = event["log_failure"].getTraceback() if event.get("log_failure") is not None else ""
    if traceback:
        line["failure"] = traceback
    return line


# The side of a child


@implementer(ILogObserver)
class PipeObserver:
    """Observer that writes each event as one line to the pipe: it never waits and never raises.

    Attributes:
        process: the name of this process; a fork changes it to its own, see `worker_name`.
    """

    def __init__(self, fd: int, process: str) -> None:
        """Take the pipe's writing end; it is made non-blocking, for every process that shares it.

        Args:
            fd: the descriptor; it is not closed here.
            process: the name of this process.
        """
        os.set_blocking(fd, False)
        self._fd = fd
        self.process = process
        self._dropped = 0

    def __call__(self, event: LogEvent) -> None:
        """Write one event, or count it as dropped."""
        try:
            line = _plain(event, self.process)
            if self._dropped:
                line["dropped"] = self._dropped
            os.write(self._fd, _within(line))
        except Exception:
            # A full pipe, a manager that is gone, an event that cannot be formatted. There is nobody to tell: this is
            # the log. Whoever reads the next line learns the count.
            self._dropped += 1
        else:
            self._dropped = 0


def _within(line: dict[str, Any]) -> bytes:
    """Return the line with its end, cut so that the pipe takes it in one piece."""
    whole = _encoded(line)
    if len(whole) <= LINE_MAX_BYTES:
        return whole
    text, traceback = line["text"], line.get("failure", "")
    line["logger"] = line["logger"][:LOGGER_MAX_CHARS]
    # The end of a traceback tells most: it holds the error itself. It gets half the room, or what the text leaves.
    bare = len(_encoded({**line, "text": "", "failure": ""} if traceback else {**line, "text": ""}))
    room = LINE_MAX_BYTES - bare
    line["text"] = _cut(text, max(room - _length(traceback), room // 2 if traceback else room))
    if traceback:
        line["failure"] = _cut(traceback, room - _length(line["text"]), from_start=True)
    return _encoded(line)


def _encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode("ascii") + b"\n"


def _length(text: str) -> int:
    return len(json.dumps(text)) - 2


def _cut(text: str, room: int, from_start: bool = False) -> str:
    """Return what of the text fits into `room` bytes of JSON, the mark included; the start is cut off, or the end."""
    if _length(text) <= room:
        return text
    low, high = 0, min(len(text), room)
    while low < high:
        middle = (low + high + 1) // 2
        kept = text[len(text) - middle :] if from_start else text[:middle]
        if _length(kept) + len(CUT) <= room:
            low = middle
        else:
            high = middle - 1
    return CUT + text[len(text) - low :] if from_start else text[:low] + CUT


# The side of the manager


class LogRelay:
    """Takes what comes out of the pipe, in any pieces, and logs it again in this process.

    An event of a child keeps its time, level and logger, and its text begins with the name of the process.
    """

    def __init__(self, log: Callable[[LogEvent], None], now: Callable[[], float], raw_process: str = ZYGOTE) -> None:
        """
        Args:
            log: takes the events, such as `twisted.logger.globalLogPublisher`.
            now: seconds since the epoch, for lines that carry no time.
            raw_process: to whom lines are ascribed that are not ours.
        """
        self._log = log
        self._now = now
        self._raw_process = raw_process
        self._unfinished = bytearray()

    def dataReceived(self, data: bytes) -> None:
        """Take the next piece."""
        for line in self._lines(data):
            self._relay(line)

    def finish(self) -> None:
        """Pass on what has no line end: the pipe is closed."""
        rest = bytes(self._unfinished)
        self._unfinished.clear()
        self._relay(rest)

    def _lines(self, data: bytes) -> Iterator[bytes]:
        *complete, rest = data.split(b"\n")
        for part in complete:
            line = bytes(self._unfinished) + part
            self._unfinished.clear()
            yield line
        self._unfinished += rest
        while len(self._unfinished) > UNFINISHED_MAX_BYTES:
            line = bytes(self._unfinished[:UNFINISHED_MAX_BYTES])
            del self._unfinished[:UNFINISHED_MAX_BYTES]
            yield line

    def _relay(self, line: bytes) -> None:
        ours = _parse(line)
        if ours is None:
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self._emit(self._now(), LogLevel.warn, RAW_LOGGER, self._raw_process, text)
            return
        if ours["dropped"]:
            text = f"{ours['dropped']} lines of the log were dropped: the manager did not read them fast enough"
            self._emit(ours["time"], LogLevel.warn, ours["logger"], ours["process"], text)
        self._emit(ours["time"], ours["level"], ours["logger"], ours["process"], ours["text"], ours["failure"])

    def _emit(
        self, time: float, level: NamedConstant, logger: str, process: str, text: str, traceback: str = ""
    ) -> None:
        shape = "{process}: {relayed_text}\n{relayed_traceback}" if traceback else "{process}: {relayed_text}"
        self._log(
            {
                "log_time": time,
                "log_level": level,
                "log_namespace": logger,
                "log_format": shape,
                _PROCESS: process,
                _TEXT: text,
                _TRACEBACK: traceback,
            }
        )


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return a line of a `PipeObserver` with all its fields, None for any other."""
    if not line.startswith(b"{"):
        return None
    try:
        got = json.loads(line)
        dropped, time = got.get("dropped", 0), got["time"]
        texts = {key: got.get(key, "") for key in ("logger", "process", "text", "failure")}
        level = LogLevel.levelWithName(got["level"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidLogLevelError):
        return None
    if not all(isinstance(text, str) for text in texts.values()) or type(dropped) is not int:
        return None
    if type(time) not in (int, float) or not 0 <= time < _YEAR_10000:
        return None
    # A text that was cut in the middle of a surrogate pair could not be written as UTF-8.
    clean = {key: text.encode("utf-8", "replace").decode("utf-8") for key, text in texts.items()}
    return {"time": float(time), "level": level, "dropped": dropped, **clean}
