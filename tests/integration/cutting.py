"""A proxy that cuts connections: after so many bytes of an answer, the same ones each time it is run.

The bytes that it passes on are those that came. Which cut comes next is decided by requests: connections that a browser
opens in advance and does not use take none.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests.integration.server import LINE_S

#: The end of an event in a chunk of its own.
_EVENT_END: Final = b"\n\n\r\n"
_RESET: Final = struct.pack("ii", 1, 0)


class Cut(NamedTuple):
    """How one connection ends.

    Attributes:
        after: bytes of the answer that are passed on.
        at_end: whether the event that these bytes end in is still passed on.
        resets: whether the client sees a reset, else an end.
    """

    after: int
    at_end: bool = False
    resets: bool = False

    def place(self, answer: bytes) -> int | None:
        """Return how much of an answer is passed on, None while it is not decided."""
        if not self.at_end:
            return self.after if len(answer) >= self.after else None
        end = answer.find(_EVENT_END, max(0, self.after - len(_EVENT_END)))
        return None if end < 0 else end + len(_EVENT_END)


class CuttingProxy:
    """Stands before a server; a context manager.

    Attributes:
        port: where it listens, on the loopback.
        cuts: those that are still to come; behind the last one connections last.
        requests: heads of the requests that were passed on.
    """

    def __init__(self, port: int, cuts: Iterable[Cut]) -> None:
        """
        Args:
            port: of the server, on the loopback.
            cuts: one for each request.
        """
        self.cuts = deque(cuts)
        self.requests: list[bytes] = []
        self._server = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            for one in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LINE_S)
            assert not thread.is_alive()
        self._listener.close()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(ConnectionError):
            head = client.recv(65_536)
            if head:
                with self._lock:
                    self.requests.append(head)
                    cut = self.cuts.popleft() if self.cuts else None
                with socket.create_connection(self._server) as server:
                    with self._lock:
                        self._open.add(server)
                    server.sendall(head)
                    self._pass_on(client, server, cut)
                with self._lock:
                    self._open.discard(server)
            with self._lock:
                self._open.discard(client)

    def _pass_on(self, client: socket.socket, server: socket.socket, cut: Cut | None) -> None:
        """Pass bytes on in both directions until one side ends or the cut comes."""
        answer, passed = b"", 0
        while True:
            end = cut.place(answer) if cut is not None else None
            stop = len(answer) if end is None else end
            client.sendall(answer[passed:stop])
            passed = stop
            if end is not None:
                if cut is not None and cut.resets:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
            readable, _, _ = select.select([client, server], [], [])
            if client in readable:
                request = client.recv(65_536)
                if not request:
                    return
                server.sendall(request)
            if server in readable:
                piece = server.recv(65_536)
                if not piece:
                    return
                answer += piece
