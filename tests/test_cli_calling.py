"""Calling the API: what is sent, what comes back, and every way in which nothing does."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from megacomet import __version__
from megacomet.addresses import HTTPS, Address, address_of_url
from megacomet.cli import calling
from megacomet.cli.calling import Api, connect
from megacomet.cli.finding import Found
from megacomet.errors import CallError, NoServer, Rejected
from megacomet.settings import Settings
from tests.fake_server import PROBLEM, FakeServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server without sockets."""
    with serving(monkeypatch) as made:
        yield made


def api(url: str = "http://comet.example:8080", key: str = "k", about_address: str = "") -> Api:
    """An API under test."""
    settings = Settings(state_dir="/nowhere")
    return Api(Found(address_of_url(url), key, "the key is that of a test", settings, None, about_address), 5)


# What goes well


def test_get(server: FakeServer) -> None:
    """The key, who we are and what we take are sent; status, body, value and the server's time come back."""
    server.says("/api/stats", b'{"a": 1.0}')
    with api() as one:
        answer = one.get("/api/stats")
    assert (answer.status, answer.body, answer.value) == (200, b'{"a": 1.0}', {"a": 1.0})
    assert answer.time == "2026-11-28T09:00:00+00:00"
    [request] = server.requests
    assert (request.method, request.path, request.body) == ("GET", "/api/stats", b"")
    assert request.headers["Authorization"] == "Bearer k"
    assert request.headers["Host"] == "comet.example:8080"
    assert request.headers["User-Agent"] == f"megacomet/{__version__}"
    assert "Content-Type" not in request.headers


def test_post(server: FakeServer) -> None:
    """A body is JSON with its length; without a key none is sent."""
    server.says("/api/push", [])
    api(key="").post("/api/push", b"{}")
    [request] = server.requests
    assert (request.headers["Content-Type"], request.headers["Content-Length"]) == ("application/json", "2")
    assert "Authorization" not in request.headers


def test_a_connection_is_kept(server: FakeServer) -> None:
    """Requests share a connection, until the server has closed it or says that it will."""
    server.says("/a", 1)
    server.says("/b", 2, more="Connection: close\r\n")
    one = api()
    assert [one.get(path).value for path in ("/a", "/a")] == [1, 1]
    assert server.opened == 1
    server.hang_up()
    assert [one.get(path).value for path in ("/a", "/b")] == [1, 2]
    assert server.opened == 2
    one.get("/a")
    assert server.opened == 3
    one.close()
    one.close()


def test_stream(server: FakeServer) -> None:
    """Pieces go out in chunks as they come, and an end follows."""
    server.says("/api/batch", {"lines": 2})
    assert api().stream("/api/batch", iter([b"a" * 17, b"b"]), lambda _: False).value == {"lines": 2}
    [request] = server.requests
    assert request.headers["Content-Type"] == "application/x-ndjson"
    assert request.headers["Transfer-Encoding"] == "chunked"
    assert request.body == b"11\r\n" + b"a" * 17 + b"\r\n1\r\nb\r\n0\r\n\r\n"


def test_a_stream_that_is_answered_early(server: FakeServer) -> None:
    """As soon as the server has answered nothing more is read or sent, and the answer counts."""
    server.refuses_with("/api/batch", 401, "unauthorized", "no")
    pieces, answered = iter([b"a", b"b", b"c"]), iter([False, True])
    with pytest.raises(Rejected, match=r"401 unauthorized: no \(the key is that of a test\)"):
        api().stream("/api/batch", pieces, lambda _: next(answered))
    assert list(pieces) == [b"b", b"c"]
    assert server.requests[0].body == b"1\r\na\r\n"


