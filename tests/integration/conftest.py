"""What the tests of the console share: a browser and a server for a module, tabs for a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.integration.chromium import chromium
from tests.integration.consoles import OPTIONS, Site, Tabs
from tests.integration.server import Server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. It goes with the module: as long as it is there, this thread has a running loop of asyncio."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with two workers, for tests that leave it as it was."""
    with Server(tmp_path_factory.mktemp("console") / "state", *OPTIONS) as server:
        yield Site(server)


@pytest.fixture
def tabs(browser: Browser, site: Site) -> Iterator[Tabs]:
    """Opens tabs on the server of the module; fails the test when a page has done what it must never do."""
    opened = Tabs(browser, site)
    yield opened
    opened.close()
