"""Where each metric is read, at a scrape: from what the parts of the manager know anyway, nothing is counted for it.

What belongs to a worker carries its number; reasons and times are summed over the workers, so that a scrape of many
workers stays small.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

import attrs
from twisted.copyright import version as twisted_version

from megacomet import __version__
from megacomet.manager.main import Manager
from megacomet.manager.tally import Key
from megacomet.manager.vitals import Vitals
from megacomet.manager.workforce import STATES, Workforce
from megacomet.model.directory import Directory
from megacomet.model.histogram import BOUNDS_S
from megacomet.model.memory import MemoryStore
from megacomet.model.router import Router
from megacomet.rlimits import open_descriptors

_ENDED: Final = ("gone", "idle", "silent", "slow", "failed")
_TRANSPORTS: Final = ("poll", "sse", "stream", "ws")
#: What a worker counts, by the metric that tells it with the worker's number.
_BY_WORKER: Final = {
    "megacomet_connections_accepted_total": "accepted",
    "megacomet_messages_out_total": "messages",
    "megacomet_written_bytes_total": "bytes",
    "megacomet_worker_full_total": "times_full",
}
#: The same without it.
_SUMMED: Final = {
    "megacomet_connections_handed_over_total": "handed_over",
    "megacomet_connections_given_back_total": "given_back",
    "megacomet_messages_encoded_total": "encoded",
    "megacomet_messages_compressed_total": "compressed",
    "megacomet_gaps_told_total": "gaps",
}
_TIMES: Final = {"megacomet_push_to_write_seconds": "latency", "megacomet_fanout_seconds": "fanout"}


class Times(NamedTuple):
    """A histogram: how many there were in each class of `BOUNDS_S` and beyond, and the sum of their seconds."""

    counts: list[int]
    sum_s: float


class Reading(NamedTuple):
    """One value of a metric; `labels` in the order of the table."""

    metric: str
    value: float | Times
    labels: tuple[str, ...] = ()


class IApi(Protocol):
    """What is counted at the doors of the API.

    Attributes:
        channels: the open connections.
    """

    channels: set[Any]

    @property
    def answered(self) -> Mapping[int, int]:
        """Requests, by status."""

    @property
    def refused(self) -> Mapping[str, int]:
        """Errors told, by code."""


@attrs.frozen
class Sources:
    """Where metrics come from.

    Attributes:
        manager, router, directory, store, workforce, vitals: the parts of the manager.
        api: the doors of the API.
        dropped: what the original's port dropped, by reason.
        started: when the manager started, Unix time.
        room: connections that there is room for.
        descriptors: that the manager may have.
        now: seconds, monotonic.
    """

    manager: Manager
    router: Router
    directory: Directory
    store: MemoryStore
    workforce: Workforce
    vitals: Vitals
    api: IApi
    dropped: Mapping[str, int]
    started: float
    room: int
    descriptors: int
    now: Callable[[], float]


def readings(sources: Sources) -> Iterator[Reading]:
    """Read all metrics."""
    yield from _server(sources)
    yield from _manager(sources)
    yield from _messages(sources)
    yield from _store(sources.store)
    yield from _workers(sources)


def _server(sources: Sources) -> Iterator[Reading]:
    versions = (__version__, platform.python_version(), twisted_version)
    yield Reading("megacomet_build_info", 1, versions)
    yield Reading("megacomet_start_time_seconds", sources.started)
    yield Reading("megacomet_ready", int(sources.manager.ready))
    yield Reading("megacomet_connections_max", sources.room)
    states = Counter(sources.workforce.state(place.number) for place in sources.manager.supervisor.places)
    for state in STATES:
        yield Reading("megacomet_workers", states[state], (state,))


def _manager(sources: Sources) -> Iterator[Reading]:
    pulse = sources.vitals.counts()
    yield from _process("manager", pulse)
    yield Reading("megacomet_process_cpu_seconds_total", pulse["cpu_s"], ("manager",))
    used = open_descriptors()
    yield from _descriptors("manager", used, sources.descriptors - used)
    zygote = sources.manager.supervisor.zygote
    if zygote is not None:
        cpu_s = sources.vitals.cpu_s_of_zygote(zygote.pid)
        yield Reading("megacomet_process_cpu_seconds_total", cpu_s, ("zygote",))
        yield Reading("megacomet_process_restarts_total", zygote.restarts, ("zygote",))


def _process(name: str, pulse: Mapping[str, Any]) -> Iterator[Reading]:
    yield Reading("megacomet_process_uptime_seconds", pulse["uptime_s"], (name,))
    yield Reading("megacomet_event_loop_lag_seconds", pulse["lag_s"], (name,))


def _descriptors(name: str, used: int, left: int) -> Iterator[Reading]:
    yield Reading("megacomet_process_descriptors_used", used, (name,))
    yield Reading("megacomet_process_descriptors_left", left, (name,))


def _messages(sources: Sources) -> Iterator[Reading]:
    for status, count in {**sources.router.published, "repeated": sources.store.repeats}.items():
        yield Reading("megacomet_messages_in_total", count, (status,))
    for reason in sorted({"mailbox-full", "store-full", *sources.store.refused}):
        yield Reading("megacomet_messages_refused_total", sources.store.refused[reason], (reason,))
    yield Reading("megacomet_directory_entries", len(sources.directory))
    yield Reading("megacomet_claims_returned_total", sources.store.returns)
    for reason, count in sorted(sources.dropped.items()):
        yield Reading("megacomet_classic_dropped_total", count, (reason,))


def _store(store: MemoryStore) -> Iterator[Reading]:
    counts = store.counts()
    yield Reading("megacomet_store_messages", counts["messages"])
    yield Reading("megacomet_store_waiting_messages", counts["waiting"])
    yield Reading("megacomet_store_channels", counts["channels"])
    yield Reading("megacomet_store_bytes", counts["bytes"])
    yield Reading("megacomet_store_max_bytes", store.max_bytes)


def _api(api: IApi, by_workers: Mapping[Key, float]) -> Iterator[Reading]:
    answered = Counter({str(status): float(count) for status, count in api.answered.items()})
    answered.update({key[1]: count for key, count in by_workers.items() if key[0] == "answered"})
    for status, count in sorted(answered.items()):
        yield Reading("megacomet_api_requests_total", count, (status,))
    for reason, count in sorted(api.refused.items()):
        yield Reading("megacomet_requests_refused_total", count, ("manager", reason))
    yield Reading("megacomet_api_connections", len(api.channels))


def _workers(sources: Sources) -> Iterator[Reading]:
    manager = sources.manager
    memory = dict(manager.memory_of(sources.now()))
    zygote = manager.supervisor.zygote
    yield Reading("megacomet_process_memory_bytes", memory[os.getpid()], ("manager",))
    if zygote is not None:
        yield Reading("megacomet_process_memory_bytes", memory.get(zygote.pid, 0), ("zygote",))
    total: Counter[Key] = Counter()
    connections = 0
    for place in manager.supervisor.places:
        number, process = str(place.number), f"worker-{place.number}"
        counted = manager.links.tally.of(place.number)
        total.update(counted)
        for metric, name in _BY_WORKER.items():
            yield Reading(metric, counted[name,], (number,))
        yield Reading("megacomet_process_cpu_seconds_total", counted["cpu_s",], (process,))
        yield Reading("megacomet_process_restarts_total", place.restarts, (process,))
        if place.pid:
            yield Reading("megacomet_process_memory_bytes", memory.get(place.pid, 0), (process,))
        link = manager.links.of(place.number)
        if link is not None:
            yield Reading("megacomet_link_backlog_bytes", link.gathered_bytes, (number,))
            if link.counts:
                connections += sum(link.counts["rows"].values())
                yield from _standing(number, process, link.counts)
    if connections:
        yield Reading("megacomet_memory_per_connection_bytes", sum(memory.values()) / connections)
    yield from _total(total)
    yield from _api(sources.api, total)


def _standing(number: str, process: str, said: Mapping[str, Any]) -> Iterator[Reading]:
    """Read how a worker stands that has its link."""
    yield from _process(process, said)
    yield from _descriptors(process, said["descriptors"]["used"], said["descriptors"]["left"])
    for transport in _TRANSPORTS:
        yield Reading("megacomet_connections", said["connections"][transport], (number, transport))
    yield Reading("megacomet_open_connections", sum(said["rows"].values()), (number,))
    yield Reading("megacomet_subscribed_channels", said["channels"], (number,))
    yield Reading("megacomet_clients_backlog_bytes", said["backlog_bytes"], (number,))


def _total(total: Counter[Key]) -> Iterator[Reading]:
    for metric, name in _SUMMED.items():
        yield Reading(metric, total[name,])
    for reason in _ENDED:
        yield Reading("megacomet_connections_ended_total", total[reason,], (reason,))
    for name, by in sorted(key for key in total if key[0] == "refused"):
        yield Reading("megacomet_requests_refused_total", total[name, by], ("worker", by))
    for metric, name in _TIMES.items():
        counts = [total[name, str(n)] for n in range(len(BOUNDS_S) + 1)]
        yield Reading(metric, Times(counts, float(total[name, "sum_s"])))
