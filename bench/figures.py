"""Owns the form of the results: a figure, its budget, the options of a run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import attrs


@attrs.frozen
class Options:
    """What a benchmark is run with.

    Attributes:
        clients: 0: the benchmark's own number.
        workers: 0: the benchmark's own number.
        pairs: how often reference and server take turns.
        seconds: how long a rate is measured.
        inputs: how many inputs are fuzzed with; 0: the benchmark's own number.
        transport: the only one that is measured, where there are several; "": all of them.
        peer: the only one that is compared with others; "": all of them.
        minutes, rate: of a soak; 0: its own.
        samples: the file for all that a soak has measured; "": none.
    """

    clients: int = 0
    workers: int = 0
    pairs: int = 5
    seconds: float = 10.0
    inputs: int = 0
    transport: str = ""
    peer: str = ""
    minutes: float = 0.0
    rate: float = 0.0
    samples: str = ""


@attrs.frozen
class Figure:
    """One line of a result; a budget is met when `met` is True, None: there is no budget.

    Attributes:
        key: how programs find it among the others in JSON, "" when none needs to.
    """

    name: str
    value: float
    unit: str
    budget: str = ""
    met: bool | None = None
    detail: str = ""
    key: str = ""

    def __str__(self) -> str:
        number = f"{self.value:,.0f}" if abs(self.value) >= 1000 else f"{self.value:,.2f}".rstrip("0").rstrip(".")
        words = [f"{self.name}: {number} {self.unit}"]
        if self.budget:
            words.append(f"(budget {self.budget}: {'met' if self.met else 'NOT MET'})")
        return " ".join([*words, *([f"[{self.detail}]"] if self.detail else [])])


def at_most(name: str, value: float, unit: str, bound: float, detail: str = "") -> Figure:
    """Return a figure whose budget is an upper bound."""
    return Figure(name, value, unit, f"≤ {bound:,g}", value <= bound, detail)


def at_least(name: str, value: float, unit: str, bound: float, detail: str = "") -> Figure:
    """Return a figure whose budget is a lower bound."""
    return Figure(name, value, unit, f"≥ {bound:,g}", value >= bound, detail)


def all_of(name: str, value: float, wanted: float) -> Figure:
    """Return a figure that must be exactly so."""
    return Figure(name, value, f"of {wanted:,.0f}", "all", value == wanted)


def ratios(ours: Sequence[float], reference: Sequence[float]) -> tuple[float, str]:
    """Return the median of the pairs' ratios, and what it was made of."""
    pairs = [a / b for a, b in zip(ours, reference, strict=True)]
    return statistics.median(pairs), f"pairs {' '.join(f'{r:.2f}' for r in pairs)}"
