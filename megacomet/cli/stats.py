"""`megacomet stats`: the numbers of `GET /api/stats` for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from megacomet.cli.arguments import Parser, server_options
from megacomet.cli.calling import api_of
from megacomet.cli.figures import age, count, duration, size
from megacomet.cli.output import print_json
from megacomet.cli.statuses import FINE, ending
from megacomet.cli.text import safe, table
from megacomet.errors import CallError

#: What is counted in bytes, of the store.
_SIZES: Final = frozenset({"bytes"})


def main(arguments: Sequence[str]) -> int:
    """Print the numbers; return the exit status."""
    return ending("stats", lambda: _stats(arguments))


def parser() -> Parser:
    """Return the parser of the command."""
    return Parser(prog="megacomet stats", parents=[server_options()], description="Tells the server's numbers.")


def _stats(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    with api_of(options) as api:
        answer = api.get("/api/stats")
    if options.json:
        print_json(answer.body)
    else:
        print("\n".join(lines(checked(answer.value), answer.time)))
    return FINE


def checked(stats: Any) -> Mapping[str, Any]:
    """Return what is the form of `/api/stats`, as far as it is needed.

    Raises:
        CallError: it is not.
    """
    groups = ("connections", "messages", "store", "memory")
    if not isinstance(stats, dict) or not all(_is_group(stats.get(name)) for name in groups):
        raise CallError("the server's numbers are not of the form that this version knows")
    return stats


def _is_group(numbers: Any) -> bool:
    return isinstance(numbers, dict) and all(isinstance(number, int | float) for number in numbers.values())


def lines(stats: Mapping[str, Any], now: str | None) -> Iterator[str]:
    """Yield the lines for people.

    Args:
        stats: as `/api/stats` tells them.
        now: the server's time, RFC 3339; None: it is not known.
    """
    yield headline(stats, now)
    yield ""
    connections, memory = stats["connections"], stats["memory"]
    rows = [("connections", count(sum(connections.values())))]
    rows += [(f"  {name}", count(number)) for name, number in connections.items()]
    rows += [("messages", "")]
    rows += [(f"  {name}", count(number)) for name, number in stats["messages"].items()]
    rows += [("store", "")]
    rows += [(f"  {name}", (size if name in _SIZES else count)(number)) for name, number in stats["store"].items()]
    rows += [("memory", size(sum(memory.values())))]
    rows += [(f"  {name}", size(number)) for name, number in memory.items()]
    yield from table(rows, right=[1])


def headline(stats: Mapping[str, Any], now: str | None) -> str:
    """Return version and uptime as a line."""
    started = str(stats.get("started"))
    up = age(started, now)
    told = f", up {duration(up)}" if up is not None else ""
    return safe(f"MegaComet {stats.get('version')}{told}, since {started}")
