"""The tabs of a real browser share one connection: by a shared worker, and by the tab that leads the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.integration.consoles import OPTIONS, SHOWN_MS, Site
from tests.integration.server import Server

TABS: Final = 8
CLIENT: Final = "sue"
#: Numbers that are published from one end of a tab to the next.
NUMBERS: Final = 20
#: A page of the server's own origin.
PAGE: Final = "/healthz"
NO_WORKER: Final = "delete globalThis.SharedWorker;"

LISTEN: Final = """async (channel) => {
  const { MegaComet } = await import("/megacomet.mjs");
  globalThis.told = [];
  globalThis.comet = new MegaComet({ client: "sue" });
  const subscription = comet.subscribe(channel);
  subscription.on("message", ({ data }) => told.push(data));
  await new Promise((go) => subscription.once("subscribed", go));
}"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server that nobody else is connected to."""
    with Server(tmp_path / "state", *OPTIONS) as server:
        yield Site(server)


@pytest.fixture
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    """A browser with tabs that have what the test's means leave them."""
    with browser.new_context() as made:
        made.add_init_script(getattr(request, "param", ""))
        yield made


def listening(context: BrowserContext, site: Site, channel: str) -> Page:
    """Open a tab that hears a channel."""
    page = context.new_page()
    page.set_default_timeout(SHOWN_MS)
    page.goto(f"{site.origin}{PAGE}")
    page.evaluate(LISTEN, channel)
    return page


def connections(site: Site) -> int:
    """How many the server holds, as its workers say now; what `GET /api/stats` says may be a second old."""
    return len(site.ask("GET", f"/api/clients/{CLIENT}")["connections"])


@pytest.mark.parametrize(
    "context", [pytest.param("", id="worker"), pytest.param(NO_WORKER, id="leader")], indirect=True
)
def test_eight_tabs_hold_one_connection_and_miss_nothing(
    context: BrowserContext, site: Site, request: pytest.FixtureRequest
) -> None:
    """Numbers come while one tab after the other is closed, each time the one that leads; the others have them all."""
    channel = f"tabs-{request.node.callspec.id}"
    tabs = [listening(context, site, channel) for _ in range(TABS)]
    assert connections(site) == 1

    published = 0
    for _ in range(3):
        for _ in range(NUMBERS):
            site.push(channel, published)
            published += 1
        tabs.pop(0).close()
    for tab in tabs:
        tab.wait_for_function(f"told.at(-1) === {published - 1}")

    receipt = site.ask("POST", "/api/push?receipt=1", {"channel": channel, "data": published})

    assert receipt["connections"] == 1
    for tab in tabs:
        tab.wait_for_function(f"told.at(-1) === {published}")
        assert tab.evaluate("told") == list(range(published + 1))


def test_a_tab_that_is_loaded_again_goes_on_where_it_was(context: BrowserContext, site: Site) -> None:
    """The page says a name for its position, is away for a while, and tells what came meanwhile."""
    channel = "tabs-remembered"
    tab = listening(context, site, channel)
    remembering = LISTEN.replace("client:", 'remember: "here", client:')
    tab.reload()
    tab.evaluate(remembering, channel)
    site.push(channel, 0)
    tab.wait_for_function("told.at(-1) === 0")
    tab.goto("about:blank")
    site.push(channel, 1)
    tab.goto(f"{site.origin}{PAGE}")
    tab.evaluate(remembering, channel)
    site.push(channel, 2)
    tab.wait_for_function("told.at(-1) === 2")

    assert tab.evaluate("told") == [1, 2]
