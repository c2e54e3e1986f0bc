"""The console in a real browser: what an operator does with workers, and where it can be seen afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.integration.consoles import OPTIONS, Site, Tab, Tabs
from tests.integration.server import Server

WORKERS = 3
#: A worker that has a third of them, and lets one go a second, is not empty before it is brought back.
STREAMS = 120


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of its own: its workers are drained, restarted and killed."""
    with Server(tmp_path_factory.mktemp("workers") / "state", *OPTIONS, workers=WORKERS) as server:
        yield Site(server)


def _cell(tab: Tab, worker: int, label: str) -> Locator:
    """A cell of a worker's row, by the name of its column."""
    return tab.main.locator(f"tbody tr:nth-child({worker + 1}) td[data-label='{label}']")


def _press(tab: Tab, name: str) -> None:
    tab.page.get_by_role("button", name=name, exact=True).first.click()


def _asked(tab: Tab, name: str) -> Locator:
    """A button of the dialog that is open, or is about to."""
    return tab.page.get_by_role("dialog").get_by_role("button", name=name, exact=True)


def _busiest(tab: Tab, site: Site) -> int:
    """Return the worker that has the most connections, when the page shows all."""
    expect(tab.main.locator("tfoot td[data-label='Connections']")).to_contain_text(f"{STREAMS}of")
    return int(max(site.ask("GET", "/api/workers"), key=lambda each: each["open"])["worker"])


def test_a_worker_is_drained_and_brought_back(tabs: Tabs, site: Site) -> None:
    """One sees how far it is, and may change one's mind half-way; who is still there stays."""
    tab = tabs.open(at="#/workers")
    with site.streams(*[f"channel=c{i}" for i in range(STREAMS)]):
        worker = _busiest(tab, site)
        _press(tab, f"Drain worker {worker}")
        rate = tab.page.get_by_label("Connections a second")
        expect(rate).to_have_value("1000")
        rate.fill("0")
        expect(_asked(tab, f"Drain worker {worker}")).to_be_disabled()
        rate.fill("1")
        _asked(tab, f"Drain worker {worker}").click()
        progress = tab.page.get_by_role("progressbar", name=f"Drain of worker {worker}")
        expect(progress).to_have_attribute("aria-valuetext", re.compile(r"^[1-9]\d* of \d+$"))
        expect(_cell(tab, worker, "State")).to_have_text("draining")
        tab.sees(re.compile(r"\d+ left, .*to go"))
        _press(tab, f"Bring back worker {worker}")
        expect(progress).to_be_hidden()
        expect(_cell(tab, worker, "State")).to_have_text("up")
        assert site.ask("GET", "/api/workers")[worker]["open"] > 0
    _press(tab, f"Drain worker {worker}")
    _asked(tab, f"Drain worker {worker}").click()
    tab.sees("Empty.")
    expect(_cell(tab, worker, "State")).to_have_text("drained")
    tab.button(f"Restart worker {worker} now that it is empty").click()
    tab.sees("It has no connections.")
    _asked(tab, f"Restart worker {worker}").click()
    expect(_cell(tab, worker, "State")).to_have_text("up")
    expect(tab.page.get_by_role("heading", name="Drained")).to_be_hidden()


