"""The load client's parked clients, its publisher and whole runs, against a socket of the test and against a double."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from megacomet.swarm import pipes
from megacomet.swarm.answers import BadAnswer, cut, header
from megacomet.swarm.clients import Clients
from megacomet.swarm.opening import RETRY_S
from megacomet.swarm.options import Options, Unusable, parse
from megacomet.swarm.plan import Plan
from megacomet.swarm.publisher import Publisher, PushPlan
from tests.swarm_double import Double, running

#: Turns until a test gives up; each waits for an event, so this is no time.
TURNS = 200


class Server:
    """A listening socket whose answers the test writes itself."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
        self.address = self.listener.getsockname()
        self.taken: list[socket.socket] = []

    def take(self) -> tuple[socket.socket, str]:
        """Accept a connection and read its first request line."""
        connection, _ = self.listener.accept()
        connection.settimeout(10)
        self.taken.append(connection)
        return connection, request(connection)

    def close(self) -> None:
        for connection in (self.listener, *self.taken):
            connection.close()


def request(connection: socket.socket) -> str:
    """Read one request, head and body; returns its first line, with the body behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(4096) or pytest.fail("the client closed")
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(header(head, b"content-length") or 0)
    while len(body) < length:
        body += connection.recv(4096)
    return (head.split(b"\r\n")[0] + b" " * bool(body) + body).decode()


def answer(body: str, more: str = "", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}".encode()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(server: Server, clock: Clock) -> Iterator[Callable[..., Clients]]:
    """Make clients of the test's server; they are closed at the end."""
    made: list[Clients] = []

    def clients(count: int = 1, **more: Any) -> Clients:
        plan = Plan(
            **{
                "first": 0,
                "count": count,
                "addresses": (server.address,),
                "family": socket.AF_INET,
                "host": "h",
                **more,
            }
        )
        made.append(Clients(plan, clock, lambda: 5_000_000))
        return made[-1]

    yield clients
    for each in made:
        each.close()


def until(turned: Clients | Publisher, reached: Callable[[], bool]) -> None:
    for _ in range(TURNS):
        if reached():
            return
        turned.turn(0.1)
    pytest.fail("it did not happen")


# answers


