"""`megacomet status`: whether the server runs, what it consists of, and what is not as it should be, that first."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from megacomet.addresses import Address
from megacomet.cli import local
from megacomet.cli.arguments import Parser, given_settings, server_options
from megacomet.cli.calling import Api
from megacomet.cli.figures import UNKNOWN, age, count, duration, lag, size
from megacomet.cli.finding import server_of
from megacomet.cli.local import Local, Process
from megacomet.cli.output import print_object
from megacomet.cli.stats import checked
from megacomet.cli.statuses import FAILED, FINE, NO_SERVER, ending
from megacomet.cli.text import safe, table
from megacomet.errors import CallError, NoServer, Rejected
from megacomet.settings import URL_VARIABLE, load

#: Later than that, and clients notice; the alert rules have the same.
LAG_S: Final = 0.5
STORE_FULL: Final = 0.9
#: Why nothing of this machine is told.
ELSEWHERE: Final = "another server was named"
_AS_IT_SHOULD_BE: Final = ("up", "draining", "drained")


@attrs.frozen
class Told:
    """What the API tells.

    Attributes:
        error: why it does not.
        answers: whether it answers at all.
        stats: of `/api/stats`.
        workers: of `/api/workers`.
        store_bytes: what the store may hold.
        time: of the server, RFC 3339.
    """

    error: str = ""
    answers: bool = False
    stats: Mapping[str, Any] | None = None
    workers: Sequence[Mapping[str, Any]] = ()
    store_bytes: int | None = None
    time: str | None = None


def main(arguments: Sequence[str]) -> int:
    """Tell how the server stands; return the exit status."""
    return ending("status", lambda: _status(arguments))


def parser() -> Parser:
    """Return the parser of the command."""
    about = "Tells whether the server runs, and how it stands; what is not as it should be first."
    return Parser(prog="megacomet status", parents=[server_options()], description=about)


def _status(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    settings, _ = load(given_settings(options), os.environ)
    is_elsewhere = options.url is not None or bool(os.environ.get(URL_VARIABLE))
    here = Local(why_unknown=ELSEWHERE) if is_elsewhere else local.look(settings.state_dir)
    address: Address | None = None
    try:
        found = attrs.evolve(server_of(options), about_address="")  # it is in the report
        address = found.address
        with Api(found, options.timeout) as api:
            told = ask(api)
    except CallError as e:
        told = Told(str(e))
    if told.answers and told.stats is None and not here.why_unknown and not here.is_any:
        told = Told(f"another server answers at {address}")  # ours would know our key
    report = make_report(here, told, address, settings.state_dir)
    if options.json:
        print_object(report)
    else:
        print("\n".join(lines(report)))
    return status_of(report)


def ask(api: Api) -> Told:
    """Ask the API."""
    try:
        answer = api.get("/api/stats")
        stats, workers = checked(answer.value), checked_workers(api.get("/api/workers").value)
        settings = api.get("/api/config").value
    except NoServer as e:
        return Told(str(e))
    except Rejected as e:
        return Told(f"the server answers, but not to us: {e}", answers=True)
    except CallError as e:
        return Told(str(e))  # something else than a MegaComet
    most = settings.get("store_bytes", {}).get("value") if isinstance(settings, dict) else None
    return Told("", True, stats, workers, most if isinstance(most, int) else None, answer.time)


def checked_workers(workers: Any) -> Sequence[Mapping[str, Any]]:
    """Return what is the form of `/api/workers`; raise `CallError` when it is not."""
    if not isinstance(workers, list) or not all(isinstance(one, dict) for one in workers):
        raise CallError("the server's workers are not of the form that this version knows")
    return workers


def make_report(here: Local, told: Told, address: Address | None, state_dir: str) -> dict[str, Any]:
    """Put together what the machine and the API tell, in the form of --json."""
    stats, server = told.stats, here.server
    started = stats["started"] if stats else server.started if server else None
    up = age(started, told.time) if started else None
    return {
        "running": None if here.why_unknown else here.manager is not None,
        "answers": told.answers,
        "url": None if address is None else str(address),
        "state_dir": state_dir,
        "troubles": list(troubles(here, told, address)),
        "version": stats["version"] if stats else server.version if server else None,
        "started": started,
        "uptime_s": up if up is not None else here.manager and here.manager.uptime_s,
        "addresses": [attrs.asdict(door) for door in server.addresses] if server else [],
        "processes": list(_processes(here, told, up)),
        "connections": stats["connections"] if stats else None,
        "store": stats["store"] if stats else None,
    }


def troubles(here: Local, told: Told, address: Address | None) -> Iterator[str]:
    """Yield what is not as it should be, as sentences."""
    if told.error:
        yield _silence(here, told, address)
        if here.why_unknown not in ("", ELSEWHERE):
            yield here.why_unknown
    for one in told.workers:
        yield from _troubles_of(one)
    held = told.stats["store"].get("bytes") if told.stats else None
    if held and told.store_bytes and held >= STORE_FULL * told.store_bytes:
        yield f"the store holds {size(held)} of {size(told.store_bytes)}: history gives way early"


def _silence(here: Local, told: Told, address: Address | None) -> str:
    """Say why the API tells nothing, and who is there nevertheless."""
    if told.answers or not here.is_any:
        return told.error
    if here.manager is not None:
        runs = f"process {here.manager.pid} runs"
        if address is None:
            return f"{runs}, and cannot be asked: {told.error}"
        if here.server is None:
            return f"{runs} but does not answer: it is not ready yet, or listens elsewhere ({told.error})"
        return f"{runs} but does not answer at {address} ({told.error})"
    count_of = f"{len(here.workers)} worker{'' if len(here.workers) == 1 else 's'}"
    return f"the manager is gone; {count_of} with their clients wait for the next one"


def _troubles_of(one: Mapping[str, Any]) -> Iterator[str]:
    name, state, late_s = f"worker {one.get('worker')}", one.get("state"), one.get("lag_s")
    if state not in _AS_IT_SHOULD_BE:
        end = f": {one['last_end']}" if one.get("last_end") else ""
        yield f"{name} is {state}{end}"
    if isinstance(late_s, int | float) and late_s > LAG_S:
        yield f"{name} is {lag(late_s)} late"


def _processes(here: Local, told: Told, up: float | None) -> Iterator[dict[str, Any]]:
    memory = told.stats["memory"] if told.stats else {}
    if here.manager is not None or told.stats:
        yield _row("manager", here.manager, memory.get("manager"), up)
    if here.zygote is not None or told.stats:
        yield _row("zygote", here.zygote, memory.get("zygote"), None)
    if told.workers:
        for one in told.workers:
            connections = one.get("connections")
            known = {name: one.get(name) for name in ("pid", "state", "memory_bytes", "uptime_s", "restarts", "lag_s")}
            waiting = sum(connections.values()) if connections is not None else None
            yield {**_row(f"worker {one.get('worker')}", None, None, None), **known, "connections": waiting}
    else:
        for number, worker in sorted(here.workers.items()):
            yield _row(f"worker {number}", worker, None, None)


def _row(name: str, process: Process | None, memory_bytes: int | None, up: float | None) -> dict[str, Any]:
    """Return a process as the system tells of it, where nobody else does."""
    seen = process or Process(0, None, None)
    return {
        "process": name,
        "pid": seen.pid or None,
        "state": None,
        "memory_bytes": memory_bytes if memory_bytes is not None else seen.memory_bytes,
        "uptime_s": seen.uptime_s if seen.uptime_s is not None else up,
        "restarts": None,
        "connections": None,
        "lag_s": None,
    }


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines for people."""
    for trouble in report["troubles"]:
        yield safe(f"! {trouble}")
    if report["troubles"]:
        yield ""
    yield safe(_headline(report))
    if report["addresses"]:
        yield ""
        yield from table(_doors(report["addresses"]))
    if report["processes"]:
        yield ""
        yield from _table(report["processes"])


