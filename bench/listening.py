"""A client of `bench.python_client`: `python -m bench.listening bare|client PORT MESSAGES` counts and tells its time.

It prints a JSON object with the messages that came and the seconds of the processor from the first to the last.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint

from megacomet.client import Client, Message


class Count:
    """Messages, and the processor's time that they took."""

    def __init__(self, wanted: int) -> None:
        self.messages = 0
        self._wanted = wanted
        self._begun_s = 0.0

    def one(self) -> None:
        """A message came; with the last one it is over."""
        if not self.messages:
            self._begun_s = time.process_time()
        self.messages += 1
        if self.messages == self._wanted:
            print(json.dumps({"messages": self.messages, "cpu_s": time.process_time() - self._begun_s}), flush=True)
            running: Any = reactor
            running.stop()


def bare(port: int, count: Count) -> None:
    """Open a connection by Autobahn alone; what is no message of a channel is the first frame only."""

    class Counting(WebSocketClientProtocol):
        is_first = True

        def onMessage(self, payload: bytes, isBinary: bool) -> None:
            if self.is_first:
                self.is_first = False
            else:
                count.one()

    factory = WebSocketClientFactory(f"ws://127.0.0.1:{port}/comet/ws?channel=bench", reactor=reactor)
    factory.protocol = Counting
    TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)


async def listen(port: int, count: Count) -> None:
    """Take messages as a program does."""
    async for item in Client(f"http://127.0.0.1:{port}", transports=["websocket"]).listen("bench"):
        if isinstance(item, Message):
            count.one()


def main(kind: str, port: int, wanted: int) -> None:
    """Count until all have come."""
    count, running = Count(wanted), reactor
    if kind == "bare":
        bare(port, count)
    else:
        Deferred.fromCoroutine(listen(port, count))
    running.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