@pytest.mark.parametrize(
    ("data", "body", "closes"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\nConnection: Close\r\n\r\n", b"", True),
        (b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", b"", False),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;a=b\r\n!\r\n0\r\n\r\n", b"hi!", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: x\r\n\r\n", b"", False),
    ],
)
def test_answers_in_pieces(data: bytes, body: bytes, closes: bool) -> None:
    """An answer is complete with its last byte, not earlier, and what comes behind it is left alone."""
    assert all(cut(data[:n]) is None for n in range(len(data)))
    for behind in (b"", b"HTTP/1.1"):
        whole = cut(data + behind)
        assert whole is not None
        assert (whole.body, whole.closes, whole.size) == (body, closes, len(data))


def test_answer_that_ends_with_the_connection() -> None:
    """Without a length the body is all there is when the server closes, as with the original's workers."""
    data = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello"
    assert cut(data) is None
    whole = cut(data, ended=True)
    assert whole is not None
    assert (whole.body, whole.closes, header(whole.head, b"server"), header(whole.head, b"none")) == (
        *(b"hello", True),
        *(b"x", b""),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_no_answer(data: bytes) -> None:
    """What can never become an answer is told at once."""
    with pytest.raises(BadAnswer):
        cut(data)


# clients


def test_poll_and_poll_again(server: Server, start: Callable[..., Clients]) -> None:
    """A client asks, counts as waiting, and asks again on the same connection after its message."""
    clients = start()
    until(clients, lambda: clients.waiting == 1)
    connection, line = server.take()
    assert line == "GET /c0.js HTTP/1.1"
    connection.sendall(answer("1 c0 4000000"))
    until(clients, lambda: clients.answered == 1)
    assert request(connection) == "GET /c0.js HTTP/1.1"
    counts = clients.counts()
    assert (counts["connected"], counts["open"], counts["waiting"], counts["delivered"]) == (1, 1, 1, 1)
    assert clients.ledger.latency.max_ns == 1_000_000


def test_many_clients_have_their_own_names(server: Server, start: Callable[..., Clients]) -> None:
    """A process that begins at client 20 asks for its own ones only."""
    clients = start(3, first=20, prefix="sue-")
    until(clients, lambda: clients.waiting == 3)
    assert sorted(server.take()[1] for _ in range(3)) == [f"GET /sue-{n}.js HTTP/1.1" for n in (20, 21, 22)]


def test_answer_in_pieces(server: Server, start: Callable[..., Clients]) -> None:
    """An answer that arrives byte by byte counts once, when it is complete."""
    clients = start()
    until(clients, lambda: clients.waiting == 1)
    connection, _ = server.take()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in answer("1 c0 1"):
        assert clients.answered == 0
        connection.sendall(bytes([byte]))
        clients.turn(1)
    until(clients, lambda: clients.answered == 1)
    assert clients.ledger.receipts.delivered == 1


def test_since(server: Server, clock: Clock, start: Callable[..., Clients]) -> None:
    """With --since the next poll carries the last position, also over a connection that was lost."""
    clients = start(since=True)
    until(clients, lambda: clients.waiting == 1)
    connection, line = server.take()
    assert line == "GET /c0.js HTTP/1.1"
    connection.sendall(answer("1 c0 1", "MegaComet-Position: abc-17\r\n"))
    until(clients, lambda: clients.answered == 1)
    assert request(connection) == "GET /c0.js?since=abc-17 HTTP/1.1"
    connection.close()
    until(clients, lambda: clients.dropped == 1)
    clock.now += RETRY_S
    until(clients, lambda: clients.waiting == 1)
    assert server.take()[1] == "GET /c0.js?since=abc-17 HTTP/1.1"
    assert clients.counts()["reconnects"] == 1


def test_since_of_a_timeout(server: Server, start: Callable[..., Clients]) -> None:
    """An answer without a message may have a position: the client goes on from there, and another log is a gap."""
    clients = start(since=True)
    until(clients, lambda: clients.waiting == 1)
    connection, _ = server.take()
    for position, gaps in (("abc-17", 0), ("abc-20", 0), ("", 0), ("new-0", 1), ("new-3", 1)):
        asked = clients.timeouts
        more = f"MegaComet-Position: {position}\r\n" if position else ""
        connection.sendall(f"HTTP/1.1 204 No Content\r\n{more}\r\n".encode())
        until(clients, lambda asked=asked: clients.timeouts > asked)  # type: ignore[misc]
        assert request(connection) == f"GET /c0.js?since={position or 'abc-20'} HTTP/1.1"
        assert clients.ledger.gaps == gaps


def test_since_before_the_first_message(server: Server, clock: Clock, start: Callable[..., Clients]) -> None:
    """A client that was lost before it heard anything asks for all that is kept."""
    clients = start(since=True)
    until(clients, lambda: clients.waiting == 1)
    server.take()[0].close()
    until(clients, lambda: clients.dropped == 1)
    clock.now += RETRY_S
    until(clients, lambda: clients.waiting == 1)
    assert server.take()[1] == "GET /c0.js?since=oldest HTTP/1.1"


def test_lost_connection_rests_a_moment(server: Server, clock: Clock, start: Callable[..., Clients]) -> None:
    """A connection that was lost is opened again, but not at once: a dead server is not hammered."""
    clients = start()
    until(clients, lambda: clients.waiting == 1)
    server.take()[0].close()
    until(clients, lambda: clients.dropped == 1)
    clients.turn(0)
    assert (clients.open, clients.waiting, clients.counts()["reconnects"], clients.connected) == (0, 0, 0, 1)
    clock.now += RETRY_S
    until(clients, lambda: clients.waiting == 1)
    assert clients.counts()["reconnects"] == 1


@pytest.mark.parametrize("length", [True, False])
def test_one_answer_a_connection(server: Server, start: Callable[..., Clients], length: bool) -> None:
    """Where each answer ends the connection, as on the original's ports, the client comes back at once."""
    clients = start()
    until(clients, lambda: clients.waiting == 1)
    connection, _ = server.take()
    connection.sendall(answer("1 c0 1", "Connection: close\r\n") if length else b"HTTP/1.1 200 OK\r\n\r\n1 c0 1")
    connection.close()
    until(clients, lambda: clients.answered == 1 and clients.waiting == 1)
    assert server.take()[1] == "GET /c0.js HTTP/1.1"
    assert (clients.closed, clients.dropped, clients.counts()["reconnects"], clients.ledger.receipts.delivered) == (
        1,
        0,
        1,
        1,
    )


def test_refusal(server: Server, clock: Clock, start: Callable[..., Clients]) -> None:
    """A refusal is counted by its status, and the client tries again later."""
    clients = start()
    until(clients, lambda: clients.waiting == 1)
    server.take()[0].sendall(answer("", status="503 Service Unavailable"))
    until(clients, lambda: clients.answered == 1)
    assert clients.errors == {"http 503": 1}
    clock.now += RETRY_S
    until(clients, lambda: clients.waiting == 1)


def test_nobody_listens(server: Server, start: Callable[..., Clients]) -> None:
    """A port without a server is an error by name."""
    clients = start()
    server.listener.close()
    until(clients, lambda: bool(clients.errors))
    assert clients.errors == {"ECONNREFUSED": 1}
    assert (clients.connected, clients.open, clients.waiting) == (0, 0, 0)


@pytest.mark.parametrize(
    ("body", "counter"),
    [("1 c1 1", "misdelivered"), ("hello", "foreign"), ("1 c0 -1", "foreign"), ("0 * 1", "heard")],
)
def test_other_messages(server: Server, start: Callable[..., Clients], body: str, counter: str) -> None:
    """A message of somebody else, for somebody else or for everyone is told apart from the client's own."""
    clients = start(began_ns=1)
    until(clients, lambda: clients.waiting == 1)
    server.take()[0].sendall(answer(body))
    until(clients, lambda: clients.answered == 1)
    assert (clients.counts()[counter], clients.ledger.receipts.delivered) == (1, 0)


def test_message_of_an_older_run(server: Server, start: Callable[..., Clients]) -> None:
    """What an earlier run left in the mailbox does not count."""
    clients = start(began_ns=100)
    until(clients, lambda: clients.waiting == 1)
    server.take()[0].sendall(answer("1 c0 99"))
    until(clients, lambda: clients.answered == 1)
    assert (clients.ledger.stale, clients.ledger.receipts.delivered) == (1, 0)


def test_garbage(server: Server, start: Callable[..., Clients]) -> None:
    """Bytes that are no answer, and an answer that is cut off, lose the connection and say why."""
    clients = start(2)
    until(clients, lambda: clients.waiting == 2)
    server.take()[0].sendall(b"SSH-2.0-OpenSSH\r\n")
    cut_off = server.take()[0]
    cut_off.sendall(answer("1 c0 1")[:-1])
    cut_off.close()
    until(clients, lambda: clients.dropped == 2)
    assert clients.errors == {"bad answer": 1, "cut answer": 1}


def test_bytes_that_nobody_asked_for(server: Server, start: Callable[..., Clients]) -> None:
    """Two answers to one poll are an error of the server."""
    clients = start()
    until(clients, lambda: clients.waiting == 1)
    server.take()[0].sendall(answer("1 c0 1") * 2)
    until(clients, lambda: clients.closed == 1)
    assert clients.errors == {"bytes that nobody asked for": 1}


def test_rate(server: Server, clock: Clock, start: Callable[..., Clients]) -> None:
    """With a rate, clients connect when their time has come and not before."""
    clients = start(10, rate=2.0)
    for seconds, expected in ((0.0, 1), (0.4, 1), (0.5, 2), (2.0, 5), (100.0, 10)):
        clock.now = 1000.0 + seconds
        clients.turn(0)
        clients.turn(0)
        assert clients.connected == expected


def test_source_address(server: Server, start: Callable[..., Clients]) -> None:
    """The clients of a process come from its own addresses in turn."""
    clients = start(4, sources=("127.9.0.1", "127.9.0.2"))
    until(clients, lambda: clients.waiting == 4)
    peers = sorted(server.take()[0].getpeername()[0] for _ in range(4))
    assert peers == ["127.9.0.1"] * 2 + ["127.9.0.2"] * 2


# publisher


@pytest.fixture
def publisher(server: Server, clock: Clock) -> Iterator[Publisher]:
    plan = PushPlan(0, 1, server.address, socket.AF_INET, "h", "secret", rate=10.0)
    made = Publisher(plan, clock, lambda: 77)
    yield made
    made.give_up()


def test_push(server: Server, clock: Clock, publisher: Publisher) -> None:
    """A push goes out when its time has come, with its number, over one connection."""
    publisher.begin()
    until(publisher, lambda: not publisher.idle)
    connection, line = server.take()
    assert line == 'POST /api/push HTTP/1.1 {"client":"c0","data":"1 c0 77"}'
    connection.sendall(answer('{"id":"e-1","status":"sent"}'))
    until(publisher, lambda: publisher.idle)
    clock.now += 0.1
    until(publisher, lambda: not publisher.idle)
    assert request(connection) == 'POST /api/push HTTP/1.1 {"client":"c0","data":"2 c0 77"}'
    assert (publisher.acknowledged, publisher.statuses) == (1, {"sent": 1})


@pytest.mark.parametrize("lost", [True, False])
def test_push_without_acknowledgement(server: Server, clock: Clock, publisher: Publisher, lost: bool) -> None:
    """A push that is refused, or whose connection is lost, does not count as promised; its number is not used again."""
    publisher.begin()
    until(publisher, lambda: not publisher.idle)
    connection, _ = server.take()
    if lost:
        connection.close()
    else:
        connection.sendall(answer("{}", status="507 Insufficient Storage"))
    until(publisher, lambda: publisher.idle)
    publisher.halt()
    assert publisher.errors == {"connection lost" if lost else "http 507": 1}
    assert publisher.published.state(0) == (1, frozenset({1}))


def test_halt_and_give_up(server: Server, publisher: Publisher) -> None:
    """What has no answer at the end does not count as promised."""
    publisher.begin()
    until(publisher, lambda: not publisher.idle)
    publisher.give_up()
    assert publisher.errors == {"no answer": 1}
    assert publisher.published.not_acknowledged == 1


# pipes


def test_pipes() -> None:
    """Objects cross a pipe whatever pieces they are read in."""
    reading, writing = os.pipe()
    told = [{"a": 1}, {"b": "x" * 1000}]
    for plain in told:
        pipes.send(writing, plain)
    os.close(writing)
    reader, heard = pipes.Reader(), []
    while piece := os.read(reading, 7):
        heard += reader.feed(piece)
    os.close(reading)
    assert heard == told


# options


def test_options_for_a_million() -> None:
    """A million clients are shared out by the descriptor limit, each process with addresses of its own."""
    options = parse(["--clients", "1000000"], {})
    sources = [options.sources_of(n) for n in range(options.processes)]
    assert options.clients / options.processes < 1_048_576
    assert len({s for each in sources for s in each}) == sum(map(len, sources))
    assert all(s.startswith("127.") for each in sources for s in each)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--clients", "10", "--part", "1/4"], range(2)),
        (["--clients", "10", "--part", "4/4"], range(7, 10)),
        (["--clients", "3"], range(3)),
    ],
)
def test_parts(arguments: list[str], expected: range) -> None:
    """The parts of several machines are next to each other and complete."""
    assert parse(arguments, {}).indexes == expected


