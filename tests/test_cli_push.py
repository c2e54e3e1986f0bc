"""megacomet push: what is sent, what is told of it, and what is used wrongly."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from megacomet.cli import push
from tests.fake_server import FakeServer, bare_environment, serving

Run = Callable[..., tuple[int, str, str]]
SENT = {"id": "3kx9-12", "status": "sent"}
MANY = "/api/push"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server without sockets."""
    bare_environment(monkeypatch)
    monkeypatch.setenv("MEGACOMET_API_KEY", "k")
    monkeypatch.setenv("MEGACOMET_URL", "http://comet.example")
    with serving(monkeypatch) as made:
        yield made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], server: FakeServer) -> Run:
    """Run the command; return status, output and errors."""

    def running(*arguments: str) -> tuple[int, str, str]:
        status = push.main(arguments)
        out, err = capsys.readouterr()
        return status, out, err

    return running


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Put something into stdin."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (("--channel", "news", '{"a": 1.50}'), b'{"channel": "news","data":{"a": 1.50}}'),
        (("--channel", "a", "--channel", "b", "1"), b'{"channels": ["a", "b"],"data":1}'),
        (("--client", "sue", "null"), b'{"client": "sue","data":null}'),
        (("--client", "sue", "--client", "joe", "[]"), b'{"clients": ["sue", "joe"],"data":[]}'),
        (("--everyone", "-5"), b'{"everyone": true,"data":-5}'),
        (("--client", "sue", "--text", 'a "b"'), b'{"client": "sue","data":"a \\"b\\""}'),
        (("--client", "sue", "--text", "--", "--x"), b'{"client": "sue","data":"--x"}'),
        (("1", "--client=s", "--ttl=0", "--once=k"), b'{"client": "s", "ttl": 0.0, "key": "k","data":1}'),
        (("--client", "s", "9" * 5000), b'{"client": "s","data":' + b"9" * 5000 + b"}"),
        (("--client", "s", '"ä"'), '{"client": "s","data":"ä"}'.encode()),
    ],
)
def test_what_is_sent(arguments: tuple[str, ...], body: bytes, run: Run, server: FakeServer) -> None:
    """The data travel as they were written, and the server decides about the rest."""
    server.says(MANY, SENT)
    assert run(*arguments)[0] == 0
    [request] = server.requests
    assert (request.method, request.body) == ("POST", body)


def test_data_that_are_too_deep(run: Run, server: FakeServer) -> None:
    """What Python cannot read the server judges."""
    server.refuses_with(MANY, 422, "bad-fields", "too deep", "/data")
    assert run("--client", "s", "[" * 100_000) == (1, "", "megacomet push: 422 bad-fields: /data: too deep\n")


