"""The console in Chromium with many connected: how soon each page has its data, frames while scrolling, and its memory.

Chromium runs beside server and clients on the same processors, and paints with them, without a GPU: frames are worse
here than at an operator's desk. Minutes are measured too: memory over 60 times `--seconds`, a tail over 6 times.
Visits and requests during which other processes of the machine took much of it do not count, on both sides.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import attrs
from playwright.sync_api import CDPSession, Page

from bench import bystanders, measure
from bench.figures import Figure, Options, at_most
from bench.look import connected, timed
from bench.meanwhile import meanwhile
from bench.processes import Server, megacomet, readers
from megacomet.swarm.histogram import Histogram
from tests.integration.chromium import chromium

CLIENTS = 140_000
WORKERS = 8
#: A frame of 60 a second, ms.
FRAME_MS = 1000 / 60
HISTORY = 100
TAIL_PER_S = 5000
#: In one batch; so many are sent a second that it comes to `TAIL_PER_S`.
BATCH = 250
#: What the last hour's columns, which fill with time, may take, MB; the rest of a page is the same after an hour.
GROWTH_MB = 1.0
#: Page -> address, and how its heading begins.
PAGES = {
    "overview": ("#/", "Overview"),
    "channels": ("#/channels", "Channels"),
    "channels by subscribers": ("#/channels?sort=subscribers", "Channels"),
    "a channel": ("#/channels/c7", "c7"),
    "clients": ("#/clients", "Clients"),
    "a client": ("#/clients/sue", "sue"),
    "workers": ("#/workers", "Workers"),
    "broadcasts": ("#/broadcasts", "Broadcasts"),
    "events": ("#/events", "Events"),
    "audit": ("#/audit", "Audit"),
    "settings": ("#/settings", "Settings"),
}
#: What bystanders may have of the processors during a visit or a request that counts.
BYSTANDERS = 0.1
SCROLLED = ("overview", "channels", "settings")

#: Goes to a page; returns when it began, when its data was there (nothing of it is being loaded any more), and when the
#: frame behind that was made, in ms.
_VISIT = """async ([hash, heading]) => {
  const began = performance.now();
  location.hash = hash;
  const isThere = () => document.querySelector("main h1")?.textContent.trim().startsWith(heading)
    && !document.querySelector("main .empty[role=status], main [aria-busy=true]");
  await new Promise((resolve) => {
    const seen = new MutationObserver(() => isThere() && (seen.disconnect(), resolve()));
    seen.observe(document.body, { childList: true, subtree: true, attributes: true });
  });
  const there = performance.now();
  await new Promise(requestAnimationFrame);
  return [began, there, performance.now()];
}"""
#: Returns the addresses of what was asked for since some time, and answered by another.
_ANSWERED = """([began, there]) => performance.getEntriesByType("resource")
  .filter((each) => each.startTime >= began && each.responseEnd <= there)
  .map((each) => each.name)"""
#: Returns the ms between frames for some time, while it scrolls up and down or not.
_FRAMES = """async ([ms, scrolls]) => {
  const deltas = [];
  let before = await new Promise(requestAnimationFrame);
  const end = before + ms;
  for (let step = 12; before < end; ) {
    const most = document.documentElement.scrollHeight - innerHeight;
    if (scrolls) scrollBy(0, step);
    if (scrollY >= most) step = -12;
    else if (scrollY <= 0) step = 12;
    const now = await new Promise(requestAnimationFrame);
    deltas.push(now - before);
    before = now;
  }
  return deltas;
}"""
_LOADED = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((each) => !/\\/console\\/(api|session)/.test(each.name))
  .map((each) => [each.transferSize, each.decodedBodySize])"""


