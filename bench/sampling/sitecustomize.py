"""Put on PYTHONPATH by `bench.profile`: samples where each process of a server spends its CPU time.

A sample is taken at most every millisecond of CPU time; SIGUSR2 writes what was counted to a file in $SAMPLES_DIR. A
signal is handled between two steps of the interpreter, so what the kernel took counts for the line that called it.
"""

import os
import signal
import sys
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


def _start():
    signal.signal(signal.SIGPROF, _sample)
    signal.signal(signal.SIGUSR2, _write)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL_S, _INTERVAL_S)


def _forked():
    # Only the zygote's children stay what they are; the timer of others would outlive their exec and kill them.
    if "megacomet.worker.main" in sys.modules:
        _own.clear()
        _under.clear()
        _start()


os.register_at_fork(after_in_child=_forked)
_start()
