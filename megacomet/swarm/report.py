"""Owns what a run says: the live line, the page at its end, the JSON form, and the sum over several machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from megacomet.swarm.check import Verdict
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.measures import MEASURES, Measures

VERSION: Final = 4
#: The kind of error that makes a report worthless: a process ended without its counts.
DIED: Final = "processes that died"
_QUANTILES: Final = ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"))
_BOUNDS_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_SUMMED: Final = (
    *("clients", "processes", "connected", "waiting", "answered", "timeouts", "closed", "dropped", "reconnects"),
    *("connect_cpu_s", "stale", "foreign", "misdelivered", "made", "behind", "heard", "heard_again", "lines"),
    *("gaps", "switches", "excused"),
)
_LONGEST: Final = ("connect_s", "held_s", "push_s", "deliver_s")
_HISTOGRAMS: Final = ("latency", "failover", "fanout", "reach", "answer")
_COUNTED: Final = ("errors", "push_errors", "statuses", "transports")
_VERDICTS: Final = ("verdict", "rooms", "everybody")


@attrs.frozen
class Report:
    """What one run, or the sum of several, has seen.

    Attributes:
        part: "2/4", or "" for a sum.
        connected: clients that had a connection at least once; waiting: that waited for an answer or had a stream when
            the run ended; transports: these by transport.
        answered, timeouts: answers of polls, those of them without a message; closed, dropped: connections that the
            server closed after an answer or with an end, without; reconnects: connections opened again; switches: those
            that a client dropped to come back with another transport.
        connect_s: until all had connected; connect_cpu_s: this machine's CPU for that.
        stale, foreign, misdelivered: messages of an older run, of another publisher, of another client.
        made: messages pushed; behind: not made, since the server took them too slowly; push_s: how long.
        deliver_s: from the first push to the last delivery.
        everyone: whether a message went to everyone; heard, heard_again: clients that got it, repeats of it.
        lines, batch_error: of the batch.
        errors, push_errors, statuses: by kind.
        channels: rooms that each client listens to; gaps: notices of a gap that clients were told.
        verdict, rooms, everybody: on the messages to mailboxes; on those to rooms, where an example's client is the
            index of the client times `channels` plus the place of the room among its own; on numbered ones to everyone.
        troubles: what went wrong beside the messages, as phrases; excused: pushes not acknowledged while a worker that
            was killed was missing.
        measures: of a whole run; None: it was none, or this is a sum.
        latency: push to delivery; failover: the same while a worker was missing; fanout: for rooms; reach: for the
            message to everyone; answer: push to its answer.
    """

    clients: int
    part: str = ""
    processes: int = 0
    connected: int = 0
    waiting: int = 0
    answered: int = 0
    timeouts: int = 0
    closed: int = 0
    dropped: int = 0
    reconnects: int = 0
    connect_s: float = 0.0
    connect_cpu_s: float = 0.0
    held_s: float = 0.0
    stale: int = 0
    foreign: int = 0
    misdelivered: int = 0
    made: int = 0
    behind: int = 0
    push_s: float = 0.0
    deliver_s: float = 0.0
    everyone: bool = False
    heard: int = 0
    heard_again: int = 0
    lines: int = 0
    batch_error: str = ""
    interrupted: bool = False
    channels: int = 0
    gaps: int = 0
    switches: int = 0
    excused: int = 0
    troubles: Sequence[str] = ()
    measures: Measures | None = None
    transports: Mapping[str, int] = attrs.Factory(dict)
    errors: Mapping[str, int] = attrs.Factory(dict)
    push_errors: Mapping[str, int] = attrs.Factory(dict)
    statuses: Mapping[str, int] = attrs.Factory(dict)
    verdict: Verdict = attrs.Factory(Verdict)
    rooms: Verdict = attrs.Factory(Verdict)
    everybody: Verdict = attrs.Factory(Verdict)
    latency: Histogram = attrs.field(factory=Histogram, eq=False)
    failover: Histogram = attrs.field(factory=Histogram, eq=False)
    fanout: Histogram = attrs.field(factory=Histogram, eq=False)
    reach: Histogram = attrs.field(factory=Histogram, eq=False)
    answer: Histogram = attrs.field(factory=Histogram, eq=False)

    def problems(self) -> list[str]:
        """Return what was lost or failed, as phrases; none: all is well."""
        told = (
            (self.errors.get(DIED, 0), DIED),
            (self.clients - self.connected, "clients never connected"),
            (self.connected - self.waiting, "clients do not wait at the end"),
            (self._sum("lost"), "messages lost"),
            (self._sum("repeated"), "messages repeated"),
            (self._sum("out_of_order"), "messages out of order"),
            (self._sum("strange"), "messages that nobody sent"),
            (self.misdelivered, "messages for another client"),
            (sum(self.push_errors.values()) - self.excused, "pushes not acknowledged"),
            (self.behind, "pushes not made: the server is slower than the rate"),
            (self.clients - self.heard if self.everyone else 0, "clients did not hear the message to everyone"),
            (self.heard_again, "repeats of the message to everyone"),
        )
        problems = [f"{number:,} {what}" for number, what in told if number > 0]
        return [*self.troubles, *problems, *([f"batch: {self.batch_error}"] if self.batch_error else [])]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with the figures that people look for beside those that `from_json` needs."""
        plain = attrs.asdict(self, filter=lambda a, _: a.name not in (*_HISTOGRAMS, MEASURES))
        plain["version"] = VERSION
        plain |= {name: _latency_json(getattr(self, name)) for name in _HISTOGRAMS}
        plain |= {name: self._sum(name) for name in ("lost", "repeated", "out_of_order", "skipped", "needless")}
        plain["delivered_per_s"] = round(_rate(self._sum("delivered"), self.deliver_s), 1)
        plain["acknowledged_per_s"] = round(_rate(self._sum("acknowledged"), self.push_s), 1)
        plain["problems"] = self.problems()
        plain[MEASURES] = None if self.measures is None else self.measures.to_json(self.waiting)
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Report:
        """Make one of what `to_json` gave.

        Raises:
            ValueError, KeyError, TypeError: it is no such report.
        """
        if plain["version"] != VERSION:
            raise ValueError(f"a report of version {plain['version']}, not {VERSION}")
        fields = {a.name: plain[a.name] for a in attrs.fields(cls)}
        fields["troubles"] = tuple(map(str, fields["troubles"]))
        if fields[MEASURES] is not None:
            fields[MEASURES] = Measures.from_json(fields[MEASURES])
        for name in _VERDICTS:
            verdict = dict(fields[name])
            verdict["examples"] = tuple((k, c, n) for k, c, n in verdict["examples"])
            fields[name] = Verdict(**verdict)
        for name in _HISTOGRAMS:
            fields[name] = Histogram.from_json(fields[name])
        return cls(**fields)

    def page(self) -> str:
        """Return the page for people."""
        speed = f"{_rate(self.connected, self.connect_s):,.0f}/s, {self._connect_us():.1f} us CPU each here"
        others = {"timeouts": self.timeouts, "of an older run": self.stale, "of others": self.foreign}
        lines = [
            f"clients      {self.connected:,} of {self.clients:,} connected in {self.connect_s:.1f} s ({speed})",
            f"waiting      {self.waiting:,} after {self.held_s:.1f} s",
            *_line("transports   ", self.transports if len(self.transports) > 1 else {}),
            f"connections  {self.dropped:,} lost, {self.closed:,} closed after an answer, {self.reconnects:,} reopened",
            *([f"switches     {self.switches:,}, {self._gaps()}"] if self.switches or self.gaps else []),
            f"answers      {self.answered:,}{_kinds(others)}",
            *_line("errors       ", self.errors),
            *(self.measures.lines(self.clients, self.waiting) if self.measures is not None else ()),
        ]
        if self.made or self.lines:
            lines += self._pushes()
        if self.everyone:
            lines.append(f"everyone     {self.heard:,} of {self.clients:,} heard it, {self.heard_again:,} again")
        if self.reach.count:
            lines.append(f"reached      {_reached(self.reach)}")
        if self.fanout.count:
            lines.append(f"fan-out      {_latency(self.fanout)}")
        if self.latency.count:
            lines.append(f"latency      {_latency(self.latency)}")
            lines.append(f"  spread     {_spread(self.latency)}")
        if self.failover.count:
            lines.append(f"worker gone  {_latency(self.failover)}")
        if self.answer.count:
            lines.append(f"push answer  {_latency(self.answer)}")
        problems = self.problems()
        lines += [f"PROBLEM      {problem}" for problem in problems] or [self._all_well()]
        lines += [f"  {kind}: message {number} of client {client}" for kind, client, number in self.verdict.examples]
        lines += [
            f"  {kind}: to everyone, {number} at client {client}" for kind, client, number in self.everybody.examples
        ]
        for kind, row, number in self.rooms.examples:
            client, place = divmod(row, self.channels)
            lines.append(f"  {kind}: message {number} of room {place} of client {client}")
        return "\n".join(lines) + "\n"

    def _all_well(self) -> str:
        if self.measures is None:
            return "all well"
        alive = f"all {self.clients:,} clients alive" + (", each was reached" if self.everyone else "")
        return f"all well     {alive}, no message lost"

    def _connect_us(self) -> float:
        return self.connect_cpu_s / self.connected * 1e6 if self.connected else 0.0

    def _sum(self, name: str) -> int:
        return sum(int(getattr(getattr(self, verdict), name)) for verdict in _VERDICTS)

    def _gaps(self) -> str:
        needless = self._sum("needless")
        return f"{self.gaps:,} gaps told" + (f", in {needless:,} of them nothing was missed" if needless else "")

    def _pushes(self) -> list[str]:
        made = f"{self.made:,} pushed" if self.made else f"{self.lines:,} lines in a batch"
        acknowledged = self._sum("acknowledged")
        speed = f"{_rate(acknowledged, self.push_s):,.0f}/s"
        lines = [
            f"pushes       {made} in {self.push_s:.2f} s",
            f"acknowledged {acknowledged:,} ({speed}){_kinds(self.statuses)}",
            *_line("push errors  ", self.push_errors),
        ]
        if self.verdict.acknowledged or not self.channels:
            lines.append(f"messages     {self._arrivals(self.verdict)}")
        if self.channels:
            lines.append(f"rooms        {self._arrivals(self.rooms)}")
        if self.everybody.acknowledged:
            lines.append(f"to everyone  {self._arrivals(self.everybody)}")
        return lines

    def _arrivals(self, v: Verdict) -> str:
        arrived = f"{v.delivered:,} delivered in {self.deliver_s:.2f} s ({_rate(v.delivered, self.deliver_s):,.0f}/s)"
        faults = f"{v.lost:,} lost, {v.repeated:,} repeated, {v.out_of_order:,} out of order"
        return f"{arrived}: {faults}" + (f", {v.skipped:,} in gaps" if v.skipped else "")