@attrs.frozen
class Console:
    """A page in Chromium that is signed in, and the server that it shows."""

    page: Page
    server: Server
    tools: CDPSession

    def visit(self, name: str) -> float:
        """Go to a page; return the ms until its data was drawn."""
        began, _, drawn = self._visit(name)
        return drawn - began

    def asked(self, name: str) -> list[str]:
        """Go to a page; return the paths of the API that it waited for until its data was there."""
        self.page.evaluate("performance.clearResourceTimings()")
        began, there, _ = self._visit(name)
        urls: list[str] = self.page.evaluate(_ANSWERED, [began, there])
        asked = [url.partition("/console/api/")[2] for url in urls]
        return ["/api/" + path for path in asked if path]

    def _visit(self, name: str) -> list[float]:
        times: list[float] = self.page.evaluate(_VISIT, list(PAGES[name]))
        return times

    def heap_mb(self) -> float:
        """Return what JavaScript has in use after it was tidied up."""
        self.tools.send("HeapProfiler.collectGarbage")
        used: float = self.tools.send("Runtime.getHeapUsage")["usedSize"]
        return used / 1e6

    def frames(self, seconds: float, *, scrolls: bool) -> list[float]:
        """Return the ms between frames, sorted."""
        deltas: list[float] = self.page.evaluate(_FRAMES, [seconds * 1000, scrolls])
        return sorted(deltas)


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server with one channel for each connection."""
    clients = options.clients or CLIENTS
    with megacomet(options.workers or WORKERS) as server, ExitStack() as stack:
        streams = stack.enter_context(readers(server, clients, "sse", "/comet/events?channel=c{n}"))
        stack.enter_context(readers(server, 1, "sse", "/comet/events?client=sue"))
        measure.wait_for(lambda: streams.waits(clients), 300, f"{clients} connections")
        for n in range(HISTORY):
            server.push(f"{n} " + "x" * 100, channel="c7")
        measure.settled_cpu_s(server.pids())
        console = stack.enter_context(_opened(server))
        return [
            *_first_visit(console),
            *_pages(console, options.seconds),
            *(_scrolled(console, name, options.seconds) for name in SCROLLED),
            _memory(console, options.seconds * 60),
            *_tail(console, options.seconds * 6),
        ]


@contextlib.contextmanager
def _opened(server: Server) -> Iterator[Console]:
    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{server.url}/console/")
        page.get_by_label("API key").fill(server.key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("status").get_by_text("live", exact=True).wait_for()
        yield Console(page, server, context.new_cdp_session(page))


def _first_visit(console: Console) -> list[Figure]:
    sizes: list[list[int]] = console.page.evaluate(_LOADED)
    sent, whole = (sum(each) / 1000 for each in zip(*sizes, strict=True))
    return [Figure("the first visit loads", sent, "KB", detail=f"{len(sizes)} files, {whole:.0f} KB unzipped")]


@attrs.define
class _Times:
    """How long visits to a page took, or the requests that it makes."""

    _all: list[tuple[int, int, float]] = attrs.field(factory=list)

    def add(self, measured: Callable[[], float]) -> None:
        """Measure once more, in ms."""
        began = time.monotonic_ns()
        ms = measured()
        self._all.append((began, time.monotonic_ns(), ms))

    def counted(self, watch: bystanders.Watch) -> list[float]:
        """Return those that no bystander met, in ms, the shortest first."""
        return sorted(ms for began, ended, ms in self._all if watch.share(began, ended) <= BYSTANDERS)

    def __len__(self) -> int:
        return len(self._all)


def _pages(console: Console, seconds: float) -> list[Figure]:
    """Visit the pages in turns, and ask the API what each has asked it, one request after the other.

    Who asks first changes from turn to turn: some answers are told again for seconds, and the second has them sooner.
    """
    paths = {name: _asked(console, name) for name in PAGES}
    end = time.monotonic() + seconds * len(PAGES)
    with connected(console.server) as connection, bystanders.watched() as watch:
        shown = {name: _Times() for name in PAGES}
        asked = {name: _Times() for name in PAGES}

        def visit(name: str) -> None:
            shown[name].add(lambda: console.visit(name))

        def ask(name: str) -> None:
            def answered() -> float:
                began = time.monotonic_ns()
                for path in paths[name]:
                    timed(connection, path, console.server.key, Histogram())
                return (time.monotonic_ns() - began) / 1e6

            asked[name].add(answered)

        for first, second in itertools.cycle(((visit, ask), (ask, visit))):
            for name in PAGES:
                first(name)
                second(name)
            if time.monotonic() >= end:
                break
    return [_page(name, shown[name], asked[name], paths[name], watch) for name in PAGES]


def _asked(console: Console, name: str) -> list[str]:
    console.visit("workers" if name == "overview" else "overview")
    return console.asked(name)


def _page(name: str, visits: _Times, requests: _Times, paths: Sequence[str], watch: bystanders.Watch) -> Figure:
    shown, asked = visits.counted(watch), requests.counted(watch)
    api_ms = _quantile(asked, 0.99) if paths else 0.0
    detail = f"p50 {_quantile(shown, 0.5):.1f}, max {shown[-1]:.1f} ms, {len(shown)} times"
    if disturbed := len(visits) - len(shown):
        detail += f" and {disturbed} that others on the machine disturbed"
    if paths:
        detail += f"; the API's p99 {api_ms:.1f}, p50 {_quantile(asked, 0.5):.1f} ms: {' '.join(paths)}"
    else:
        detail += "; no answer is waited for: live frames have it"
    return at_most(f"{name} shown, p99", _quantile(shown, 0.99), "ms", round(api_ms + FRAME_MS, 1), detail)


def _scrolled(console: Console, name: str, seconds: float) -> Figure:
    console.visit(name)
    return _smooth(f"{name}, frames while scrolling", console.frames(seconds, scrolls=True))


def _smooth(name: str, deltas: Sequence[float]) -> Figure:
    late = sum(each > 1.5 * FRAME_MS for each in deltas) / len(deltas)
    detail = (
        f"p99 {_quantile(deltas, 0.99):.1f}, longest {deltas[-1]:.1f} ms; {late:.1%} later than half a frame; no GPU"
    )
    return Figure(name, len(deltas) / sum(deltas) * 1000, "frames/s", detail=detail)


def _memory(console: Console, seconds: float) -> Figure:
    """Leave the overview open."""
    console.visit("workers")
    console.visit("overview")
    heaps = [console.heap_mb()]
    for _ in range(4):
        console.page.wait_for_timeout(seconds * 1000 / 4)
        heaps.append(console.heap_mb())
    detail = f"{' '.join(f'{mb:.2f}' for mb in heaps)} MB, {seconds / 4:g} s apart"
    return at_most("the overview's heap has grown by", heaps[-1] - heaps[0], "MB", GROWTH_MB, detail)


def _tail(console: Console, seconds: float) -> list[Figure]:
    """Tail a channel to which much is published."""
    console.visit("a channel")
    console.page.get_by_role("button", name="Start tail").click()
    with _flood(console.server, "c7") as sent:
        console.page.wait_for_timeout(2000)
        before = console.heap_mb()
        sent_before, began = sent[0], time.monotonic()
        deltas = console.frames(seconds, scrolls=False)
        per_s = (sent[0] - sent_before) / (time.monotonic() - began)
        after = console.heap_mb()
    smooth = _smooth(f"a tail of {per_s:,.0f} messages/s, frames", deltas)
    detail = f"{before:.2f} to {after:.2f} MB in {seconds:g} s"
    return [smooth, at_most("its heap has grown by", after - before, "MB", GROWTH_MB, detail)]


@contextlib.contextmanager
def _flood(server: Server, channel: str) -> Iterator[list[int]]:
    """Publish `TAIL_PER_S` for as long as the block lasts; gives how many were, as it goes on."""
    sent = [0]
    lines = "".join(json.dumps({"channel": channel, "data": {"n": n, "text": "x" * 50}}) + "\n" for n in range(BATCH))

    def publish(over: threading.Event) -> None:
        headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/x-ndjson"}
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        due = time.monotonic()
        while not over.wait(max(0.0, due - time.monotonic())):
            due += BATCH / TAIL_PER_S
            connection.request("POST", "/api/batch", lines, headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"a batch: {answer.status} {answer.read(200)!r}")
            answer.read()
            sent[0] += BATCH
        connection.close()

    with meanwhile(publish):
        yield sent


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