def test_the_last_one_that_listens_is_not_drained(tabs: Tabs, site: Site) -> None:
    """The server refuses it, and the page says why in its words."""
    tab = tabs.open(at="#/workers")
    tab.expects("status of 409")
    for other in (0, 1):
        site.ask("POST", f"/api/workers/{other}/drain", {"per_s": 1000})
    _press(tab, "Drain worker 2")
    _asked(tab, "Drain worker 2").click()
    expect(tab.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("No other worker listens at")
    _asked(tab, "Cancel").click()
    for other in (0, 1):
        _press(tab, f"Bring back worker {other}")
        expect(_cell(tab, other, "State")).to_have_text("up")


def test_a_killed_worker_is_seen(tabs: Tabs, site: Site) -> None:
    """The table tells how it ended without a reload, the events tell it too, and they can be searched and held."""
    tab = tabs.open(at="#/workers")
    before = int(_cell(tab, 1, "Restarts").inner_text())
    site.server.kill("worker 1")
    expect(_cell(tab, 1, "Restarts")).to_have_text(str(before + 1))
    expect(_cell(tab, 1, "Last end")).to_have_text("it was ended by SIGKILL")
    expect(_cell(tab, 1, "State")).to_have_text("up")
    tab.go("#/events").sees("Worker 1 ended: it was ended by SIGKILL.")
    tab.page.get_by_role("radio", name="Slow clients").check()
    tab.sees("No event is like that.")
    tab.page.get_by_role("radio", name="Restarts").check()
    tab.page.get_by_label("Filter by text").fill("sigkill")
    events = tab.page.get_by_role("list", name="Events, newest first").get_by_role("listitem")
    expect(events).to_have_count(1)
    tab.button("Details: Worker 1 ended: it was ended by SIGKILL.").click()
    tab.sees(re.compile('"worker": 1'))
    assert re.search(r"kind=restarts&text=sigkill$", tab.page.url)
    tab.button("Pause").click()
    site.server.kill("worker 2")
    tab.sees("Paused, 1 new.")
    expect(events).to_have_count(1)
    tab.button("Go on").click()
    expect(events).to_have_count(2)


def test_a_restart_is_asked_for_and_stands_in_the_audit_log(tabs: Tabs, site: Site) -> None:
    """The page says what will happen before; afterwards the log has who did it, and can be filtered."""
    tab = tabs.open(at="#/workers")
    before = int(_cell(tab, 0, "Restarts").inner_text())
    _press(tab, "Restart worker 0")
    _asked(tab, "Cancel").click()
    with site.streams(*[f"channel=c{i}" for i in range(STREAMS)]):
        expect(_cell(tab, 0, "Connections")).not_to_have_text(re.compile("^0of"))
        _press(tab, "Restart worker 0")
        tab.sees(re.compile(r"The clients come back by themselves within seconds, to the 2 others that listen"))
        _asked(tab, "Restart worker 0").click()
        expect(_cell(tab, 0, "Restarts")).to_have_text(str(before + 1))
        expect(_cell(tab, 0, "Last end")).to_have_text("it ended with status 0")
    done = [each for each in site.ask("GET", "/api/audit")["entries"] if each.get("worker") == 0]
    count = sum(each["action"] == "restart-worker" for each in done)
    tab.go("#/audit").sees("Restarted worker 0.")
    tab.page.get_by_label("Action").select_option("restart-worker")
    tab.page.get_by_label("Filter by text").fill('"worker":0')
    rows = tab.main.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(count)
    expect(rows.first).to_contain_text("api-key")
    tab.sees(re.compile(rf"{count} of the \d+ entries that are loaded; filters look through these only\."))
    site.ask("POST", "/api/workers/0/restart")
    tab.button("Refresh").click()
    expect(rows).to_have_count(count + 1)


def test_settings_in_force(tabs: Tabs) -> None:
    """What was changed stands first, with where it came from and what it means; nothing secret is told."""
    tab = tabs.open("read", at="#/settings")
    changed = tab.page.get_by_role("table", name="Changed settings")
    expect(changed.get_by_role("row", name=re.compile("^workers "))).to_contain_text(
        f"{WORKERS}command lineWorker processes."
    )
    expect(tab.page.get_by_role("table", name="Built-in settings")).to_contain_text(
        "ping_s25\u202fsbuilt-inPause between"
    )
    tab.page.get_by_label("Filter settings").fill("signs of life")
    expect(tab.main.locator("tbody tr")).to_have_count(1)


def test_what_the_machine_allows(tabs: Tabs, site: Site) -> None:
    """Every check is told with its state and its reason, and how many connections fit, as the API has it."""
    found = site.ask("GET", "/api/doctor")
    tab = tabs.open("read", at="#/doctor")
    tab.is_settled()
    for about in {each["about"] for each in found["checks"]}:
        names = [each["name"] for each in found["checks"] if each["about"] == about]
        rows = tab.page.get_by_role("table", name=about, exact=True).locator("tbody tr")
        expect(rows).to_have_count(len(names))
        for row, name in zip(rows.all(), names, strict=True):
            expect(row).to_contain_text(name)
    queue = next(each for each in found["checks"] if each["name"] == "net.core.somaxconn")
    tab.sees(queue["why"])
    tab.sees(f"first bound: {found['forecast']['first_bound']}")


def test_a_key_for_reading_has_no_buttons(tabs: Tabs, site: Site) -> None:
    """Who may only look sees the workers and nothing to press, and is refused when asking all the same."""
    tab = tabs.open("read", at="#/workers")
    tab.expects("status of 403")
    expect(_cell(tab, 0, "State")).to_have_text("up")
    assert tab.main.get_by_role("button", name=re.compile("Drain|Restart worker|Bring")).count() == 0
    expect(tab.page.get_by_role("navigation", name="Pages")).not_to_contain_text("Audit")
    tab.go("#/audit").sees("The audit log is for keys of scope admin.")
    refused = tab.page.evaluate("""async () => {
      const { csrf } = await (await fetch("/console/session")).json();
      const headers = { "X-CSRF-Token": csrf };
      const answer = await fetch("/console/api/workers/0/restart", { method: "POST", headers });
      return [answer.status, (await answer.json()).code];
    }""")
    assert refused == [403, "forbidden"]
