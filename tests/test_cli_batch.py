"""megacomet push --batch: lines go as they come, and what became of them is told."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from megacomet.cli.batch import pieces, push_batch, tell, wait_for
from megacomet.cli.calling import Answer
from megacomet.errors import CallError, SettingError

DONE = {
    "lines": 3,
    "sent": 1,
    "queued": 2,
    "unheard": 0,
    "repeated": 0,
    "failed": 0,
    "errors": [],
    "position": "3kx9-9",
}
BAD = {"line": 17, "code": "bad-json", "detail": "odd\x1b"}


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Ends to read from and to write to."""
    ours, theirs = os.pipe()
    yield ours, theirs
    os.close(ours)


class FakeApi:
    """Takes a stream."""

    def __init__(self) -> None:
        self.taken = b""

    def stream(self, _path: str, pieces: Iterator[bytes], _is_answered: Any) -> Answer:
        self.taken = b"".join(pieces)
        return Answer(200, json.dumps(DONE).encode(), DONE)


def test_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of any size is sent as it is."""
    path, api = tmp_path / "lines", FakeApi()
    path.write_bytes(b"x" * 200_000)
    assert push_batch(api, str(path), as_json=False) == 0  # type: ignore[arg-type]
    assert api.taken == b"x" * 200_000
    assert capsys.readouterr().out == ("3 lines: 1 sent, 2 queued, 0 unheard, 0 repeated, 0 failed; position 3kx9-9\n")


@pytest.mark.parametrize("path", ["/does/not/exist", "a\0b"])
def test_no_file(path: str) -> None:
    """A file that cannot be read is a wrong use."""
    with pytest.raises(SettingError, match=r"batch = .* must be a file that can be read"):
        push_batch(FakeApi(), path, as_json=False)  # type: ignore[arg-type]


def test_a_directory() -> None:
    """What can be opened and not read fails."""
    with pytest.raises(CallError, match="the batch cannot be read: is a directory"):
        push_batch(FakeApi(), "/", as_json=False)  # type: ignore[arg-type]


def test_pieces_come_as_they_are_written(pipe: tuple[int, int]) -> None:
    """Nothing is waited for but the next piece."""
    ours, theirs = pipe
    coming = pieces(ours)
    os.write(theirs, b"one\n")
    assert next(coming) == b"one\n"
    os.write(theirs, b"two")
    os.close(theirs)
    assert list(coming) == [b"two"]


def test_who_is_waited_for(pipe: tuple[int, int]) -> None:
    """For the next piece or the server's answer, whatever comes first; the answer counts more."""
    ours, theirs = pipe
    client, server = socket.socketpair()
    with client, server:
        os.write(theirs, b"x")
        assert not wait_for(ours, client)
        server.sendall(b"HTTP/1.1 401 Unauthorized\r\n")
        assert wait_for(ours, client)
        os.read(ours, 1)
        assert wait_for(ours, client)
        os.close(theirs)
        assert wait_for(ours, client)


def test_with_tls() -> None:
    """What comes over TLS may be its own: nobody looks."""
    client, server = socket.socketpair()
    with (
        server,
        ssl.create_default_context().wrap_socket(client, do_handshake_on_connect=False, server_hostname="a") as s,
    ):
        assert not wait_for(-1, s)


@pytest.mark.parametrize(
    ("more", "status", "out", "err"),
    [
        ({"lines": 1}, 0, "1 line: ", ""),
        ({"failed": 1, "errors": [BAD]}, 1, "3 lines: ", "megacomet push: line 17: bad-json: odd\\x1b\n"),
        ({"errors": [BAD]}, 1, "3 lines: ", "megacomet push: line 17: bad-json: odd\\x1b\n"),
        (
            {"failed": 1234, "errors": [BAD]},
            1,
            "3 lines: ",
            (
                "megacomet push: line 17: bad-json: odd\\x1b\n"
                "megacomet push: these are the first 1 of 1,234 lines that failed\n"
            ),
        ),
    ],
)
def test_what_is_told(
    more: dict[str, Any], status: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts on stdout, the lines at fault on stderr; as JSON the answer as it came, and nothing else."""
    done = {**DONE, **more}
    answer = Answer(422, json.dumps(done).encode(), done)
    assert tell(answer, as_json=False) == status
    told = capsys.readouterr()
    assert told.out.startswith(out)
    assert told.err == err
    assert tell(answer, as_json=True) == status
    assert capsys.readouterr() == (json.dumps(done) + "\n", "")


@pytest.mark.parametrize("value", [[], {}, {"errors": "x"}, {"lines": 1, "errors": [1]}])
def test_odd_answers(value: Any) -> None:
    """JSON of another form is told as such."""
    with pytest.raises(CallError, match="not of the form"):
        tell(Answer(200, b"", value), as_json=False)
