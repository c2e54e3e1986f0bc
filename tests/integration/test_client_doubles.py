"""The matrix of clients sees what a wrong client does, and lets a right one pass: doubles, each with one fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.integration.client_scenes import SCENES
from tests.integration.crews import PlainCrew, Spoil, faithful
from tests.integration.numbers import Gap, Message, Shown
from tests.integration.stage import Stage

#: The message that something is wrong with, counted by the client.
AT: Final = 120


def at(change: Callable[[Shown, list[Shown]], Iterable[Shown]]) -> Spoil:
    """Make a fault that changes one message; what it leaves in its list comes behind the next one."""

    def made() -> Callable[[Shown], Iterable[Shown]]:
        held: list[Shown] = []
        count = 0

        def shows(shown: Shown) -> Iterable[Shown]:
            nonlocal count
            if isinstance(shown, Gap):
                return [shown]
            count += 1
            if count == AT:
                return change(shown, held)
            late = list(held)
            held.clear()
            return [shown, *late]

        return shows

    return made


def hides_gaps() -> Callable[[Shown], Iterable[Shown]]:
    """Tell of no gap."""
    return lambda shown: [shown] if isinstance(shown, Message) else []


FAULTS: Final[dict[str, Spoil]] = {
    "loses": at(lambda shown, held: []),
    "repeats": at(lambda shown, held: [shown, shown]),
    "swaps": at(lambda shown, held: held.append(shown) or []),  # type: ignore[func-returns-value]
    "gapmore": at(lambda shown, held: [shown, Gap()]),
    "gapless": hides_gaps,
}


def test_just_the_wrong_ones_are_found(tmp_path: Path) -> None:
    """One lost, one repeated, two swapped, a gap too many, a gap too few: each is found, and nobody else is blamed."""
    with Stage(tmp_path) as stage, ExitStack() as stack:
        for name, spoil in {"right": faithful, **FAULTS}.items():
            stage.join(stack.enter_context(PlainCrew(stage.between.port, name, spoil)))
        for scene in ("nothing", "cut by resets", "history cleared"):
            SCENES[scene](stage)
            stage.shown()
        found = stage.faults()
    assert sorted(found) == sorted(f"{name}{way} on feed" for name in FAULTS for way in ("sse", "poll")), found
