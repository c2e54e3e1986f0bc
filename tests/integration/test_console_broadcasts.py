"""The console in a real browser: one message to many, from what it would be to when it is over or taken back."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.integration.consoles import OPTIONS, Site, Tab, Tabs
from tests.integration.server import LINE_S, Server

#: At two a second they take so long that it is not over before it is stopped.
READERS = 120


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of its own, since broadcasts are remembered."""
    with Server(tmp_path_factory.mktemp("broadcasts") / "state", *OPTIONS) as server:
        yield Site(server)


def _write(tab: Tab, data: str, per_s: int, channel: str | None = None) -> None:
    """Fill the form of a new broadcast in; without a channel it goes to everyone."""
    if channel is None:
        tab.page.get_by_role("radio", name="Everyone").check()
    else:
        tab.page.get_by_label("Channel", exact=True).fill(channel)
    tab.page.get_by_label("Message, as JSON").fill(data)
    tab.page.get_by_label("Connections a second").fill(str(per_s))


def _told(client: socket.socket, data: bytes) -> None:
    """Read a stream until this has come."""
    client.settimeout(LINE_S)
    seen = b""
    while data not in seen:
        more = client.recv(65_536)
        assert more, f"the stream has ended, after {seen!r}"
        seen += more


def test_a_broadcast_to_everyone_is_paused_resumed_and_cancelled(tabs: Tabs, site: Site) -> None:
    """One knows before how many it reaches, sees how far it is, and stops it half-way; direct messages pass it."""
    tab = tabs.open(at="#/broadcasts")
    tab.sees("There has been no broadcast since the server started.")
    with site.streams(*[f"client=reader{i}" for i in range(READERS)]) as readers:
        tab.button("New broadcast").click()
        _write(tab, '{"text": "hello", "n": 12345678901234567890}', 2)
        tab.sees(re.compile(rf"^About {READERS} connections, 1.min at 2\.00./s, \d+.B each"))
        tab.button("Begin the broadcast").click()
        begin = tab.page.get_by_role("dialog").get_by_role("button", name=f"Write to {READERS} connections")
        expect(begin).to_be_disabled()
        tab.page.get_by_label("Type everyone to go on").fill("everyone")
        begin.click()
        progress = tab.page.get_by_role("progressbar", name="Broadcast to everyone")
        expect(progress).to_have_attribute("aria-valuetext", re.compile(rf"^[1-9]\d* of {READERS}$"))
        tab.sees(re.compile(r"\d+ left, .* of 2\.00./s, about .* to go"))
        site.ask("POST", "/api/push", {"client": f"reader{READERS - 1}", "data": "direct"})
        _told(readers[-1], b'"direct"')
        tab.button("Pause").click()
        expect(tab.button("Resume")).to_be_visible()
        tab.is_settled()  # the workers have heard of it, so nothing more is written
        expect(tab.main.get_by_role("row").nth(1)).to_contain_text("paused")
        (paused,) = site.ask("GET", "/api/broadcasts")["broadcasts"]
        expect(progress).to_have_attribute("aria-valuetext", f"{paused['written']} of {READERS}")
        tab.button("Resume").click()
        further = re.compile(rf"^({'|'.join(str(n) for n in range(paused['written'] + 1, READERS))}) of {READERS}$")
        expect(progress).to_have_attribute("aria-valuetext", further)
        tab.button("Cancel broadcast").click()
        tab.sees(re.compile("What has been written stays written"))
        tab.button("Cancel the broadcast").click()
        expect(progress).to_be_hidden()
        expect(tab.main.get_by_role("row").nth(1)).to_contain_text("cancelled")
    (ended,) = site.ask("GET", "/api/broadcasts")["broadcasts"]
    assert ended["state"] == "cancelled"
    assert 0 < ended["written"] < READERS
    tab.go("#/events").sees(
        re.compile(rf"The broadcast to everyone was cancelled at {ended['written']} of {READERS}\.")
    )
    tab.go("#/audit").sees(re.compile(rf"Broadcast to everyone: {READERS} connections at 2 a second\."))
    tab.sees(re.compile("^Cancelled the broadcast"))


def test_a_broadcast_to_a_channel_goes_on_to_its_end(tabs: Tabs, site: Site) -> None:
    """Its listeners get what was written, to the digit; the list tells what became of it."""
    tab = tabs.open(at="#/broadcasts?new=1&channel=news")
    with site.streams(*["channel=news"] * 5) as readers:
        _write(tab, '{"n": 12345678901234567890}', 1000, "news")
        tab.sees(re.compile(r"^About 5 connections, less than a second at 1000./s"))
        tab.button("Begin the broadcast").click()
        tab.page.get_by_role("dialog").get_by_role("button", name="Write to 5 connections").click()
        row = tab.main.get_by_role("row").filter(has_text="news")
        expect(row).to_contain_text("done")
        expect(row).to_contain_text("100\u202f%")
        for each in readers:
            _told(each, b"12345678901234567890")


def test_what_is_wrong_is_told_before_anything_happens(tabs: Tabs, site: Site) -> None:
    """Where the message is no JSON, which field the server does not take, and that nobody listens."""
    tab = tabs.open(at="#/broadcasts?new=1")
    tab.expects("status of 422")
    _write(tab, '{"text": "hello",\n "n": 1,}', 10, "news")
    tab.sees("Line 2, column 8: there is a comma too many before the }.")
    expect(tab.button("Begin the broadcast")).to_be_disabled()
    _write(tab, "1", 10, "no such name")
    tab.sees(re.compile("^A channel has no control characters and no spaces"))
    expect(tab.button("Begin the broadcast")).to_be_disabled()
    _write(tab, "1", 0, "nobody")
    tab.sees(re.compile("^A whole number from 1 to"))
    _write(tab, "1", 10, "nobody")
    tab.sees(re.compile("^Nobody is connected who would get it"))


def test_a_broadcast_whose_beginning_nobody_answers(tabs: Tabs, site: Site) -> None:
    """It may have begun: who could press again is told to look first."""
    tab = tabs.open(at="#/broadcasts?new=1")
    tab.expects("net::ERR_FAILED")
    tab.context.route("**/console/api/broadcasts", lambda route: route.abort())
    with site.streams("channel=silent"):
        _write(tab, "1", 10, "silent")
        tab.sees(re.compile("^About 1 connection,"))
        tab.button("Begin the broadcast").click()
        dialog = tab.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Write to 1 connection").click()
        expect(dialog.get_by_role("alert")).to_contain_text("Nobody knows whether it has begun")


def test_a_key_for_reading_only_looks(tabs: Tabs) -> None:
    """It sees the broadcasts, and neither the form nor a button, whatever the address says."""
    tab = tabs.open("read", at="#/broadcasts?new=1")
    expect(tab.main.get_by_role("table", name="Broadcasts")).to_be_visible()
    assert tab.main.get_by_role("button").count() == 0
    expect(tab.page.get_by_label("Message, as JSON")).to_have_count(0)
