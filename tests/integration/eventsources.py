"""EventSource clients that we have not written: Chromium's, three of npm's, and curl; each shows what it dispatches.

All of them come back by themselves when a connection breaks, curl excepted, which is started again as a shell script
would do it. A client is asked for one event after the other, and waits for each with a bound.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol

from playwright.sync_api import Page

from tests.event_stream import Event, EventStream
from tests.integration.chromium import NODE, chromium
from tests.integration.server import UNIT_S

#: An EventSource waits up to 5 s before it comes back, and may have to do so twice before there is an event.
EVENT_S: Final = 12 * UNIT_S
DRIVER: Final = Path(__file__).parents[1] / "js" / "client.mjs"
#: What listens in the page, and gives its events one by one.
PAGE_SCRIPT: Final = """([url, most_ms]) => {
  const shown = [];
  let wanted = null;
  const say = (event) => {
    shown.push([event.type, event.data, event.lastEventId]);
    if (wanted) wanted();
  };
  const source = new EventSource(url);
  for (const type of ["message", "position", "gap"]) source.addEventListener(type, say);
  window.next = async () => {
    if (!shown.length) {
      await new Promise((resolve, reject) => {
        wanted = resolve;
        setTimeout(() => reject(new Error("no event came")), most_ms);
      });
      wanted = null;
    }
    return shown.shift();
  };
}"""


class Client(Protocol):
    """What a client shows."""

    def next(self) -> Event:
        """Return the next event, waiting for it."""


class NodeClient:
    """A package of npm's in Node.js."""

    def __init__(self, package: str, stack: ExitStack, url: str) -> None:
        process = subprocess.Popen([NODE, DRIVER, package, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        stack.callback(_end, process)
        self._process = process
        self._unread = b""
        self._shown: deque[Event] = deque()

    def next(self) -> Event:
        """Return the next event, waiting for it."""
        while not self._shown:
            data = _read(self._process)
            assert data, "the client has ended"
            *lines, self._unread = (self._unread + data).split(b"\n")
            for line in lines:
                told: dict[str, str] = json.loads(line)
                self._shown.append(Event(told["type"], told["data"], told["id"]))
        return self._shown.popleft()


class CurlClient:
    """curl, started again with the last id whenever it ends."""

    def __init__(self, stack: ExitStack, url: str) -> None:
        self._stack = stack
        self._url = url
        self._last_id = ""
        self._shown: deque[Event] = deque()
        self._connect()

    def _connect(self) -> None:
        header = ["-H", f"Last-Event-ID: {self._last_id}"] if self._last_id else []
        command = ["curl", "--no-progress-meter", "--no-buffer", "--globoff", *header, self._url]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._stack.callback(_end, process)
        self._process = process
        self._stream = EventStream()

    def next(self) -> Event:
        """Return the next event, waiting for it."""
        while not self._shown:
            data = _read(self._process)
            if data:
                self._shown += self._stream.receive(data)
            else:
                self._last_id = self._stream.last_id or self._last_id
                self._connect()
        return self._shown.popleft()


class ChromiumClient:
    """The EventSource of a page in Chromium."""

    def __init__(self, stack: ExitStack, url: str, page_url: str) -> None:
        """
        Args:
            stack: keeps the browser.
            url: of the events.
            page_url: of a page on the loopback, as one from elsewhere may not connect there.
        """
        self._page: Page = stack.enter_context(chromium()).new_page()
        self._page.goto(page_url)
        self._page.evaluate(PAGE_SCRIPT, [url, EVENT_S * 1000])

    def next(self) -> Event:
        """Return the next event, waiting for it."""
        told: list[Any] = self._page.evaluate("window.next()")
        return Event(*told)


def _read(process: subprocess.Popen[bytes]) -> bytes:
    """Return what the process writes next, b"" at its end."""
    assert process.stdout is not None
    out = process.stdout.fileno()
    assert select.select([out], [], [], EVENT_S)[0], "no event came"
    return os.read(out, 65_536)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


#: Name -> how it is made: from what keeps it, the address of the events and that of a page.
CLIENTS: Final[dict[str, Callable[[ExitStack, str, str], Client]]] = {
    "chromium": ChromiumClient,
    "eventsource": lambda stack, url, page_url: NodeClient("eventsource", stack, url),
    "event-source-polyfill": lambda stack, url, page_url: NodeClient("event-source-polyfill", stack, url),
    "fetch-event-source": lambda stack, url, page_url: NodeClient("@microsoft/fetch-event-source", stack, url),
    "curl": lambda stack, url, page_url: CurlClient(stack, url),
}
