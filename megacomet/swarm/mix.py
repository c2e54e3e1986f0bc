"""Owns which client uses which transport, at first and after a switch; the names of the transports."""

from __future__ import annotations

import functools
import math
import random
from typing import Final

import attrs

SCRIPT: Final = "script"
POLL: Final = "poll"
SSE: Final = "sse"
STREAM: Final = "stream"
WS: Final = "ws"
WS_DEFLATE: Final = "ws-deflate"
#: In the order of their numbers, by which a client's row names its transport.
TRANSPORTS: Final = (SCRIPT, POLL, SSE, STREAM, WS, WS_DEFLATE)
SCRIPT_NUMBER: Final = 0

#: Neighbours get transports that lie apart: this share of the circle onwards each time (the golden section).
_TURN: Final = 0.618


@attrs.frozen
class Mix:
    """Transports and their parts.

    Attributes:
        parts: (number of the transport, how many parts), each transport once, each part from 1.
    """

    parts: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, text: str) -> Mix:
        """Read what `--mix` takes, such as `sse=3,ws=1`.

        Raises:
            ValueError: it is none.
        """
        parts: dict[int, int] = {}
        for word in text.split(","):
            name, _, part = word.partition("=")
            if name not in TRANSPORTS:
                raise ValueError(f"{name!r} is none of {', '.join(TRANSPORTS)}")
            if TRANSPORTS.index(name) in parts:
                raise ValueError(f"{name} stands there twice")
            if not part.isdecimal() or not 1 <= int(part) <= 1000:
                raise ValueError(f"{word!r}: the parts are 1 to 1000")
            parts[TRANSPORTS.index(name)] = int(part)
        divisor = math.gcd(*parts.values())
        return cls(tuple((number, part // divisor) for number, part in parts.items()))

    @classmethod
    def only(cls, name: str) -> Mix:
        """Return the mix of one transport."""
        return cls(((TRANSPORTS.index(name), 1),))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The transports that occur."""
        return tuple(number for number, _ in self.parts)

    def first(self, client: int) -> int:
        """Return a client's first transport: of each `sum of the parts` clients in a row each has its parts."""
        circle = _circle(self.parts)
        return circle[client % len(circle)]

    def listens(self, client: int) -> bool:
        """Whether a client can listen to rooms: not if it begins with a script, for which there is only the mailbox."""
        return self.first(client) != SCRIPT_NUMBER

    def other(self, now: int, hears: bool, chance: random.Random) -> int:
        """Return another transport than the present one, or this when there is no other.

        Args:
            hears: the client listens to rooms, which a script cannot: it would pass over what is said there.
        """
        others = [(n, part) for n, part in self.parts if n != now and not (hears and n == SCRIPT_NUMBER)]
        if not others:
            return now
        return chance.choices([n for n, _ in others], [part for _, part in others])[0]


@functools.lru_cache
def _circle(parts: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Lay out the transports so that each is spread over all of the circle."""
    row = [number for number, part in parts for _ in range(part)]
    step = max(1, round(len(row) * _TURN))
    while math.gcd(step, len(row)) != 1:
        step += 1
    return tuple(row[n * step % len(row)] for n in range(len(row)))


#: All clients ask for their script, as the original's do.
SCRIPTS: Final = Mix.only(SCRIPT)
