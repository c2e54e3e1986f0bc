"""Pushes through real processes, under load, and while workers and the manager are killed, stopped and drained."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.pushers import ENDED, Crowd, request_of
from tests.integration.server import Server, read_all
from tests.integration.test_keys import Client, megacomet, new_key
from tests.integration.test_workers import KEPT, LOOPBACK, ask

#: Of a worker's own memory, what 20,000 pushes may have left behind; a kilobyte of each would be five times that.
GROWTH_BYTES = 4_000_000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two workers that keeps what it is sent."""
    with Server(tmp_path_factory.mktemp("pushes") / "state", *LOOPBACK, *KEPT) as running:
        yield running


def history_of(server: Server, channel: str) -> list[Any]:
    """Return the data of all that is kept of a channel, in order."""
    data: list[Any] = []
    since = "oldest"
    while True:
        status, page = ask(server, "GET", f"/api/channels/{channel}/history?limit=1000&since={since}")
        assert status == 200, page
        if not page["messages"]:
            return data
        data += [message["data"] for message in page["messages"]]
        since = page["position"]


def connections_of(server: Server) -> dict[str, set[int]]:
    """Return the ports of the clients of each worker."""
    found = {}
    for title, one in server.processes().items():
        if title.startswith("worker"):
            with contextlib.suppress(psutil.Error):
                found[title] = {
                    each.raddr.port for each in one.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED
                }
    return found


def numbered(server: Server, channel: str, number: int, **fields: Any) -> bytes:
    """Return a push that has a number."""
    return request_of({"channel": channel, "data": number, **fields}, server.key)


def test_a_thousand_at_once(shared: Server) -> None:
    """A thousand connections push in the same moment, to both workers; each is answered, and nothing comes twice."""
    with Crowd(shared, [[numbered(shared, "crowd", n)] for n in range(1000)]) as crowd:
        crowd.push()
        crowd.run()
        assert crowd.statuses() == {200: 1000}
        # Not before all are answered: until a worker has taken a connection nobody can see whose it is.
        assert all(len(ports) > 100 for ports in connections_of(shared).values())
    assert sorted(history_of(shared, "crowd")) == list(range(1000))


def test_a_push_to_many_long_names(shared: Server) -> None:
    """The largest push there is: more than fits into a message of the link, or into a socket, in either direction."""
    names = [f"{n:05}" + "x" * 245 for n in range(10_000)]
    with shared.connect() as client:
        client.sendall(request_of({"channels": names, "data": 1, "ttl": 0}, shared.key))
        with client.makefile("rb") as file:
            assert b" 200 " in file.readline()
            headers = dict(line.split(b": ", 1) for line in iter(file.readline, b"\r\n"))
            answer = json.loads(file.read(int(headers[b"Content-Length"])))
    assert [result["channel"] for result in answer["results"]] == names