def test_addresses() -> None:
    """The original's eight ports, and a given source address, are used as given."""
    options = parse(["--url", "http://127.0.0.1", "--ports", "8000-8007", "--source", "127.0.0.5"], {})
    assert [port for _, port in options.addresses] == list(range(8000, 8008))
    assert options.sources_of(3) == ("127.0.0.5",)
    assert options.push_address == ("127.0.0.1", 80)


def test_ipv6() -> None:
    """Towards IPv6 the kernel chooses the source address."""
    options = parse(["--url", "http://[::1]:8080"], {})
    assert (options.family, options.addresses, options.host) == (socket.AF_INET6, (("::1", 8080),), "[::1]")
    assert options.sources_of(0) == ()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--clients", "0"],
        ["--clients", "x"],
        ["--ports", "9-8"],
        ["--part", "5/4"],
        ["--rate", "-1"],
        ["--rate", "inf"],
        ["--transport", "smoke"],
        ["--mix", "sse=0"],
        ["--channels", "0"],
        ["--unknown"],
    ],
)
def test_wrong_option(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong value ends with status 2 and names the option."""
    with pytest.raises(SystemExit) as e:
        parse(arguments, {})
    assert e.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", "https://127.0.0.1"],
        ["--url", "http://127.0.0.1:80/path"],
        ["--url", "http://127.0.0.1:99999"],
        ["--url", "http://host.invalid"],
        ["--push-rate", "1"],
        ["--batch", "1", "--push-rate", "1", "--key-file", "/dev/null"],
        ["--key-file", "/nonexistent"],
        ["--prefix", "a b"],
        ["--transport", "ws", "--mix", "sse=1"],
        ["--channels", "1"],
        ["--channels", "1", "--mix", "script=5"],
        ["--channels", "3", "--rooms", "2", "--transport", "ws"],
        ["--channels", "3", "--rooms", "5", "--transport", "ws", "--part", "1/2"],
        ["--publish-rooms", "1", "--transport", "ws", "--key-file", "/dev/null"],
        ["--publish-rooms", "1", "--channels", "1", "--transport", "ws"],
        ["--clients", "100000000", "--processes", "1"],
    ],
)
def test_unusable_options(arguments: list[str]) -> None:
    """Options that cannot work are refused before anything is opened."""
    with pytest.raises(Unusable):
        parse(arguments, {})


@pytest.mark.parametrize(
    ("arguments", "positions"),
    [
        ([], False),
        (["--since"], True),
        (["--transport", "script"], False),
        (["--transport", "poll"], True),
        (["--mix", "script=1,sse=1"], True),
        (["--switch", "1"], True),
    ],
)
def test_who_goes_by_positions(arguments: list[str], positions: bool) -> None:
    """Scripts alone do so only when asked to."""
    assert parse(arguments, {}).since is positions


def test_rooms_of_a_part() -> None:
    """Each of several machines has rooms of its own, ten times as many as a client's when nothing is said."""
    options = parse(["--channels", "2", "--transport", "ws", "--part", "2/3"], {})
    assert (options.shared.first, options.shared.count, options.shared.channels) == (6, 7, 2)
    assert not options.publishes
    assert parse(["--transport", "ws"], {}).shared.count == 0


def test_key() -> None:
    """The key comes from the environment where no file is given."""
    options: Options = parse(["--push-rate", "5"], {"MEGACOMET_API_KEY": "k"})
    assert (options.key, options.push_rate, options.publishes) == ("k", 5.0, True)


# whole runs


def swarm(double: Double, *arguments: str) -> subprocess.Popen[str]:
    """Start a run against the double."""
    return subprocess.Popen(
        [sys.executable, "-m", "megacomet.swarm", "--url", f"http://127.0.0.1:{double.port}", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MEGACOMET_API_KEY": "k"},
        cwd=Path(__file__).parent.parent,
    )


def outcome(run: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    out, _ = run.communicate(timeout=60)
    return run.returncode, json.loads(out)


def test_processes_end_with_their_parent() -> None:
    """When the process that gathers is killed, those of clients and of pushes are told by the end of their pipes."""
    with running(Double()) as double:
        arguments = ("--clients", "40", "--processes", "2", "--hold", "3600", "--push-rate", "100")
        with swarm(double, *arguments) as run:
            assert run.stderr is not None
            assert next(line for line in run.stderr if json.loads(line)["delivered"])
            children = [os.pidfd_open(child.pid) for child in psutil.Process(run.pid).children()]
            run.kill()
        assert len(children) == 3
        for child in children:
            assert select.select([child], [], [], 60)[0]
            os.close(child)


def test_run_with_everything() -> None:
    """Two processes of clients, pushes, a message to everyone: all once, in order, and status 0."""
    with running(Double()) as double:
        arguments = ("--clients", "40", "--processes", "2", "--hold", "1", "--push-rate", "500", "--everyone")
        status, report = outcome(swarm(double, *arguments))
    assert (status, report["problems"]) == (0, [])
    assert report["verdict"]["delivered"] == report["verdict"]["acknowledged"] == report["made"] == double.ordinal - 1
    assert (report["heard"], report["connected"], report["waiting"], report["processes"]) == (40, 40, 40, 2)
    assert (report["latency"]["count"], report["reach"]["count"]) == (report["made"], 40)


def test_negative_control() -> None:
    """A double that drops one message in 10,000 and repeats another is reported exactly, with status 1."""
    faulty = Double(drop=lambda n: n % 10_000 == 5, repeat=lambda n: n % 10_000 == 7_777)
    with running(faulty) as double:
        arguments = ("--clients", "100", "--hold", "0", "--drain", "3", "--batch", "20000")
        status, report = outcome(swarm(double, *arguments))
    verdict = report["verdict"]
    assert status == 1
    assert (verdict["lost"], verdict["repeated"], verdict["out_of_order"]) == (2, 2, 0)
    assert (verdict["acknowledged"], verdict["delivered"]) == (20_000, 19_998)
    assert sorted(map(tuple, verdict["examples"])) == [
        *(("lost", 5, 1), ("lost", 5, 101)),
        *(("repeated", 77, 78), ("repeated", 77, 178)),
    ]


def test_run_with_refusals_and_lost_connections() -> None:
    """Refused messages are no losses, and with --since nothing is lost or repeated over connections that break."""
    weather = Double(refuse=lambda n: n % 100 == 50, cut=lambda n: n % 50 == 9)
    with running(weather) as double:
        arguments = ("--clients", "20", "--hold", "0", "--since", "--batch", "1000")
        _, report = outcome(swarm(double, *arguments))
    verdict = report["verdict"]
    assert (verdict["lost"], verdict["repeated"], verdict["out_of_order"]) == (0, 0, 0)
    assert (verdict["acknowledged"], verdict["delivered"]) == (990, 990)
    assert report["reconnects"] == report["dropped"] > 0
    assert report["problems"] == ["10 pushes not acknowledged"]


def test_one_answer_runs() -> None:
    """Against a server that closes after each answer the run is as whole."""
    with running(Double(one_answer=True)) as double:
        status, report = outcome(swarm(double, "--clients", "10", "--hold", "0", "--batch", "100"))
    assert (status, report["verdict"]["delivered"], report["closed"]) == (0, 100, 100)


def test_interrupt() -> None:
    """Ctrl-C ends a run in order: the report comes, and no process stays."""
    with running(Double()) as double:
        run = swarm(double, "--clients", "10", "--processes", "2", "--hold", "600")
        assert run.stderr is not None
        while json.loads(run.stderr.readline())["waiting"] < 10:
            pass
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        run.send_signal(signal.SIGINT)
        status, report = outcome(run)
    assert (status, report["interrupted"], report["waiting"], len(children)) == (0, True, 10, 2)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_clients_end_with_their_parent() -> None:
    """When the gathering process is killed, its children end by themselves."""
    with running(Double()) as double:
        run = swarm(double, "--clients", "10", "--processes", "2", "--hold", "600")
        assert run.stderr is not None
        while json.loads(run.stderr.readline())["waiting"] < 10:
            pass
        run.kill()
        # Both children hold the run's standard output open: its end is theirs.
        out, _ = run.communicate(timeout=60)
    assert out == ""


def test_nobody_there() -> None:
    """Without a server the run gives up after its patience and says what went wrong."""
    with running(Double()) as double:
        pass
    status, report = outcome(swarm(double, "--clients", "5", "--patience", "0.2", "--hold", "0"))
    assert status == 1
    assert report["problems"] == ["5 clients never connected"]
    assert report["errors"]["ECONNREFUSED"] >= 5


def test_usage() -> None:
    """Options that make no sense end with status 2 and one line."""
    with running(Double()) as double:
        run = swarm(double, "--prefix", "a b")
        _, told = run.communicate(timeout=60)
    assert run.returncode == 2
    assert told.startswith("megacomet swarm: --prefix:")
