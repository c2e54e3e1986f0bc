"""What `megacomet doctor` says to people: what is low first, then all checks, the forecast and the traces."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from megacomet.cli.figures import UNKNOWN, count, size
from megacomet.cli.text import safe, table
from megacomet.doctor.finding import Finding
from megacomet.doctor.forecast import Forecast
from megacomet.doctor.report import Report
from megacomet.doctor.traces import Trace

_COLUMNS: Final = 100
_INDENT: Final = "  "


def lines(report: Report, is_long: bool) -> Iterator[str]:
    """Yield the lines.

    Args:
        report: what was found.
        is_long: tell the reason of each check, and not only of what is low.
    """
    yield _headline(report)
    for finding in report.low:
        yield ""
        yield from _in_full(finding)
    for line in report.later.lines():
        yield ""
        yield safe(f"! {line}")
    yield ""
    yield from _checks(report)
    if is_long:
        for finding in report.all():
            if not finding.is_low:
                yield ""
                yield from _in_full(finding)
    yield ""
    yield from _forecast(report.forecast)
    yield ""
    yield from _traces(report)


def _headline(report: Report) -> str:
    low = len(report.low)
    told = (
        "nothing stands in the way"
        if not low
        else f"{low} of {len(list(report.all()))} checks {'is' if low == 1 else 'are'} low"
    )
    workers = report.aim.workers
    on = f"{count(report.aim.connections)} connections on {count(workers)} worker{'' if workers == 1 else 's'}"
    return f"{on}: {told}"


def _in_full(finding: Finding) -> Iterator[str]:
    """Yield what a check has to say."""
    value = finding.value or "not known"
    needs = f", needed: {finding.needs}" if finding.needs else ""
    mark = "! " if finding.is_low else ""
    yield safe(f"{mark}{finding.name}: {value}{needs} ({finding.state})")
    yield from _wrapped(f"{finding.why} ({finding.source})")
    if finding.change:
        yield safe(f"{_INDENT}-> {finding.change}")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(safe(text), _COLUMNS, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _checks(report: Report) -> list[str]:
    rows = [("CHECK", "VALUE", "NEEDED", "")]
    for about, findings in report.findings.items():
        rows.append((about, "", "", ""))
        for one in findings:
            rows.append((f"{_INDENT}{one.name}", one.value or UNKNOWN, one.needs or UNKNOWN, one.state))
    return table(rows)


def _forecast(told: Forecast) -> Iterator[str]:
    yield f"Memory of {count(told.connections)} connections on {count(told.workers)} workers"
    rows = [
        *((f"{_INDENT}processes, all {name}", size(number)) for name, number in told.processes.items()),
        (f"{_INDENT}the store, when full", size(told.store)),
        (f"{_INDENT}the kernel's sockets", size(told.kernel)),
        (f"{_INDENT}a message to all on its way", size(told.under_way)),
        (f"{_INDENT}in all, with the dearest", size(told.total)),
        (f"{_INDENT}to be had", size(told.room)),
    ]
    yield from table(rows, right=[1])
    if told.most is None:
        yield "How many fit is not known"
    else:
        yield safe(f"{count(told.most)} connections fit now; the first bound is: {told.first}")


def _traces(report: Report) -> Iterator[str]:
    if not report.traces:
        yield "Nothing has run short since the machine started"
    else:
        yield "What has run short since the machine started, perhaps long ago"
        for trace in report.traces:
            yield from _trace(trace)
    if not report.log_is_read:
        yield "The kernel's log is closed to this user"


def _trace(trace: Trace) -> Iterator[str]:
    yield from _wrapped(f"{count(trace.count)} x {trace.what} ({trace.where})")
    if trace.last:
        yield from textwrap.wrap(safe(trace.last), _COLUMNS, initial_indent=4 * " ", subsequent_indent=4 * " ")
    yield from textwrap.wrap(
        f"-> {trace.do}", _COLUMNS, initial_indent=2 * _INDENT, subsequent_indent=2 * _INDENT + 3 * " "
    )
