"""What the console shows stays true: while clients come and go, the server restarts, and the network fails."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from tests.integration.consoles import OPTIONS, Site, Tab, Tabs
from tests.integration.server import Server

EVENTS = "**/console/api/events?*"
#: What the browser says of requests that nobody answers.
NO_ANSWER = "net::ERR_.* at .*/console/(api|session)"
LOST = "No connection to the server for"
ANOTHER_VERSION = "The server has another version of this console now."
CLIENTS = 40


def connections(tab: Tab) -> Locator:
    """The count of the overview."""
    return tab.page.get_by_role("region", name="Connections").locator(".stat-value")


def canvas(tab: Tab) -> str:
    """What the chart of connections has drawn."""
    drawn: str = tab.page.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()")
    return drawn


def test_a_chart_moves_while_clients_come(tabs: Tabs, site: Site) -> None:
    """The overview counts who connects, each second, and its chart grows with them."""
    tab = tabs.open()
    expect(connections(tab)).to_have_text("0")
    before = canvas(tab)
    with site.streams(*[f"channel=c{n}" for n in range(CLIENTS)], *[f"client=u{n}" for n in range(CLIENTS)]):
        expect(connections(tab)).to_have_text(str(2 * CLIENTS))
        chart = tab.page.get_by_role("img", name=re.compile(rf"^Chart: Connections\..* between 0 and {2 * CLIENTS}\b"))
        expect(chart).to_be_visible()
        assert canvas(tab) != before
        site.push("c1", "hello")
        messages = tab.page.get_by_role("img", name=re.compile(r"^Chart: Messages\..*between 0 .s and (?!0 )"))
        expect(messages).to_be_visible()
    expect(connections(tab)).to_have_text("0")


def test_the_server_is_killed_and_begins_anew(browser: Browser, tmp_path: Path) -> None:
    """The page says that nobody answers, then that the server restarted, and goes on by itself; nothing is reloaded.

    Where the new server has other pages it says that too, and leaves it to who looks when to reload.
    """
    state = tmp_path / "state"
    first = Server(state, *OPTIONS)
    second = Server(state, *OPTIONS[1:], "--port=0")
    try:
        first.launch().wait_ready()
        site = Site(first)
        tabs = Tabs(browser, site)
        tab = tabs.open()
        tab.page.evaluate("window.isTheSame = true")
        upgraded = tabs.open()
        upgraded.is_live()
        upgraded.context.route("**/console/", lambda route: route.fulfill(body="of another version"))
        with site.streams(*[f"channel=c{n}" for n in range(CLIENTS)]):
            expect(connections(tab)).to_have_text(str(CLIENTS))
            for each in (tab, upgraded):
                each.expects(NO_ANSWER)
                each.expects("status of 503")
            first.kill("manager")
            tab.sees(LOST)
            expect(connections(tab)).to_have_text(str(CLIENTS))  # what it knows is not thrown away
            second.launch().wait_ready()
            second.adopt(first)
            tab.sees("The server restarted")
            tab.is_live()
            expect(connections(tab)).to_have_text(str(CLIENTS))  # whom the workers have kept meanwhile
            tab.button("Close").click()
            expect(tab.page.get_by_text("The server restarted")).to_be_hidden()
            assert tab.page.evaluate("window.isTheSame")
            upgraded.sees(ANOTHER_VERSION)
            expect(tab.page.get_by_text(ANOTHER_VERSION)).to_have_count(0)
            upgraded.context.unroute("**/console/")
            upgraded.button("Reload").click()
            upgraded.is_live()
            expect(upgraded.page.get_by_text(ANOTHER_VERSION)).to_have_count(0)
        tabs.close()
        second.stop()
    finally:
        second.kill_all()
        first.kill_all()


def test_the_live_stream_is_refused(tabs: Tabs, site: Site) -> None:
    """Something in between lets no stream through: the page says so, and asks for figures instead."""
    tab = tabs.open(None)
    tab.expects(NO_ANSWER)
    tab.context.route(EVENTS, lambda route: route.abort())
    tabs.sign_in(tab)
    tab.sees(LOST)
    tab.sees("The server answers, but its live stream does not come through")
    with site.streams(*[f"channel=c{n}" for n in range(CLIENTS)]):
        expect(connections(tab)).to_have_text(str(CLIENTS))
        tab.context.unroute(EVENTS)
        tab.button("Try now").click()
        tab.is_live()
        expect(connections(tab)).to_have_text(str(CLIENTS))


def test_the_live_stream_is_held_back(tabs: Tabs) -> None:
    """Something in between takes the request and lets nothing through: the page says that what it shows is old."""
    tab = tabs.open()
    tab.is_live()
    held: list[Route] = []
    tab.context.route(EVENTS, lambda route: held.append(route))
    tab.page.evaluate("dispatchEvent(new Event('online'))")
    tab.sees("Nothing has come from the server for")
    assert held
    tab.context.unroute(EVENTS)  # what is held goes on
    tab.is_live()


def test_offline_and_back(tabs: Tabs, site: Site) -> None:
    """A laptop without a network says so, and what it shows is as old as it says; back, it goes on by itself."""
    tab = tabs.open()
    expect(connections(tab)).to_have_text("0")
    tab.expects(NO_ANSWER)
    tab.context.set_offline(True)
    # Where a network goes its streams break. The one that Chromium plays leaves those that are open, but no new one.
    tab.page.evaluate("dispatchEvent(new Event('online'))")
    tab.sees("this browser says that it is offline")
    with site.streams("channel=meanwhile"):
        tab.context.set_offline(False)
        tab.is_live()
        expect(connections(tab)).to_have_text("1")


@pytest.mark.parametrize("ahead_h", [-3, 3])
def test_a_clock_that_is_wrong(tabs: Tabs, site: Site, ahead_h: int) -> None:
    """A browser whose clock is hours off tells how long ago things were by the server's clock."""
    site.server.get("/nothing")
    tab = tabs.open(None)
    tab.page.clock.install(time=time.time() + ahead_h * 3600)
    tabs.sign_in(tab)
    tab.is_live()
    expect(tab.page.get_by_text(re.compile(r", up \d+\s(s|min)\b"))).to_be_visible()
    times = tab.page.locator("main time")
    expect(times.first).to_be_visible()
    wrong = [text for text in times.all_inner_texts() if not re.fullmatch(r"now|\d+\s(s|min) ago", text)]
    assert not wrong
    off_s = tab.page.evaluate("Date.now() / 1000") - time.time()
    assert abs(off_s - ahead_h * 3600) < 600
