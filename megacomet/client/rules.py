"""How a client behaves towards a server: when it comes back, how long it waits before, and which transport it takes.

Owns the numbers. Knows no transport, no clock (times are arguments, seconds) and no chance (it is given). The browser's
client has the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from megacomet.client.items import POLL, SSE, WEBSOCKET

#: An attempt that has no position after so long has failed.
OPENING_S: Final = 5.0
#: A connection that breaks earlier, and has brought no message, counts as one that does not really work.
BRIEF_S: Final = 10.0
#: So many brief ones in a row, and the next transport down is taken.
BRIEF_ONES: Final = 2
#: Full jitter: a random part of what doubles with each failure, from the first to the most.
FIRST_DELAY_S: Final = 0.5
MOST_DELAY_S: Final = 30.0
#: A server's advice is followed up to here: beyond, it is somebody's mistake.
MOST_ADVICE_S: Final = 3600.0
#: A better transport is looked for after so long, then after twice that …
FIRST_PROBE_S: Final = 60.0
MOST_PROBE_S: Final = 600.0
#: What the server may keep a poll waiting, and how much later its answer may arrive.
POLL_S: Final = 50
LEAST_POLL_S: Final = 5
POLL_GRACE_S: Final = 15.0
#: A poll that was cut off after so long has shown how long something between allows one to wait.
CUT_POLL_S: Final = 10.0
#: A server that has said nothing for so long is dead (its pings come every 25 s).
SILENCE_S: Final = {WEBSOCKET: 60.0, SSE: 60.0, POLL: POLL_S + POLL_GRACE_S}
#: How often silence is looked for; a look that comes so much too late means that the machine was asleep.
LOOK_S: Final = 5.0
LATE_S: Final = 5.0
#: After sleep a connection has so long to show that it lives.
PATIENCE_S: Final = 5.0

_FATAL_CLOSES: Final = frozenset({1002, 1003, 1007, 1009})
_FATAL_STATUSES: Final = frozenset({204, 400, 401, 403, 404, 405})
_RETRY: Final = re.compile(r"\bretry=([0-9]{1,9}(?:\.[0-9]{1,9})?)").search
_SECONDS: Final = re.compile(r"[0-9]{1,9}").fullmatch

Random = Callable[[], float]


@attrs.frozen
class Ending:
    """Why an attempt failed, or a connection ended.

    Attributes:
        code: close code of the WebSocket, else HTTP status; 0: neither was told.
        reason: for people.
        wait_s: the least that the server wants to be left alone; 0: it has not said.
        is_server_s: whether the server itself said so, and not something that stands before it.
    """

    code: int
    reason: str
    wait_s: float = 0.0
    is_server_s: bool = False


def comes_back(code: int) -> bool:
    """Tell whether a client tries again after a close code or an HTTP status."""
    if code >= 1000:
        return code not in _FATAL_CLOSES and not 3500 <= code < 4000 and not 4500 <= code < 5000
    return code not in _FATAL_STATUSES


def wait_in_reason(reason: str) -> float:
    """Return the seconds that a close reason wants one to wait, 0 when it says nothing of it."""
    found = _RETRY(reason)
    return min(float(found[1]), MOST_ADVICE_S) if found is not None else 0.0


def wait_of_header(retry_after: str | None) -> float:
    """Return the seconds that a Retry-After names; a date is not looked at, since clocks differ."""
    text = (retry_after or "").strip()
    return min(float(text), MOST_ADVICE_S) if _SECONDS(text) is not None else 0.0


class Backoff:
    """Delays that grow, at random, so that not all clients come back at once."""

    def __init__(self, random: Random) -> None:
        """
        Args:
            random: gives numbers from 0 to 1, 1 excluded.
        """
        self._random = random
        self._failures = 0

    def delay(self, least_s: float = 0.0) -> float:
        """Return how long to wait now, seconds; the next one may be twice as long.

        Args:
            least_s: what the server wants at least; up to half of it is added, by chance.
        """
        most = min(MOST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        delay = self._random() * most
        return max(delay, least_s * (1 + self._random() / 2)) if least_s > 0 else delay

    def reset(self) -> None:
        """Begin anew: a connection has held."""
        self._failures = 0


class Ladder:
    """Which transport is taken: down at once when one does not open, up again when a better one does.

    Attributes:
        transports: those that may be taken, the best one first.
        current: the one to try, or that stands.
    """

    def __init__(self, transports: Sequence[str]) -> None:
        self.transports = tuple(transports)
        self.current = self.transports[0]
        self._top = 0  # where a round begins: the best that has worked
        self._lost_rounds = 0
        self._brief = 0

    @property
    def is_lowest(self) -> bool:
        """Whether there is none below the current one."""
        return self.current == self.transports[-1]

    @property
    def better(self) -> tuple[str, ...]:
        """Those above the current one, the best one first."""
        return self.transports[: self.transports.index(self.current)]

    def failed(self) -> bool:
        """Note that the current one did not open; tell whether another one is to be tried at once.

        If not, all have failed: after a delay the round begins again, with the best one that has worked. From the
        second lost round on every other one begins at the very top: the network may be another one by now.
        """
        if not self.is_lowest:
            self.current = self.transports[self.transports.index(self.current) + 1]
            return True
        self._lost_rounds += 1
        self.current = self.transports[0 if self._lost_rounds % 2 == 0 else self._top]
        return False

    def opened(self, transport: str) -> None:
        """Note that a transport stands."""
        if transport != self.current:
            self._brief = 0
        self.current = transport
        self._top = self.transports.index(transport)
        self._lost_rounds = 0

    def broke(self, lasted_s: float, has_brought: bool) -> bool:
        """Note that the current one broke; tell whether it had held. The next one to try is `current`.

        Args:
            lasted_s: since its opening.
            has_brought: whether a message came by it.
        """
        if lasted_s >= BRIEF_S or has_brought:
            self._brief = 0
            return True
        self._brief += 1
        if self._brief >= BRIEF_ONES and not self.is_lowest:
            self._brief = 0
            self.current = self.transports[self.transports.index(self.current) + 1]
            self._top = self.transports.index(self.current)
        return False


class Probing:
    """When to look for a better transport."""

    def __init__(self) -> None:
        self._next_s = FIRST_PROBE_S

    def delay(self) -> float:
        """Return how long to wait before the next look, seconds."""
        delay, self._next_s = self._next_s, min(MOST_PROBE_S, 2 * self._next_s)
        return delay

    def reset(self) -> None:
        """Begin anew: a better one was found, or the network is another one."""
        self._next_s = FIRST_PROBE_S


class PollTime:
    """How long a poll is let wait by the server: less, when something between has cut one off.

    Attributes:
        asked_s: seconds to ask for.
    """

    def __init__(self) -> None:
        self.asked_s = POLL_S

    def was_cut(self, after_s: float) -> None:
        """Note that a poll ended without an answer of the server."""
        if CUT_POLL_S <= after_s < self.asked_s:
            self.asked_s = max(LEAST_POLL_S, int(after_s * 0.8))
