"""Clients come and go for minutes while messages are pushed; at the end all is as it was, or what is not is told.

Residents keep the rate: a fixed number of names that drop and come back with another transport, one in a hundred when
its position is old. Beside them passers-by come in waves, each with names that never come again, of clients and of
channels: what is kept by name and never thrown away would otherwise be there after a minute and grow no more.

First both do so for three minutes, and where the server stands when its clients have gone is what it has to return to.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bench import measure, returning
from bench.figures import Figure, Options, at_least
from bench.meanwhile import meanwhile
from bench.processes import Load, Server, load, megacomet
from bench.standing import Processes
from megacomet.swarm.series import Series

WORKERS: Final = 2
MINUTES: Final = 20.0
PER_S: Final = 2_000.0
#: Until the processes have had such moments in which they need most: what an allocator keeps of them would otherwise
#: count as left behind. After one minute it was 3.6 MB of the manager, with as many objects in use as before.
WARM_S: Final = 180.0
#: Each resident drops once in so many seconds; so this times the rate are there.
DROP_EVERY_S: Final = 4.0
_MIX: Final = "script=1,poll=2,sse=3,stream=2,ws=3,ws-deflate=1"
#: What the server keeps, and who is away for longer; short, so that all has run out soon after the end.
_KEPT_S: Final = 30
_AWAY_S: Final = 50
_SETTINGS: Final = (
    *("--history-s", str(_KEPT_S), "--mailbox-ttl-s", str(_KEPT_S), "--keep-alive-s", str(_KEPT_S)),
    *("--poll-timeout-s", str(_KEPT_S)),
)
_ROOMS: Final = ("--mix", _MIX, "--channels", "5", "--rooms", "100")
RESIDENTS: Final = (*_ROOMS, "--publish-rooms", "20", "--push-rate", "100", "--everyone", "10")
_PASSERS: Final = (*_ROOMS, "--publish-rooms", "5", "--push-rate", "20", "--switch", "4")
#: Of a wave: clients, and seconds.
_WAVE: Final = 500
_WAVE_S: Final = 15.0
_SAMPLE_S: Final = 4.0
#: A line is told for so many samples, one a minute.
_TOLD: Final = 15
#: What is kept, and idle connections, have run out long before.
_REST_S: Final = 60.0 + 2 * _KEPT_S
_LOOK_S: Final = 2.0


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server, for `minutes` and about eight more."""
    per_s, seconds = options.rate or PER_S, 60 * (options.minutes or MINUTES)
    clients = options.clients or round(per_s * DROP_EVERY_S)
    with megacomet(options.workers or WORKERS, *_SETTINGS) as server:
        soak = _Soak(server, clients, clients / per_s)
        fresh = soak.processes.at_rest()
        soak.come_and_go(min(WARM_S, seconds), "warm-")
        before = soak.rest(fresh)
        soak.series = Series(("seconds", *soak.processes.standing()))
        reports = soak.come_and_go(seconds, "")
        after = soak.rest(before)
        replaced = soak.processes.replaced
    figures = [
        at_least("connects and disconnects", returning.connects_per_s(soak.series), "/s", per_s, soak.cost),
        returning.none("processes that were replaced", replaced),
        *returning.of_messages(reports),
        *returning.of_time(soak.series),
        *returning.of_rest(before, after),
    ]
    if options.samples:
        _write(options.samples, soak.series, {"fresh": fresh, "before": before, "after": after}, figures, reports)
    return figures


class _Soak:
    """A server whose clients come and go."""

    def __init__(self, server: Server, clients: int, drop_s: float) -> None:
        """
        Args:
            clients: residents.
            drop_s: mean time after which each of them drops.
        """
        self._server = server
        self._clients = clients
        self._drop_s = drop_s
        self._began = 0.0
        self.processes = Processes(server)
        #: samples are taken while there is one
        self.series: Series | None = None
        #: what server and residents took of processors, in words
        self.cost = ""

    def come_and_go(self, seconds: float, name: str) -> list[Mapping[str, Any]]:
        """Have residents and passers-by; returns the reports of both.

        Args:
            name: what the names of all of them begin with.
        """
        waves: list[Mapping[str, Any]] = []
        with load(
            *(self._server, self._clients, *RESIDENTS, "--switch", str(self._drop_s), "--away", str(_AWAY_S)),
            *("--settle", "2", "--drain", "30", "--hold", str(seconds), "--prefix", f"{name}r"),
        ) as residents:
            measure.wait_for(lambda: residents.told("acknowledged") > 0, 120, "the first push")
            began, before = time.monotonic(), self._cpu_s(residents)
            end = began + seconds
            with meanwhile(lambda over: self._pass_by(over, end, name, waves)), meanwhile(self._sample):
                measure.wait_for(
                    lambda: residents.told("open") >= 0 and time.monotonic() > end, seconds + 60, "the end of the time"
                )
                spent = [now - was for now, was in zip(self._cpu_s(residents), before, strict=True)]
            self.cost = "of a processor: server {:.0f} %, residents {:.0f} %".format(
                *(100 * cpu_s / (time.monotonic() - began) for cpu_s in spent)
            )
            return [residents.report(), *waves]

    def rest(self, wanted: Mapping[str, float]) -> dict[str, float]:
        """Wait until all is as wanted, or should have been; returns how it is."""
        end = time.monotonic() + _REST_S
        while True:
            found = self.processes.at_rest()
            if not returning.not_returned(wanted, found) or time.monotonic() > end:
                return found
            time.sleep(_LOOK_S)

    def _cpu_s(self, residents: Load) -> tuple[float, float]:
        return measure.cpu_s(self._server.pids()), measure.cpu_s(residents.pids())

    def _pass_by(self, over: threading.Event, end: float, name: str, reports: list[Mapping[str, Any]]) -> None:
        """Have waves of clients, one after the other, as long as there is time for one."""
        for wave in itertools.count():
            if over.is_set() or time.monotonic() + _WAVE_S > end:
                return
            with load(
                *(self._server, _WAVE, *_PASSERS, "--settle", "1", "--drain", "30", "--hold", str(_WAVE_S)),
                *("--prefix", f"{name}p{wave}-"),
            ) as clients:
                reports.append(clients.report())

    def _sample(self, over: threading.Event) -> None:
        """Write down now and then how the server stands."""
        began = time.monotonic()
        while self.series is not None and not over.wait(_SAMPLE_S):
            figures = self.processes.standing()
            row = (figures[name] for name in self.series.columns[1:])
            self.series.add(round(time.monotonic() - began, 1), *row)
            if len(self.series.rows) % _TOLD == 0:
                print(f"  {returning.line(self.series)}", flush=True)


def _write(
    name: str,
    series: Series,
    rests: Mapping[str, Mapping[str, float]],
    figures: Sequence[Figure],
    reports: Sequence[Mapping[str, Any]],
) -> None:
    """Write all that was measured; of the load client's reports what adds up."""
    plain = {
        "series": series.to_json(),
        **rests,
        "figures": [attrs.asdict(figure) for figure in figures],
        "reports": [_summed(report) for report in reports],
    }
    Path(name).write_text(json.dumps(plain) + "\n", "utf-8")


def _summed(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a report its numbers, what became of the messages, and how long they took, without the details."""
    numbers = {key: value for key, value in report.items() if isinstance(value, int)}
    verdicts = {key: report[key] for key in ("verdict", "rooms", "everybody", "errors", "problems")}
    times = {
        key: {name: number for name, number in report[key].items() if name.endswith("_ms")}
        for key in ("latency", "fanout", "answer")
    }
    return {**numbers, **verdicts, **times}
