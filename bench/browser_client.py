"""The browser client in Chromium: CPU of a tab at 100 messages/s beside bare pages, its heap, connections of many tabs.

A page of the server's own origin loads `/megacomet.mjs`. Its CPU is that of all renderers of Chromium, the worker's
too; bare is a page with the browser's own EventSource or WebSocket and ten lines of script. Each reads the same
messages, parses them and counts them. Chromium runs beside server and publisher on the same processors.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from playwright.sync_api import Browser, Page

from bench import measure
from bench.figures import Figure, Options, all_of, at_most, ratios
from bench.meanwhile import meanwhile
from bench.processes import Server, megacomet
from tests.integration.chromium import chromium

WORKERS = 2
TABS = 8
PER_S = 100
CHANNEL = "bench"
#: Of the memory's messages: so many are in a request, and so many at most are published and not shown yet.
BATCH = 250
UNDER_WAY = 1000
FEW, MANY = 10_000, 100_000
#: What may be more in the heap after ten times as many messages, MB: compiled code, which V8 makes as it goes.
GROWTH_MB = 1.0
_CONNECTED_S = 30.0

#: Counts what comes, by the library.
_LIBRARY = """async (options) => {
  const { MegaComet } = await import("/megacomet.mjs");
  const comet = new MegaComet(options);
  globalThis.seen = 0;
  globalThis.gaps = 0;
  comet.on("gap", () => { globalThis.gaps += 1; });
  const subscription = comet.subscribe("bench");
  subscription.on("message", ({ data }) => {
    globalThis.seen += 1;
    globalThis.last = data.n;
  });
  await new Promise((resolve) => subscription.on("subscribed", resolve));
}"""
_EVENT_SOURCE = """() => new Promise((resolve) => {
  const source = new EventSource("/comet/events?channel=bench");
  globalThis.seen = 0;
  source.onopen = resolve;
  source.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    globalThis.seen += 1;
    globalThis.last = message.data.n;
  };
})"""
_WEB_SOCKET = """() => new Promise((resolve) => {
  const socket = new WebSocket(`ws://${location.host}/comet/ws?channel=bench`);
  globalThis.seen = 0;
  socket.onopen = resolve;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.op !== "message") return;
    globalThis.seen += 1;
    globalThis.last = message.data.n;
  };
})"""


@attrs.frozen
class Way:
    """How a page hears.

    Attributes:
        name: of it.
        script: begins to hear, and resolves when it does.
        options: of the library, None: it is a bare page.
        beside: the bare page that it is compared with.
    """

    name: str
    script: str
    options: Mapping[str, Any] | None = None
    beside: str = ""


WAYS = (
    Way("bare WebSocket", _WEB_SOCKET),
    Way("bare EventSource", _EVENT_SOURCE),
    Way("library", _LIBRARY, {}, "bare WebSocket"),
    Way("library, not shared", _LIBRARY, {"shared": False}, "bare WebSocket"),
    Way("library, not shared, SSE", _LIBRARY, {"shared": False, "transports": ["sse"]}, "bare EventSource"),
    Way("library, not shared, polls", _LIBRARY, {"shared": False, "transports": ["poll"]}, "bare EventSource"),
)


#: Of their memory: the library as it comes, and all of its own on one page.
_KEPT = (WAYS[2], WAYS[4])


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server with a fresh browser."""
    with megacomet(options.workers or WORKERS) as server, chromium() as browser:
        tab = Tab(server, browser)
        return [
            *_cpu(tab, options.pairs, options.seconds),
            *(figure for way in _KEPT for figure in _memory(tab, way)),
            *_tabs(tab, options.clients or TABS),
        ]


class Tab:
    """Chromium, and the server that its pages hear."""

    def __init__(self, server: Server, browser: Browser) -> None:
        self.server = server
        self._browser = browser
        self._tools = browser.new_browser_cdp_session()
        self._told: list[Any] = []
        self._tools.on(
            "Target.receivedMessageFromTarget", lambda event: self._told.append(json.loads(event["message"]))
        )

    @contextlib.contextmanager
    def opened(self, way: Way, pages: int = 1) -> Iterator[list[Page]]:
        """Open pages that hear, and share what the pages of a browser share; no others are there."""
        with self._browser.new_context() as context:
            opened = [context.new_page() for _ in range(pages)]
            for page in opened:
                page.set_default_timeout(_CONNECTED_S * 1000)
                page.goto(f"{self.server.url}/healthz")
                page.evaluate(way.script, way.options)
            yield opened

    def cpu_s(self) -> float:
        """Return the time that pages and shared workers have used of processors."""
        processes = self._tools.send("SystemInfo.getProcessInfo")["processInfo"]
        return measure.cpu_s([each["id"] for each in processes if each["type"] == "renderer"])

    def heap_mb(self, page: Page) -> float:
        """Return what JavaScript has in use after it was tidied up: a page's and its shared worker's."""
        tools = page.context.new_cdp_session(page)
        tools.send("HeapProfiler.collectGarbage")
        used: float = tools.send("Runtime.getHeapUsage")["usedSize"]
        targets = self._tools.send("Target.getTargets", {"filter": [{}]})["targetInfos"]
        workers = [each["targetId"] for each in targets if each["type"] == "shared_worker"]
        return (used + sum(self._worker_heap(page, target) for target in workers)) / 1e6

    def _worker_heap(self, page: Page, target: str) -> float:
        session = self._tools.send("Target.attachToTarget", {"targetId": target, "flatten": False})["sessionId"]
        self._told.clear()
        for number, method in enumerate(("HeapProfiler.collectGarbage", "Runtime.getHeapUsage")):
            call = json.dumps({"id": number, "method": method})
            self._tools.send("Target.sendMessageToTarget", {"sessionId": session, "message": call})
        while not (found := [each["result"]["usedSize"] for each in self._told if each.get("id") == 1]):
            page.wait_for_timeout(20)
        self._tools.send("Target.detachFromTarget", {"sessionId": session})
        return float(found[0])


