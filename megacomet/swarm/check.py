"""Owns the promise check: which messages were lost, came twice or came out of order, exactly, per client.

Every client's messages are numbered 1, 2, 3 … by the publisher. The side of the clients writes down what arrives
(`Receipts`), the side of the publisher what was given out and what was not acknowledged (`Published`); `judge` lays one
against the other. No sockets, no clock. In the good case a client costs 4 bytes on either side. Shared channels are
checked in the same way: there it is each listener of a channel that has a row, and the publisher numbers the channel's.
"""

from __future__ import annotations

import base64
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

#: A number this far ahead of the last one is not one of ours: it is counted as strange, not as a loss of all between.
_FARTHEST_AHEAD: Final = 1_000_000
#: How many of each kind are told by client and number.
EXAMPLES: Final = 10

LOST: Final = "lost"
REPEATED: Final = "repeated"
OUT_OF_ORDER: Final = "out_of_order"


def text_of(number: int, client: str, now_ns: int) -> str:
    """Return the text of a numbered message; it needs no escaping inside a JSON string when the name does not.

    Args:
        number: the client's, from 1; 0 for a message to everyone.
        client: its name, "*" for everyone.
        now_ns: the monotonic clock when the message was made.
    """
    return f"{number} {client} {now_ns}"


def everyone_of(prefix: str) -> str:
    """Return the name in numbered messages to everyone: those of another run, with another prefix, are not counted."""
    return f"*{prefix}"


def read_text(body: bytes) -> tuple[int, bytes, int] | None:
    """Take a message's text apart into number, client and clock; None when it is somebody else's message."""
    words = body.split(b" ")
    if len(words) != 3 or not words[0].isdigit() or not words[2].isdigit():
        return None
    return int(words[0]), words[1], int(words[2])


class Receipts:
    """What `count` clients received; clients are told by their index, 0 to count - 1."""

    __slots__ = (
        "_excused",
        "_last",
        "_missing",
        "delivered",
        "examples",
        "needless",
        "out_of_order",
        "repeated",
        "skipped",
        "strange",
    )

    def __init__(self, count: int) -> None:
        self._last = array("I", bytes(4 * count))
        self._missing: dict[int, set[int]] = {}
        #: by client, whether it was told that it missed something
        self._excused: dict[int, bool] = {}
        self.delivered = 0
        self.repeated = 0
        self.out_of_order = 0
        self.skipped = 0
        self.strange = 0
        #: gaps in which there was nothing
        self.needless = 0
        self.examples: list[tuple[str, int, int]] = []

    def received(self, client: int, number: int) -> bool:
        """Write down one arrival, in the order of arrival at this client; tells whether it went forward."""
        last = self._last[client]
        if number == last + 1:
            self._last[client] = number
            self.delivered += 1
            if self._excused:  # nothing was left out
                self.needless += self._excused.pop(client, False)
        elif last < number <= last + _FARTHEST_AHEAD:
            self._jumped(client, last, number)
            self._last[client] = number
            self.delivered += 1
        elif 0 < number <= last:
            self._late(client, number)
            return False
        else:
            self.strange += 1
            return False
        return True

    def excuse(self, client: int, told: bool = True) -> None:
        """Write down that what is left out before the client's next message is no loss.

        Args:
            told: it was told of a gap; else it begins somewhere in the middle.
        """
        self._excused[client] = told

    def disorder(self, client: int, number: int) -> None:
        """Write down that a message that went forward by its number came after one that was published later."""
        self.out_of_order += 1
        self._example(OUT_OF_ORDER, client, number)

    def _jumped(self, client: int, last: int, number: int) -> None:
        if client in self._excused:
            del self._excused[client]
            self.skipped += number - last - 1
        else:
            self._missing.setdefault(client, set()).update(range(last + 1, number))

    def _late(self, client: int, number: int) -> None:
        missing = self._missing.get(client)
        if missing is not None and number in missing:
            missing.discard(number)
            self.delivered += 1
            self.out_of_order += 1
            self._example(OUT_OF_ORDER, client, number)
        else:
            self.repeated += 1
            self._example(REPEATED, client, number)

    def _example(self, kind: str, client: int, number: int) -> None:
        if sum(1 for k, _, _ in self.examples if k == kind) < EXAMPLES:
            self.examples.append((kind, client, number))

    def state(self, client: int) -> tuple[int, frozenset[int]]:
        """Return the highest number that the client received and those below it that it did not."""
        return self._last[client], frozenset(self._missing.get(client, ()))

    def excused(self, client: int) -> bool:
        """Whether the client was told of a gap and what it leaves out is not known yet."""
        return client in self._excused

    def __len__(self) -> int:
        return len(self._last)

    def to_json(self) -> dict[str, Any]:
        """Return plain data that can cross a pipe."""
        return {
            "last": _packed(self._last),
            "missing": {str(c): sorted(m) for c, m in self._missing.items() if m},
            "excused": sorted(self._excused),
            "delivered": self.delivered,
            "repeated": self.repeated,
            "out_of_order": self.out_of_order,
            "skipped": self.skipped,
            "strange": self.strange,
            "needless": self.needless,
            "examples": self.examples,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Receipts:
        """Make one of what `to_json` gave."""
        made = cls(0)
        made._last = _unpacked(plain["last"])
        made._missing = {int(c): set(m) for c, m in plain["missing"].items()}
        made._excused = dict.fromkeys(plain["excused"], True)
        made.delivered = plain["delivered"]
        made.repeated = plain["repeated"]
        made.out_of_order = plain["out_of_order"]
        made.skipped = plain["skipped"]
        made.strange = plain["strange"]
        made.needless = plain["needless"]
        made.examples = [(k, c, n) for k, c, n in plain["examples"]]
        return made


class Published:
    """What a publisher gave out to `count` clients, and what of it was not acknowledged."""

    __slots__ = ("_highest", "_unacknowledged", "untold")

    def __init__(self, count: int) -> None:
        self._highest = array("I", bytes(4 * count))
        self._unacknowledged: dict[int, set[int]] = {}
        #: refused ones that the server did not tell one by one (a batch tells the first hundred): the next losses
        #: may be these
        self.untold = 0

    def next_number(self, client: int) -> int:
        """Give out the client's next number."""
        self._highest[client] += 1
        return self._highest[client]

    def unacknowledged(self, client: int, number: int) -> None:
        """Write down that the server refused the message, or that its answer never came."""
        self._unacknowledged.setdefault(client, set()).add(number)

    def state(self, client: int) -> tuple[int, frozenset[int]]:
        """Return the client's highest number and those that were not acknowledged."""
        return self._highest[client], frozenset(self._unacknowledged.get(client, ()))

    @property
    def given_out(self) -> int:
        """How many messages there were in all."""
        return sum(self._highest)

    @property
    def not_acknowledged(self) -> int:
        """How many of them the server did not acknowledge."""
        return sum(map(len, self._unacknowledged.values())) + self.untold

    def to_json(self) -> dict[str, Any]:
        """Return plain data that can cross a pipe."""
        unacknowledged = {str(c): sorted(m) for c, m in self._unacknowledged.items()}
        return {"highest": _packed(self._highest), "unacknowledged": unacknowledged, "untold": self.untold}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Published:
        """Make one of what `to_json` gave."""
        made = cls(0)
        made._highest = _unpacked(plain["highest"])
        made._unacknowledged = {int(c): set(m) for c, m in plain["unacknowledged"].items()}
        made.untold = plain["untold"]
        return made


@attrs.frozen
class Verdict:
    """What became of the messages.

    Attributes:
        acknowledged: promised to the publisher.
        delivered: different messages that arrived (what was not acknowledged may be among them: that is no fault).
        lost: acknowledged and never arrived.
        repeated: arrivals of a message that had arrived before.
        out_of_order: messages that arrived after a later one of the same client.
        strange: arrivals with a number that nobody gave out.
        examples: (kind, client's index, number), at most `EXAMPLES` of each kind.
        skipped: never arrived, and the client was told of a gap.
        needless: gaps that clients were told of, and the next message shows that nothing was missing.
    """

    acknowledged: int = 0
    delivered: int = 0
    lost: int = 0
    repeated: int = 0
    out_of_order: int = 0
    strange: int = 0
    examples: tuple[tuple[str, int, int], ...] = ()
    skipped: int = 0
    needless: int = 0

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.repeated or self.out_of_order or self.strange)


