"""megacomet status: what runs, what answers, what is not as it should be, and the status that scripts look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from megacomet import whereabouts
from megacomet.addresses import address_of_url
from megacomet.cli import status
from megacomet.cli.local import Local, Process
from megacomet.cli.status import Told, lines, make_report, status_of
from megacomet.whereabouts import Door, Whereabouts
from tests.fake_server import STATS, FakeServer, bare_environment, serving, worker
from tests.strangers import Stranger

ADDRESS = address_of_url("http://127.0.0.1:8080")
DOORS = [
    *(Door(f"http://{host}:{port}", "classic") for port in (8000, 8001, 8002, 8004) for host in ("0.0.0.0", "[::]")),
    *(Door("http://0.0.0.0:8080", "public"), Door("unix:/run/x", "api"), Door("tcp://127.0.0.1:9000", "binary")),
]
SERVER = Whereabouts(812, "1.2.3", "2026-11-27T08:00:00Z", DOORS)
HERE = Local(
    Process(812, 41_000_000, 90_000.0), Process(813, 11_000_000, 5.0), {0: Process(800, 2_000_000, 3.0)}, SERVER
)
NOBODY = Local()
ELSEWHERE = Local(why_unknown=status.ELSEWHERE)
CLOSED = Local(why_unknown="whether a server runs cannot be known")
NOW = "2026-11-28T09:00:00+00:00"
WELL = Told("", True, STATS, [worker(0), worker(1)], 256_000_000, NOW)
SILENT = Told("no answer")


def report(here: Local, told: Told) -> dict[str, Any]:
    """Put a report together."""
    return make_report(here, told, ADDRESS, "/state")


def text(here: Local, told: Told) -> list[str]:
    """Return what people see."""
    return list(lines(report(here, told)))


# What is not as it should be


@pytest.mark.parametrize(
    ("here", "told", "troubles", "code"),
    [
        (HERE, WELL, [], 0),
        (ELSEWHERE, WELL, [], 0),
        (NOBODY, SILENT, ["no answer"], 3),
        (ELSEWHERE, SILENT, ["no answer"], 3),
        (HERE, SILENT, ["process 812 runs but does not answer at http://127.0.0.1:8080 (no answer)"], 1),
        (
            Local(Process(812, None, None)),
            SILENT,
            ["process 812 runs but does not answer: it is not ready yet, or listens elsewhere (no answer)"],
            1,
        ),
        (
            Local(None, HERE.zygote, HERE.workers),
            SILENT,
            ["the manager is gone; 1 worker with their clients wait for the next one"],
            1,
        ),
        (HERE, Told("401", answers=True), ["401"], 1),
        (ELSEWHERE, Told("401", answers=True), ["401"], 1),
    ],
)
def test_who_is_there(here: Local, told: Told, troubles: list[str], code: int) -> None:
    """Whoever runs and does not answer is named; without anybody the status is that of LSB."""
    made = report(here, told)
    assert (made["troubles"], status_of(made)) == (troubles, code)


@pytest.mark.parametrize(
    ("more", "trouble"),
    [
        *(({"state": state}, f"worker 0 is {state}: it was ended by SIGKILL") for state in ("down", "unlinked")),
        ({"state": "restarting", "last_end": None}, "worker 0 is restarting"),
        ({"lag_s": 0.6}, "worker 0 is 600 ms late"),
        ({"lag_s": 0.5}, ""),
        ({"lag_s": None, "connections": None, "uptime_s": None}, ""),
        ({"state": "draining", "drain": {"per_s": 1, "left": 5}}, ""),
        ({"state": "drained"}, ""),
    ],
)
def test_workers(more: dict[str, Any], trouble: str) -> None:
    """A worker that is not up, or late, is told; one that is drained does what it was told."""
    made = report(HERE, Told("", True, STATS, [worker(0, **more), worker(1)], None, NOW))
    assert made["troubles"] == ([trouble] if trouble else [])
    assert status_of(made) == (1 if trouble else 0)
    assert list(lines(made))


def test_the_store() -> None:
    """A store that is nearly full is told."""
    made = report(HERE, Told("", True, STATS, [], 1_600_000, NOW))
    assert made["troubles"] == ["the store holds 1.5 MB of 1.6 MB: history gives way early"]


def test_a_closed_directory() -> None:
    """Who may not look says so; nobody is said not to run, and whoever could not even ask has failed."""
    made = report(CLOSED, SILENT)
    assert (made["running"], made["troubles"]) == (None, ["no answer", "whether a server runs cannot be known"])
    assert (status_of(made), list(lines(made))[3]) == (3, "MegaComet does not answer at http://127.0.0.1:8080")
    made = make_report(CLOSED, SILENT, None, "/state")
    assert (status_of(made), list(lines(made))[3]) == (1, "It is not known whether MegaComet runs")
    assert report(CLOSED, WELL)["troubles"] == []


# For programs


def test_the_report() -> None:
    """Everything that the reference promises."""
    assert report(HERE, WELL) == {
        "running": True,
        "answers": True,
        "url": "http://127.0.0.1:8080",
        "state_dir": "/state",
        "troubles": [],
        "version": "1.2.3",
        "started": "2026-11-27T08:00:00Z",
        "uptime_s": 90_000.0,
        "addresses": [{"address": door.address, "serves": door.serves} for door in DOORS],
        "processes": [
            row("manager", 812, 40_000_000, 90_000.0),
            row("zygote", 813, 900, 5.0),
            *(
                row(f"worker {n}", 800 + n, 7_600_000, 3600.1, state="up", restarts=1, connections=6, lag_s=0.0004)
                for n in (0, 1)
            ),
        ],
        "connections": STATS["connections"],
        "store": STATS["store"],
    }


def row(name: str, pid: int | None, memory_bytes: int | None, uptime_s: float | None, **more: Any) -> dict[str, Any]:
    """Return a row of the processes."""
    nothing = dict.fromkeys(("state", "restarts", "connections", "lag_s"))
    return {"process": name, "pid": pid, "memory_bytes": memory_bytes, "uptime_s": uptime_s} | nothing | more


def test_the_report_from_elsewhere() -> None:
    """Of another machine's server only the API tells."""
    made = report(ELSEWHERE, WELL)
    assert (made["running"], made["addresses"]) == (None, [])
    assert made["processes"][:2] == [row("manager", None, 40_000_000, 90_000.0), row("zygote", None, 900, None)]


