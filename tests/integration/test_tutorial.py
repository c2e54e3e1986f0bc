"""docs/tutorial/live-page.md, followed to the letter: each command is run, and the page is opened in two tabs."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.programs import user_environ
from tests.integration.test_cli import free_port
from tests.integration.test_examples_pages import SHOWN_MS, is_said, sees
from tests.integration.walking import Walk
from tests.test_wheel import ROOT, SOURCES

PAGE: Final = (ROOT / "docs/tutorial/live-page.md").read_text("utf-8")
#: The ports of the page: of MegaComet, and of the backend.
COMET, BACKEND = "8080", "5000"
#: What the page's `pip install` brings besides MegaComet: commands of packages that our own Python has.
BROUGHT: Final = ("flask", "twistd")
READY: Final = r"ready: http"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of ours: what is built in it leaves things behind."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test has started."""
    with ExitStack() as opened:
        yield opened


def environment() -> dict[str, str]:
    """Return that of the reader, who has no package index: packages of others are our own Python's."""
    ours = sysconfig.get_path("purelib")
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return user_environ(PYTHONPATH=ours, **pip)


def bring(commands: Path) -> None:
    """Put the commands there that pip would have, had it not found their packages already."""
    for name in BROUGHT:
        [point] = entry_points(group="console_scripts", name=name)
        script = (
            f"#!{commands}/python3\nimport sys\nfrom {point.module} import {point.attr}\nsys.exit({point.attr}())\n"
        )
        (commands / name).write_text(script, "utf-8")
        (commands / name).chmod(0o755)


def publish(page: Page, text: str) -> None:
    """Write something and press the button."""
    page.get_by_label("What is new?").fill(text)
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_label("What is new?")).to_have_value("", timeout=SHOWN_MS)


def test_the_live_page(checkout: Path, stack: ExitStack, browser: Browser) -> None:
    """Who follows it has a page that keeps its feed through a restart of the server."""
    comet, backend = (stack.enter_context(free_port()) for _ in range(2))
    walk = Walk(stack, PAGE, checkout, environment(), {COMET: str(comet), BACKEND: str(backend)})
    walk.run()
    bring(checkout / "live/bin")
    server = walk.start()
    walk.save()
    walk.save()
    app = walk.start()

    context = browser.new_context()
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    one, other = tabs = context.new_page(), context.new_page()
    for page in tabs:
        page.goto(f"http://127.0.0.1:{backend}/")
        is_said(page, "connected")
    publish(one, "the first")
    for page in tabs:
        sees(page, "the first")
    other.reload()
    sees(other, "the first")

    server.interrupt()
    for page in tabs:
        is_said(page, "connecting")
    publish(one, "while it was away")
    app.wait_for("not pushed")
    sees(one, "the first", "while it was away")
    sees(other, "the first")

    walk.start(READY)
    for page in tabs:
        is_said(page, "connected")
        sees(page, "the first", "while it was away")
    publish(other, "afterwards")
    for page in tabs:
        sees(page, "the first", "while it was away", "afterwards")
    walk.assert_over()
    assert faults == []
