"""Put on PYTHONPATH by `bench.profile`: samples where each process of a server spends its CPU time.

A sample is taken at most every millisecond of CPU time; SIGUSR2 writes what was counted to a file in $SAMPLES_DIR. A
signal is handled between two steps of the interpreter, so what the kernel took counts for the line that called it.
"""

import os
import signal
from collections import Counter
from pathlib import Path

_INTERVAL_S = 0.001
_own: Counter[str] = Counter()
_under: Counter[str] = Counter()


def _sample(number, frame):
    place = frame
    _own[f"{_where(place)}:{place.f_lineno}"] += 1
    seen = set()
    while place is not None:
        seen.add(_where(place))
        place = place.f_back
    _under.update(seen)


def _where(frame):
    code = frame.f_code
    return f"{'/'.join(code.co_filename.split('/')[-2:])} {code.co_qualname}"


def _write(number, frame):
    title = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode().replace("megacomet:", "").split()
    name = "".join(title[:2]) if title and "/" not in title[0] else "other"
    lines = [f"own {n} {place}\n" for place, n in _own.most_common()]
    lines += [f"under {n} {place}\n" for place, n in _under.most_common()]
    Path(os.environ["SAMPLES_DIR"], f"{name}.{os.getpid()}").write_text("".join(lines))
    _own.clear()
    _under.clear()
    _start()


def _start():
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL_S, _INTERVAL_S)


# Forks have the handlers, and no timer: theirs begins with the first signal, which comes before what is to be sampled.
signal.signal(signal.SIGPROF, _sample)
signal.signal(signal.SIGUSR2, _write)
_start()
