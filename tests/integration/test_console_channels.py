"""The console's channels in Chromium: found, looked into while messages are published, and published to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Locator, expect

from tests.integration.consoles import OPTIONS, Site, Tab, Tabs
from tests.integration.server import Server

#: Names that a page might take for something else: markup, quotes, paths, what turns text around, what joins.
ODD_NAMES = (
    "<script>alert(1)</script>",
    "quo\"te'd&amp;",
    "bob/disconnect?a=1#b",
    "a%2Fb%",
    "שלום:חדר",
    "\u202eevil",
    "🎉👩\u200d👩\u200d👧",
    "x" * 255,
)


def rows(tab: Tab) -> Locator:
    """The rows of the list."""
    return tab.main.locator("tbody tr")


def tail(tab: Tab) -> Locator:
    """The rows of the tail that are in sight."""
    return tab.main.get_by_role("option")


def start_tail(tab: Tab) -> None:
    """Begin to look, and wait until the server tells."""
    tab.button("Start tail").click()
    expect(tab.main.get_by_role("status").get_by_text("live", exact=True)).to_be_visible()


def test_a_channel_is_searched_and_opened_by_keys_alone(tabs: Tabs, site: Site) -> None:
    """By the beginning of its name; the order and the page are in the address, and the way back leads there."""
    site.ask("POST", "/api/push", {"channels": [f"search:{n:03d}" for n in range(60)], "data": 1})
    with site.streams("client=a&channel=search:007", "client=b&channel=search:007", "client=c&channel=search:030"):
        tab = tabs.open("read", at="#/channels")
        tab.is_settled()  # only then it hears keys
        tab.page.keyboard.press("/")
        tab.page.keyboard.type("search:")
        expect(tab.page).to_have_url(re.compile("prefix=search%3A$"))
        expect(rows(tab).first).to_contain_text("search:000")
        expect(rows(tab)).to_have_count(50)
        tab.button("Next page").click()
        expect(rows(tab)).to_have_count(10)
        tab.button("First page").click()
        tab.page.get_by_role("radio", name="Most subscribers").check()
        expect(rows(tab).nth(0)).to_have_text("search:00721")
        expect(rows(tab).nth(1)).to_have_text("search:03011")
        assert "prefix=search%3A&sort=subscribers" in tab.page.url
        rows(tab).get_by_role("link").first.press("Enter")
        expect(tab.page).to_have_title("Channel search:007 · MegaComet")
        expect(tab.main.get_by_text("Subscribers").locator("..")).to_contain_text("2")
        tab.page.go_back()
        expect(rows(tab)).to_have_count(50)
        tab.page.get_by_role("radio", name="Mailboxes").check()
        tab.sees("@a")
        tab.go("#/channels?prefix=nobody")
        tab.sees("No channel that is in use begins with nobody.")


def test_names_are_shown_as_they_are(tabs: Tabs, site: Site) -> None:
    """Whatever a name is made of, it is text, and its link leads to it."""
    for name in ODD_NAMES:
        site.push(name, {"name": name})
    tab = tabs.open(at="#/channels")
    for name in ODD_NAMES:
        address = "#/channels/" + quote(name, safe="!'()*~")
        tab.go("#/channels?prefix=" + quote(name, safe=""))
        tab.page.locator(f'a[href="{address}"]').click()
        expect(tab.main.locator("tbody tr")).to_have_count(1)
        expect(tab.main.locator("tbody code.json")).to_have_text(shown(json.dumps({"name": name}, ensure_ascii=False)))
    expect(tab.main.locator("h1")).to_contain_text("x" * 255)
    tab.go("#/channels/" + quote(ODD_NAMES[0]))
    expect(tab.page).to_have_title("Channel <script>alert(1)</script> · MegaComet")


def shown(text: str) -> str:
    """What the page makes of data: spaces are not written, what turns text around is spelled, the end is cut."""
    text = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")).replace("\u202e", "U+202E")
    return text if len(text) <= 240 else text[:240] + "…"


def test_what_no_channel_can_be_called(tabs: Tabs) -> None:
    """It is said, with the reason; also of dots, which a browser would take out of an address."""
    tab = tabs.open("read", at="#/channels/..")
    tab.sees("A name is not '..'.")
    tab.expects("status of 400")
    tab.go("#/channels/a%20b")
    tab.sees("A channel has no control characters and no spaces.")


def test_a_tail_while_messages_are_published(tabs: Tabs, site: Site) -> None:
    """The newest above; paused it stands and counts; a filter holds for what is there and for what comes."""
    tab = tabs.open("read", at="#/channels/tail:1")
    start_tail(tab)
    for n in range(3):
        site.push("tail:1", {"kind": "Alpha" if n else "beta", "n": n})
    expect(tail(tab)).to_have_count(3)
    expect(tail(tab).first).to_contain_text('{"kind":"Alpha","n":2}')
    tab.button("Pause").click()
    for n in range(3, 7):
        site.push("tail:1", {"kind": "alpha" if n == 5 else "beta", "n": n})
    tab.sees("paused, 4 new")
    expect(tail(tab)).to_have_count(3)
    tab.button("Resume").click()
    expect(tail(tab)).to_have_count(7)
    tab.page.get_by_label("Filter by text in the data").fill("ALPHA")
    expect(tail(tab)).to_have_count(3)
    site.push("tail:1", {"kind": "beta"})
    site.push("tail:1", {"kind": "alphabet"})
    expect(tail(tab).first).to_contain_text("alphabet")
    tab.sees("4 shown, 0 skipped by rate, 5 filtered out")
    tab.button("Stop").click()
    tab.sees("not started")


def test_a_large_message_of_a_tail(tabs: Tabs, site: Site) -> None:
    """It comes as its beginning, and is fetched from the history when it is asked for."""
    tab = tabs.open("read", at="#/channels/tail:2")
    start_tail(tab)
    site.push("tail:2", "x" * 40_000 + "the end")
    tail(tab).first.click()
    tab.sees("Only its first 1000 characters are told, of 40.0\u202fkB.")
    tab.button("Load all of it from the history").click()
    tab.main.locator(".tail-message").get_by_role("button", name="Show all").click()
    expect(tab.main.locator(".tail-message code.json")).to_contain_text("the end")


def test_a_tail_ends_with_its_page(tabs: Tabs, site: Site) -> None:
    """Who stops it, or goes to another page, is told nothing more: the server has one tail less."""
    tab = tabs.open("read", at="#/channels/tail:3")
    for leave in (lambda: tab.button("Stop").click(), lambda: tab.go("#/channels")):
        start_tail(tab)
        with tab.page.expect_event("requestfailed", lambda request: request.url.endswith("/tail")):
            leave()


def test_messages_of_a_megabyte(browser: Browser, tmp_path: Path) -> None:
    """Where they are allowed they are published, tailed and read back, and shown whole when somebody wants it."""
    largest = 1_048_576
    options = (*OPTIONS, f"--message-bytes={largest}", f"--backlog-bytes={4 * largest}")
    with Server(tmp_path / "state", *options, workers=1) as server:
        tabs = Tabs(browser, Site(server))
        tab = tabs.open(at="#/channels/large")
        start_tail(tab)
        data = tab.page.get_by_label("Data", exact=True)
        text = json.dumps("x" * (largest - 9) + "the end")
        data.fill(text[:-1])
        tab.sees("Line 1, column 1: this text has no closing double quote.")
        data.fill(text)
        tab.sees(re.compile(r"^JSON, 1\.05.MB\."))
        tab.button("Send").click()
        tab.sees("Kept. Nobody listens now; who comes back is told.")
        expect(tail(tab)).to_have_count(1)
        expect(rows(tab)).to_contain_text("1.05\u202fMB")
        rows(tab).get_by_role("button", name="Show all").click()
        expect(rows(tab).locator("code.json")).to_contain_text("the end")
        tail(tab).click()
        tab.button("Load all of it from the history").click()
        tab.main.locator(".tail-message").get_by_role("button", name="Show all").click()
        expect(tab.main.locator(".tail-message code.json")).to_contain_text("the end")
        data.fill(json.dumps("x" * (largest - 1)))
        tab.expects("status of 413")
        tab.button("Send").click()
        expect(data).to_have_attribute("aria-invalid", "true")
        tabs.close()


def test_publishing(tabs: Tabs, site: Site) -> None:
    """What is no JSON is not sent, and says where; what is arrives as it was written, and who heard it is told."""
    with site.streams("client=ear&channel=box") as [ear]:
        tab = tabs.open(at="#/channels/box")
        data = tab.page.get_by_label("Data", exact=True)
        data.fill('{"id": 12345678901234567890,\n "n": 1,}')
        tab.sees("Line 2, column 8: there is a comma too many before the }.")
        data.press("Control+Enter")
        expect(data).to_have_attribute("aria-invalid", "true")
        data.fill('{"id": 12345678901234567890,\n "n": 1}')
        data.press("Control+Enter")
        tab.sees("Sent: written to 1 connection.")
        assert b'{"id": 12345678901234567890, "n": 1}' in ear.recv(4096)
        expect(tab.main.locator("tbody tr").first).to_contain_text('{"id":12345678901234567890,"n":1}')
        data.fill("just words")
        tab.button("Send as text instead").click()
        tab.sees("Sent: written to 1 connection.")
        assert b'"just words"' in ear.recv(4096)
        tab.page.get_by_label("Keep for (s)").fill("-1")
        data.fill("1")
        data.press("Control+Enter")
        tab.sees("Seconds from 0 to 2592000.")
        tab.page.get_by_label("Keep for (s)").fill("0")
        tab.page.get_by_label("Idempotency key").fill("k" * 200)
        tab.expects("status of 422")
        tab.button("Send").click()
        expect(tab.page.get_by_label("Idempotency key")).to_have_attribute("aria-invalid", "true")
    tab.page.get_by_label("Idempotency key").fill("once")
    tab.button("Send").click()
    tab.sees("Unheard. Nobody listens now, and nothing is kept.")
    tab.button("Send").click()
    tab.sees("Not sent again.")


def test_a_history_is_read_back_and_cleared(tabs: Tabs, site: Site) -> None:
    """To the oldest, page by page; what has come since is announced; who clears it is asked first."""
    for n in range(120):
        site.push("past", n)
    tab = tabs.open(at="#/channels/past")
    expect(rows(tab)).to_have_count(50)
    tab.button("Load older").click()
    expect(rows(tab)).to_have_count(100)
    tab.button("Load older").click()
    expect(rows(tab)).to_have_count(120)
    expect(tab.button("Load older")).to_have_count(0)
    site.push("past", "newer")
    tab.button("Show what has come since").click()
    expect(rows(tab).first).to_contain_text('"newer"')
    tab.button("Clear history…").click()
    tab.sees("Who resumes from before is told of a gap.")
    tab.button("Clear history").click()
    tab.sees("121 messages removed.")
    tab.sees("Nothing is kept of this channel.")


def test_who_may_only_read_has_no_buttons_that_change(tabs: Tabs, site: Site) -> None:
    """Nothing to publish with, and nothing to clear; the tail and the history are there."""
    site.push("seen", 1)
    tab = tabs.open("read", at="#/channels/seen")
    expect(rows(tab)).to_have_count(1)
    expect(tab.button("Start tail")).to_be_visible()
    for name in ("Send", "Clear history…"):
        expect(tab.button(name)).to_have_count(0)
