"""What the directory costs: bytes a channel and microseconds an operation, at 140,000 and at 1,000,000 channels.

Run as `python -m bench.directory`. Each size runs in a process of its own. Memory is the growth of PSS; the time is CPU
time with the making of the names taken out (it is measured by the same loop without the directory).
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

from megacomet.model.directory import Directory

SIZES = (140_000, 1_000_000)
WORKERS = 54


def pss_bytes() -> int:
    """Return the proportional set size of this process."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


def cpu_s(work: Callable[[bytes, int], object], count: int) -> float:
    """Return the CPU seconds of calling `work` with `count` channels and their slots."""
    began = time.process_time()
    for i in range(count):
        work(b"@client-%d" % i, i % WORKERS)
    return time.process_time() - began


def measure(count: int) -> None:
    """Fill, ask and empty a directory, and print the figures."""
    directory = Directory()
    for _ in range(WORKERS + 1):
        directory.take_slot()
    names_s = min(cpu_s(lambda channel, slot: None, count) for _ in range(3))
    before = pss_bytes()
    add_s = cpu_s(directory.add, count)
    grown = pss_bytes() - before
    again_s = cpu_s(directory.add, count)
    slots_s = cpu_s(lambda channel, slot: directory.slots(channel), count)
    directory.drop(0)
    began, sweeps = time.process_time(), 1
    while directory.sweep(1000):
        sweeps += 1
    sweep_s = time.process_time() - began
    remove_s = cpu_s(directory.remove, count)
    each = [f"{(s - names_s) / count * 1e6:.2f}" for s in (add_s, again_s, slots_s, remove_s)]
    print(
        f"{count:>9,} channels: {grown / count:.1f} B a channel; us: add {each[0]}, add again {each[1]}, "
        f"slots {each[2]}, remove {each[3]}; a dead worker's sweep {sweep_s * 1e3:.0f} ms in {sweeps} calls"
    )


if __name__ == "__main__":
    for size in SIZES:
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(size,))
        process.start()
        process.join()
