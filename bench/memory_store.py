"""What the message store costs: bytes a kept message against what it counts itself, and microseconds an operation.

Run as `python -m bench.memory_store`. Each case runs in a process of its own and fills a store with messages whose
channel and data are new objects, as those of requests are. "real" is the growth of PSS, "counted" what `counts()` says;
the constants MESSAGE_BYTES, ROW_BYTES and KEY_BYTES are right when counted / real is 0.8 to 1.2 in every case. Times
are CPU time with the making of the publications taken out.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable

from bench.directory import pss_bytes
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Publication
from megacomet.model.position import Since
from megacomet.model.store import Missed, Retention

MESSAGES = 200_000
#: What a case fills the store with: name -> (channel of the i-th message, bytes of data, with a key).
CASES: dict[str, tuple[Callable[[int], bytes], int, bool]] = {
    "100 a channel, 20 B": (lambda i: b"news:%d" % (i % (MESSAGES // 100)), 20, False),
    "10 a channel, 200 B": (lambda i: b"news:%d" % (i % (MESSAGES // 10)), 200, False),
    "1 a channel, 20 B": (lambda i: b"news:%d" % i, 20, False),
    "1 a mailbox, 100 B": (lambda i: b"@client-%d" % i, 100, False),
    "5 a mailbox, 1 KB": (lambda i: b"@client-%d" % (i % (MESSAGES // 5)), 1000, False),
    "1 a mailbox, 20 B, key": (lambda i: b"@client-%d" % i, 20, True),
    "live only, key": (lambda i: b"live:%d" % i, 20, True),
}


RETENTIONS = {b"@": Retention(60, 1000, 1_000_000), b"live": Retention(0, 0)}
HISTORY = Retention(60, 100)


def retention(namespace: bytes) -> Retention:
    """Return the built-in retention of a namespace."""
    return RETENTIONS.get(namespace, HISTORY)


def publications(case: str) -> list[Publication]:
    """Return the case's publications."""
    channel, size, with_key = CASES[case]
    # Padded to the right so that every one is an object of its own.
    return [
        Publication(channel(i), b'"%-*d"' % (size - 2, i), key=b"key-of-a-publisher-%d" % i if with_key else None)
        for i in range(MESSAGES)
    ]


def memory(case: str) -> None:
    """Print the bytes a message of one case."""
    channel, size, with_key = CASES[case]
    store = MemoryStore(b"e", retention, 1 << 40)
    gc.collect()
    before = pss_bytes()
    for i in range(MESSAGES):
        key = b"key-of-a-publisher-%d" % i if with_key else None
        store.append(Publication(channel(i), b'"%-*d"' % (size - 2, i), key=key), 1000.0 + i / 10_000, ignore)
    real, counted = pss_bytes() - before, store.counts()["bytes"]
    print(
        f"{case:<24} real {real / MESSAGES:7.1f} B, counted {counted / MESSAGES:7.1f} B a message: {counted / real:.2f}"
    )


def ignore(outcome: object) -> None:
    """Take an outcome."""


def timed(work: Callable[[], None], operations: int) -> str:
    """Return the CPU microseconds an operation."""
    gc.collect()
    began = time.process_time()
    work()
    return f"{(time.process_time() - began) / operations * 1e6:.2f} us"


def speed(case: str) -> None:
    """Print the microseconds an append, and of the reads and reports after it."""
    store = MemoryStore(b"e", retention, 1 << 40)
    store.feed(lambda message, kept, note: None)
    coming = publications(case)
    missed: list[Missed] = []

    def append() -> None:
        for i, publication in enumerate(coming):
            store.append(publication, 1000.0 + i / 10_000, ignore)

    def full_append() -> None:
        for publication in coming:
            small.append(publication, 1000.0, ignore)

    def read_nothing() -> None:
        since = Since(b"e", store.head)
        for publication in coming:
            store.read((publication.channel, b"*"), since, 100, 256_000, 1020.0, ignore)

    def read_last() -> None:
        for i, publication in enumerate(coming):
            store.read((publication.channel, b"*"), Since(b"e", i), 1, 256_000, 1020.0, missed.append)

    def deliver() -> None:
        for i, publication in enumerate(coming, 1):
            store.claim(publication.channel, i)
            store.written(publication.channel, i)

    def expire() -> None:
        while store.counts()["messages"]:
            store.expire(2000.0)

    figures = [f"append {timed(append, MESSAGES)}", f"read of nothing {timed(read_nothing, MESSAGES)}"]
    figures.append(f"read of one {timed(read_last, MESSAGES)}")
    missed.clear()
    if coming[0].channel.startswith(b"@"):
        figures.append(f"claim and written {timed(deliver, MESSAGES)}")
    figures.append(f"expire {timed(expire, MESSAGES)}")
    small = MemoryStore(b"e", retention, 20_000_000)
    figures.append(f"append to a full store {timed(full_append, MESSAGES)}")
    print(f"{case:<24} {', '.join(figures)}")


def apart(work: Callable[[str], None], case: str) -> None:
    """Run one case in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(case,))
    process.start()
    process.join()


if __name__ == "__main__":
    for name in CASES:
        apart(memory, name)
    for name in list(CASES)[:5]:
        apart(speed, name)
