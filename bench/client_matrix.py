"""The matrix of clients in its long form: all scenes, in another order each time, for all clients at once.

What each scene and client is stands in tests/integration/client_scenes.py, chromium_crew.py and python_crew.py. Clocks
of clients run ten times as fast. `--pairs` is how often all scenes are played.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, Options
from tests.integration.chromium import chromium
from tests.integration.client_scenes import SCENES, play
from tests.integration.crews import FEED
from tests.integration.matrix import House, everybody
from tests.integration.numbers import Gap


def run(options: Options) -> list[Figure]:
    """Play all scenes, and judge all that was shown."""
    names = [name for seed in range(options.pairs) for name in random.Random(seed).sample(tuple(SCENES), len(SCENES))]
    began = time.monotonic()
    with (
        chromium() as browser,
        tempfile.TemporaryDirectory() as directory,
        everybody(browser, Path(directory)) as house,
    ):
        played = [_one(name, house) for name in names]
        unseen = house.faults()
        detail = _detail(house, time.monotonic() - began)
    for fault in [*filter(None, played), *unseen]:
        print(f"  {fault}", flush=True)
    right = played.count("")
    met = right == len(names) and not unseen
    return [Figure("scenes without a fault", right, f"of {len(names)}", "all", met, detail)]


def _detail(house: House, seconds: float) -> str:
    stage = house.stage
    counts = {channel: len(ledger.entries) for channel, ledger in stage.publisher.ledgers.items()}
    gaps = sum(isinstance(showing.shown, Gap) for showing in stage.showings)
    clients = sum(len(crew.clients) for crew in stage.crews)
    return (
        f"{clients} clients, {counts[FEED]:,} messages on a channel and {sum(counts.values()) - counts[FEED]:,} in "
        f"mailboxes: {len(stage.showings) - gaps:,} shown, {gaps:,} gaps told; "
        f"{len(stage.publisher.ledgers[FEED].epochs)} epochs; {seconds:.0f} s"
    )


def _one(name: str, house: House) -> str:
    """Return what went wrong, "" when nothing did."""
    try:
        play(name, house.stage)
    except AssertionError as e:
        return str(e) or name
    return ""