def test_a_worker_that_is_killed(shared: Server) -> None:
    """Publishers with keys go on with the other worker; every message stands there exactly once, in its order."""
    each = 10
    requests = [[numbered(shared, "killed", n * each + i, key=f"{n}-{i}") for i in range(each)] for n in range(200)]
    with Crowd(shared, requests, is_retrying=True) as crowd:
        seen = len(shared.lines)
        crowd.push()
        crowd.run(lambda: crowd.answered >= 500)
        shared.kill("worker 0")
        crowd.run()
        assert crowd.statuses() == {200: 200 * each}
        assert sum(publisher.retries for publisher in crowd.publishers) > 10
    shared.wait_line("all workers are up again", after=seen)
    data = history_of(shared, "killed")
    assert sorted(data) == list(range(200 * each))
    of_one = [[number for number in data if number // each == n] for n in range(200)]
    assert of_one == [sorted(numbers) for numbers in of_one]


def test_a_worker_that_is_restarted(shared: Server) -> None:
    """Nobody is refused: its publishers have their answers, the last one says so, and they go on with the other one."""
    each = 30
    requests = [[numbered(shared, "restarted", n * each + i, key=f"{n}-{i}") for i in range(each)] for n in range(100)]
    with Crowd(shared, requests, is_retrying=True) as crowd:
        seen = len(shared.lines)
        crowd.push()
        crowd.run(lambda: crowd.answered >= 500)
        assert ask(shared, "POST", "/api/workers/0/restart")[0] == 202
        crowd.run()
        assert crowd.statuses() == {200: 100 * each}
    shared.wait_line("all workers are up again", after=seen)
    assert sorted(history_of(shared, "restarted")) == list(range(100 * each))


def test_a_manager_that_is_stopped(shared: Server) -> None:
    """While it does nothing everybody waits; when it goes on all are answered, once."""
    with Crowd(shared, [[numbered(shared, "stopped", n)] for n in range(200)]) as crowd:
        shared.kill("manager", signal.SIGSTOP)
        try:
            crowd.push()
            for _ in range(10):  # the workers have read by then what was sent before
                assert shared.get("/healthz").endswith(b"ok")
            assert crowd.answered == 0
        finally:
            shared.kill("manager", signal.SIGCONT)
        crowd.run()
        assert crowd.statuses() == {200: 200}
    assert sorted(history_of(shared, "stopped")) == list(range(200))


def test_a_drain_during_a_batch(shared: Server) -> None:
    """A batch of 100,000 lines comes to its end on a worker that is drained meanwhile; then its connection ends."""
    seen = len(shared.lines)
    lines = [b'{"channel":"drained","data":%d,"ttl":0}\n' % n for n in range(100_000)]
    halves = b"".join(lines[:50_000]), b"".join(lines[50_000:])
    head = f"POST /api/batch HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {shared.key}\r\n"
    with shared.connect() as client:
        client.sendall(f"{head}Content-Length: {sum(map(len, halves))}\r\n\r\n".encode() + halves[0])
        [worker] = [title for title, ports in connections_of(shared).items() if client.getsockname()[1] in ports]
        number = worker.removeprefix("worker ")
        assert ask(shared, "POST", f"/api/workers/{number}/drain", {"per_s": 1000})[0] == 202
        shared.wait_line(f"{worker}: drained", after=seen)
        client.sendall(halves[1])
        first, _, rest = read_all(client).partition(b"\r\n")
    counts = json.loads(rest.partition(b"\r\n\r\n")[2])
    assert (first, counts["lines"], counts["failed"]) == (b"HTTP/1.1 200 OK", 100_000, 0)
    assert counts["unheard"] == 100_000
    assert ask(shared, "DELETE", f"/api/workers/{number}/drain")[0] == 202
    shared.wait_line(f"{worker}: drained no more", after=seen)


def test_memory(shared: Server) -> None:
    """What a worker has had for 20,000 pushes it has given back."""

    def run(count: int) -> None:
        requests = [[numbered(shared, "memory", i, ttl=0) for i in range(count // 100)] for _ in range(100)]
        with Crowd(shared, requests) as crowd:
            crowd.push()
            crowd.run()
            assert crowd.statuses() == {200: count}

    def own_bytes() -> dict[str, int]:
        workers = {title: one for title, one in shared.processes().items() if title.startswith("worker")}
        return {title: one.memory_full_info().uss for title, one in workers.items()}

    run(2000)
    before = own_bytes()
    run(20_000)
    after = own_bytes()
    assert before.keys() == after.keys()
    assert max(after[title] - before[title] for title in before) < GROWTH_BYTES, (before, after)


def test_a_key_that_is_revoked(shared: Server) -> None:
    """The next push on a connection that was kept is 401 and its last, whichever worker has it."""
    key = new_key(shared, "shop", "push")
    clients = [Client(shared) for _ in range(8)]
    try:
        for client in clients:
            assert client.ask("POST", "/api/push", key, {"channel": "a", "data": 1})[0] == 200
        assert megacomet(shared, "revoke", "shop").returncode == 0
        shared.wait_line("the API keys were read again: removed shop")
        for client in clients:
            status, problem = client.ask("POST", "/api/push", key, {"channel": "a", "data": 1})
            assert (status, problem["code"]) == (401, "unauthorized")
            assert client.socket.recv(1) == b""
    finally:
        for client in clients:
            client.__exit__()


def test_a_manager_that_is_killed(tmp_path: Path) -> None:
    """What was under way is answered 503, or its connection ends; the workers find the next manager, and push on."""
    first = Server(tmp_path / "state", *LOOPBACK)
    second = Server(tmp_path / "state", *LOOPBACK)
    try:
        first.launch().wait_ready()
        with Crowd(first, [[numbered(first, "a", n)] for n in range(100)]) as crowd:
            first.kill("manager", signal.SIGSTOP)
            crowd.push()
            for _ in range(10):
                assert first.get("/healthz").endswith(b"ok")
            first.kill("manager")
            crowd.run()
            statuses = crowd.statuses()
            assert sum(statuses.values()) == 100
            assert statuses.keys() <= {503, ENDED}
            kept = [publisher for publisher in crowd.publishers if publisher.socket.fileno() >= 0]
            assert kept
            second.launch().wait_ready()
            second.adopt(first)
            second.wait_line("2 workers of an earlier manager are taken over")
            for number in range(2):
                second.wait_line(f"worker {number}: link to the manager stands")
            for publisher in kept:
                publisher.add(numbered(second, "a", 1))
                publisher.push()
            crowd.run()
            assert crowd.statuses()[200] == len(kept)
        second.stop()
    finally:
        second.kill_all()
        first.kill_all()


def test_a_stop(tmp_path: Path) -> None:
    """Everybody who pushes when the server is told to end gets an answer, or the end of the connection; and it ends."""
    with Server(tmp_path / "state", *LOOPBACK) as server:
        requests = [[numbered(server, "a", i, ttl=0) for i in range(1000)] for _ in range(100)]
        with Crowd(server, requests) as crowd, server.connect() as half:
            half.sendall(numbered(server, "a", 1)[:-1])
            crowd.push()
            crowd.run(lambda: crowd.answered >= 500)
            server.kill("manager", signal.SIGTERM)
            crowd.run()
            statuses = crowd.statuses()
            assert statuses.keys() <= {200, 503, ENDED}
            assert statuses[200] >= 500
            with contextlib.suppress(ConnectionResetError):
                assert half.recv(1000) == b""
            server.wait_end()
        assert server.lines[-1].endswith("Server Shut Down.")
        assert not [line for line in server.lines if "did not end in time" in line or "Traceback" in line]
