"""What a connection costs, as measured: each constant with the command and the row of bench/RESULTS.md it is from.

Nothing here is a guess: what was not measured has no constant.
"""

from __future__ import annotations

import math
from typing import Final

from megacomet.errors import StartError
from megacomet.rlimits import connections_for, workers_for
from megacomet.setting_table import ROWS
from megacomet.settings import Settings

POLL: Final = "poll"
SSE: Final = "sse"
WS: Final = "ws"

#: Process memory of a connection that waits, with one channel, the directory in the manager included. A poll after one
#: message: `python -m bench idle_memory`, 109 and 116 B on 2026-11-28. The others: `python -m bench idle_streams`, the
#: highest of three runs on 2026-11-25.
PROCESS_BYTES: Final = {POLL: 116, SSE: 330, WS: 369}
#: The one that the checks reckon with, since nobody knows who will come: the dearest.
DEAREST: Final = max(PROCESS_BYTES, key=lambda name: PROCESS_BYTES[name])
#: With nothing connected: 112 MB with 8 workers (`python -m bench idle_memory`, with the console, 2026-11-28), and 298
#: with 54 where 8 had 107 (`python -m bench idle_memory --workers 54 --clients 1000`, 2026-11-28).
WORKER_BYTES: Final = (298_000_000 - 107_000_000) // (54 - 8)
BASE_BYTES: Final = 112_000_000 - 8 * WORKER_BYTES
#: What the kernel takes for a socket that waits: the socket itself (2,368), its inode (832), file, name and places in
#: epoll. `python -m bench kernel_memory`: 8.1 and 8.4 kB of slab for a pair of them on loopback.
SOCKET_BYTES: Final = 4096
#: A message that the other side has not acknowledged, or not read, holds a page: `python -m bench kernel_memory`, 0.99
#: pages for each of 60,000 sockets with 100 bytes.
PAGE_BYTES: Final = 4096
#: Of RLIMIT_MEMLOCK, by user, for the io_uring of a worker, where the kernel counts it: on Linux 6.18 four fit into
#: 65,536 bytes, and 512 into 8 MB.
RING_BYTES: Final = 16 * 1024
#: What a process may write to counts against the commit limit (`ac` in /proc/PID/smaps): 28.4 MB for the zygote and for
#: each worker, 42.4 MB for the manager (2026-11-28, with 2 and with 6 workers).
COMMIT_BYTES: Final = 28_400_000
MANAGER_COMMIT_BYTES: Final = 42_400_000
#: What the server takes less for each worker but one where the kernel merges equal pages (KSM): 311 MB with 54 workers
#: and a million polls, 227 when they were merged ("The million, step by step" in the results, 2026-11-29).
MERGED_BYTES: Final = (311_000_000 - 227_000_000) // (54 - 1)
#: The kernel takes so much for each page that it looks at (ksm.rst, of 64 bits); it was 25 MB for those 54 workers.
MERGED_ITEM_BYTES: Final = 64
MERGED_PAGES: Final = 25_000_000 // MERGED_ITEM_BYTES // 54
#: They were merged when it had been through all of them so often.
MERGED_PASSES: Final = 2
#: A ping and its answer, in processor time: `python -m bench pings`, the slower of two runs.
PING_S: Final = 22.0e-6
#: Connections that came in a second: `python -m bench million`, a million parked in 35.5 s, the faster of two runs.
ARRIVALS_PER_S: Final = 28_000
#: Messages of a broadcast in a second: `python -m bench fanout --pairs 3`, the faster of two runs.
DELIVERIES_PER_S: Final = 272_000
#: How late a worker may be before `megacomet status` calls it late.
LATE_S: Final = 0.5
#: From here on a phone's acknowledgement is late; what is under way so long stands in the kernel.
UNDER_WAY_S: Final = 0.5
#: The kernel rounds its timers: who comes within so long is probed in one moment (docs/operations/starting.md, and
#: "What kept a million from being held" in the results).
PROBED_TOGETHER_S: Final = 2

#: More workers than the setting allows are not run.
WORKERS_MOST: Final = 250
#: Descriptors of the server itself, system-wide, for each process: listeners, links, libraries.
OWN_FILES: Final = 2_000


def arrivals(connections: int, seconds: float) -> int:
    """Return how many of so many clients come within some seconds, when all come at once."""
    return min(connections, math.ceil(ARRIVALS_PER_S * seconds))


def under_way(connections: int) -> int:
    """Return how many messages of a broadcast to all are unacknowledged at once."""
    return min(connections, int(DELIVERIES_PER_S * UNDER_WAY_S))


def workers_of(settings: Settings, connections: int, limit: int, cores: int) -> int:
    """Return how many workers a server for so many connections runs; one where the limit leaves no room at all."""
    try:
        return min(WORKERS_MOST, workers_for(settings.workers, connections, limit, cores))
    except StartError:
        return settings.workers or 1


def room_of(settings: Settings, limit: int, cores: int) -> int:
    """Return how many connections descriptors let in, with as many workers as there may be."""
    try:
        return connections_for(settings.workers or max(cores, WORKERS_MOST), limit)
    except StartError:
        return 0


def process_bytes(connections: int, workers: int, transport: str = DEAREST) -> int:
    """Return the memory of manager, zygote and workers without what the store keeps."""
    return BASE_BYTES + workers * WORKER_BYTES + connections * PROCESS_BYTES[transport]


def kernel_bytes(connections: int) -> int:
    """Return the kernel's memory for so many sockets that wait."""
    return connections * SOCKET_BYTES


def message_bytes(connections: int) -> int:
    """Return the kernel's memory for a broadcast to all while it is under way."""
    return under_way(connections) * PAGE_BYTES


def needed_bytes(connections: int, workers: int, settings: Settings, transport: str = DEAREST) -> int:
    """Return all of it, with a store that is full."""
    held = process_bytes(connections, workers, transport) + settings.store_bytes
    return held + kernel_bytes(connections) + message_bytes(connections)


assert ROWS["workers"].about.rule.check(WORKERS_MOST) == WORKERS_MOST
