"""The example pages as they stand, in real tabs, from an origin of their own; the server is restarted under them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.integration.chromium import chromium
from tests.integration.server import UNIT_S, Server
from tests.integration.test_examples import EXAMPLES

#: How long a page may take to show something. An EventSource waits up to 5 s before it comes back.
SHOWN_MS: Final = 6 * UNIT_S * 1000
#: Where the pages have the server.
ADDRESS: Final = "127.0.0.1:8080"
GAP: Final = "something may be missing"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def page_server(directory: Path) -> Iterator[str]:
    """Serve a directory, as `python3 -m http.server` does; the origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=directory))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Desk:
    """A server, a browser that finds it where the pages say, and the pages' own server."""

    def __init__(self, stack: ExitStack, state_dir: Path) -> None:
        self._stack = stack
        self._state_dir = state_dir
        self.server = self._start(0)
        self.origin = stack.enter_context(page_server(EXAMPLES))
        rule = f"--host-resolver-rules=MAP {ADDRESS} 127.0.0.1:{self.server.port}"
        self._browser = stack.enter_context(chromium(rule))
        self.faults: list[str] = []

    def _start(self, port: int) -> Server:
        options = (f"--port={port}", "--interface=127.0.0.1", "--client-publish")
        return self._stack.enter_context(Server(self._state_dir, *options))

    def start_again(self) -> None:
        """Start the server where it was."""
        self.server = self._start(self.server.port)

    def context(self) -> BrowserContext:
        """Of tabs that share what a browser shares among tabs."""
        context = self._browser.new_context()
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        return context

    def open(self, context: BrowserContext, name: str) -> Page:
        """Open a page in a tab."""
        page = context.new_page()
        page.set_default_timeout(SHOWN_MS)
        page.goto(f"{self.origin}/{name}")
        return page


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all pages. None of them has thrown anything by the end."""
    with ExitStack() as stack:
        desk = Desk(stack, tmp_path_factory.mktemp("pages") / "state")
        yield desk
        assert desk.faults == []


def sees(page: Page, *lines: str) -> None:
    """Wait until the page's list is exactly this."""
    expect(page.locator("li")).to_have_text(list(lines), timeout=SHOWN_MS)


def is_said(page: Page, status: str) -> None:
    """Wait until the page's status is this."""
    expect(page.get_by_role("status")).to_have_text(status, timeout=SHOWN_MS)


class News:
    """eventsource.html in a tab."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._page = desk.open(desk.context(), "eventsource.html")
        self._shown: list[str] = []

    def follows(self) -> None:
        """It shows what is pushed, as text."""
        is_said(self._page, "live")
        self._desk.server.push({"channel": "news", "data": "<b>hello</b>"})
        self._desk.server.push({"channel": "news", "data": {"title": "hello"}})
        self._shown += ["<b>hello</b>", '{"title":"hello"}']
        sees(self._page, *self._shown)

    def is_away(self) -> None:
        """It tells that the server is."""
        is_said(self._page, "away")

    def goes_on(self) -> None:
        """It has come back by itself, says that it may have missed something, and shows what is pushed."""
        is_said(self._page, "live")
        self._desk.server.push({"channel": "news", "data": "back"})
        sees(self._page, *self._shown, f"({GAP} here)", "back")


class Chat:
    """chat.html in two tabs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        context = desk.context()
        self._ann, self._bob = self._tabs = [desk.open(context, "chat.html") for _ in range(2)]
        self._shown: list[str] = []

    def _say(self, page: Page, who: str, text: str) -> None:
        """Write something and press the button; both have it."""
        page.get_by_label("Your name").fill(who)
        page.get_by_label("Message").fill(text)
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_label("Message")).to_have_value("", timeout=SHOWN_MS)
        self._shown.append(f"{who}: {text}")

    def _both_see_it(self) -> None:
        for page in self._tabs:
            sees(page, *self._shown)

    def talks(self) -> None:
        """What one writes both show; who loads the page again goes on where it was, and has missed nothing."""
        for page in self._tabs:
            is_said(page, "connected")
        self._say(self._ann, "Ann", "hello")
        self._both_see_it()
        self._say(self._bob, "Bob", "<i>hi</i>")
        self._both_see_it()
        for data in (None, 7, {"who": {"toString": 0}, "text": "x"}, {"who": "Eve"}):  # nobody's page stumbles over it
            self._desk.server.push({"channel": "chat", "data": data})
        self._bob.goto("about:blank")
        self._say(self._ann, "Ann", "still there?")
        self._bob.goto(f"{self._desk.origin}/chat.html")
        self._both_see_it()

    def is_away(self) -> None:
        """Both tell that the server is."""
        for page in self._tabs:
            is_said(page, "connecting")

    def goes_on(self) -> None:
        """Both have come back by themselves, and talk on."""
        self._shown.append(f"(here: {GAP})")
        self._both_see_it()
        self._say(self._bob, "Bob", "yes")
        self._both_see_it()


def test_over_a_restart(desk: Desk) -> None:
    """The pages show what they are there for, tell when the server is away, and go on by themselves when it is back."""
    pages = News(desk), Chat(desk)
    pages[0].follows()
    pages[1].talks()
    desk.server.stop()
    for page in pages:
        page.is_away()
    desk.start_again()
    for page in pages:
        page.goes_on()
