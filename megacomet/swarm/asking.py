"""Owns what a whole run asks the server: how many connections it counts, which worker has most, which it has ended."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any, Final

from megacomet.swarm.options import Address

#: A manager with a million connections coming in is late, but not so late.
_ANSWER_S: Final = 5.0
#: Of the metrics: connections that workers have ended by themselves, whatever has become of these workers.
_ENDED: Final = re.compile(r'^megacomet_connections_ended_total\{reason="(?:slow|silent|failed)"\} ([0-9.e+]+)$', re.M)


def connections(address: Address, key: str) -> int:
    """Return how many connections the server counts; -1: it does not say."""
    return counted(_get(address, key, "/api/stats"))


def busiest_worker(address: Address, key: str) -> tuple[int, int] | None:
    """Return the process of the worker that has most connections, and how many; None: it does not say, or has none."""
    return busiest(_get(address, key, "/api/workers"))


def ended_by_workers(address: Address, key: str) -> int:
    """Return how many connections the workers have ended by themselves since the start; -1: it does not say."""
    page = _page(address, key, "/metrics")
    return -1 if page is None else ended(page.decode("utf-8", "replace"))


def ended(page: str) -> int:
    """Return the connections that workers have ended, of a page of metrics; -1: it is none."""
    found = _ENDED.findall(page)
    return sum(int(float(number)) for number in found) if found else -1


def counted(stats: Any) -> int:
    """Return the connections of an answer of /api/stats; -1: it is none."""
    found = stats.get("connections") if isinstance(stats, dict) else None
    return _sum(found)


def busiest(workers: Any) -> tuple[int, int] | None:
    """Return process and connections of the worker that has most, of an answer of /api/workers; None: none has any."""
    rows = [row for row in workers if isinstance(row, dict)] if isinstance(workers, list) else []
    found = [(_sum(row.get("connections")), row["pid"]) for row in rows if isinstance(row.get("pid"), int)]
    most, pid = max(found, default=(0, 0))
    return (pid, most) if most > 0 and pid > 0 else None


def _sum(by_transport: Any) -> int:
    if not isinstance(by_transport, dict) or not all(isinstance(number, int) for number in by_transport.values()):
        return -1
    return sum(by_transport.values())


def _get(address: Address, key: str, path: str) -> Any:
    """Return an answer's JSON; None: there is none."""
    page = _page(address, key, path)
    try:
        return None if page is None else json.loads(page)
    except ValueError:
        return None


def _page(address: Address, key: str, path: str) -> bytes | None:
    """Return the body of an answer; None: there is none."""
    connection = http.client.HTTPConnection(*address, timeout=_ANSWER_S)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
