"""The load client's report: what counts as a problem, the page, the live line, and the sum of several machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from megacomet.swarm.check import Verdict
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.main import main
from megacomet.swarm.measures import Measures
from megacomet.swarm.report import DIED, Report, live_json, live_line, merged


def histogram(*durations_ms: int) -> Histogram:
    made = Histogram()
    for duration in durations_ms:
        made.record(duration * 1_000_000)
    return made


def report(**more: Any) -> Report:
    """A run in which all went well."""
    fields: dict[str, Any] = {
        "clients": 100,
        "part": "1/1",
        "processes": 2,
        "connected": 100,
        "waiting": 100,
        "answered": 500,
        "connect_s": 2.0,
        "connect_cpu_s": 0.0025,
        "held_s": 10.0,
        "made": 500,
        "push_s": 5.0,
        "deliver_s": 5.0,
        "statuses": {"sent": 500},
        "verdict": Verdict(acknowledged=500, delivered=500),
        "latency": histogram(1, 2, 3),
        "answer": histogram(1),
    }
    return Report(**{**fields, **more})


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"connected": 99, "waiting": 99}, "1 clients never connected"),
        ({"waiting": 98}, "2 clients do not wait at the end"),
        ({"verdict": Verdict(lost=1200)}, "1,200 messages lost"),
        ({"verdict": Verdict(repeated=1)}, "1 messages repeated"),
        ({"verdict": Verdict(out_of_order=1)}, "1 messages out of order"),
        ({"verdict": Verdict(strange=1)}, "1 messages that nobody sent"),
        ({"misdelivered": 1}, "1 messages for another client"),
        ({"push_errors": {"http 507": 2, "no answer": 1}}, "3 pushes not acknowledged"),
        ({"behind": 4}, "4 pushes not made: the server is slower than the rate"),
        ({"everyone": True, "heard": 99}, "1 clients did not hear the message to everyone"),
        ({"everyone": True, "heard": 100, "heard_again": 1}, "1 repeats of the message to everyone"),
        ({"batch_error": "http 401"}, "batch: http 401"),
        ({"errors": {DIED: 1}}, "1 processes that died"),
        ({"push_errors": {"ECONNRESET": 3}, "excused": 2}, "1 pushes not acknowledged"),
        ({"troubles": ("the server ended with status 1",)}, "the server ended with status 1"),
    ],
)
def test_problems(more: dict[str, Any], problem: str) -> None:
    """Whatever was lost or failed is named, on the page too."""
    assert report(**more).problems() == [problem]
    assert f"PROBLEM      {problem}\n" in report(**more).page()


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"push_errors": {"ECONNRESET": 2}, "excused": 2},
        {"dropped": 3, "reconnects": 3},
        {"errors": {"ECONNRESET": 3}},
        {"stale": 1, "foreign": 1, "timeouts": 4},
    ],
)
def test_no_problem(more: dict[str, Any]) -> None:
    """What healed, and what is not ours, is told but is no problem."""
    assert report(**more).problems() == []
    assert report(**more).page().endswith("all well\n")


def test_page() -> None:
    """The page has the figures that people look for, each on its line."""
    page = report(everyone=True, heard=100, errors={"ECONNRESET": 2}).page()
    for line in (
        "clients      100 of 100 connected in 2.0 s (50/s, 25.0 us CPU each here)",
        "errors       2 ECONNRESET",
        "acknowledged 500 (100/s), 500 sent",
        "messages     500 delivered in 5.00 s (100/s): 0 lost, 0 repeated, 0 out of order",
        "everyone     100 of 100 heard it, 0 again",
        "latency      p50 2.03 ms, p99 3.00 ms, p99.9 3.00 ms, max 3.00 ms, of 3",
    ):
        assert f"{line}\n" in page


def test_page_of_a_whole_run() -> None:
    """It has what was measured, when the message had reached whom, how latency is spread, and the verdict in words."""
    whole = report(
        everyone=True,
        heard=100,
        measures=Measures(workers=2, wanted=100, counted=(100, 100), lost=50, back_s=0.7),
        latency=histogram(1, 2, 2, 30),
        failover=histogram(500),
        reach=histogram(*range(1, 101)),
    )
    page = whole.page()
    for told in (
        "by server    100 connections when all were held, 100 at the end\n",
        "kill         50 connections lost with a worker, all back after 0.7 s\n",
        "reached      half after 50 ms, 99 % after 100 ms, the last of 100 after 100 ms\n",
        "  spread     25.0 % to 2 ms, 50.0 % to 5 ms, 25.0 % to 50 ms\n",
        "worker gone  p50 500.00 ms",
    ):
        assert told in page
    assert page.endswith("all well     all 100 clients alive, each was reached, no message lost\n")
    assert report(measures=Measures()).page().endswith("all well     all 100 clients alive, no message lost\n")


def test_page_without_pushes() -> None:
    """A run that only held says nothing about messages."""
    page = report(made=0, latency=Histogram(), answer=Histogram()).page()
    assert "messages" not in page
    assert "latency" not in page


def test_examples_on_the_page() -> None:
    """The first faults are told by client and number."""
    page = report(verdict=Verdict(lost=1, examples=(("lost", 7, 3),))).page()
    assert page.endswith("  lost: message 3 of client 7\n")


def test_page_with_rooms() -> None:
    """A run with rooms, several transports and switches says so, and the first faults in rooms by room and client."""
    one = report(
        transports={"sse": 60, "ws": 40},
        switches=1234,
        gaps=5,
        channels=3,
        rooms=Verdict(
            acknowledged=10, delivered=1000, repeated=2, examples=(("repeated", 301, 4),), skipped=6, needless=1
        ),
        everybody=Verdict(acknowledged=2, delivered=200, lost=1, examples=(("lost", 9, 2),)),
        fanout=histogram(2),
    )
    page = one.page()
    for line in (
        "transports   60 sse, 40 ws",
        "switches     1,234, 5 gaps told, in 1 of them nothing was missed",
        "acknowledged 512 (102/s), 500 sent",
        "rooms        1,000 delivered in 5.00 s (200/s): 0 lost, 2 repeated, 0 out of order, 6 in gaps",
        "fan-out      p50 2.00 ms, p99 2.00 ms, p99.9 2.00 ms, max 2.00 ms, of 1",
        "to everyone  200 delivered in 5.00 s (40/s): 1 lost, 0 repeated, 0 out of order",
        "  repeated: message 4 of room 1 of client 100",
        "  lost: to everyone, 2 at client 9",
    ):
        assert f"{line}\n" in page
    assert one.problems() == ["1 messages lost", "2 messages repeated"]
    plain = one.to_json()
    assert (plain["repeated"], plain["needless"], plain["delivered_per_s"]) == (2, 1, 340.0)


def test_json_there_and_back() -> None:
    """The JSON form holds the whole report, and the figures by name."""
    verdict = Verdict(acknowledged=5, lost=1, examples=(("lost", 7, 3),))
    before = report(verdict=verdict, measures=Measures(workers=3), troubles=("x",), failover=histogram(7))
    plain = json.loads(json.dumps(before.to_json()))
    after = Report.from_json(plain)
    assert after == before
    assert after.latency.to_json() == before.latency.to_json()
    assert (plain["latency"]["max_ms"], plain["problems"]) == (3.0, ["x", "1 messages lost"])
    assert after.failover.to_json() == before.failover.to_json()


def test_merge() -> None:
    """Several machines: numbers add, durations count at their longest, faults of one are faults of all."""
    one = report(errors={"ECONNRESET": 1}, latency=histogram(1))
    other = report(part="2/2", connect_s=3.0, errors={"ECONNRESET": 2}, latency=histogram(9), verdict=Verdict(lost=1))
    total = merged([one, other])
    assert (total.clients, total.made, total.connect_s, total.errors) == (200, 1000, 3.0, {"ECONNRESET": 3})
    assert (total.latency.count, total.latency.max_ns) == (2, 9_000_000)
    assert total.problems() == ["1 messages lost"]
    assert total.statuses == {"sent": 1000}


def test_merge_leaves_nothing_out() -> None:
    """Every field of a report is part of the sum: one is its own sum."""
    one = attrs.evolve(
        report(timeouts=1, closed=2, dropped=3, reconnects=4, stale=5, foreign=6, misdelivered=7, behind=8, heard=9),
        heard_again=10,
        lines=11,
        everyone=True,
        interrupted=True,
        batch_error="x",
        errors={"a": 1},
        push_errors={"b": 1},
        verdict=Verdict(1, 2, 3, 4, 5, 6, (("lost", 1, 1),), 7),
        rooms=Verdict(7, 6, 5, 4, 3, 2, (("lost", 1, 1),), 1),
        channels=3,
        gaps=12,
        switches=13,
        transports={"sse": 14, "ws": 15},
        excused=16,
        troubles=("y",),
    )
    assert attrs.evolve(merged([one]), part="1/1") == one


def test_merge_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--merge` adds up the files of the parts, and its status is that of the sum."""
    names = []
    for n in range(2):
        names.append(str(tmp_path / f"{n}.json"))
        Path(names[-1]).write_text(json.dumps(report(part=f"{n + 1}/2").to_json()))
    assert main(["--merge", *names]) == 0
    assert "200 of 200 connected" in capsys.readouterr().out
    assert main(["--json", "--merge", *names]) == 0
    assert json.loads(capsys.readouterr().out)["clients"] == 200


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', None])
def test_merge_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None) -> None:
    """A file that is no report is named, with status 2."""
    name = tmp_path / "part.json"
    if text is not None:
        name.write_text(text)
    assert main(["--merge", str(name)]) == 2
    assert str(name) in capsys.readouterr().err


def test_live_line() -> None:
    """The live line tells the rates, and errors only when there are any."""
    counts = {"connected": 10, "waiting": 9, "answered": 20, "delivered": 5, "acknowledged": 0}
    assert live_line(3.2, counts, {"connected": 5.0}) == ("    3 s  connected 10 (+5/s)  waiting 9  answered 20 (+0/s)")
    bad = {**counts, "acknowledged": 6, "dropped": 2, "reconnects": 2, "errors": {"http 503": 1}}
    assert live_line(3.2, bad, {}).endswith("pushed 6 delivered 5  dropped 2  reconnects 2  http 503 1")
    mixed = {**counts, "transports": {"sse": 4, "ws": 5}, "switches": 3, "gaps": 1}
    assert live_line(3.2, mixed, {}).endswith("gaps 1  switches 3  sse 4  ws 5")
    assert json.loads(live_json(3.26, counts)) == {"seconds": 3.3, **counts}
