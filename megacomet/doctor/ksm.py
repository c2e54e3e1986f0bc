"""Equal pages of the workers, which the kernel may keep once (KSM): what that brings here, and what it costs.

It is advice and stands in nobody's way: nothing is needed of it. `--fix` leaves it to the administrator, since it is
about all processes of the machine that agree to it.
"""

from __future__ import annotations

from typing import Final

from megacomet.doctor.costs import MERGED_BYTES, MERGED_ITEM_BYTES, MERGED_PAGES, MERGED_PASSES
from megacomet.doctor.finding import FINE, RESULTS, Aim, Finding, fine, grouped, megabytes, unknown
from megacomet.doctor.readings import Files

NAME: Final = "samepage merging (KSM)"
KSM: Final = "sys/kernel/mm/ksm"
RUN: Final = f"{KSM}/run"
#: It came with PR_SET_MEMORY_MERGE, in Linux 6.4. To try that, as workers do, would make who looks agree as well.
_KNOWN_BY: Final = f"{KSM}/general_profit"
_WORDS: Final = {0: "off", 1: "on", 2: "off, none stay merged"}
_SOURCE: Final = f"kernel docs, admin-guide/mm/ksm.rst; {RESULTS}"
_WHY: Final = (
    "Most pages of a worker are equal in all of them. The kernel keeps such pages once where it is told to look for "
    "them, of all processes that agree, as workers do."
)
_GAIN: Final = (
    " {workers} workers take some {gain} less then, and the kernel {cost} for looking, going by what was measured with "
    "54 (227 MB instead of 311, with a million polls)."
)
_PACE: Final = (
    " It looks at {pages} pages, then sleeps {sleep} ms: theirs are merged after {seconds} s or more, and it goes on "
    "looking."
)
_SHARE: Final = " With 2,000 pages and 20 ms that took 12 to 18 % of a processor."
_PROFIT: Final = " By its own reckoning the kernel saves {profit} by it now, of all processes."


def merging(files: Files, aim: Aim) -> Finding:
    """Look whether the kernel merges equal pages."""
    value = files.number(RUN)
    if value is None and files.why.get(RUN) == "missing" and files.exists("sys/kernel/mm"):
        return fine(NAME, "not in this kernel", _WHY, _SOURCE)
    if value is not None and value not in _WORDS:
        files.odd(RUN, str(value))
    if value not in _WORDS:
        return unknown(files, NAME, RUN, _WHY, _SOURCE)
    told = f"{value}: {_WORDS[value]}"
    if not files.exists(_KNOWN_BY):
        why = f"{_WHY} Workers cannot agree here: that takes Linux 6.4 (PR_SET_MEMORY_MERGE)."
        return fine(NAME, f"{told}; Linux older than 6.4", why, _SOURCE)
    if aim.workers < 2:
        return fine(NAME, told, f"{_WHY} One worker has nobody to share them with.", _SOURCE)
    why = f"{_WHY}{_gain(aim.workers)}{_pace(files, aim.workers)}{_SHARE}"
    if value == 1:
        return fine(NAME, told, f"{why}{_profit(files)}", _SOURCE)
    where = ", on the host" if files.is_read_only(RUN) else ""
    return Finding(NAME, told, "", FINE, why, _SOURCE, f"echo 1 > /{RUN}{where}")


def _gain(workers: int) -> str:
    gain, cost = MERGED_BYTES * (workers - 1), MERGED_ITEM_BYTES * MERGED_PAGES * workers
    return _GAIN.format(workers=workers, gain=megabytes(gain), cost=megabytes(cost))


def _pace(files: Files, workers: int) -> str:
    """Return how fast the daemon goes, "" where that is not known."""
    pages, sleep = (files.number(f"{KSM}/{name}") for name in ("pages_to_scan", "sleep_millisecs"))
    if pages is None or sleep is None or pages <= 0 or sleep < 0:
        return ""
    seconds = MERGED_PASSES * MERGED_PAGES * workers / pages * sleep / 1000
    return _PACE.format(pages=grouped(pages), sleep=grouped(sleep), seconds=f"{seconds:,.0f}")


def _profit(files: Files) -> str:
    profit = files.number(_KNOWN_BY)
    return "" if profit is None else _PROFIT.format(profit=megabytes(profit))
