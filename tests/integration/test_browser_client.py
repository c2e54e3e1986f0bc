"""The client for browsers, as a real server sends it: pages of other origins load it, those kept apart too."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page

from tests.integration.consoles import SHOWN_MS, Site

#: Loads nothing from elsewhere that does not say that it may be loaded.
KEPT_APART = {"Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Opener-Policy": "same-origin"}
#: Loads a script by an element; resolves to whether it came.
BY_ELEMENT = """(src) => new Promise((resolve) => {
  const script = Object.assign(document.createElement("script"), { src });
  script.onload = () => resolve(true);
  script.onerror = () => resolve(false);
  document.head.append(script);
})"""


class KeptApart(BaseHTTPRequestHandler):
    """A page in a browser's strictest mode."""

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "text/html", "Content-Length": "15", **KEPT_APART}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html>")

    def log_message(self, *args: object) -> None:
        """The test's own output is enough."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of another origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), KeptApart) as server, browser.new_context() as context:
        Thread(target=server.serve_forever, daemon=True).start()
        page = context.new_page()
        page.set_default_timeout(SHOWN_MS)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield page
        server.shutdown()


def test_pages_of_another_origin_load_it(page: Page, site: Site) -> None:
    """As a module and as a script; what does not say that it may be loaded is not, by the same page."""
    assert page.evaluate("crossOriginIsolated")
    names = page.evaluate("async (url) => Object.keys(await import(url))", f"{site.origin}/megacomet.mjs")
    assert "MegaComet" in names
    assert page.evaluate("typeof MegaComet") == "undefined"
    assert page.evaluate(BY_ELEMENT, f"{site.origin}/megacomet.js")
    assert page.evaluate("typeof MegaComet") == "function"
    assert not page.evaluate(BY_ELEMENT, f"{site.origin}/nobody.js?timeout=0&callback=f")


def test_a_browser_asks_whether_it_has_changed(site: Site) -> None:
    """The same from every worker: a page is sent it once."""
    tags = set()
    for _ in range(20):  # each a connection of its own, which the kernel gives to any worker
        connection = http.client.HTTPConnection(site.server.host, site.server.port, timeout=SHOWN_MS / 1000)
        connection.request("GET", "/megacomet.mjs")
        whole = connection.getresponse()
        assert (whole.status, len(whole.read())) == (200, int(whole.headers["Content-Length"]))
        tags.add(whole.headers["ETag"])
        connection.request("GET", "/megacomet.mjs", headers={"If-None-Match": whole.headers["ETag"]})
        known = connection.getresponse()
        assert (known.status, known.read()) == (304, b"")
        connection.close()
    assert len(tags) == 1
