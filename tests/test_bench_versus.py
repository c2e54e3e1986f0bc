"""The comparison with others: its figures, the table that is made of their JSON, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from bench.versus import pushpin, without_a_fault
from bench.versus.__main__ import main
from bench.versus.measures import figures, table
from bench.versus.rounds import Round
from megacomet.swarm.comparison import MEASURES, comparison

ROUND = {measure.key: 10.0 for measure in MEASURES}


def told(*rounds: dict[str, float], transport: str = "ws", peer: str = "MegaComet") -> list[dict[str, object]]:
    return [attrs.asdict(figure) for figure in figures(transport, peer, [ROUND | some for some in rounds])]


def test_figures_are_medians() -> None:
    """Each figure is the median of its rounds, and tells them all; a peer that never came through has none."""
    found = {f.key: f for f in figures("ws", "Nchan", [ROUND | {"memory": m} for m in (300.0, 12_000.0, 310.0)])}
    memory = found["ws/memory/Nchan"]
    assert str(memory) == "WebSocket, Nchan: memory per idle connection: 310 B [300 12,000 310]"
    assert len(found) == len(MEASURES)
    assert figures("ws", "Nchan", []) == []


def test_table() -> None:
    """The best of a row is in bold, whether less is better or more; who has no figure has an empty cell."""
    some = told({"memory": 300, "pushes": 9_000.0}) + told({"memory": 12_000, "pushes": 33_333.3}, peer="Nchan")
    other = [figure for figure in told({}, peer="aiohttp") if figure["key"] == "ws/memory/aiohttp"]
    lines = table("ws", comparison([*some, *other])["ws"]).splitlines()
    assert lines[:3] == [
        "| WebSocket | MegaComet | Nchan | aiohttp |",
        "|---|---|---|---|",
        "| memory per idle connection | 300 B | 12,000 B | **10.0 B** |",
    ]
    assert "| pushes to one client each | 9,000/s | **33,333/s** |  |" in lines


def test_faults_and_failures() -> None:
    """A round that failed is none without a fault, and it is told why; without one nothing is said of others."""
    good, bad = Round(ROUND, [], 0.02), Round(ROUND, ["8 of 9 pushes have come"], 0.1)
    figure = without_a_fault("sse", "Pushpin", [good, bad, "12 connections were lost"])
    assert str(figure) == (
        "SSE, Pushpin: rounds without a fault: 1 of 3 (budget all: NOT MET) "
        "[others took 2% 10% of the processors; 8 of 9 pushes have come; a round failed: 12 connections were lost]"
    )
    assert without_a_fault("sse", "Pushpin", [good]).met
    assert without_a_fault("sse", "Pushpin", ["it ended"]).detail == "a round failed: it ended"


def test_pushpin_stands_first() -> None:
    """Before so many streams come, the signs of life have passed the last of their numbers in either of two threads."""
    passed_a_second = pushpin.MAX_CONNECTIONS / 2 / 45
    assert pushpin.standing_s("sse", 10_000) * passed_a_second == pytest.approx(6250)
    assert pushpin.standing_s("ws", 10_000) == 0


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells the tables of one or several runs and writes the charts; a file that is none is named."""
    file, other, folder = tmp_path / "run.json", tmp_path / "more.json", tmp_path / "charts"
    file.write_text(json.dumps({"figures": told({})}))
    other.write_text(json.dumps({"figures": told({}, transport="sse")}))
    assert main([str(file), str(other), "--charts", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("| WebSocket | MegaComet |\n")
    assert "\n\n| SSE | MegaComet |\n" in out
    assert sorted(path.name for path in folder.iterdir()) == ["versus-sse.svg", "versus-ws.svg"]
    for text in ("", "[]", "{}", '{"figures": []}', '{"figures": [1]}'):
        file.write_text(text)
        assert main([str(file)]) == 2
        assert str(file) in capsys.readouterr().err
    assert main([str(tmp_path / "none")]) == 2
