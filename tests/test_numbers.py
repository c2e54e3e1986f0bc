"""The check of the clients' tests sees whatever a client must not do, and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.numbers import Check, Gap, Ledger, Message, Publisher, Shown


def ledger_of(*lives: range, unsure: range = range(0)) -> Ledger:
    """Numbers in one life of the server after the other; those unsure were perhaps published in the first one too."""
    ledger = Ledger()
    for at, numbers in enumerate(lives):
        for number in numbers:
            ledger.add(number, f"e{at}")
        if at == 0:
            for number in unsure:
                ledger.add(number, "e0", is_sure=False)
    return ledger


def messages(epoch: int, numbers: range) -> list[Shown]:
    """What is shown of them."""
    return [Message(number, f"e{epoch}-{number + 7}") for number in numbers]


def faults(ledger: Ledger, *shown: list[Shown]) -> list[str]:
    """What is wrong with a client that listens from the beginning and shows this."""
    return Check(ledger, 0).take(each for some in shown for each in some).finish()


ONE_LIFE = ledger_of(range(10))
TWO_LIVES = ledger_of(range(10), range(10, 20))


@pytest.mark.parametrize(
    ("ledger", "shown"),
    [
        (ONE_LIFE, [messages(0, range(10))]),
        # the server died, and with it what the client had not got yet, of which there may be nothing
        (TWO_LIVES, [messages(0, range(7)), [Gap()], messages(1, range(10, 20))]),
        (TWO_LIVES, [messages(0, range(10)), [Gap()], messages(1, range(10, 20))]),
        # it came in time
        (TWO_LIVES, [messages(0, range(10)), messages(1, range(10, 20))]),
        (ledger_of(range(4), range(4, 6), range(6, 9)), [messages(0, range(2)), [Gap()] * 2, messages(2, range(6, 9))]),
        (ledger_of(range(4), range(4, 6), range(6, 9)), [messages(0, range(2)), [Gap()], messages(2, range(6, 9))]),
        # published again, since the first life had not said whether it has them
        (ledger_of(range(4), range(4, 8), unsure=range(4, 6)), [messages(0, range(4)), messages(1, range(4, 8))]),
        (ledger_of(range(4), range(4, 8), unsure=range(4, 6)), [messages(0, range(5)), messages(1, range(4, 8))]),
        (
            ledger_of(range(4), range(4, 8), unsure=range(4, 6)),
            [messages(0, range(6)), [Gap()], messages(1, range(4, 8))],
        ),
    ],
)
def test_right(ledger: Ledger, shown: list[list[Shown]]) -> None:
    """What a client may show is not complained about."""
    assert faults(ledger, *shown) == []


@pytest.mark.parametrize(
    ("ledger", "shown", "said"),
    [
        (ONE_LIFE, [messages(0, range(4)), messages(0, range(5, 10))], "4 not shown, and no gap told"),
        (ONE_LIFE, [messages(0, range(3, 10))], "3 from 0 to 2 not shown, and no gap told"),
        (ONE_LIFE, [messages(0, range(8))], "2 from 8 to 9 not shown in the end"),
        (ONE_LIFE, [messages(0, range(10)), messages(0, range(9, 10))], "9 for the second time"),
        (ONE_LIFE, [messages(0, range(6)), messages(0, range(4, 10))], "4 for the second time"),
        (ONE_LIFE, [messages(0, range(10)), [Gap()]], "1 gaps in the end, not true"),
        (ONE_LIFE, [messages(0, range(5)), [Gap()], messages(0, range(5, 10))], "1 gaps before 5, not true"),
        (ONE_LIFE, [messages(0, range(5)), [Gap()], messages(0, range(6, 10))], "5 not shown, which a gap was told of"),
        (TWO_LIVES, [messages(0, range(5)), messages(1, range(10, 20))], "5 from 5 to 9 not shown, and no gap told"),
        (TWO_LIVES, [messages(0, range(5)), [Gap()], messages(1, range(12, 20))], "2 from 10 to 11 not shown, which"),
        (TWO_LIVES, [messages(0, range(5)), [Gap()] * 2, messages(1, range(10, 20))], "2 gaps before 10, not true"),
        (TWO_LIVES, [messages(0, range(10)), messages(1, range(5, 20))], "5 with the id e1-12, which was never"),
        (TWO_LIVES, [messages(0, range(5)), [Gap()]], "15 from 5 to 19 not shown in the end"),
    ],
)
def test_wrong(ledger: Ledger, shown: list[list[Shown]], said: str) -> None:
    """What a client must not show is told."""
    assert any(fault.startswith(said) for fault in faults(ledger, *shown)), faults(ledger, *shown)


def test_cleared() -> None:
    """Who has not got what was cleared is told of a gap in just that; who has got it is told of none."""
    ledger = ledger_of(range(10))
    ledger.clear()
    for number in range(10, 20):
        ledger.add(number, "e0")
    gap: list[Shown] = [Gap()]
    assert faults(ledger, messages(0, range(4)), gap, messages(0, range(10, 20))) == []
    assert faults(ledger, messages(0, range(20))) == []
    assert faults(ledger, messages(0, range(4)), messages(0, range(10, 20))) != []
    assert faults(ledger, messages(0, range(4)), gap, messages(0, range(11, 20))) != []
    assert faults(ledger, messages(0, range(10)), gap, messages(0, range(10, 20))) != []


def test_a_late_listener() -> None:
    """Who listens from later on is not shown what was before."""
    ledger = ledger_of(range(10))
    check = Check(ledger)
    ledger.add(10, "e0")
    assert check.take(messages(0, range(10, 11))).finish() == []


def loses_one(shown: list[Shown], at: int) -> list[Shown]:
    """Leave one out."""
    return shown[:at] + shown[at + 1 :]


def repeats_one(shown: list[Shown], at: int) -> list[Shown]:
    """Show one twice."""
    return shown[: at + 1] + shown[at:]


def swaps_two(shown: list[Shown], at: int) -> list[Shown]:
    """Show two the wrong way round."""
    return [*shown[:at], shown[at + 1], shown[at], *shown[at + 2 :]]


def tells_a_gap_too_many(shown: list[Shown], at: int) -> list[Shown]:
    """Tell of a gap where there is none."""
    return [*shown[: at + 1], Gap(), *shown[at + 1 :]]


@pytest.mark.parametrize("fault", [loses_one, repeats_one, swaps_two, tells_a_gap_too_many])
@pytest.mark.parametrize("seed", range(20))
def test_a_fault_anywhere(fault: Callable[[list[Shown], int], list[Shown]], seed: int) -> None:
    """Wherever a client that is right so far does something wrong, it is seen."""
    shown = [*messages(0, range(100)), *messages(0, range(100, 101))]
    ledger = ledger_of(range(101))
    assert faults(ledger, shown) == []
    assert faults(ledger, fault(shown, random.Random(seed).randrange(99))) != []


def test_a_gap_too_few() -> None:
    """Where a gap is true and not told, it is seen."""
    shown = [*messages(0, range(7)), Gap(), *messages(1, range(10, 20))]
    assert faults(TWO_LIVES, shown) == []
    assert faults(TWO_LIVES, [each for each in shown if not isinstance(each, Gap)]) != []


def test_an_epoch_does_not_come_back() -> None:
    """A server that takes an old epoch again is a fault of its own."""
    with pytest.raises(AssertionError, match="e0 has come back"):
        ledger_of(range(2), range(2, 4)).add(4, "e0")


class Server:
    """A double of the API: publishes what it is given, keeps keys for as long as it lives, and may be away."""

    def __init__(self, *answers: str) -> None:
        """
        Args:
            answers: what happens to one request after the other: "ok", "lost" before it comes, "kept" but not answered,
                "dies" with what it has, "refuses".
        """
        self.answers = list(answers)
        self.lives = 0
        self.log: list[tuple[int, str, int]] = []
        self.keys: set[str] = set()
        self.is_away = True

    def post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        answer = self.answers.pop(0) if self.answers else "ok"
        if answer == "refuses":
            return 503, {"failed": 0}
        if answer != "lost":
            for line in map(json.loads, body.splitlines()):
                if line["key"] not in self.keys:
                    self.keys.add(line["key"])
                    self.log.append((self.lives, line["channel"], line["data"]))
        if answer == "dies":
            self.lives += 1
            self.keys.clear()
        if answer != "ok":
            raise ConnectionResetError
        return 200, {"failed": 0, "position": f"e{self.lives}-{len(self.log)}"}

    def wait(self) -> None:
        """It is there again."""

    close = wait


def published(server: Server, *counts: int) -> tuple[Publisher, list[Shown]]:
    """Publish; return also what somebody is shown who hears all of it."""
    publisher = Publisher(server, ["a"])  # type: ignore[arg-type]
    for count in counts:
        publisher.publish("a", count)
    return publisher, [Message(number, f"e{life}-{at}") for at, (life, _, number) in enumerate(server.log)]


@pytest.mark.parametrize("answer", ["ok", "lost", "kept", "refuses"])
def test_published_once(answer: str) -> None:
    """Whatever becomes of a request, each number is published once and in order."""
    publisher, shown = published(Server("ok", answer, "ok", answer), 60, 41)
    assert [each.number for each in shown if isinstance(each, Message)] == list(range(101))
    assert Check(publisher.ledgers["a"], 0).take(shown).finish() == []


def test_published_twice() -> None:
    """What a server has taken with it, unacknowledged, is published again; both is right, and the later one is due."""
    publisher, shown = published(Server("ok", "dies"), 60)
    ledger = publisher.ledgers["a"]
    assert ledger.epochs == ["e0", "e1"]
    assert len(shown) == 60 + 25
    assert Check(ledger, 0).take(shown).finish() == []
    assert Check(ledger, 0).take(shown[:25] + shown[50:]).finish() == []
    assert Check(ledger, 0).take(shown[:50] + shown[51:]).finish() != []


def test_a_server_that_is_there_does_not_refuse() -> None:
    """A refusal of a server that nobody has taken away is told."""
    server = Server("refuses")
    server.is_away = False
    with pytest.raises(AssertionError, match="the server is there, and says 503"):
        published(server, 1)