def judge(
    parts: Iterable[Receipts], published: Published, whose: Callable[[int], int | None] = lambda row: row
) -> Verdict:
    """Lay what arrived against what was promised.

    Args:
        parts: the receipts of the clients, in the order of their indexes; the first part begins with client 0.
        published: over all of these clients.
        whose: of which of the published sequences a row of the receipts is; None: of none, nothing is promised to it.
    """
    first = lost = delivered = repeated = out_of_order = strange = skipped = needless = 0
    examples: list[tuple[str, int, int]] = []
    for part in parts:
        delivered += part.delivered
        repeated += part.repeated
        out_of_order += part.out_of_order
        strange += part.strange
        skipped += part.skipped
        needless += part.needless
        examples += ((kind, first + client, number) for kind, client, number in part.examples)
        for client in range(len(part)):
            sequence = whose(first + client)
            if sequence is None:
                continue
            missing, invented = _difference(part.state(client), published.state(sequence))
            if missing and part.excused(client):
                last, _ = part.state(client)
                skipped += sum(number > last for number in missing)
                missing = [number for number in missing if number <= last]
            if missing and lost < EXAMPLES and not published.untold:  # else these may be the refused ones
                examples += ((LOST, first + client, number) for number in missing[:EXAMPLES])
            lost += len(missing)
            strange += invented
            delivered -= invented
        first += len(part)
    return Verdict(
        acknowledged=published.given_out - published.not_acknowledged,
        delivered=delivered,
        lost=max(0, lost - published.untold),
        repeated=repeated,
        out_of_order=out_of_order,
        strange=strange,
        examples=tuple(_first_of_each(examples)),
        skipped=skipped,
        needless=needless,
    )


def _difference(received: tuple[int, frozenset[int]], published: tuple[int, frozenset[int]]) -> tuple[list[int], int]:
    """Return one client's lost numbers, and how many arrived above the highest that was given out."""
    (last, missing), (highest, unacknowledged) = received, published
    if last == highest and not missing:
        return [], 0
    never = {number for number in missing if number <= highest} | set(range(last + 1, highest + 1))
    above = set(range(highest + 1, last + 1)) - missing
    return sorted(never - unacknowledged), len(above)


def _first_of_each(examples: Iterable[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    told: dict[str, int] = {}
    kept = []
    for example in examples:
        told[example[0]] = told.get(example[0], 0) + 1
        if told[example[0]] <= EXAMPLES:
            kept.append(example)
    return kept


def _packed(numbers: array[int]) -> str:
    return base64.b64encode(zlib.compress(numbers.tobytes(), 1)).decode("ascii")


def _unpacked(text: str) -> array[int]:
    numbers = array("I")
    numbers.frombytes(zlib.decompress(base64.b64decode(text)))
    return numbers
