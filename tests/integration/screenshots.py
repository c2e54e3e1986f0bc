"""`python -m tests.integration.screenshots [--to FOLDER] [--clients N] [PAGE …]`: the console's pages as pictures.

A real server with a swarm on all transports that is pushed to, and odd names besides; each page light, dark and at 360
pixels, and the sign-in. The folder (`build/screenshots`) is none of git's.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser

from tests.integration.chromium import chromium
from tests.integration.consoles import OPTIONS, Site, Tabs
from tests.integration.scenes import PAGES, busy
from tests.integration.server import Server, environ

FOLDER: Final = Path(__file__).parents[2] / "build" / "screenshots"
CLIENTS: Final = 2000
WORKERS: Final = 4
#: The swarm runs for so long before the pictures are taken, so that the charts have something to show.
LIVE_MS: Final = 120_000
OVERVIEW: Final = "#/?range=300"
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "device_scale_factor": 2},
}
SWARM: Final = (
    *("--mix", "script=2,sse=3,stream=1,ws=3", "--channels", "2", "--rooms", "200", "--hold", "3600", "--quiet"),
    *("--publish-rooms", "50", "--push-rate", "200", "--push-connections", "2"),
)


@contextlib.contextmanager
def swarm(site: Site, clients: int) -> Iterator[None]:
    """Clients on all transports, to which messages are pushed, for as long as the block lasts."""
    command = [sys.executable, "-m", "megacomet.swarm", "--url", site.origin, "--clients", str(clients), *SWARM]
    env = {**environ(), "MEGACOMET_API_KEY": site.server.key}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def take(browser: Browser, site: Site, folder: Path, names: Sequence[str], live_ms: int) -> list[str]:
    """Take the pictures of some pages in all looks; return what went wrong in the browser.

    Args:
        browser: that shows them.
        site: the server.
        folder: it is there.
        names: of `PAGES`, or "sign-in".
        live_ms: how long the swarm runs before.
    """
    wrong = []
    pages = {**PAGES, "overview": OVERVIEW}
    for look, options in LOOKS.items():
        tabs = Tabs(browser, site)
        tab = tabs.open(**options)
        tab.is_live()
        if look == next(iter(LOOKS)):
            tab.page.wait_for_timeout(live_ms)
        for name in names:
            if name == "sign-in":
                continue
            tab.go(pages[name]).is_settled()
            if name == "overview":
                tab.is_live()
            tab.page.screenshot(path=folder / f"{name}-{look}.png", full_page=look == "narrow")
        if "sign-in" in names:
            tabs.open(None, **options).page.screenshot(path=folder / f"sign-in-{look}.png")
        try:
            tabs.close()
        except AssertionError as e:
            wrong.append(f"{look}: {e}")
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Take them; returns 0, or 1 when something went wrong in the browser."""
    names = (*PAGES, "sign-in")
    p = argparse.ArgumentParser(prog="python -m tests.integration.screenshots", description=__doc__)
    p.add_argument("names", nargs="*", metavar="PAGE", help=f"some of: {', '.join(names)}; none: all of them")
    p.add_argument("--to", type=Path, default=FOLDER, metavar="FOLDER", help=f"where they go ({FOLDER})")
    p.add_argument("--clients", type=int, default=CLIENTS, help=f"how many clients are connected ({CLIENTS:,})")
    p.add_argument("--live", type=float, default=LIVE_MS / 1000, help="seconds that the swarm runs before (120)")
    given = p.parse_args(arguments)
    if unknown := set(given.names) - set(names):
        p.error(f"no such page: {', '.join(sorted(unknown))}")
    given.to.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as directory,
        Server(Path(directory) / "state", *OPTIONS, workers=WORKERS) as server,
        chromium() as browser,
    ):
        site = Site(server)
        with swarm(site, given.clients), busy(site):
            wrong = take(browser, site, given.to, given.names or names, int(given.live * 1000))
    print("\n".join([*wrong, f"{len(list(given.to.glob('*.png')))} pictures in {given.to}"]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
