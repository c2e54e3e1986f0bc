"""The log of all processes: its JSON form, the pipe that never blocks a worker, the relay in the manager."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent, textFileLogObserver
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from megacomet.logs import (
    CUT,
    LINE_MAX_BYTES,
    UNFINISHED_MAX_BYTES,
    LogRelay,
    PipeObserver,
    json_line,
    json_observer,
    worker_name,
)

NOW = 1_800_000_000.25


def event(text: str = "hello", **more: Any) -> LogEvent:
    """An event as twisted.logger makes it."""
    return {
        "log_time": NOW,
        "log_level": LogLevel.warn,
        "log_namespace": "megacomet.worker.front",
        "log_format": "{text}",
        "text": text,
        **more,
    }


def failure(text: str = "no such thing") -> Failure:
    """A failure with a traceback."""
    try:
        raise LookupError(text)
    except LookupError:
        return Failure()


def relayed(pieces: Iterator[bytes] | list[bytes]) -> list[LogEvent]:
    """What a relay logs that is fed with the pieces and then told that the pipe is closed."""
    events: list[LogEvent] = []
    relay = LogRelay(events.append, lambda: NOW + 1)
    for piece in pieces:
        relay.dataReceived(piece)
    relay.finish()
    return events


class Pipe:
    """A pipe whose ends are closed after the test."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()
        os.set_blocking(self.out, False)

    def read(self) -> bytes:
        """Everything that is in it."""
        got = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.out, 65536):
                got += piece
        return got

    def fill(self) -> None:
        """Write until not one byte more goes in."""
        os.set_blocking(self.into, False)
        for size in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(self.into, b"\n" * size)

    def close(self) -> None:
        for fd in (self.out, self.into):
            with contextlib.suppress(OSError):
                os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe."""
    made = Pipe()
    yield made
    made.close()


# The form for machines


def test_json_line() -> None:
    """Each event is one object with time, level, logger, process and text."""
    assert json.loads(json_line(event("a\nb"))) == {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "warn",
        "logger": "megacomet.worker.front",
        "process": "manager",
        "text": "a\nb",
    }


def test_json_line_of_a_failure() -> None:
    """The traceback of a failure stands in a field of its own."""
    line = json.loads(json_line(event("trouble", log_failure=failure())))
    assert line["text"] == "trouble"
    assert line["failure"].startswith("Traceback")
    assert "LookupError: no such thing" in line["failure"]


def test_json_observer_writes_lines() -> None:
    """The observer writes to files of text and of bytes, one line an event, whatever the event holds."""
    text, raw = io.StringIO(), io.BytesIO()
    for out in (text, raw):
        observer = json_observer(out)
        assert verifyObject(ILogObserver, observer)
        logger = Logger("a.b", observer=observer)
        logger.info("line\nbreak {x!r} \ud800", x=object())
        logger.info("{missing}")
        observer({})
    assert raw.getvalue().count(b"\n") == text.getvalue().count("\n") == 3
    assert [json.loads(line)["logger"] for line in text.getvalue().splitlines()] == ["a.b", "a.b", "-"]


def test_relayed_event_in_json(pipe: Pipe) -> None:
    """A worker's event comes out of the manager's JSON log as if the worker had written it there."""
    original = event("from {a} worker", log_failure=failure())
    PipeObserver(pipe.into, worker_name(3))(original)
    [got] = relayed([pipe.read()])
    assert json_line(got, "manager") == json_line(original, "worker 3")


# The side of a child


def test_pipe_observer(pipe: Pipe) -> None:
    """An event becomes one line on the pipe."""
    observer = PipeObserver(pipe.into, "worker 3")
    assert verifyObject(ILogObserver, observer)
    observer(event())
    observer(event("two\nlines"))
    lines = pipe.read().splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["hello", "two\nlines"]
    assert json.loads(lines[0]) == {
        "time": NOW,
        "level": "warn",
        "logger": "megacomet.worker.front",
        "process": "worker 3",
        "text": "hello",
    }


@pytest.mark.parametrize("sign", ["x", "é", "😀", '"', "\n"])
def test_long_text_is_cut(pipe: Pipe, sign: str) -> None:
    """A text that is too long for one piece is cut at its end, and says so."""
    PipeObserver(pipe.into, "worker 3")(event("start " + sign * 10_000))
    line = pipe.read()
    text = json.loads(line)["text"]
    assert LINE_MAX_BYTES - 12 <= len(line) <= LINE_MAX_BYTES
    assert text.startswith("start " + sign)
    assert text.endswith(CUT)


def test_long_traceback_keeps_its_end(pipe: Pipe) -> None:
    """Of a long traceback the end stays, where the error is named; the text gets its share."""
    PipeObserver(pipe.into, "worker 3")(event("t" * 9000, log_failure=failure("x" * 9000 + " the end")))
    line = pipe.read()
    got = json.loads(line)
    assert len(line) <= LINE_MAX_BYTES
    assert got["failure"].startswith(CUT)
    assert got["failure"].rstrip().endswith("the end")
    assert got["text"].startswith("ttt")
    assert len(got["text"]) > LINE_MAX_BYTES // 3


def test_short_traceback_stays_whole(pipe: Pipe) -> None:
    """A long text does not cost the traceback a sign when there is room for it."""
    trouble = failure()
    PipeObserver(pipe.into, "worker 3")(event("t" * 9000, log_failure=trouble))
    assert json.loads(pipe.read())["failure"] == trouble.getTraceback()


@given(text=st.text(max_size=3000), sign=st.characters(), times=st.integers(0, 5000), name=st.text(max_size=500))
def test_a_line_always_fits(text: str, sign: str, times: int, name: str) -> None:
    """Whatever is logged, the pipe takes it in one piece and it is one line."""
    pipe = Pipe()
    try:
        PipeObserver(pipe.into, "worker 3")(event(text + sign * times, log_namespace=name))
        line = pipe.read()
    finally:
        pipe.close()
    assert 0 < len(line) <= LINE_MAX_BYTES
    assert line.index(b"\n") == len(line) - 1
    [got] = relayed([line])
    assert formatEvent(got).startswith("worker 3: ")


def test_full_pipe_drops_and_counts(pipe: Pipe) -> None:
    """When nobody reads, events are dropped without waiting, and the next that goes through tells how many."""
    observer = PipeObserver(pipe.into, "worker 3")
    pipe.fill()
    for _ in range(7):
        observer(event("lost"))
    pipe.read()
    observer(event("found"))
    observer(event("next"))
    got = relayed([pipe.read()])
    assert [formatEvent(each) for each in got] == [
        "worker 3: 7 lines of the log were dropped: the manager did not read them fast enough",
        "worker 3: found",
        "worker 3: next",
    ]


def test_nobody_at_the_other_end(pipe: Pipe) -> None:
    """A manager that died does not hurt a worker that logs."""
    observer = PipeObserver(pipe.into, "worker 3")
    os.close(pipe.out)
    observer(event())
    os.close(pipe.into)
    observer(event())


def test_event_that_cannot_be_formatted(pipe: Pipe) -> None:
    """An event whose values cannot be shown still becomes a line."""

    class Awkward:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    PipeObserver(pipe.into, "worker 3")(event(log_format="{a!r}", a=Awkward()))
    assert len(relayed([pipe.read()])) == 1


# The side of the manager


def test_relay_keeps_what_the_event_says(pipe: Pipe) -> None:
    """Time, level and logger stay the worker's; its text has its name in front."""
    PipeObserver(pipe.into, "worker 3")(event("{not} a format"))
    [got] = relayed([pipe.read()])
    assert (got["log_time"], got["log_level"], got["log_namespace"]) == (NOW, LogLevel.warn, "megacomet.worker.front")
    assert formatEvent(got) == "worker 3: {not} a format"