def _headline(report: Mapping[str, Any]) -> str:
    if not report["answers"] and not report["processes"]:
        if report["running"] is not None:
            return f"MegaComet does not run with {report['state_dir']}"
        return (
            f"MegaComet does not answer at {report['url']}"
            if report["url"]
            else "It is not known whether MegaComet runs"
        )
    version = f"MegaComet {report['version']}" if report["version"] else "MegaComet"
    if not report["answers"]:
        return f"{version} does not answer"
    if report["connections"] is None:
        return f"{version} runs"
    total = count(sum(report["connections"].values()))
    return f"{version} runs, up {duration(report['uptime_s'])}, since {report['started']}: {total} connections"


def _doors(addresses: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield addresses and what they serve; ports of one host that follow each other are one."""
    ports: dict[tuple[str, str], list[str]] = {}
    for door in addresses:
        host, colon, port = door["address"].rpartition(":")
        is_port = port.isdecimal()
        ports.setdefault((host + colon if is_port else door["address"], door["serves"]), []).append(port)
    for (host, serves), found in ports.items():
        for first, last in _ranges(sorted(int(port) for port in found if port.isdecimal())):
            yield f"{host}{first}" + (f"-{last}" if last > first else ""), serves
        if not found[0].isdecimal():
            yield host, serves


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of what follows each other."""
    for number in numbers:
        if number - 1 not in numbers:
            last = number
            while last + 1 in numbers:
                last += 1
            yield number, last


def _table(processes: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [("PROCESS", "PID", "STATE", "MEMORY", "UPTIME", "RESTARTS", "CONNECTIONS", "LAG")]
    for one in processes:
        sizes = (size(one["memory_bytes"]), duration(one["uptime_s"]))
        numbers = (count(one["restarts"]), count(one["connections"]), lag(one["lag_s"]))
        rows.append((one["process"], str(one["pid"] or UNKNOWN), one["state"] or UNKNOWN, *sizes, *numbers))
    told = [column for column in zip(*rows, strict=True) if set(column[1:]) != {UNKNOWN}]
    right = (n for n, column in enumerate(told) if column[0] not in ("PROCESS", "STATE"))
    return table(zip(*told, strict=True), right)


def status_of(report: Mapping[str, Any]) -> int:
    """Return the exit status."""
    if not report["answers"] and not report["processes"]:
        # Whoever was kept from asking knows nothing.
        return FAILED if report["running"] is None and report["url"] is None else NO_SERVER
    return FAILED if report["troubles"] else FINE