def merged(reports: Iterable[Report]) -> Report:
    """Add up the reports of several machines: numbers and histograms add, durations count at their longest."""
    parts = list(reports)
    total: dict[str, Any] = {name: sum(getattr(p, name) for p in parts) for name in _SUMMED}
    total |= {name: max((getattr(p, name) for p in parts), default=0.0) for name in _LONGEST}
    for name in _COUNTED:
        total[name] = dict(sum((Counter(getattr(p, name)) for p in parts), Counter()))
    for name in _HISTOGRAMS:
        total[name] = Histogram()
        for part in parts:
            total[name].merge(getattr(part, name))
    return Report(
        **total,
        everyone=any(p.everyone for p in parts),
        interrupted=any(p.interrupted for p in parts),
        troubles=tuple(trouble for p in parts for trouble in p.troubles),
        batch_error="; ".join(p.batch_error for p in parts if p.batch_error),
        channels=max((p.channels for p in parts), default=0),
        verdict=_sum_of(p.verdict for p in parts),
        rooms=_sum_of(p.rooms for p in parts),
        everybody=_sum_of(p.everybody for p in parts),
    )


def live_line(seconds: float, counts: Mapping[str, Any], rates: Mapping[str, float], stage: str = "") -> str:
    """Return the line that is shown once a second.

    Args:
        seconds: since the begin.
        counts: the sums over the processes.
        rates: per second since the last line, by the name of the count.
        stage: where a whole run stands.
    """
    parts = [
        f"{seconds:5.0f} s",
        *([f"{stage}:"] if stage else []),
        f"connected {counts['connected']} (+{rates.get('connected', 0):.0f}/s)",
    ]
    parts.append(f"waiting {counts['waiting']}")
    parts.append(f"answered {counts['answered']} (+{rates.get('answered', 0):.0f}/s)")
    if counts.get("acknowledged"):
        delivered = counts["delivered"] + counts.get("room_delivered", 0) + counts.get("everyone_delivered", 0)
        parts.append(f"pushed {counts['acknowledged']} delivered {delivered}")
    told = ("repeated", "out_of_order", "gaps", "dropped", "switches", "reconnects")
    parts += (f"{name.replace('_', ' ')} {counts[name]}" for name in told if counts.get(name))
    if len(counts.get("transports", {})) > 1:
        parts += (f"{name} {number}" for name, number in counts["transports"].items())
    parts += (f"{kind} {number}" for kind, number in sorted(counts.get("errors", {}).items()))
    return "  ".join(parts)


