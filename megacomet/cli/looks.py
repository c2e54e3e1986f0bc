"""Looks at a server, one after the other, and the rates between two of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import attrs

from megacomet.addresses import Address
from megacomet.cli.calling import Answer
from megacomet.cli.stats import checked
from megacomet.cli.status import checked_workers
from megacomet.errors import CallError, NoServer

#: Of the messages that the server counts.
WAYS: Final = ("in", "out")


@attrs.frozen
class Look:
    """What was seen at a moment.

    Attributes:
        time: of this machine, RFC 3339 UTC.
        error: why nothing was; None: something was.
        stats: as `/api/stats` tells them; None: see `error`.
        workers: as `/api/workers` tells them.
        rates: messages a second since the look before, by way; None: not known.
        now: of the server, RFC 3339; None: not known.
        address: of the server.
    """

    time: str
    error: str | None = None
    stats: Mapping[str, Any] | None = None
    workers: Sequence[Mapping[str, Any]] = ()
    rates: Mapping[str, float | None] = attrs.field(factory=lambda: dict.fromkeys(WAYS))
    now: str | None = None
    address: str = ""

    def as_object(self) -> dict[str, Any]:
        """Return the line of --json."""
        if self.error is not None:
            return {"time": self.time, "error": self.error}
        told = {"rates": dict(self.rates), "stats": self.stats, "workers": list(self.workers)}
        return {"time": self.time, "error": None, **told}


def _now() -> datetime:
    return datetime.now(UTC)


class IApi(Protocol):
    """What is needed of `calling.Api`."""

    @property
    def address(self) -> Address:
        """Of the server."""

    def get(self, path: str) -> Answer:
        """Ask for something; raises `CallError`."""


class Looker:
    """Looks at one server; when nobody answers it is looked for anew."""

    def __init__(
        self, find: Callable[[], IApi], clock: Callable[[], float] = time.monotonic, now: Callable[[], datetime] = _now
    ) -> None:
        """
        Args:
            find: finds the server; raises `CallError`.
            clock: seconds, monotonic.
            now: the time of day.
        """
        self._find = find
        self._clock = clock
        self._now = now
        self._api: IApi | None = None
        self._last: tuple[float, Mapping[str, Any]] | None = None

    def look(self) -> Look:
        """Look once.

        Raises:
            CallError: the server cannot be looked at.
        """
        api = self._api = self._api or self._find()
        try:
            answer = api.get("/api/stats")
            seen, stats = self._clock(), checked(answer.value)
            workers = checked_workers(api.get("/api/workers").value)
        except NoServer:
            self._api = None  # the next one may be elsewhere
            raise
        rates = self._rates(seen, stats)
        self._last = seen, stats
        return Look(self._time(), None, stats, workers, rates, answer.time, str(api.address))

    def try_to_look(self) -> Look:
        """Look once; what goes wrong is in what is returned."""
        try:
            return self.look()
        except CallError as e:
            return Look(self._time(), str(e))

    def _time(self) -> str:
        return self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _rates(self, seen: float, stats: Mapping[str, Any]) -> dict[str, float | None]:
        if self._last is None or self._last[1]["started"] != stats["started"] or seen <= self._last[0]:
            return dict.fromkeys(WAYS)  # another server begins from nothing
        before, passed_s = self._last[1]["messages"], seen - self._last[0]
        messages = stats["messages"]
        return {way: (messages.get(way, 0) - before.get(way, 0)) / passed_s for way in WAYS}
