"""What a console is shown by a real server with several workers, of which one is killed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.event_stream import EventStream
from tests.integration.server import LINE_S, Server
from tests.integration.test_metrics import poll, scrape, total
from tests.integration.test_workers import ask

WORKERS: Final = 3
POLLS: Final = 30
#: Frames that are waited for at most; each takes a second.
FRAMES: Final = 30


def frames(connection: socket.socket, server: Server) -> Iterator[Any]:
    """Read the frames, one after the other."""
    connection.settimeout(LINE_S)
    head = f"GET /api/events?live=1&kept=1 HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {server.key}\r\n\r\n"
    connection.sendall(head.encode())
    file = connection.makefile("rb")
    assert file.readline().startswith(b"HTTP/1.1 200 ")
    while file.readline() != b"\r\n":
        pass
    stream = EventStream()
    for _ in range(1000):
        for event in stream.receive(file.readline()):
            if event.type == "live":
                yield json.loads(event.data)


def test_a_console(tmp_path: Path) -> None:
    """Figures come at once and each second and agree with the metrics; a worker's death makes no burst of them."""
    with (
        Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1", workers=WORKERS) as server,
        server.connect() as reader,
    ):
        seen = frames(reader, server)
        first = next(seen)
        assert len(first["workers"]) == WORKERS
        assert first["rates"]["out"] in (None, 0)  # unknown until a second has passed
        clients = [poll(server, number) for number in range(POLLS)]
        waited = next(
            frame for frame, _ in zip(seen, range(FRAMES), strict=False) if frame["connections"]["poll"] == POLLS
        )
        assert waited["epoch"] == first["epoch"]
        for number, client in enumerate(clients):
            assert b"200 OK" in server.push({"client": f"client{number}", "data": "hello"})
            assert client.recv(65_536)
        server.kill("worker 1")
        server.wait_line("all workers are up again")
        all_seen = []
        for frame, _ in zip(seen, range(FRAMES), strict=False):
            all_seen.append(frame)
            if frame["ready"] and frame["workers"][1]["restarts"] and frame["workers"][1]["open"] is not None:
                break
        assert all_seen[-1]["workers"][1]["restarts"] == 1
        rates = [rate for frame in all_seen for rate in frame["rates"].values() if rate is not None]
        assert min(rates) == 0
        assert all(frame["rates"]["out"] <= POLLS for frame in all_seen)
        assert all(frame["latency_ms"]["p99"] is None or frame["latency_ms"]["p99"] > 0 for frame in all_seen)

        status, values = scrape(server, server.key)
        assert (status, values["megacomet_connections_max",]) == (200, all_seen[-1]["room"])
        assert total(values, "megacomet_process_restarts_total") == 1
        status, trends = ask(server, "GET", "/api/trends")
        assert (status, trends["step_s"]) == (200, 5)
        assert trends["series"]["memory"][-1] > 10**7
        assert ask(server, "POST", "/api/clients/sue/disconnect", {})[0] == 200
        status, audit = ask(server, "GET", "/api/audit")
        assert (status, [entry["action"] for entry in audit["entries"]]) == (200, ["disconnect"])
        for client in clients:
            client.close()
