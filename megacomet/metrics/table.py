"""The table of the metrics: each with its type, labels and meaning; `docs/reference/metrics.md` tells the same.

Names and units are Prometheus' own way: seconds and bytes, `_total` for what only goes up. Labels have few values,
known beforehand: no channel, no client and no address is ever one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
HISTOGRAM: Final = "histogram"
INFO: Final = "info"


@attrs.frozen
class Metric:
    """One metric.

    Attributes:
        name: as it is served; `_bucket`, `_sum` and `_count` of a histogram are not in it.
        kind: its type.
        text: what it tells.
        labels: their names.
    """

    name: str
    kind: str
    text: str
    labels: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name without what its type adds."""
        return self.name.removesuffix("_total").removesuffix("_info")

    @property
    def unit(self) -> str:
        """What it is counted in, "" for mere numbers."""
        return next((unit for unit in ("seconds", "bytes") if self.family.endswith(f"_{unit}")), "")


_WORKER: Final = ("worker",)
_PROCESS: Final = ("process",)

_ALL: Final = (
    # the server
    Metric("megacomet_build_info", INFO, "Versions, as labels.", ("version", "python", "twisted")),
    Metric("megacomet_start_time_seconds", GAUGE, "When the manager started, Unix time."),
    Metric("megacomet_ready", GAUGE, "1 while every worker listens that is to, else 0."),
    Metric("megacomet_workers", GAUGE, "Workers by state.", ("state",)),
    Metric("megacomet_connections_max", GAUGE, "Connections that there is room for."),
    Metric("megacomet_memory_per_connection_bytes", GAUGE, "Memory of all processes by open connection."),
    # its processes
    Metric("megacomet_process_memory_bytes", GAUGE, "Memory, what is shared divided among those that do.", _PROCESS),
    Metric("megacomet_process_cpu_seconds_total", COUNTER, "Time of processors, user and system.", _PROCESS),
    Metric("megacomet_process_descriptors_used", GAUGE, "Open descriptors.", _PROCESS),
    Metric("megacomet_process_descriptors_left", GAUGE, "Descriptors that may still be opened.", _PROCESS),
    Metric("megacomet_process_uptime_seconds", GAUGE, "For how long the process has run.", _PROCESS),
    Metric("megacomet_process_restarts_total", COUNTER, "Processes that have ended and were replaced.", _PROCESS),
    Metric("megacomet_event_loop_lag_seconds", GAUGE, "Longest wait for the event loop in the last 5 s.", _PROCESS),
    # connections
    Metric("megacomet_connections", GAUGE, "Clients that wait for messages.", ("worker", "transport")),
    Metric("megacomet_open_connections", GAUGE, "Open connections, whatever they are doing.", _WORKER),
    Metric("megacomet_subscribed_channels", GAUGE, "Channels and mailboxes that somebody listens to.", _WORKER),
    Metric("megacomet_connections_accepted_total", COUNTER, "Connections that came in.", _WORKER),
    Metric("megacomet_connections_ended_total", COUNTER, "Connections that ended on their own, by why.", ("reason",)),
    Metric("megacomet_connections_handed_over_total", COUNTER, "Connections that the manager took over."),
    Metric("megacomet_connections_given_back_total", COUNTER, "Connections that the manager gave back."),
    Metric("megacomet_worker_full_total", COUNTER, "How often a worker had no room for more.", _WORKER),
    Metric("megacomet_requests_refused_total", COUNTER, "Requests answered with an error.", ("role", "reason")),
    Metric("megacomet_clients_backlog_bytes", GAUGE, "Written to clients and not yet taken by them.", _WORKER),
    Metric("megacomet_link_backlog_bytes", GAUGE, "Waiting in the manager for a worker.", _WORKER),
    # messages
    Metric("megacomet_messages_in_total", COUNTER, "Messages taken from publishers, by status.", ("status",)),
    Metric("megacomet_messages_refused_total", COUNTER, "Messages that the store did not take.", ("reason",)),
    Metric("megacomet_messages_out_total", COUNTER, "Messages written to connections.", _WORKER),
    Metric("megacomet_written_bytes_total", COUNTER, "Bytes written to connections.", _WORKER),
    Metric("megacomet_messages_encoded_total", COUNTER, "How often a message was put into a form."),
    Metric("megacomet_messages_compressed_total", COUNTER, "How often a message was compressed."),
    Metric("megacomet_push_to_write_seconds", HISTOGRAM, "From the acceptance of a message to its last write."),
    Metric("megacomet_fanout_seconds", HISTOGRAM, "From a worker's receipt of a message to many to its last write."),
    Metric("megacomet_gaps_told_total", COUNTER, "Gaps told to clients that came back."),
    Metric("megacomet_directory_entries", GAUGE, "Channels and mailboxes listened to, for each worker where they are."),
    Metric("megacomet_claims_returned_total", COUNTER, "Messages handed to a worker that came back unwritten."),
    Metric("megacomet_classic_dropped_total", COUNTER, "Pushes that the original's port dropped.", ("reason",)),
    # the store
    Metric("megacomet_store_messages", GAUGE, "Messages that are kept."),
    Metric("megacomet_store_waiting_messages", GAUGE, "Those of them that wait in mailboxes."),
    Metric("megacomet_store_channels", GAUGE, "Channels and mailboxes that something is kept of."),
    Metric("megacomet_store_bytes", GAUGE, "Memory of what is kept."),
    Metric("megacomet_store_max_bytes", GAUGE, "The setting store_bytes."),
    # the API
    Metric("megacomet_api_requests_total", COUNTER, "Requests to the API, by the status of the answer.", ("status",)),
    Metric("megacomet_api_connections", GAUGE, "Connections that the manager holds."),
)

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _ALL}
