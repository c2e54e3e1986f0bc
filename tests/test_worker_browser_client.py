"""`/megacomet.js`, its module and its types on the public port, as browsers and caches see them."""

from __future__ import annotations

import json
import socket
import tracemalloc
from collections.abc import Callable

import pytest

from megacomet.browser_client import BrowserClient, BrowserFile
from megacomet.kinds import ENTRANCE, IDLE, WRITING
from megacomet.rows import STALL_S

from .fronts import House, parse, parse_all, request
from .lots import read_all, read_now

SCRIPT: bytes = b"/*! */\n" + b"const a = 1;\n" * 2000
BROWSER_CLIENT: BrowserClient = {
    b"/megacomet.js": BrowserFile(b"text/javascript; charset=utf-8", SCRIPT, b'"t1"'),
    b"/megacomet.mjs": BrowserFile(b"text/javascript; charset=utf-8", b"export {};\n", b'"t2"'),
    b"/megacomet.d.ts": BrowserFile(b"text/plain; charset=utf-8", b"export class A {}\n", b'"t3"'),
}
PATHS = [path.decode() for path in BROWSER_CLIENT]
#: A socket that has hardly any room (the kernel makes it 4,608 bytes).
LITTLE = (socket.SOL_SOCKET, socket.SO_SNDBUF, 1)


@pytest.fixture
def house(make: Callable[..., House]) -> House:
    """A front that has the client for browsers."""
    return make(browser_client=BROWSER_CLIENT)


def slow_reader(house: House, data: bytes) -> tuple[int, socket.socket]:
    """A client that sends something and takes a few KB of the answer as long as it reads nothing."""
    fd, client = house.pair()
    with socket.socket(fileno=fd) as ours:
        ours.setsockopt(*LITTLE)
        ours.detach()
    client.sendall(data)
    house.turn()
    return fd, client


def test_the_script(house: House) -> None:
    """Byte for byte: it may be kept for an hour, and loaded from any page."""
    client = house.get("/megacomet.js")
    assert client.recv(1 << 20) == (
        b"HTTP/1.1 200 OK\r\n"
        b"Server: MegaComet\r\n"
        b"Cache-Control: public, max-age=3600\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Access-Control-Allow-Origin: *\r\n"
        b"Access-Control-Expose-Headers: MegaComet-Position, Retry-After, X-Request-Id\r\n"
        b"Content-Type: text/javascript; charset=utf-8\r\n"
        b'ETag: "t1"\r\n'
        b"Cross-Origin-Resource-Policy: cross-origin\r\n"
        b"Content-Length: %d\r\n"
        b"\r\n"
        b"%b" % (len(SCRIPT), SCRIPT)
    )
    assert (house.states(), house.waiting(), house.told()) == ([IDLE], [], [])


@pytest.mark.parametrize("path", PATHS)
def test_each_file(house: House, path: str) -> None:
    """Each with its own type and tag, whatever the query says."""
    for target in (path, f"{path}?v=1.2", f"{path}?callback=f&since=oldest"):
        answer = house.ask(target)
        file = BROWSER_CLIENT[path.encode()]
        assert (answer.status, answer.body) == (200, file.body)
        assert (answer.headers["content-type"], answer.headers["etag"]) == (
            file.content_type.decode(),
            file.tag.decode(),
        )


@pytest.mark.parametrize("path", PATHS)
def test_head(house: House, path: str) -> None:
    """The headers of GET, the length too."""
    get, head = house.ask(path), house.ask(path, method="HEAD")
    assert (head.status, head.headers, head.body) == (200, get.headers, b"")


@pytest.mark.parametrize("known", ['"t1"', 'W/"t1"', '"x", W/"t1"', "*", '"x"\r\nIf-None-Match: "t1"'])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_it(house: House, known: str, method: str) -> None:
    """304 with what a cache needs, and no body; the next request is answered on the same connection."""
    client = house.get("/megacomet.js", f"If-None-Match: {known}", method=method)
    answer, rest = parse(read_now(client))
    assert (answer.status, rest) == (304, b"")
    assert "content-length" not in answer.headers
    wanted = {"etag": '"t1"', "cache-control": "public, max-age=3600", "access-control-allow-origin": "*"}
    assert {name: answer.headers[name] for name in wanted} == wanted
    client.sendall(request("/megacomet.mjs"))
    house.turn()
    assert house.read(client).body == b"export {};\n"


@pytest.mark.parametrize("known", ['"t2"', "t1", "", 'w/"t1"'])
def test_who_has_another(house: House, known: str) -> None:
    """An old one, or that of another file."""
    assert house.ask("/megacomet.js", f"If-None-Match: {known}").status == 200


