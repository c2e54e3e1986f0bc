"""What a server costs while nothing happens: percent of a processor by kind of process, medians, the budget."""

from __future__ import annotations

import pytest

from bench.idle_cpu import percents, told

BEFORE = {"manager": 4.0, "worker 0": 0.5, "worker 1": 0.75, "zygote": 0.25}


def test_percents() -> None:
    """Workers count together, and what was used before does not count."""
    after = {"manager": 4.06, "worker 0": 0.51, "worker 1": 0.78, "zygote": 0.25}
    assert percents(BEFORE, after, 10.0) == pytest.approx({"manager": 0.6, "worker": 0.4, "zygote": 0.0})


def test_told() -> None:
    """The sum is that of each server; of several the one in the middle counts, with all beside it."""
    servers = [{"manager": 0.6, "worker": workers, "zygote": 0.0} for workers in (0.5, 0.7, 2.0)]
    others = "others took 2% 50% 10% of all processors"
    figures = [str(figure) for figure in told(servers, [0.02, 0.5, 0.1])]
    assert figures == [
        f"CPU with nothing connected: 1.3 % of a processor (budget ≤ 2: met) [1.10 1.30 2.60; {others}]",
        "of that the manager: 0.6 % of a processor [0.60 0.60 0.60]",
        "of that the workers: 0.7 % of a processor [0.50 0.70 2.00]",
        "of that the zygote: 0 % of a processor [0.00 0.00 0.00]",
    ]
    assert told([{"manager": 2.1}], [0.0])[0].met is False
