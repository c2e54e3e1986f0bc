"""What a whole run makes of what it has seen: doubles of a server that loses something and hides it."""

from __future__ import annotations

import pytest

from megacomet.swarm.check import Verdict
from megacomet.swarm.report import Report
from megacomet.swarm.whole import in_gaps, miscounted


@pytest.mark.parametrize(
    ("counted", "must_tell", "troubles"),
    [
        (1000, True, ()),
        (999, True, ("999 connections by the server's own count, 1,000 clients",)),
        (1001, False, ("1,001 connections by the server's own count, 1,000 clients",)),
        (-1, True, ("the server did not tell how many connections it has",)),
        (-1, False, ()),
    ],
)
def test_count(counted: int, must_tell: bool, troubles: tuple[str, ...]) -> None:
    """It must be the clients'; our own server must tell it, another's may not let us ask."""
    assert miscounted(counted, 1000, must_tell=must_tell) == troubles


def test_messages_in_gaps() -> None:
    """A server that loses messages and tells of a gap has lost them all the same."""
    assert in_gaps(Report(clients=1)) == ()
    report = Report(clients=1, verdict=Verdict(skipped=1200), rooms=Verdict(skipped=34))
    assert in_gaps(report) == ("1,234 messages in gaps that clients were told of",)
