"""The original's ports: an application of old pushes to 9000, browsers of old poll 8000-8007. On real processes.

The numbers of these ports are fixed: who knows the original has them in his code. So each run takes an address of its
own in 127.0.0.0/8, and several may run on one machine at a time.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.integration.server import LINE_S, Server, read_all

PUSHES: Final = 9000
POLLS: Final = tuple(range(8000, 8008))
#: This run's address, and another one. 127.0.0.x is left to those who want a loopback like any other.
HOST, ELSEWHERE = (
    f"127.{each // 65_536}.{each // 256 % 256}.{each % 256}" for each in random.sample(range(256, 255 * 65_536), 2)
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the original's ports on the loopback, and three workers for the eight of them."""
    in_the_way = those_in_the_way()
    assert not in_the_way, f"these tests need some ports, and others listen on all interfaces there: {in_the_way}"
    state = tmp_path_factory.mktemp("classic") / "state"
    with Server(state, "--port=0", *options(HOST), workers=3) as running:
        yield running


def options(interface: str) -> list[str]:
    """The original's doors, with the polls' ports on an interface."""
    return ["--classic", f"--interface={interface}", f"--classic-interface={HOST}"]


def those_in_the_way() -> list[str]:
    """Who listens on the ports on all interfaces: address and process (None: somebody else's)."""
    return [
        f"{each.laddr.ip}:{each.laddr.port} (process {each.pid})"
        for each in psutil.net_connections("tcp4")
        if each.status == psutil.CONN_LISTEN and each.laddr.port in (*POLLS, PUSHES) and each.laddr.ip == "0.0.0.0"
    ]


def connect(port: int) -> socket.socket:
    """Open a connection to one of the ports."""
    return socket.create_connection((HOST, port), LINE_S)


def ask(port: int, request: bytes) -> bytes:
    """Send a request; return all that comes until the server closes."""
    with connect(port) as client:
        client.sendall(request)
        return read_all(client)


def get(path: str) -> bytes:
    """A request as a browser of today makes it: it would like to keep the connection."""
    return f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: keep-alive\r\n\r\n".encode()


def send(data: bytes) -> None:
    """Push as an application of old: connect, write, close."""
    with connect(PUSHES) as application:
        application.sendall(data)


def push(client: str, text: bytes) -> bytes:
    """A push as the original's library writes it."""
    return b"\x02" + client.encode() + b"\0" + text + b"\0"


def head_and_body(answer: bytes) -> tuple[list[bytes], bytes]:
    """Take an answer apart: the lines of its head, its body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


TEXTS = [b"alert('hello')", b"", 'ä 😀 "\\" \r\n\t\x01\x7f </script>'.encode(), b'{"not": "parsed"}', b"x" * 65_000]


@pytest.mark.parametrize("text", TEXTS, ids=["script", "empty", "odd", "json", "long"])
def test_a_push_answers_a_poll(server: Server, text: bytes) -> None:
    """A text pushed to 9000 is the answer to the poll of its client, byte for byte, and the connection is closed."""
    with connect(8003) as client:
        client.sendall(get("/sue.js"))
        send(push("sue", text))
        head, body = head_and_body(read_all(client))
    assert head[0] == b"HTTP/1.1 200 OK"
    assert b"Connection: close" in head
    assert b"Content-Length: %d" % len(text) in head
    assert b"Content-Type: text/javascript; charset=utf-8" in head
    assert body == text


@pytest.mark.parametrize("client", ["sue", "megacomet", "bob%2Fhome"])
@pytest.mark.parametrize("port", POLLS)
def test_every_port_takes_every_client(server: Server, port: int, client: str) -> None:
    """It does not matter which of the eight ports a browser has worked out for its id; `megacomet` is an id there."""
    send(push(client.replace("%2F", "/"), b"to %d" % port))
    head, body = head_and_body(ask(port, get(f"/{client}.js?_=1234")))
    assert (head[0], body) == (b"HTTP/1.1 200 OK", b"to %d" % port)
    assert b"Connection: close" in head


def test_several_pushes(server: Server) -> None:
    """Pushes in a row wait for their client, come in order, one a poll, whatever became of the one between them."""
    send(
        push("ann", b"1") + push("", b"no") + push("ann", b"\xff") + b"\x01\x05" + push("ann", b"2") + push("ann", b"3")
    )
    assert [head_and_body(ask(8000 + n, get("/ann.js")))[1] for n in range(3)] == [b"1", b"2", b"3"]
    assert server.wait_line("the classic port dropped ")
    assert server.wait_line("a worker of the original said its number")


def test_a_push_in_pieces(server: Server) -> None:
    """A push that comes byte by byte is one push."""
    with connect(PUSHES) as application:
        application.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in push("joe", b"in pieces"):
            application.sendall(bytes([byte]))
        assert head_and_body(ask(8001, get("/joe.js")))[1] == b"in pieces"


def test_a_page_cannot_push(server: Server) -> None:
    """A page that has its browser POST to 9000 pushes nothing: the first byte closes the connection, unanswered."""
    with connect(PUSHES) as page:
        page.sendall(b"POST / HTTP/1.1\r\n")
        assert page.recv(1) == b""


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/comet/poll?client=sue", "/api/stats", "/console/", "/a/b.js"]
)
def test_nothing_else_is_there(server: Server, path: str) -> None:
    """On these ports there is `/<client>.js` and nothing else."""
    head, _ = head_and_body(ask(8005, get(path)))
    assert head[0] == b"HTTP/1.1 404 Not Found"
    assert b"Connection: close" in head


def test_one_answer(server: Server) -> None:
    """A second request on a connection is not served."""
    answer = ask(8002, get("/nothing") + get("/nothing"))
    assert answer.count(b"HTTP/1.1 ") == 1


def test_pushes_of_today_reach_polls_of_old(server: Server) -> None:
    """Both doors lead to one house: a push to the API answers a poll on 8006, one to 9000 a poll on the public port."""
    with connect(8006) as client:
        client.sendall(get("/max.js"))
        assert server.push({"client": "max", "data": "of today"}).startswith(b"HTTP/1.1 200 ")
        assert head_and_body(read_all(client))[1] == b"of today"
    send(push("eve", b"of old"))
    assert head_and_body(server.get("/eve.js"))[1] == b"of old"


def test_the_ready_line_names_the_ports(server: Server) -> None:
    """The nine ports are on the ready line, behind the public one."""
    assert server.addresses == [
        f"http://{HOST}:{server.port}",
        *(f"http://{HOST}:{port}" for port in POLLS),
        f"tcp://{HOST}:{PUSHES}",
    ]


@pytest.mark.parametrize(
    ("interface", "taken"),
    [(HOST, f"{HOST}:{POLLS[0]}"), (ELSEWHERE, f"{HOST}:{PUSHES}")],
    ids=["polls", "pushes"],
)
def test_a_port_that_is_taken(server: Server, tmp_path: Path, interface: str, taken: str) -> None:
    """A second server does not start while somebody has one of the ports, and says which in one line."""
    second = Server(tmp_path / "state", "--port=0", *options(interface)).launch()
    try:
        assert second.wait_end() == 1
    finally:
        second.kill_all()
    assert f"megacomet: cannot listen on {taken}: the port is in use" in second.lines
    assert not [line for line in second.lines if "Traceback" in line]
