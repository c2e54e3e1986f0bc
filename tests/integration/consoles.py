"""The console in a real browser, on a real server: pages that are signed in, and what went wrong in them unseen.

A test opens tabs (`Tabs.open`); each has a browser context of its own, or shares the one of another tab. What a page
must never do fails the test at its end: an error in the browser's console, an exception, a breach of the policy, a
request to another host. What a test provokes of that it announces: `Tab.expects`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.integration.server import UNIT_S, Server
from tests.integration.test_keys import new_key
from tests.integration.test_workers import KEPT, LOOPBACK, ask

#: How long a page may take to show something.
SHOWN_MS: Final = 4 * UNIT_S * 1000
#: Where the server of a test listens, and that it keeps history and mailboxes.
OPTIONS: Final = (*LOOPBACK, *KEPT)
#: As the browser has it, the first look at a session of somebody who has none is an error.
_NO_SESSION_YET: Final = r"status of 401 .*/console/session$"
#: The policy's breaches are told in the page, and only some of them in the browser's console.
_TELL_BREACHES: Final = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));"""

#: The page asks for the session only where somebody has signed in before.
_MARK: Final = "if (location.origin !== 'null') localStorage.setItem('megacomet-signed-in', '1')"

#: Two frames later Preact has drawn.
_GO: Final = """async (hash) => {
  if (location.hash !== hash) await new Promise((resolve) => {
    addEventListener("hashchange", resolve, { once: true });
    location.hash = hash;
  });
  for (const _ of [1, 2]) await new Promise((resolve) => requestAnimationFrame(resolve));
}"""

expect.set_options(timeout=SHOWN_MS)


class Site:
    """A server, and keys for it.

    Attributes:
        server: see `Server`.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._keys: dict[str, str] = {}

    @property
    def origin(self) -> str:
        """Of its address, without a path."""
        return f"http://{self.server.host}:{self.server.port}"

    def key(self, scope: str) -> str:
        """Return a key of a scope: the server's own for admin, else one that is called as its scope."""
        if scope == "admin":
            return self.server.key
        if scope not in self._keys:
            self._keys[scope] = new_key(self.server, scope, scope)
        return self._keys[scope]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the API, as admin; return the answer's JSON. Refusals fail the test."""
        status, answer = ask(self.server, method, path, body)
        assert status < 300, (method, path, status, answer)
        return answer

    def push(self, channel: str, data: object) -> Any:
        """Publish a message; return the answer's JSON."""
        return self.ask("POST", "/api/push", {"channel": channel, "data": data})

    @contextmanager
    def streams(self, *queries: str) -> Iterator[list[socket.socket]]:
        """Readers of `GET /comet/events?…`; the server has them."""
        with self._connected(*(f"/comet/events?{query}" for query in queries)) as sockets:
            for each in sockets:
                head = each.recv(4096)
                assert head.startswith(b"HTTP/1.1 200 "), head
            yield sockets

    @contextmanager
    def polls(self, *clients: str) -> Iterator[list[socket.socket]]:
        """Long-polls of `GET /<client>.js`; they are on their way, and nobody is told when they are parked."""
        with self._connected(*(f"/{client}.js" for client in clients)) as sockets:
            yield sockets

    @contextmanager
    def _connected(self, *paths: str) -> Iterator[list[socket.socket]]:
        with ExitStack() as stack:
            sockets = [stack.enter_context(self.server.connect()) for _ in paths]
            for each, path in zip(sockets, paths, strict=True):
                each.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            yield sockets