def test_methods(house: House) -> None:
    """As at every path of the worker."""
    options = house.ask("/megacomet.mjs", "Origin: https://a.example", method="OPTIONS")
    assert (options.status, options.headers["access-control-allow-methods"]) == (204, "GET, POST, OPTIONS")
    for method in ("POST", "PUT", "DELETE"):
        answer = house.ask("/megacomet.js", method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert house.ask("/megacomet.js", "Content-Length: 1").status == 400
    assert house.ask("/megacomet.js", version="1.0").headers["connection"] == "close"


def test_origins(make: Callable[..., House]) -> None:
    """With origins set, modules of these pages have it; a plain script tag names no origin, and has it anywhere."""
    house = make(browser_client=BROWSER_CLIENT, origins=("https://a.example",))
    own = house.ask("/megacomet.mjs", "Origin: https://a.example")
    assert (own.headers["access-control-allow-origin"], own.headers["vary"]) == ("https://a.example", "Origin")
    assert house.ask("/megacomet.mjs", "Origin: https://b.example").status == 403
    plain = house.ask("/megacomet.js")
    assert (plain.status, plain.headers["vary"]) == (200, "Origin")
    known = house.ask("/megacomet.js", 'If-None-Match: "t1"', "Origin: https://a.example")
    assert (known.status, known.headers["vary"]) == (304, "Origin")


def test_where_the_manager_is_elsewhere(make: Callable[..., House]) -> None:
    """With an address for operators it stays where the clients are, and so while the manager is away."""
    house = make(browser_client=BROWSER_CLIENT, admin="tcp:8081")
    house.link.up = False
    assert house.ask("/megacomet.js").body == SCRIPT


def test_the_original_s_ports(house: House) -> None:
    """There it is a client's poll, and nothing else is there."""
    listener = house.listener()
    house.lot.listen(listener, flags=ENTRANCE)
    client = house.connect(listener, request("/megacomet.js"))
    house.until(house.waiting)
    house.push(b"@megacomet", b"1", 1)
    assert parse(read_all(client))[0].body == b"1"
    client = house.connect(listener, request("/megacomet.mjs"))
    house.until(lambda: house.lot.accepted == 2)
    house.settle()
    assert parse(read_all(client))[0].status == 404


@pytest.mark.parametrize("path", PATHS)
def test_a_server_without_it(make: Callable[..., House], path: str) -> None:
    """404 that says why; it is nobody's poll."""
    house = make()
    answer = house.ask(path)
    assert (answer.status, json.loads(answer.body)["detail"]) == (404, "this server has no client for browsers")
    assert answer.headers["cache-control"] == "no-store"
    assert (house.ask(path, method="HEAD").status, house.waiting()) == (404, [])


def test_pipelined(house: House) -> None:
    """Answers come in the order of the requests."""
    client = house.send(request("/megacomet.mjs") + request("/healthz") + request("/megacomet.d.ts"))
    house.settle()
    assert [answer.body for answer in parse_all(client.recv(1 << 20))] == [
        b"export {};\n",
        b"ok",
        b"export class A {}\n",
    ]


def test_a_slow_reader_gets_all(house: House) -> None:
    """And then the next answer."""
    fd, client = slow_reader(house, request("/megacomet.js") + request("/megacomet.mjs"))
    assert house.states() == [WRITING]
    got = b""
    while b"export {};\n" not in got:
        got += client.recv(1000)
        house.settle()
    one, two = parse_all(got)
    assert (one.body, two.body) == (SCRIPT, b"export {};\n")
    assert (house.rows.owed, house.rows.backlogs, house.rows.kinds[fd]) == (0, {}, IDLE)


def test_who_reads_nothing_is_let_go(house: House) -> None:
    """After the time in which a reader has to take something."""
    slow_reader(house, request("/megacomet.js"))
    house.pass_s(STALL_S - 1)
    assert house.states() == [WRITING]
    house.pass_s(2)
    assert (house.states(), house.rows.open, house.rows.owed) == ([], 0, 0)


def test_two_thousand_who_read_nothing(house: House) -> None:
    """Nobody has a copy of their own of what they are owed."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        clients = [slow_reader(house, request("/megacomet.js"))[1] for _ in range(2000)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(house.rows.backlogs) == 2000
    assert house.rows.owed > 2000 * (len(SCRIPT) - 10_000)
    assert after - before < 2000 * 4000
    got = b""
    while len(got) < len(SCRIPT):
        got += clients[0].recv(1 << 20)
        house.settle()
    assert parse(got)[0].body == SCRIPT
    for client in clients:
        client.close()
    house.settle()
    assert (house.rows.open, house.rows.owed, house.rows.backlogs) == (0, 0, {})