def test_the_report_of_the_silent() -> None:
    """Of a server that does not answer only the machine tells."""
    made = report(HERE, SILENT)
    assert (made["running"], made["answers"], made["version"], made["uptime_s"]) == (True, False, "1.2.3", 90_000.0)
    assert made["processes"] == [
        row("manager", 812, 41_000_000, 90_000.0),
        row("zygote", 813, 11_000_000, 5.0),
        row("worker 0", 800, 2_000_000, 3.0),
    ]
    made = report(NOBODY, Told("no"))
    assert (made["running"], made["processes"], made["version"], made["uptime_s"]) == (False, [], None, None)
    assert make_report(NOBODY, SILENT, None, "/state")["url"] is None


# For people


def test_the_text() -> None:
    """Addresses with ports in ranges, processes in a table."""
    assert text(HERE, WELL) == [
        "MegaComet 1.2.3 runs, up 1 d 1 h, since 2026-11-27T08:00:00Z: 1,000,003 connections",
        "",
        "http://0.0.0.0:8000-8002  classic",
        "http://0.0.0.0:8004       classic",
        "http://[::]:8000-8002     classic",
        "http://[::]:8004          classic",
        "http://0.0.0.0:8080       public",
        "unix:/run/x               api",
        "tcp://127.0.0.1:9000      binary",
        "",
        "PROCESS   PID  STATE   MEMORY     UPTIME  RESTARTS  CONNECTIONS     LAG",
        "manager   812  -      40.0 MB    1 d 1 h         -            -       -",
        "zygote    813  -        900 B        5 s         -            -       -",
        "worker 0  800  up      7.6 MB  1 h 0 min         1            6  0.4 ms",
        "worker 1  801  up      7.6 MB  1 h 0 min         1            6  0.4 ms",
    ]


def test_the_text_of_troubles() -> None:
    """What is not as it should be comes first, harmless, and columns that tell nothing are left out."""
    shown = text(HERE, Told("no\x1b[2J answer"))
    assert shown[:3] == [
        "! process 812 runs but does not answer at http://127.0.0.1:8080 (no\\x1b[2J answer)",
        "",
        "MegaComet 1.2.3 does not answer",
    ]
    assert shown[-4].split() == ["PROCESS", "PID", "MEMORY", "UPTIME"]