def test_a_stream_that_is_cut_off(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sending fails the server may have said why."""
    server.refuses_with("/api/batch", 413, "too-large", "no")

    def pieces() -> Iterator[bytes]:
        yield b"a"
        server.fails = BrokenPipeError()
        yield b"b"

    with pytest.raises(Rejected, match="413 too-large"):
        api().stream("/api/batch", pieces(), lambda _: False)


# Errors that are answers


@pytest.mark.parametrize(
    ("status", "code", "pointer", "said"),
    [
        (422, "bad-fields", "/channel", "422 bad-fields: /channel: why"),
        (403, "forbidden", "", "403 forbidden: why (the key is that of a test)"),
        (507, "store-full", "", "507 store-full: why"),
        (500, "internal", "", "500 internal: why (its log has it as request r-1)"),
    ],
)
def test_problems(status: int, code: str, pointer: str, said: str, server: FakeServer) -> None:
    """A problem is told with its pointer, and with what may help."""
    server.refuses_with("/x", status, code, "why", pointer)
    with pytest.raises(Rejected) as caught:
        api().get("/x")
    assert str(caught.value) == said
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize("value", [{}, {"errors": "x"}, {"errors": []}, {"errors": [1]}, {"title": 3}])
def test_odd_problems(value: Any, server: FakeServer) -> None:
    """A problem of somebody else is one too."""
    server.says("/x", value, 400, PROBLEM)
    with pytest.raises(Rejected, match=r"^400 "):
        api().get("/x")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        *((b"<html>", "text/html", 502), (b"ok", "text/plain", 200), (b"{", "application/json", 200)),
        *((b"[" * 100_000, "application/json", 200), (b"null", "application/json", 200), (b"[]", PROBLEM, 400)),
        (b"\xff", "application/json", 200),
    ],
)
def test_answers_of_others(body: bytes, kind: str, status: int, server: FakeServer) -> None:
    """What is no JSON of ours is told in one line, with its status and kind."""
    server.says("/x", body, status, kind)
    with pytest.raises(CallError) as caught:
        api().get("/x")
    assert str(caught.value) == (
        f"http://comet.example:8080 answers {status} Told, and nothing of MegaComet's (it is {kind})"
    )


def test_an_answer_without_an_end(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends more than we ever do is not read on."""
    monkeypatch.setattr(calling, "MAX_ANSWER_BYTES", 10)
    server.says("/x", b"1" * 11)
    with pytest.raises(CallError, match="the answer has more than 10 bytes"):
        api().get("/x")


def test_an_answer_that_trickles(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends a byte now and then is too slow in the end."""
    times = iter([0.0, 31.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    server.says("/x", 1)
    with pytest.raises(NoServer, match=r"no answer from http://comet\.example:8080 within 5 s"):
        api().get("/x")


def test_no_date(server: FakeServer) -> None:
    """A server without a clock has no time."""
    server.says("/x", 1, more="Date: never\r\n")
    assert calling._time(None) is None
    assert calling._time("never") is None


# No answer


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), NoServer, "no server answers at URL: connection refused"),
        (FileNotFoundError(2, "No such file or directory"), NoServer, "no server answers at URL: no such file"),
        (socket.gaierror(-2, "Name or service not known"), NoServer, "no server answers at URL: name or service"),
        (UnicodeError("label too long"), NoServer, "no server answers at URL: label too long"),
        (TimeoutError(), NoServer, "no answer from URL within 5 s"),
        (ssl.SSLCertVerificationError(1, "x"), CallError, "URL cannot be trusted by TLS"),
    ],
)
def test_nobody(error: Exception, kind: type[CallError], said: str, server: FakeServer) -> None:
    """Whatever keeps a connection from standing is told in one line."""
    server.refuses = error
    with pytest.raises(kind) as caught:
        api().get("/x")
    assert str(caught.value).startswith(said.replace("URL", "http://comet.example:8080"))


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (TimeoutError(), NoServer, "no answer from URL within 5 s (a note)"),
        (ConnectionResetError(104, "Connection reset by peer"), NoServer, "no server answers at URL: connection reset"),
        (http.client.IncompleteRead(b""), NoServer, "URL has closed the connection before its answer was complete"),
        (http.client.BadStatusLine("SSH-2.0"), CallError, "URL answers, but does not speak HTTP as a server does"),
    ],
)
def test_broken_answers(error: Exception, kind: type[CallError], said: str, server: FakeServer) -> None:
    """Whatever keeps an answer from coming is told too; the next request is sent on a new connection."""
    server.says("/x", error)
    server.says("/x", 1)
    one = api(about_address="a note")
    with pytest.raises(kind) as caught:
        one.get("/x")
    assert str(caught.value).startswith(said.replace("URL", "http://comet.example:8080"))
    assert one.get("/x").value == 1
    assert server.opened == 2


def test_closed_without_a_word(server: FakeServer) -> None:
    """A connection that is closed instead of an answer."""
    server.says("/x", b"", 0)
    with pytest.raises(NoServer, match="has closed the connection"):
        api().get("/x")


# Connections


def test_kinds_of_connections() -> None:
    """In the clear, by TLS with certificates checked, and over a UNIX socket; each with its patience."""
    plain = connect(address_of_url("http://[::1]:8080"), 3)
    assert (plain.host, plain.port, plain.timeout) == ("::1", 8080, 3)
    safe: Any = connect(Address(HTTPS, "comet.example", 443), 3)
    assert isinstance(safe, http.client.HTTPSConnection)
    assert safe._context.verify_mode is ssl.CERT_REQUIRED
    unix = connect(address_of_url("unix:/nowhere/at/all"), 3)
    assert unix.timeout == 3
    with pytest.raises(FileNotFoundError):
        unix.connect()
    assert unix.sock is None
