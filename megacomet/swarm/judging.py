"""Owns the making of the report: out of the last words of all processes of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from megacomet.swarm.check import Published, Receipts, Verdict, judge
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.options import Options
from megacomet.swarm.report import DIED, Report

_REPORTED: Final = (
    *("connected", "answered", "timeouts", "closed", "dropped", "reconnects", "stale", "foreign"),
    *("misdelivered", "heard", "heard_again", "connect_cpu_s", "gaps", "switches"),
)
_Words = Mapping[str, Any]


@attrs.frozen
class Outcome:
    """What a run has come to.

    Attributes:
        clients: the last words of each process of clients, in the order of the clients; None: it died.
        publisher, batch, rooms, criers: of those that pushed; None: there was none, {}: it died.
        at_end: counts when the holding was over.
        troubles: what went wrong beside the messages.
    """

    clients: Sequence[_Words | None]
    publisher: _Words | None
    batch: _Words | None
    rooms: _Words | None
    connect_s: float
    held_s: float
    at_end: _Words
    interrupted: bool
    troubles: Sequence[str] = ()
    criers: _Words | None = None


def report(options: Options, outcome: Outcome) -> Report:
    """Add up what was counted, and judge."""
    finals = [words or {} for words in outcome.clients]
    pushed, rooms, batch = outcome.publisher or {}, outcome.rooms or {}, outcome.batch or {}
    criers = outcome.criers or {}
    single = [pushed, rooms, criers]
    source = batch if outcome.batch is not None else pushed
    first_ns = min((s["first_ns"] for s in (source, rooms, criers) if s.get("first_ns")), default=0)
    last_ns = max(s.get("last_ns", 0) for s in (source, rooms, criers))
    arrived_ns = max((f.get("last_ns", 0) for f in finals), default=0)
    answer = batch.get("answer", {})
    sent = {k: answer[k] for k in ("sent", "queued", "unheard") if k in answer}
    return Report(
        clients=len(options.indexes),
        part="{}/{}".format(*options.part),
        processes=len(outcome.clients),
        **{name: sum(f.get(name, 0) for f in finals) for name in _REPORTED},
        waiting=outcome.at_end["waiting"],
        transports=outcome.at_end["transports"],
        connect_s=outcome.connect_s,
        held_s=outcome.held_s,
        errors=added(f.get("errors", {}) for f in finals) | _silent(outcome),
        made=sum(s.get("made", 0) for s in single),
        behind=sum(s.get("behind", 0) for s in single),
        push_s=max(0, last_ns - first_ns) / 1e9,
        deliver_s=max(0, arrived_ns - first_ns) / 1e9 if first_ns else 0.0,
        push_errors=added([*(s.get("errors", {}) for s in single), {"refused in the batch": answer.get("failed", 0)}]),
        statuses=added([*(s.get("statuses", {}) for s in single), sent]),
        lines=batch.get("lines", 0),
        batch_error=batch.get("error", "" if outcome.batch is None or batch else "no outcome"),
        everyone=options.everyone,
        interrupted=outcome.interrupted,
        troubles=tuple(outcome.troubles),
        channels=options.channels,
        verdict=_judged(finals, "receipts", source),
        rooms=_judged(finals, "room_receipts", rooms, _rooms_of(options)),
        everybody=_judged(finals, "everyone_receipts", criers, lambda row: 0),
        latency=_merged(finals, "latency"),
        failover=_merged(finals, "failover"),
        fanout=_merged(finals, "fanout"),
        reach=_merged(finals, "reach"),
        answer=_merged(single, "latency"),
    )


def added(kinds: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up counts by kind; kinds of which there are none are left out."""
    total: Counter[str] = Counter()
    for counted in kinds:
        total.update(counted)
    return {kind: number for kind, number in total.items() if number}


def _judged(
    finals: Sequence[_Words], name: str, source: _Words, whose: Callable[[int], int | None] = lambda row: row
) -> Verdict:
    if "published" not in source or not all(finals):
        return Verdict()
    return judge((Receipts.from_json(f[name]) for f in finals), Published.from_json(source["published"]), whose)


def _rooms_of(options: Options) -> Callable[[int], int | None]:
    """Return which room a row of the rooms' receipts belongs to."""
    shared, first, listens = options.shared, options.indexes.start, options.mix.listens

    def whose(row: int) -> int | None:
        client, place = divmod(row, shared.channels)
        return shared.room(first + client, place) if listens(first + client) else None

    return whose


def _merged(finals: Sequence[_Words], name: str) -> Histogram:
    merged = Histogram()
    for final in finals:
        if name in final:
            merged.merge(Histogram.from_json(final[name]))
    return merged


def _silent(outcome: Outcome) -> dict[str, int]:
    """Count the processes that ended without last words."""
    pushing = [
        words for words in (outcome.publisher, outcome.batch, outcome.rooms, outcome.criers) if words is not None
    ]
    return added([{DIED: sum(not words for words in (*outcome.clients, *pushing))}])