class Tab:
    """A tab of the browser that shows the console.

    Attributes:
        page: of Playwright.
        main: the part of it that the page of the address draws.
    """

    def __init__(self, page: Page, site: Site, watch: Watch) -> None:
        self.page = page
        self.main = page.locator("main")
        self._site = site
        self._watch = watch

    @property
    def context(self) -> BrowserContext:
        """Of the tab: its cookies, and whether it is offline."""
        return self.page.context

    def expects(self, pattern: str) -> None:
        """Announce an error: a regular expression, found in what the browser says and the address of the script."""
        self._watch.expected.append(pattern)

    def go(self, at: str) -> Tab:
        """Go to a page of the console by its address, `#/channels`, as a link does; its first drawing is there then."""
        self.page.evaluate(_GO, at)
        return self

    def load(self, at: str = "#/") -> Tab:
        """Load the console anew, at a page."""
        self.page.goto("about:blank")
        self.page.goto(f"{self._site.origin}/console/{at}")
        return self

    def button(self, name: str) -> Locator:
        """A button by its exact text, in a dialog if one is open."""
        dialog = self.page.get_by_role("dialog")
        within = dialog if dialog.count() else self.page
        return within.get_by_role("button", name=name, exact=True)

    def sees(self, text: str | re.Pattern[str]) -> None:
        """Wait until a text is shown."""
        expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible()

    def sign_in(self, key: str) -> None:
        """Write a key where it is asked for, and press the button."""
        self.page.get_by_label("API key").fill(key)
        self.button("Sign in").click()

    def is_signed_in(self) -> None:
        """Wait until it is."""
        expect(self.page.get_by_role("navigation", name="Pages", exact=True)).to_be_visible()

    def is_signed_out(self) -> None:
        """Wait until the key is asked for."""
        expect(self.page.get_by_label("API key")).to_be_visible()

    def is_settled(self) -> None:
        """Wait until nothing is being loaded."""
        self.is_signed_in()
        expect(self.main.locator(".empty[role=status], [aria-busy=true]")).to_have_count(0)

    def is_live(self) -> None:
        """Wait until what is shown comes from the server each second."""
        expect(self.page.get_by_role("status").get_by_text("live", exact=True)).to_be_visible()


class Watch:
    """What went wrong in the tabs of one browser context.

    Attributes:
        faults: in words.
        expected: patterns of those that are none.
    """

    def __init__(self, context: BrowserContext, host: str) -> None:
        """Watch from now on; nothing may be asked of another host."""
        self.faults: list[str] = []
        self.expected = [_NO_SESSION_YET]
        self._host = host
        context.add_init_script(_TELL_BREACHES)
        context.on("console", self._said)
        context.on(
            "weberror",
            lambda error: self.faults.append(f"exception: {getattr(error.error, 'stack', None) or error.error}"),
        )
        context.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.faults.append(f"{message.type}: {message.text} at {message.location['url']}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != self._host:
            self.faults.append(f"request to another host: {request.url}")

    def unexpected(self) -> list[str]:
        """Return what must not have happened."""
        return [each for each in self.faults if not any(re.search(pattern, each) for pattern in self.expected)]


class Tabs:
    """The tabs of a test, with the browser contexts that they are in."""

    def __init__(self, browser: Browser, site: Site) -> None:
        self._browser = browser
        self._site = site
        self._watched: dict[BrowserContext, Watch] = {}

    def open(self, scope: str | None = "admin", at: str = "#/", beside: Tab | None = None, **options: Any) -> Tab:
        """Open a tab at a page.

        Args:
            scope: of the key that it has signed in with, "admin" or "read"; None: nobody has.
            at: the page.
            beside: a tab whose browser context it shares, with its session; else it has one of its own.
            options: of that context: `viewport`, `color_scheme`, `reduced_motion` …
        """
        context = beside.context if beside else self._context(options)
        if scope is not None and beside is None:
            self.begin_session(context, self._site.key(scope))
        page = context.new_page()
        page.set_default_timeout(SHOWN_MS)
        tab = Tab(page, self._site, self._watched[context]).load(at)
        if scope is not None:
            tab.is_signed_in()
        return tab

    def sign_in(self, tab: Tab, scope: str = "admin") -> None:
        """Sign a tab in that has no session, and load it again."""
        self.begin_session(tab.context, self._site.key(scope))
        tab.load().is_signed_in()

    def begin_session(self, context: BrowserContext, key: str) -> None:
        """Sign in without the page, for tests of something else."""
        answer = context.request.post(f"{self._site.origin}/console/session", data={"key": key})
        assert answer.ok, answer.text()
        context.add_init_script(_MARK)

    def _context(self, options: dict[str, Any]) -> BrowserContext:
        context = self._browser.new_context(**options)
        self._watched[context] = Watch(context, urlsplit(self._site.origin).netloc)
        return context

    def close(self) -> None:
        """Close all, and fail if a page has done what it must never do."""
        faults = [fault for watch in self._watched.values() for fault in watch.unexpected()]
        for context in self._watched:
            context.close()
        assert not faults, "in the browser:\n" + "\n".join(faults)
