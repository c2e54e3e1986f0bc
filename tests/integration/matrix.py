"""The matrix of clients: the stage with everybody on it, for its test and for its long form, a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from playwright.sync_api import Browser

from tests.integration.chromium_crew import ChromiumCrew, serve_page, tabs
from tests.integration.python_crew import PythonCrew
from tests.integration.stage import HURRY, Stage


@attrs.frozen
class House:
    """The stage, with everybody on it."""

    stage: Stage
    chromium: ChromiumCrew
    python: PythonCrew

    def faults(self) -> list[str]:
        """Return what has gone wrong in pages and programs unseen."""
        return [*self.chromium.faults(), *self.python.faults()]


@contextmanager
def everybody(browser: Browser, directory: Path, hurry: int = HURRY) -> Iterator[House]:
    """A server, the proxy before it, and all clients, connected.

    Args:
        browser: for the tabs.
        directory: for the server's state.
        hurry: how many times as fast the clients' clocks run.
    """
    with Stage(directory, hurry) as stage:
        serve_page(stage.between, stage.browser_client(), hurry)
        with tabs(browser, stage.between.url) as chromium, PythonCrew(stage.between.port, hurry) as python:
            stage.join(chromium)
            stage.join(python)
            yield House(stage, chromium, python)
