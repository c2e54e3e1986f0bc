"""Metrics as a scraper sees them: a real server with several workers, of which one is killed."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from megacomet.metrics.table import COUNTER, METRICS
from tests.integration.server import LINE_S, Server, read_all

WORKERS = 3
POLLS = 12

Values = dict[tuple[str, ...], float]


def scrape(server: Server, key: str = "") -> tuple[int, Values]:
    """Scrape on the public port; return status and values, by name and what stands in their labels."""
    with server.connect() as client:
        line = f"Authorization: Bearer {key}\r\n" if key else ""
        client.sendall(f"GET /metrics HTTP/1.1\r\nHost: test\r\n{line}Connection: close\r\n\r\n".encode())
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if status != 200:
        return status, {}
    samples = (sample for family in parse(body.decode()) for sample in family.samples)
    return status, {(s.name, *(s.labels[name] for name in sorted(s.labels))): s.value for s in samples}


def scrape_until(server: Server, reached: Callable[[Values], bool]) -> Values:
    """Scrape, with a key, until the workers have told what is waited for: each scrape waits for the next beats.

    The server answers a scrape at once, so an event paces this: the server's own numbers, which it sends each second.
    """
    with server.connect() as events:
        events.settimeout(LINE_S)
        head = f"GET /api/events?stats=1 HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {server.key}\r\n\r\n"
        events.sendall(head.encode())
        for _ in range(60):
            assert events.recv(65_536)
            status, values = scrape(server, server.key)
            assert status == 200
            if reached(values):
                return values
    raise AssertionError(f"not reached: {values}")


def poll(server: Server, number: int) -> socket.socket:
    """Let a client wait for its message."""
    client = server.connect()
    client.sendall(f"GET /client{number}.js HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    return client


def total(values: Values, name: str) -> float:
    """The sum of a metric over all its labels."""
    return sum(value for (found, *_), value in values.items() if found == name)


def counters(values: Values) -> Values:
    """All that may not fall."""
    kinds = {name: metric.kind for name, metric in METRICS.items()}
    parts = re.compile(r"_(bucket|count|sum)$")
    return {
        key: value
        for key, value in values.items()
        if kinds.get(key[0]) == COUNTER or kinds.get(parts.sub("", key[0])) == "histogram"
    }


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_worker_is_killed(state: Path) -> None:
    """Clients, messages, bytes and times are told; no counter falls when a worker dies, and its successor goes on."""
    with Server(state, "--port=0", "--interface=127.0.0.1", workers=WORKERS) as server:
        clients = [poll(server, number) for number in range(POLLS)]
        scrape_until(server, lambda v: total(v, "megacomet_connections") == POLLS)
        for number, client in enumerate(clients):
            assert b"200 OK" in server.push({"client": f"client{number}", "data": "hello"})
            assert client.recv(65_536)
        before = scrape_until(server, lambda v: total(v, "megacomet_messages_out_total") == POLLS)
        assert before["megacomet_messages_in_total", "sent"] == POLLS
        assert before["megacomet_push_to_write_seconds_count",] == POLLS
        assert 0 < before["megacomet_push_to_write_seconds_sum",] < POLLS * LINE_S
        assert total(before, "megacomet_written_bytes_total") > POLLS * len("hello")
        assert total(before, "megacomet_connections_accepted_total") > POLLS
        assert before["megacomet_workers", "up"] == WORKERS
        assert before["megacomet_process_memory_bytes", "zygote"] > 0
        assert before["megacomet_process_descriptors_used", "worker-1"] > 0

        server.kill("worker 1")
        server.wait_line("all workers are up again")
        after = scrape_until(server, is_replaced)
        fallen = {key: (value, after.get(key)) for key, value in counters(before).items() if after.get(key, -1) < value}
        assert fallen == {}
        assert (
            after["megacomet_process_uptime_seconds", "worker-1"]
            < before["megacomet_process_uptime_seconds", "manager"]
        )
        for client in clients:
            client.close()


def is_replaced(values: Values) -> bool:
    """Whether the successor of worker 1 has told its figures; the page may be a second old."""
    is_up = values["megacomet_workers", "up"] == WORKERS
    has_told = ("megacomet_process_uptime_seconds", "worker-1") in values
    return is_up and has_told and values["megacomet_process_restarts_total", "worker-1"] == 1


def test_who_may_scrape(state: Path) -> None:
    """A key is needed, and none when the metrics are open."""
    with Server(state, "--port=0", "--interface=127.0.0.1") as server:
        assert scrape(server)[0] == 401
        assert scrape(server, "nobody's")[0] == 401
        assert scrape(server, server.key)[0] == 200
    with Server(state, "--port=0", "--interface=127.0.0.1", "--metrics-open") as server:
        assert scrape(server)[0] == 200
        assert b" 401 " in server.get("/api/stats")


def test_with_admin_only_there(state: Path) -> None:
    """With an address of the manager's own the metrics leave the public port."""
    with Server(state, "--port=0", "--interface=127.0.0.1", "--metrics-open", f"--admin=unix:{state}.sock") as server:
        assert scrape(server)[0] == 404
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{state}.sock")
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            assert b"megacomet_build_info" in read_all(client)
