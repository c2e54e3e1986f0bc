"""The browser's client in real Chromium: tabs that share a connection in both ways, and clients of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

from tests.integration.between import Between
from tests.integration.crews import FEED, SHOWN_S, Showing
from tests.integration.numbers import Gap, Message

_JS: Final = Path(__file__).parents[1] / "js"
#: The path of the page; the proxy serves it.
PATH: Final = "/crew"
#: Who has no SharedWorker shares by a leader among the tabs.
NO_SHARED_WORKER: Final = "delete globalThis.SharedWorker"
HOUR_MS: Final = 3_600_000
ALL: Final = ("websocket", "sse", "poll")
#: Context -> what its tabs are to have lost of the browser, and for each tab its clients with their options.
TABS: Final[dict[str, tuple[str, list[dict[str, dict[str, Any]]]]]] = {
    "worker": ("", [{"worker-1": {}}, {"worker-2": {}}]),
    "leader": (NO_SHARED_WORKER, [{"leader-1": {}}, {"leader-2": {}}]),
    "own": (
        "",
        [
            {
                "own": {"shared": False},
                "websocket": {"shared": False, "transports": ["websocket"]},
                "sse": {"shared": False, "transports": ["sse"]},
                "poll": {"shared": False, "transports": ["poll"]},
            }
        ],
    ),
}


def serve_page(between: Between, library: str, hurry: int, path: str = PATH) -> None:
    """Have the proxy serve a page, and a library with faster clocks.

    Args:
        library: the classic script, as the server serves it.
        hurry: how many times as fast they run.
        path: of the page; the library is beside it.
    """
    script = f"{path}-megacomet.js"
    clocks = (_JS / "hurry.js").read_text().replace("const RATE = 10;", f"const RATE = {hurry};")
    between.serve(path, f'<!doctype html><script src="{PATH}.js"></script><script src="{script}"></script>')
    between.serve(f"{PATH}.js", (_JS / "crew.js").read_text(), "text/javascript; charset=utf-8")
    between.serve(script, clocks + library, "text/javascript; charset=utf-8")


class ChromiumCrew:
    """See `Crew`; to be used by the browser's thread.

    Attributes:
        clients: see `Crew`.
        pages: each client's.
    """

    def __init__(self, pages: Iterable[tuple[Page, Mapping[str, Mapping[str, Any]]]]) -> None:
        """
        Args:
            pages: that are loaded, and which clients listen in each, with their options.
        """
        self.clients: dict[str, tuple[str, ...]] = {}
        self.pages: dict[str, Page] = {}
        self._cdp: list[CDPSession] = []
        for page, clients in pages:
            for name, options in clients.items():
                self.clients[name] = tuple(options.get("transports", ALL))
                self.pages[name] = page
                page.evaluate("([name, options, feed]) => crew.listen(name, options, feed)", [name, options, FEED])
        for name, transports in self.clients.items():
            self.wait_transport(name, transports[0])

    def _tabs(self) -> list[Page]:
        return list(dict.fromkeys(self.pages.values()))

    def take(self) -> Iterator[Showing]:
        """See `Crew`."""
        for page in self._tabs():
            for name, shown in page.evaluate("crew.take()"):
                for channel, *what in shown:
                    yield Showing(name, channel, Message(*what) if what else Gap())

    def wait(self, last: Mapping[str, Mapping[str, int]]) -> None:
        """See `Crew`."""
        for page in self._tabs():
            wanted = {name: channels for name, channels in last.items() if self.pages[name] is page}
            missing = page.evaluate("([last, ms]) => crew.shown(last, ms)", [wanted, SHOWN_S * 1000])
            assert not missing, missing

    def wait_transport(self, client: str, transport: str) -> None:
        """See `Crew`."""
        words = self.pages[client].evaluate(
            "([name, transport, ms]) => crew.transport(name, transport, ms)", [client, transport, SHOWN_S * 1000]
        )
        assert not words, words

    def sleep(self) -> None:
        """See `Crew`: pages are frozen, and the clock on the wall goes on for an hour."""
        for page in self._tabs():
            page.evaluate(f"sleptFor({HOUR_MS})")
        for tool in self._tools():
            tool.send("Page.setWebLifecycleState", {"state": "frozen"})

    def wake(self) -> None:
        """See `Crew`."""
        for tool in self._tools():
            tool.send("Page.setWebLifecycleState", {"state": "active"})

    def _tools(self) -> list[CDPSession]:
        if not self._cdp:
            self._cdp = [page.context.new_cdp_session(page) for page in self._tabs()]
        return self._cdp

    def faults(self) -> list[str]:
        """Return what has gone wrong in the pages unseen."""
        return [fault for page in self._tabs() for fault in page.evaluate("crew.faults")]


@contextmanager
def tabs(browser: Browser, url: str) -> Iterator[ChromiumCrew]:
    """Open all tabs on the proxy's page, and have their clients listen."""
    contexts: list[BrowserContext] = []
    try:
        pages = []
        for script, each in TABS.values():
            contexts.append(context := browser.new_context())
            context.add_init_script(script)
            for clients in each:
                page = context.new_page()
                page.goto(f"{url.rstrip('/')}{PATH}")
                pages.append((page, clients))
        yield ChromiumCrew(pages)
    finally:
        for context in contexts:
            context.close()
