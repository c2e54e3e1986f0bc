"""Two servers with the same settings and keys: one is asked at an address of its own, the other at its public port."""

from __future__ import annotations

import hashlib
import json
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGHUP
from typing import Any, Final, Self
from urllib.parse import quote

import attrs

from tests.integration.server import LINE_S, Server
from tests.integration.ways import (
    DIFFERENCES,
    KEYS,
    Row,
    Talk,
    Told,
    check_same,
    comparable,
    converse,
    request,
    status_of,
)

_CREATED: Final = "2026-11-28T09:00:00Z"
_TRACE: Final = re.compile(r"Traceback|Unhandled")
_MARK: Final = "up to here"


class Way:
    """One of the two.

    Attributes:
        server: the server.
    """

    def __init__(self, server: Server, admin_port: int = 0) -> None:
        """Ask a server that stands, at its public port or at its own one."""
        self.server = server
        self._address = (server.host, admin_port or server.port)
        self._control = Talk(self.connect())

    def connect(self) -> socket.socket:
        """Open a connection to the API."""
        sock = socket.create_connection(self._address, LINE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def ask(self, path: str, method: str = "GET") -> Any:
        """Return what the API tells of a path, on a connection for this alone."""
        self._control.send(request(path, None, method=method, key=KEYS["admin"]))
        answer = self._control.answer()
        assert answer is not None
        assert status_of(answer) == 200, answer
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def position(self) -> int:
        """Return where the log stands."""
        return int(self.ask("/api/channels/nobodys")["position"].partition("-")[2])

    def history(self, channel: str) -> list[tuple[int, Any]]:
        """Return what is kept of a channel: places in the log, counted from its beginning, and data."""
        path = f"/api/channels/{quote(channel, safe='')}/history?since=oldest&limit=1000"
        return [(int(told["id"].partition("-")[2]), told["data"]) for told in self.ask(path)["messages"]]

    def push(self, channel: str, data: object) -> None:
        """Publish."""
        body = json.dumps({"channel": channel, "data": data}).encode()
        with Talk(self.connect()) as talk:
            talk.send(request("/api/push", body))
            answer = talk.answer()
            assert answer is not None
            assert status_of(answer) == 200, answer

    def tell(self, row: Row, kept: bool) -> Told:
        """Hold a conversation."""
        base = self.position()
        answers, stayed = converse(self.connect(), row, kept)
        sent = b"".join(filter(None, row.pieces(kept)))
        told = [comparable(answer, sent, base + kept) for answer in answers]
        return Told(told, stayed, self.position() - base - kept)

    def check_log(self) -> None:
        """Fail if an error of ours was logged up to now; the log says so itself when it has come so far."""
        seen = len(self.server.lines)
        self.server.kill("manager", SIGHUP)
        self.server.wait_line("the API keys were read again", after=seen)
        check_lines(self.server.lines)

    def close(self) -> None:
        """Let go of the connection."""
        self._control.__exit__(None, None, None)


class Listener:
    """Somebody who hears a channel; a context manager."""

    def __init__(self, way: Way, channel: str) -> None:
        """Listen; the manager knows of it when this returns."""
        self._way, self._channel = way, channel
        self._socket = way.server.connect()
        self._socket.sendall(f"GET /comet/stream?channel={channel} HTTP/1.0\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        assert self._file.readline().split()[1] == b"200"
        while self._file.readline() != b"\r\n":
            pass
        self._file.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def heard(self, awaited: int = 0) -> list[Any]:
        """Return the data of what has come since the last time, up to now.

        Args:
            awaited: so many messages are waited for first: what comes on several connections has no order.
        """
        found = [self._next() for _ in range(awaited)]
        self._way.push(self._channel, _MARK)
        while (data := self._next()) != _MARK:
            found.append(data)
        return found

    def _next(self) -> Any:
        while "data" not in (told := json.loads(self._file.readline())):
            pass
        return told["data"]


@attrs.frozen
class Ways:
    """Both.

    Attributes:
        reference: the manager itself.
        public: the public port.
    """

    reference: Way
    public: Way

    def __iter__(self) -> Iterator[Way]:
        return iter((self.reference, self.public))

    def check(self, row: Row, kept: bool) -> None:
        """Hold a conversation on both ways, and fail if it was not the same, or not as the row says."""
        reference, public = (way.tell(row, kept) for way in self)
        assert public.statuses == list(row.statuses), f"not {row.statuses} but {public.answers}"
        ours = [*row.ours(row.statuses)]
        assert [*row.ours(reference.statuses)] == ours, f"not {ours} but {reference.answers}"
        if row.differs:
            public = DIFFERENCES[row.differs](reference, public)
        check_same(row, reference, public)
        assert public.stayed == (row.stays and not row.shuts), f"whether the connection was kept: {public.stayed}"
        assert row.published in (None, public.published), f"{public.published} messages were published"
        assert not row.says or row.says in public.answers[-1], f"{row.says!r} is not in {public.answers[-1]!r}"


def _key_lines() -> str:
    """Return the file of the keys besides the server's own: what `megacomet key` writes."""
    lines = []
    for scope in ("push", "read"):
        digest = hashlib.sha256(KEYS[scope].encode()).hexdigest()
        lines.append(json.dumps({"name": scope, "scope": scope, "hash": f"sha256:{digest}", "created": _CREATED}))
    return "\n".join(lines) + "\n"


@contextmanager
def both_ways(directory: Path, *options: str) -> Iterator[Ways]:
    """Start two servers with the same settings and keys; their logs have no error of ours at the end."""
    with ExitStack() as stack:
        # Held while the port is looked for only: who listens there says so by starting.
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port: int = probe.getsockname()[1]
        servers = []
        for name, more in (("reference", [f"--admin=tcp:{port}:interface=127.0.0.1"]), ("public", [])):
            state_dir = directory / name
            state_dir.mkdir(0o700)
            (state_dir / "keys.jsonl").write_text(_key_lines())
            everything = ("--port=0", "--interface=127.0.0.1", *more, *options)
            servers.append(Server(state_dir, *everything, env={"MEGACOMET_API_KEY": KEYS["admin"]}))
            stack.callback(servers[-1].kill_all)
            servers[-1].launch()
        ways = Ways(Way(servers[0].wait_ready(), port), Way(servers[1].wait_ready()))
        yield ways
        for way in ways:
            way.check_log()
            way.close()
            way.server.stop()
            check_lines(way.server.lines)


def check_lines(lines: Sequence[str]) -> None:
    """Fail if one of the lines of a log tells of an error of ours."""
    assert not [line for line in lines if _TRACE.search(line)], "\n".join(lines)