@pytest.mark.parametrize(
    ("data", "options", "sent"),
    [
        (b'{"a":\n1}\n', (), b'{"a":\n1}\n'),
        (b"hello\n", ("--text",), b'"hello"'),
        (b"hello\r\n", ("--text",), b'"hello"'),
        (b"a\n\n", ("--text",), b'"a\\n"'),
    ],
)
def test_data_from_stdin(
    data: bytes, options: tuple[str, ...], sent: bytes, run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` is stdin; a text has no line break at its end."""
    server.says(MANY, SENT)
    stdin(monkeypatch, data)
    assert run("--client", "sue", *options, "-")[0] == 0
    assert server.requests[0].body == b'{"client": "sue","data":' + sent + b"}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "one of the arguments --channel --client --everyone --batch is required"),
        (("--client", "a", "--channel", "b", "1"), "argument --channel: not allowed with argument --client"),
        (("--client", "a"), "DATA is missing"),
        (("--client", "a", "1", "2"), "unrecognized arguments: 2"),
        (("--client", "a", "--ttl", "-1", "1"), "argument --ttl: '-1' must be a number of seconds, from 0 to 2592000"),
        (("--batch", "-", "1"), "--batch FILE stands without DATA, --ttl, --once, --receipt and --text"),
        (("--batch", "-", "--receipt"), "--batch FILE stands without DATA"),
        (("--batch", "-", "--ttl", "0"), "--batch FILE stands without DATA"),
        (("--client", "a", "hello"), "DATA = 'hello' (from command line): must be JSON, as '\"text\"' or with --text"),
        (("--client", "a", "NaN"), "DATA = 'NaN' (from command line): must be JSON"),
        (("--client", "a", ""), "DATA = '' (from command line): must be JSON"),
        (("--client", "a", "--text", "\udcff"), "DATA = '(of bytes)' (from command line): must be text in UTF-8"),
        (("--client", "a", "--url", "x", "1"), "url = 'x' (from command line): must be http://"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], said: str, run: Run, server: FakeServer) -> None:
    """A wrong use is one line and status 2, and nothing is sent."""
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"megacomet push: {said}")
    assert err.count("\n") == 1
    assert server.requests == []


def test_stdin_that_is_no_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8 are no JSON either."""
    stdin(monkeypatch, b"\xff")
    assert run("--client", "a", "-")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "answer", "status", "out"),
    [
        (("--channel", "news"), SENT, 0, "sent  3kx9-12  news\n"),
        (("--client", "sue"), SENT, 0, "sent  3kx9-12  @sue\n"),
        (("--everyone",), {**SENT, "connections": 1}, 0, "sent  3kx9-12  *  1 connection\n"),
        (
            ("--client", "s"),
            {**SENT, "repeated": True, "connections": 0},
            0,
            "sent  3kx9-12  @s  repeated  0 connections\n",
        ),
        (
            ("--client", "a", "--client", "b"),
            {
                "results": [
                    {"channel": "@a", **SENT, "connections": 1234},
                    {"channel": "@b\x1b", "status": "refused", "code": "mailbox-full"},
                ]
            },
            1,
            "sent     3kx9-12       @a      1,234 connections\nrefused  mailbox-full  @b\\x1b\n",
        ),
    ],
)
def test_what_is_told(
    arguments: tuple[str, ...], answer: Any, status: int, out: str, run: Run, server: FakeServer
) -> None:
    """A line for each target; the status says whether one was refused."""
    server.says(MANY, answer)
    assert run(*arguments, "1") == (status, out, "")
    server.says(MANY, answer)
    assert run(*arguments, "1", "--json") == (status, json.dumps(answer) + "\n", "")


def test_a_receipt(run: Run, server: FakeServer) -> None:
    """A receipt is asked for in the address."""
    server.says("/api/push?receipt=1", {**SENT, "connections": 2})
    assert run("--channel", "a", "--receipt", "1")[1] == "sent  3kx9-12  a  2 connections\n"


def test_refused(run: Run, server: FakeServer) -> None:
    """Nobody has taken it."""
    server.refuses_with(MANY, 507, "mailbox-full", "the mailbox of sue is full")
    assert run("--client", "sue", "1") == (1, "", "megacomet push: 507 mailbox-full: the mailbox of sue is full\n")


@pytest.mark.parametrize("answer", [[], "x", 5, {"results": ["x"]}])
def test_odd_answers(answer: Any, run: Run, server: FakeServer) -> None:
    """JSON of another form is told as such."""
    server.says(MANY, answer)
    status, _, err = run("--client", "sue", "1")
    assert (status, err) == (1, "megacomet push: the answer is not of the form that this version knows\n")


def test_nobody(run: Run, server: FakeServer) -> None:
    """Status 3."""
    server.refuses = ConnectionRefusedError(111, "Connection refused")
    assert run("--client", "sue", "1")[0] == 3


def test_a_batch(run: Run, server: FakeServer, tmp_path: Path) -> None:
    """The lines of a file go to the batch."""
    server.says("/api/batch", {"lines": 1, "sent": 1, "errors": [], "position": "3kx9-1"})
    path = tmp_path / "lines"
    path.write_text('{"client":"sue","data":1}\n')
    assert run("--batch", str(path))[0] == 0
    assert b'{"client":"sue","data":1}\n' in server.requests[0].body


def test_what_is_imported() -> None:
    """A push starts quickly: without Twisted, Klein and msgspec."""
    code = (
        "import sys, megacomet.cli.push;"
        "print([name for name in sys.modules if name.startswith(('twisted', 'zope', 'klein', 'msgspec', 'curses'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