@pytest.mark.parametrize(
    ("here", "told", "headline"),
    [
        (NOBODY, SILENT, "MegaComet does not run with /state"),
        (ELSEWHERE, SILENT, "MegaComet does not answer at http://127.0.0.1:8080"),
        (ELSEWHERE, Told("401", answers=True), "MegaComet runs"),
        (Local(None, HERE.zygote, HERE.workers), SILENT, "MegaComet does not answer"),
    ],
)
def test_headlines(here: Local, told: Told, headline: str) -> None:
    """One line says how it is."""
    assert text(here, told)[2] == headline


# The command


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeServer]:
    """A server without sockets."""
    bare_environment(monkeypatch)
    monkeypatch.setenv("MEGACOMET_API_KEY", "k")
    monkeypatch.setenv("MEGACOMET_STATE_DIR", str(tmp_path))
    with serving(monkeypatch) as made:
        made.says("/api/stats", STATS)
        made.says("/api/workers", [worker(0)])
        made.says("/api/config", {"store_bytes": {"value": 256_000_000, "source": "built-in"}})
        yield made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command with --json; return status and report."""

    def running(*arguments: str) -> tuple[int, Any]:
        code = status.main([*arguments, "--json"])
        out, err = capsys.readouterr()
        assert err == ""
        return code, json.loads(out)

    return running


def test_a_server_that_is_well(server: FakeServer, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """All three answers are in the report; without --json it is text."""
    code, made = run("--url", "http://comet.example")
    assert (code, made["troubles"], made["running"], made["answers"]) == (0, [], None, True)
    assert status.main(["--url", "http://comet.example"]) == 0
    assert capsys.readouterr().out.startswith("MegaComet 1.2.3 runs, ")


@pytest.mark.parametrize("config", [[], {}, {"store_bytes": {"value": None}}])
def test_odd_settings(config: Any, server: FakeServer, run: Any) -> None:
    """A server that does not tell how large its store may be is well nevertheless."""
    server._answers.pop("/api/config")
    server.says("/api/config", config)
    assert run("--url", "http://comet.example")[0] == 0


def test_nobody_runs(server: FakeServer, run: Any, tmp_path: Path) -> None:
    """No process and no answer: status 3, and the settings' address is named."""
    server.refuses = ConnectionRefusedError(111, "Connection refused")
    code, made = run()
    assert (code, made["running"], made["url"], made["state_dir"]) == (3, False, "http://127.0.0.1:80", str(tmp_path))


def test_another_server_at_its_address(server: FakeServer, run: Any) -> None:
    """Whoever answers there and does not know the key is not the one that was asked for."""
    server._answers.pop("/api/stats")
    server.refuses_with("/api/stats", 401, "unauthorized", "no")
    code, made = run()
    assert (code, made["answers"]) == (3, False)
    assert made["troubles"] == ["another server answers at http://127.0.0.1:80"]
    code, made = run("--url", "http://comet.example")
    assert (code, made["answers"]) == (1, True)
    assert made["troubles"][0].startswith("the server answers, but not to us: 401 unauthorized: no")


def test_something_else_at_its_address(server: FakeServer, run: Any) -> None:
    """A page of something else is no MegaComet."""
    server._answers.pop("/api/stats")
    server.says("/api/stats", b"<html>", 200, "text/html")
    assert run()[0] == 3


@pytest.mark.parametrize("value", [{}, [1], None])
def test_odd_workers(value: Any, server: FakeServer, run: Any) -> None:
    """Workers of another form are none of ours."""
    server._answers.pop("/api/workers")
    server.says("/api/workers", value)
    assert run("--url", "http://comet.example")[0] == 3


def test_a_key_that_cannot_be_read(
    server: FakeServer, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told what runs all the same."""
    monkeypatch.delenv("MEGACOMET_API_KEY")
    (tmp_path / "api-key").write_text("")
    with Stranger("megacomet: manager") as manager:
        (tmp_path / "lock").write_text(f"{manager.pid}\n")
        whereabouts.write(str(tmp_path), Whereabouts(manager.pid, "1.2.3", "2026-11-27T08:00:00Z", DOORS))
        code, made = run()
    assert (code, made["running"], made["url"]) == (1, True, None)
    assert made["troubles"] == [
        (
            f"process {manager.pid} runs, and cannot be asked: the API key {tmp_path / 'api-key'} is empty: remove the "
            "file, and a new key is made"
        )
    ]


def test_wrong_use(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2."""
    assert status.main(["--url", "x"]) == 2
    assert capsys.readouterr().err.startswith("megacomet status: url = 'x'")
