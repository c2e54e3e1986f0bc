"""Which charts there are of a run, and what each of them shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from megacomet.swarm.charts import arrived, charts, charts_of, connections, latency, memory, ramp
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.main import main
from megacomet.swarm.measures import COLUMNS, Measures
from megacomet.swarm.report import Report
from megacomet.swarm.series import MOST, Series
from megacomet.swarm.soak import ACCEPTED, DIRECTORY, MEMORY, ROWS, STORED

NAMES = ["connections", "memory", "ramp", "latency"]
SOAK = ["soak-memory", "soak-connections", "soak-connects"]


def series(rows: int = 60) -> Series:
    """A ramp of 1,000 a second for half of the time, looked at twice a second."""
    made = Series(COLUMNS)
    for n in range(rows):
        clients = min(n, rows // 2) * 500
        made.add(n / 2, clients, clients * 99 // 100, 100_000_000 + 180 * clients, 8400 * clients, 20_000_000)
    return made


def histogram(*durations_ms: float) -> Histogram:
    made = Histogram()
    for duration in durations_ms:
        made.record(int(duration * 1e6))
    return made


#: What is no run's over time, and no soak's.
OTHERS = Series(("seconds", "a"))
OTHERS.add(0.0, 1)
OTHERS.add(1.0, 1)


def measures(**more: Any) -> Measures:
    stages = (("server", 0.0), ("ramp", 0.0), ("hold", 15.0), ("end", 29.0))
    return Measures(**{"workers": 2, "server_processes": 4, "stages": stages, "series": series(), **more})


def report(**more: Any) -> Report:
    fields: dict[str, Any] = {
        "clients": 15_000,
        "connected": 15_000,
        "connect_s": 15.0,
        "measures": measures(),
        "latency": histogram(1, 2, 3, 400),
        "reach": histogram(50, 60),
    }
    return Report(**{**fields, **more})


def test_all_of_them() -> None:
    """Four pictures, each of which is one."""
    drawn = charts(report())
    assert list(drawn) == NAMES
    for svg in drawn.values():
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"


def test_told_apart() -> None:
    """A run's report, a soak's samples and a comparison's figures each have their charts, by what stands in them."""
    figure = {"key": "sse/memory/MegaComet", "value": 300.0}
    soak = Series(("seconds", MEMORY + "manager", ROWS, DIRECTORY, STORED, ACCEPTED))
    for n in range(2):
        soak.add(4.0 * n, *(0.0 for _ in soak.columns[1:]))
    assert charts_of(report().to_json()) == charts(report())
    assert list(charts_of({"figures": [figure]})) == ["versus-sse"]
    # A soak writes its figures as well.
    assert list(charts_of({"series": soak.to_json(), "figures": [figure]})) == [*SOAK]


def test_small() -> None:
    """The longest run with the most varied figures makes pictures of at most 20 KB each."""
    made = Series(COLUMNS)
    for n in range(MOST):
        made.add(n * 1.7, n * 1700 + n % 7, n * 1600 + n % 11, n * 1_000_003, n * 8_400_007 + n % 13, n * 300_007)
    wide = Histogram()
    for power in range(400):
        wide.record(int(100_000 * 1.04**power), power + 1)
    whole = report(measures=measures(series=made), latency=wide, failover=wide, reach=wide, fanout=wide, connect_s=900)
    assert max(map(len, charts(whole).values())) <= 20_000


def test_no_charts() -> None:
    """A run that measured nothing over time has none; without a message there is none of latency."""
    assert charts(report(measures=None)) == {}
    assert charts(report(measures=measures(series=Series(COLUMNS)))) == {}
    assert latency(report(latency=Histogram(), reach=Histogram())) is None
    assert list(charts(report(latency=Histogram(), reach=Histogram()))) == NAMES[:3]


def test_connections() -> None:
    """Both counts over all of the time, with the stages that follow the first."""
    made = connections(report(), measures())
    assert [line.points[-1] for line in made.lines] == [(29.5, 15_000), (29.5, 14_850)]
    assert made.marks == [("hold", 15.0), ("end", 29.0)]
    assert (made.y.label, made.x.label) == ("clients", "seconds since the first client")


