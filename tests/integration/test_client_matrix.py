"""Clients never miss a message, whatever happens on the way: each number once and in order, or a true gap.

All clients listen at once, from the first scene to the last one: the browser's in real Chromium, tabs that share a
connection among them, and the Python client on both kinds of event loop. Their clocks run ten times as fast
(`stage.HURRY`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from playwright.sync_api import Browser

from tests.integration.client_scenes import QUICK, play
from tests.integration.crews import FEED
from tests.integration.matrix import House, everybody
from tests.integration.numbers import Check, Gap, Message, Shown
from tests.integration.stage import Stage

#: Numbers of the feed in all.
MESSAGES = 10_000


@pytest.fixture(scope="module")
def house(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server, the proxy before it, and all clients."""
    with everybody(browser, tmp_path_factory.mktemp("matrix")) as house:
        yield house


@pytest.mark.parametrize("name", QUICK)
def test_each_number_once_or_a_true_gap(house: House, name: str) -> None:
    """Nobody misses a number without being told, nobody is shown one twice, and no gap is told that is none."""
    play(name, house.stage)


def test_ten_thousand(house: House) -> None:
    """In all it is so many numbers; nothing went wrong unseen in a page or a program."""
    stage = house.stage
    stage.publish(max(1, MESSAGES - len(stage.publisher.ledgers[FEED].entries)))
    stage.shown()
    assert stage.faults() == {}
    assert house.faults() == []


Fault = Callable[[Sequence[Shown], int], Sequence[Shown]]


def loses_one(shown: Sequence[Shown], at: int) -> Sequence[Shown]:
    """Leave one out."""
    return [*shown[:at], *shown[at + 1 :]]


def repeats_one(shown: Sequence[Shown], at: int) -> Sequence[Shown]:
    """Show one twice."""
    return [*shown[: at + 1], *shown[at:]]


def swaps_two(shown: Sequence[Shown], at: int) -> Sequence[Shown]:
    """Show two the wrong way round."""
    return [*shown[:at], shown[at + 1], shown[at], *shown[at + 2 :]]


def tells_a_gap_too_many(shown: Sequence[Shown], at: int) -> Sequence[Shown]:
    """Tell of a gap where there is none."""
    return [*shown[:at], Gap(), *shown[at:]]


@pytest.mark.parametrize("fault", [loses_one, repeats_one, swaps_two, tells_a_gap_too_many])
def test_a_single_fault_is_seen(house: House, fault: Fault) -> None:
    """Among all that a client has shown, one message lost, repeated, or swapped, or one false gap, does not pass."""
    ledger = house.stage.publisher.ledgers[FEED]
    for client, shown in shown_by_all(house.stage):
        assert Check(ledger, 0).take(shown).finish() == [], client
        assert Check(ledger, 0).take(fault(shown, amid(shown))).finish() != [], client


def test_a_gap_that_is_not_told_is_seen(house: House) -> None:
    """Where messages are gone, a client that does not say so does not pass, whichever gap it is."""
    ledger = house.stage.publisher.ledgers[FEED]
    for client, shown in shown_by_all(house.stage):
        gaps = [at for at in range(1, len(shown) - 1) if isinstance(shown[at], Gap) and misses(shown[at - 1 : at + 2])]
        assert gaps, client
        for at in gaps:
            assert Check(ledger, 0).take(loses_one(shown, at)).finish() != [], client


def shown_by_all(stage: Stage) -> Iterator[tuple[str, Sequence[Shown]]]:
    """Yield each client and what it has shown of the feed."""
    shown = stage.shown_by(FEED)
    listeners = {client for crew in stage.crews for client in crew.clients}
    assert shown.keys() == listeners, "the scenes have to be played before"
    yield from shown.items()


def misses(three: Sequence[Shown]) -> bool:
    """Whether numbers are missing between what stands before a gap and behind it."""
    before, _, behind = three
    return isinstance(before, Message) and isinstance(behind, Message) and behind.number > before.number + 1


def amid(shown: Sequence[Shown]) -> int:
    """Return a place about the middle, among messages that follow each other."""
    for at in range(len(shown) // 2, len(shown) - 2):
        numbers = [each.number for each in shown[at - 1 : at + 2] if isinstance(each, Message)]
        if len(numbers) == 3 and numbers[2] == numbers[0] + 2:
            return at
    raise AssertionError("no three messages follow each other")
