"""The matrix of clients in its long form: every scene, in another order each time, for all clients at once.

What each scene and client is stands in tests/integration/client_scenes.py, chromium_crew.py and python_crew.py. The
clients' clocks run ten times as fast in `--pairs` rounds, and three times as fast in one more.
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
from tests.integration.stage import HURRY

#: The clocks of the last round.
LESS_HURRY = 3


def run(options: Options) -> list[Figure]:
    """Play all scenes."""
    orders = [random.Random(seed).sample(tuple(SCENES), len(SCENES)) for seed in range(options.pairs)]
    quick = _played(HURRY, [name for order in orders for name in order])
    return [*quick, *_played(LESS_HURRY, list(SCENES))]


def _played(hurry: int, names: list[str]) -> list[Figure]:
    began = time.monotonic()
    faults: list[str] = []
    with (
        chromium() as browser,
        tempfile.TemporaryDirectory() as directory,
        everybody(browser, Path(directory), hurry) as house,
    ):
        for name in names:
            faults += _one(name, house)
        faults += house.faults()
        stage = house.stage
        numbers = {channel: len(ledger.entries) for channel, ledger in stage.publisher.ledgers.items()}
        clients = sum(len(crew.clients) for crew in stage.crews)
        gaps = sum(isinstance(showing.shown, Gap) for showing in stage.showings)
        lives = len(stage.publisher.ledgers[FEED].epochs)
    for fault in faults:
        print(f"  {fault}", flush=True)
    seconds = time.monotonic() - began
    detail = (
        f"{clients} clients showed {len(stage.showings) - gaps:,} messages of {numbers[FEED]:,} on one channel and "
        f"{sum(numbers.values()) - numbers[FEED]:,} in mailboxes, and {gaps:,} gaps; {lives} lives of the server; "
        f"{seconds:.0f} s"
    )
    name = f"scenes without a fault, clocks {hurry} times as fast"
    return [Figure(name, len(names) - len(faults), f"of {len(names)}", "all", not faults, detail)]


def _one(name: str, house: House) -> list[str]:
    try:
        play(name, house.stage)
    except AssertionError as e:
        return [f"{name}: {e}"]
    return []
