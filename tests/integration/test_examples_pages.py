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


def test_eventsource(desk: Desk) -> None:
    """It shows what is pushed, tells when it is away, and comes back by itself, and says if it missed some."""
    page = desk.open(desk.context(), "eventsource.html")
    is_said(page, "live")
    desk.server.push({"channel": "news", "data": "<b>hello</b>"})
    desk.server.push({"channel": "news", "data": {"title": "hello"}})
    before = ["<b>hello</b>", '{"title":"hello"}']
    sees(page, *before)
    desk.server.stop()
    is_said(page, "away")
    desk.start_again()
    is_said(page, "live")
    desk.server.push({"channel": "news", "data": "back"})
    sees(page, *before, f"({GAP} here)", "back")


def say(page: Page, who: str, text: str) -> None:
    """Write something and press the button."""
    page.get_by_label("Your name").fill(who)
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Message")).to_have_value("", timeout=SHOWN_MS)


def test_chat(desk: Desk) -> None:
    """Two tabs talk; one is loaded again and has missed nothing; the server is restarted, and they talk on."""
    context = desk.context()
    ann, bob = desk.open(context, "chat.html"), desk.open(context, "chat.html")
    for page in (ann, bob):
        is_said(page, "connected")
    say(ann, "Ann", "hello")
    sees(bob, "Ann: hello")
    say(bob, "Bob", "<i>hi</i>")
    said = ["Ann: hello", "Bob: <i>hi</i>"]
    for page in (ann, bob):
        sees(page, *said)

    bob.goto("about:blank")
    say(ann, "Ann", "still there?")
    bob.goto(f"{desk.origin}/chat.html")
    said.append("Ann: still there?")
    sees(bob, *said)

    desk.server.stop()
    for page in (ann, bob):
        is_said(page, "connecting")
    desk.start_again()
    for page in (ann, bob):
        said_now = [*said, f"(here: {GAP})"]
        sees(page, *said_now)
        is_said(page, "connected")
    say(bob, "Bob", "yes")
    for page in (ann, bob):
        sees(page, *said_now, "Bob: yes")