def test_relay_in_the_text_log(pipe: Pipe) -> None:
    """The text log shows who spoke, and a traceback below it, indented."""
    PipeObserver(pipe.into, "worker 3")(event("trouble", log_failure=failure()))
    [got] = relayed([pipe.read()])
    out = io.StringIO()
    textFileLogObserver(out)(got)
    first, second, *_, last = out.getvalue().splitlines()
    assert first.endswith("[megacomet.worker.front#warn] worker 3: trouble")
    assert second == "\tTraceback (most recent call last):"
    assert "LookupError" in "".join(out.getvalue())
    assert last.startswith("\t")


STREAM = (
    b'{"time": 5, "level": "info", "logger": "a", "process": "worker 1", "text": "one"}\n'
    b"\n"
    b"Traceback (most recent call last):\n"
    b"  indented \xff\n"
    b'{"time": 6.5, "level": "error", "logger": "b", "process": "worker 2", "text": "\\u00e9", "dropped": 2}\n'
    b"Segmentation fault"
)
HEARD = [
    (5.0, "info", "worker 1: one"),
    (NOW + 1, "warn", "zygote: Traceback (most recent call last):"),
    (NOW + 1, "warn", "zygote:   indented \ufffd"),
    (6.5, "warn", "worker 2: 2 lines of the log were dropped: the manager did not read them fast enough"),
    (6.5, "error", "worker 2: é"),
    (NOW + 1, "warn", "zygote: Segmentation fault"),
]