def live_json(seconds: float, counts: Mapping[str, Any], stage: str = "") -> str:
    """Return the live line as one JSON object."""
    told = {"stage": stage} if stage else {}
    return json.dumps({"seconds": round(seconds, 1), **told, **counts}, separators=(",", ":"))


def _sum_of(verdicts: Iterable[Verdict]) -> Verdict:
    parts = list(verdicts)
    names = [a.name for a in attrs.fields(Verdict) if a.name != "examples"]
    sums = {name: sum(getattr(v, name) for v in parts) for name in names}
    return Verdict(**sums, examples=tuple(e for v in parts for e in v.examples))


def _latency_json(histogram: Histogram) -> dict[str, Any]:
    told = {f"{name}_ms": round(histogram.quantile(share) / 1e6, 3) for share, name in _QUANTILES}
    return {**told, "max_ms": round(histogram.max_ns / 1e6, 3), "count": histogram.count, **histogram.to_json()}


def _latency(histogram: Histogram) -> str:
    told = [f"{name} {histogram.quantile(share) / 1e6:.2f} ms" for share, name in _QUANTILES]
    return ", ".join([*told, f"max {histogram.max_ns / 1e6:.2f} ms", f"of {histogram.count:,}"])


def _reached(histogram: Histogram) -> str:
    """Return when how many had heard a message."""
    half, nearly = (histogram.quantile(share) / 1e6 for share in (0.5, 0.99))
    last = f"the last of {histogram.count:,} after {histogram.max_ns / 1e6:,.0f} ms"
    return f"half after {half:,.0f} ms, 99 % after {nearly:,.0f} ms, {last}"


def _spread(histogram: Histogram) -> str:
    """Return which part of all took how long."""
    parts, below = [], 0.0
    for bound_ms in _BOUNDS_MS:
        share = histogram.share_until(bound_ms * 1_000_000)
        if share > below:
            parts.append(f"{100 * (share - below):.1f} % to {bound_ms:,} ms")
        below = share
    return ", ".join(parts + ([f"{100 * (1 - below):.1f} % later"] if below < 1 else []))


def _rate(number: float, seconds: float) -> float:
    return number / seconds if seconds > 0 else 0.0


def _kinds(kinds: Mapping[str, int]) -> str:
    return "".join(f", {number:,} {kind}" for kind, number in sorted(kinds.items()) if number)


def _line(label: str, kinds: Mapping[str, int]) -> list[str]:
    return [label + ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))] if kinds else []