def _cpu(tab: Tab, rounds: int, seconds: float) -> list[Figure]:
    """Let the ways take turns, each on a page of its own, which has been there for a second."""
    used: dict[str, list[float]] = {way.name: [] for way in WAYS}
    idle: list[float] = []
    for _ in range(rounds):
        for way in WAYS:
            with tab.opened(way) as [page], _published(tab.server):
                page.wait_for_timeout(1000)
                used[way.name].append(_share(tab, page, seconds))
        with tab.opened(WAYS[2]) as [page]:
            page.wait_for_timeout(1000)
            idle.append(_share(tab, page, seconds, per_s=0))
    figures = [Figure("library, connected and nothing sent", statistics.median(idle), "ms CPU a second")]
    for way in WAYS:
        ours, detail = used[way.name], ""
        if way.beside:
            ratio, pairs = ratios(ours, used[way.beside])
            detail = f"{ratio:.2f} times the {way.beside}, {pairs}"
        figures.append(
            Figure(f"{way.name}, {PER_S} messages/s", statistics.median(ours), "ms CPU a second", detail=detail)
        )
    return figures


def _share(tab: Tab, page: Page, seconds: float, per_s: int = PER_S) -> float:
    """Return what the renderers use of a processor, ms a second, while so many messages come."""
    seen, began, cpu_s = page.evaluate("seen"), time.monotonic(), tab.cpu_s()
    page.wait_for_timeout(seconds * 1000)
    used, lasted = tab.cpu_s() - cpu_s, time.monotonic() - began
    came = (page.evaluate("seen") - seen) / lasted
    if abs(came - per_s) > per_s / 10:
        raise RuntimeError(f"{came:.0f} messages/s came instead of {per_s}")
    return used / lasted * 1000


@contextlib.contextmanager
def _published(server: Server) -> Iterator[None]:
    """Publish `PER_S`, one by one, for as long as the block lasts."""

    def publish(over: threading.Event) -> None:
        with contextlib.closing(Publisher(server)) as publisher:
            due = time.monotonic()
            while not over.wait(max(0.0, due - time.monotonic())):
                due += 1 / PER_S
                publisher.publish(1)

    with meanwhile(publish):
        yield


class Publisher:
    """Publishes numbers, over one connection.

    Attributes:
        sent: how many.
    """

    def __init__(self, server: Server) -> None:
        self.sent = 0
        self._headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/x-ndjson"}
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def publish(self, number: int) -> None:
        """Publish so many in one request.

        Raises:
            RuntimeError: they were not accepted.
        """
        messages = ({"channel": CHANNEL, "data": {"n": self.sent + n, "text": "x" * 50}} for n in range(number))
        lines = "".join(json.dumps(message) + "\n" for message in messages)
        self._connection.request("POST", "/api/batch", lines, self._headers)
        answer = self._connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"a batch: {answer.status} {told[:200]!r}")
        self.sent += number

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _memory(tab: Tab, way: Way) -> list[Figure]:
    """Have a page hear many messages, as fast as it shows them."""
    with tab.opened(way) as [page], contextlib.closing(Publisher(tab.server)) as publisher:
        at_first = tab.heap_mb(page)
        began = time.monotonic()
        heaps = []
        for number in (FEW, MANY):
            while publisher.sent < number:
                publisher.publish(BATCH)
                page.wait_for_function("(least) => seen >= least", arg=publisher.sent - UNDER_WAY)
            page.wait_for_function("(least) => seen >= least", arg=number)
            heaps.append(tab.heap_mb(page))
        per_s = MANY / (time.monotonic() - began)
        seen, gaps = page.evaluate("[seen, gaps]")
    sizes = f"{at_first:.2f} MB at first, {heaps[0]:.2f} after {FEW:,}, {heaps[1]:.2f} after {MANY:,}"
    return [
        at_most(
            f"{way.name}, the heap has grown by",
            heaps[1] - heaps[0],
            "MB",
            GROWTH_MB,
            f"{sizes}; {per_s:,.0f} a second",
        ),
        all_of(f"{way.name}, messages shown ({gaps} gaps)", seen, MANY),
    ]


def _tabs(tab: Tab, number: int) -> list[Figure]:
    """Open many tabs of one browser."""
    with tab.opened(WAYS[2], number) as pages, contextlib.closing(Publisher(tab.server)) as publisher:
        publisher.publish(1)
        for page in pages:
            page.wait_for_function("seen === 1")
        measure.settled_cpu_s(tab.server.pids())
        connections = sum(tab.server.counted(transport) for transport in ("poll", "sse", "stream", "ws"))
        shown = sum(page.evaluate("seen") for page in pages)
    return [
        all_of(f"connections of {number} tabs", connections, 1),
        all_of("tabs that were shown a message", shown, number),
    ]