@pytest.mark.parametrize("size", [1, 2, 7, 100, len(STREAM)])
def test_relay_in_pieces(size: int) -> None:
    """However the bytes are cut, the same is logged; what is not ours is passed on as text."""
    got = relayed([STREAM[at : at + size] for at in range(0, len(STREAM), size)])
    assert [(each["log_time"], each["log_level"].name, formatEvent(each)) for each in got] == HEARD


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b"{",
        b"{}",
        b'{"time": "x", "level": "info"}',
        b'{"time": NaN, "level": "info"}',
        b'{"time": 1e300, "level": "info"}',
        b'{"time": 1, "level": "loud"}',
        b'{"time": 1, "level": []}',
        b'{"time": 1, "level": "info", "text": 3}',
        b'{"time": 1, "level": "info", "dropped": "many"}',
        b'{"a":' * 20_000,
    ],
)
def test_foreign_json(line: bytes) -> None:
    """JSON that is no line of ours is text like any other, and can be logged in both forms."""
    got = relayed([line + b"\n"])
    assert "".join(formatEvent(each) for each in got).startswith("zygote: ")
    assert all(each["log_namespace"] == "megacomet.stderr" for each in got)
    assert all(json.loads(json_line(each))["process"] == "zygote" for each in got)


def test_half_a_surrogate_pair() -> None:
    """A text that was cut within a sign can be written to a file."""
    [got] = relayed([b'{"time": 1, "level": "info", "logger": "a", "process": "p", "text": "\\ud83d[...]"}\n'])
    assert formatEvent(got).encode("utf-8") == b"p: ?[...]"


def test_endless_line_is_bounded() -> None:
    """A child that writes without line breaks costs no more than the bound, and nothing of it is lost."""
    got = relayed([b"x" * 1000] * (UNFINISHED_MAX_BYTES // 1000 * 2) + [b"y\nz\n"])
    texts = [each["relayed_text"] for each in got]
    assert texts[-1] == "z"
    assert max(map(len, texts)) <= UNFINISHED_MAX_BYTES
    assert "".join(texts[:-1]) == "x" * (UNFINISHED_MAX_BYTES // 1000 * 2000) + "y"


@given(st.lists(st.binary(max_size=200)))
def test_any_bytes(pieces: list[bytes]) -> None:
    """No bytes on the pipe make the relay raise, and every event can be written in both forms."""
    for got in relayed(pieces):
        textFileLogObserver(io.BytesIO())(got)
        json.loads(json_line(got))