def test_memory() -> None:
    """In MB, each part by itself; what is not known has no line."""
    made = memory(report(), measures())
    assert [line.points[-1][1] for line in made.lines] == pytest.approx([102.7, 126.0, 20.0])
    theirs = Series(COLUMNS)
    theirs.add(0.0, 1, 1, None, 5, 6)
    assert [line.name for line in memory(report(), measures(series=theirs)).lines] == [
        "kernel: slab and sockets",
        "load client (PSS)",
    ]


def test_ramp() -> None:
    """The rate second by second until all were there."""
    made = ramp(report(), measures())
    assert made.lines[0].points == [(float(n), 1000.0) for n in range(16)]


def test_latency() -> None:
    """Which part had arrived after how long, up to all of it."""
    points = arrived(histogram(1, 2, 3, 400))
    assert [y for _, y in points] == [25, 50, 75, 100]
    assert [x for x, _ in points] == pytest.approx([1, 2, 3, 400], rel=0.04)
    made = latency(report())
    assert made is not None
    assert [line.name for line in made.lines] == ["4 pushes to clients", "one message to everyone"]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes them into a folder and tells their names."""
    (tmp_path / "run.json").write_text(json.dumps(report().to_json()))
    assert main(["--charts", str(tmp_path / "run.json"), str(tmp_path / "new" / "charts")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [str(tmp_path / "new" / "charts" / f"{name}.svg") for name in NAMES]
    assert all(Path(name).read_text("utf-8").startswith("<svg ") for name in told)


def test_names_that_xml_does_not_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a run's stages, a soak's processes and a comparison's peers are called: the picture is one."""
    odd = "".join(map(chr, range(0x20))) + "\ud800\ufffe"
    soak = Series(("seconds", f"{MEMORY}1{odd}", f"{MEMORY}2{odd}", ROWS, DIRECTORY, STORED, ACCEPTED))
    for n in range(2):
        soak.add(4.0 * n, *(0.0 for _ in soak.columns[1:]))
    files = {
        "run": report(measures=measures(stages=((odd, 15.0),))).to_json(),
        "soak": {"series": soak.to_json()},
        "versus": {"figures": [{"key": f"ws/memory/{odd}", "value": 1.0}]},
    }
    for name, plain in files.items():
        (tmp_path / name).write_text(json.dumps(plain))
        assert main(["--charts", str(tmp_path / name), str(tmp_path / "charts")]) == 0
        for path in capsys.readouterr().out.splitlines():
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Expecting value"),
        ("[]", "no object of JSON"),
        ("{}", "neither a run's report (no 'version') nor a soak's samples (no 'series') nor"),
        ('{"version": 2}', "a report of version 2, not 4"),
        ('{"version": 4}', "'clients' is missing"),
        (json.dumps(report(measures=None).to_json()), "it is no report of a whole run"),
        (json.dumps(report(measures=measures(series=OTHERS)).to_json()), "a series without 'connected'"),
        ('{"series": {"columns": ["seconds"]}}', "'rows' is missing"),
        ('{"series": {"columns": ["seconds"], "rows": []}}', "its series has fewer than two samples"),
        (json.dumps({"series": OTHERS.to_json()}), "its series has no column 'memory of ' and a process"),
        (json.dumps({"series": series().to_json()}), "its series has no column 'memory of ' and a process"),
        ('{"figures": [{"value": 1}]}', "'key' is missing"),
        ('{"figures": [{"key": "", "value": 1}]}', "it has no figures of the benchmark versus"),
        ('{"figures": [{"key": "ws/p50/a", "value": NaN}]}', "ws/p50/a: no number: nan"),
    ],
)
def test_nothing_to_draw(text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of which nothing can be drawn is named, with what is missing."""
    (tmp_path / "run.json").write_text(text)
    assert main(["--charts", str(tmp_path / "run.json"), str(tmp_path / "charts")]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"megacomet swarm: {tmp_path}/run.json: there is nothing to draw: ")
    assert told in err


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that cannot be made is told."""
    (tmp_path / "run.json").write_text(json.dumps(report().to_json()))
    assert main(["--charts", str(tmp_path / "run.json"), str(tmp_path / "run.json")]) == 2
    assert "megacomet swarm: --charts: " in capsys.readouterr().err
