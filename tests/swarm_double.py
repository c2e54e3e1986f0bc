"""A double of the server for the load client's tests: long-polls, push, batch, and faults on purpose.

It runs in a thread of its own on an ephemeral port and keeps every promise except those that it is told to break.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

EPOCH = "e"


def never(ordinal: int) -> bool:
    """The fault that never happens."""
    return False


class Double:
    """The server.

    Args:
        drop: whether the n-th published message (from 0) is acknowledged and thrown away.
        repeat: whether it is delivered twice.
        refuse: whether it is refused with 507.
        cut: whether the n-th poll (from 0) loses its connection without an answer.
        one_answer: close the connection behind every poll's answer, as the original's workers do.
    """

    def __init__(
        self,
        drop: Callable[[int], bool] = never,
        repeat: Callable[[int], bool] = never,
        refuse: Callable[[int], bool] = never,
        cut: Callable[[int], bool] = never,
        one_answer: bool = False,
    ) -> None:
        self._drop = drop
        self._repeat = repeat
        self._refuse = refuse
        self._cut = cut
        self._one_answer = one_answer
        self._kept: dict[str, list[tuple[int, str]]] = {}
        self._given: dict[str, int] = {}
        self._waiting: dict[str, asyncio.Event] = {}
        self.head = 0
        self.ordinal = 0
        self.polls = 0
        self.port = 0

    def publish(self, push: dict[str, object]) -> str:
        """Take one push; returns its status, "" when it is refused."""
        ordinal, self.ordinal = self.ordinal, self.ordinal + 1
        if self._refuse(ordinal):
            return ""
        if push.get("everyone"):
            clients = list(self._waiting)
        else:
            clients = [str(push["client"])]
        times = 0 if self._drop(ordinal) else 2 if self._repeat(ordinal) else 1
        for client in clients:
            for _ in range(times):
                self.head += 1
                self._kept.setdefault(client, []).append((self.head, str(push["data"])))
            if client in self._waiting:
                self._waiting[client].set()
        return "sent"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split(" ", 2)
                if method == "GET":
                    await self._get(head, reader, writer)
                elif target == "/api/push":
                    length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
                    self._answer_push(json.loads(await reader.readexactly(length)), writer)
                else:
                    await self._batch(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _get(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._poll(head.split(" ", 2)[1], reader, writer)

    async def _poll(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ordinal, self.polls = self.polls, self.polls + 1
        if self._cut(ordinal):
            raise ConnectionError
        url = urlsplit(target)
        client = url.path[1:-3]
        since = parse_qs(url.query).get("since", [""])[0]
        after = self._given.get(client, 0) if not since else 0 if since == "oldest" else int(since.split("-")[1])
        self._waiting.setdefault(client, asyncio.Event())
        while True:
            missed = next((m for m in self._kept.get(client, ()) if m[0] > after), None)
            if missed is not None:
                break
            self._waiting[client].clear()
            gone = asyncio.ensure_future(reader.read(1))
            waiting = asyncio.ensure_future(self._waiting[client].wait())
            await asyncio.wait((gone, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if gone.done():
                raise ConnectionError
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        self._given[client] = missed[0]
        body = missed[1].encode()
        close = "Connection: close\r\n" if self._one_answer else ""
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{close}"
            f"MegaComet-Position: {EPOCH}-{missed[0]}\r\n\r\n".encode()
            + body
        )
        if self._one_answer:
            raise ConnectionError

    def _answer_push(self, push: dict[str, object], writer: asyncio.StreamWriter) -> None:
        status = self.publish(push)
        body = json.dumps(
            {"id": f"{EPOCH}-{self.head}", "status": status} if status else {"code": "store-full"}
        ).encode()
        line = b"200 OK" if status else b"507 Insufficient Storage"
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (line, len(body), body))

    async def _batch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held, lines, errors = b"", 0, []
        while size := int(await reader.readline(), 16):
            held += (await reader.readexactly(size + 2))[:-2]
            *complete, held = held.split(b"\n")
            for line in complete:
                lines += 1
                if not self.publish(json.loads(line)):
                    errors.append({"line": lines, "code": "store-full"})
        await reader.readline()
        told = {"lines": lines, "sent": lines - len(errors), "queued": 0, "unheard": 0, "repeated": 0}
        body = json.dumps({**told, "failed": len(errors), "errors": errors[:100]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        raise ConnectionError


@contextmanager
def running(double: Double) -> Iterator[Double]:
    """Run the double in a thread while the block lasts; `port` is set."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(double.serve, "127.0.0.1", 0, backlog=1000))
    double.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield double
    finally:

        async def end() -> None:
            server.close()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
