"""The console's clients in Chromium: found, seen with their connections, sent a message, cut off."""

from __future__ import annotations

from urllib.parse import quote

from playwright.sync_api import Locator, expect

from tests.integration.consoles import Site, Tab, Tabs
from tests.integration.server import read_all


def connections(tab: Tab) -> Locator:
    """The rows of its connections."""
    return tab.main.get_by_role("table", name="Connections").locator("tbody tr")


def test_a_client_is_found_sent_a_message_and_cut_off(tabs: Tabs, site: Site) -> None:
    """By its id; the message arrives where it listens; and when it has gone the page says so."""
    with site.streams("client=sue&channel=news", "client=sue&channel=weather") as sockets:
        tab = tabs.open(at="#/clients")
        tab.is_settled()  # only then it hears keys
        tab.page.keyboard.press("/")
        tab.page.keyboard.type("su")
        expect(tab.main.get_by_role("link", name="sue", exact=True)).to_be_visible()
        tab.page.keyboard.type("e\n")
        expect(tab.page).to_have_title("Client sue · MegaComet")
        expect(connections(tab)).to_have_count(2)
        expect(connections(tab).filter(has_text="news")).to_contain_text("127.0.0.1:")
        tab.page.get_by_label("Data", exact=True).fill('{"text":"hello"}')
        tab.button("Send").click()
        tab.sees("Sent: written to 2 connections.")
        for each in sockets:
            assert b'"data":{"text":"hello"}' in each.recv(4096)
        tab.button("Cut off…").click()
        tab.sees("2 connections end. The client may come back at once")
        tab.page.get_by_role("radio", name="Is to stay away").check()
        tab.page.get_by_label("Kept out for (s)").fill("90")
        tab.sees("The client is kept out for 1\u202fmin 30\u202fs")
        tab.button("Cut off 2 connections").click()
        tab.sees("2 connections of sue ended. It is kept out for 1\u202fmin 30\u202fs.")
        tab.sees("It went offline")
        for each in sockets:
            read_all(each)
    assert b" 204 " in site.server.get("/comet/events?client=sue").split(b"\r\n")[0]


def test_what_waits_for_who_is_not_there(tabs: Tabs, site: Site) -> None:
    """It is told and shown, and goes on waiting; what is sent now waits too."""
    site.ask("POST", "/api/push", {"client": "joe", "data": {"n": 1}})
    tab = tabs.open(at="#/clients/joe")
    tab.sees("is not connected, and 1 message waits for it.")
    tab.page.get_by_label("Data", exact=True).fill("2")
    tab.button("Send").click()
    tab.sees("Kept. Nobody listens now; who comes back is told.")
    expect(tab.main.get_by_role("table", name="What waits for it").locator("tbody tr")).to_have_count(2)
    assert site.ask("GET", "/api/clients/joe")["waiting"] == 2
    with site.streams("client=joe"):
        expect(connections(tab)).to_have_count(1)
        tab.sees("It came online")


def test_a_client_that_is_not_there_is_no_error(tabs: Tabs, site: Site) -> None:
    """Nobody has to know in which moment a client is connected; and those that were looked at are remembered."""
    name = "<b>bob</b>/disconnect"
    tab = tabs.open("read", at="#/clients/" + quote(name, safe=""))
    tab.sees("is not connected, and nothing waits for it.")
    expect(tab.page).to_have_title(f"Client {name} · MegaComet")
    tab.go("#/clients")
    expect(tab.main.get_by_role("link", name=name, exact=True)).to_be_visible()
    with site.streams("client=" + quote(name, safe="")):
        tab.main.get_by_role("link", name=name, exact=True).first.click()
        expect(connections(tab)).to_have_count(1)
        for button in ("Cut off…", "Send"):
            expect(tab.button(button)).to_have_count(0)
        tab.main.get_by_role("link", name="@" + name, exact=True).click()
        expect(tab.page).to_have_title(f"Channel @{name} · MegaComet")
