"""Everybody can use the console: with the keyboard alone, on a narrow screen, light and dark, and who hears it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Route, expect

from tests.integration.consoles import Site, Tab, Tabs
from tests.integration.scenes import CHANNEL, ODD, PAGES, busy

AXE: Final = (Path(__file__).parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js").read_text()
NARROW: Final = {"width": 360, "height": 740}
WIDE: Final = {"width": 1440, "height": 900}
#: Page -> buttons that open a dialog.
DIALOGS: Final = {
    "workers": ("Restart worker 0", "Drain worker 0"),
    "client": ("Cut off…",),
    "channel": ("Clear history…",),
}
#: The client of that page: what turns the direction of writing is spelled out, and the name is set apart.
TITLE: Final = "\u2068\u05e9\u05dc\u05d5\u05ddU+202Eabc\u2069"
#: What Tab should reach: of radio buttons one of each group.
CONTROLS: Final = """() => {
  const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")];
  const isThere = (each) => each.checkVisibility({ visibilityProperty: true }) && !each.disabled && each.tabIndex >= 0;
  window.controls = all.filter((each) => isThere(each) && (each.type !== "radio" || each.checked));
  window.reached = new Map();
  const isMarked = (each) => {
    const styles = each ? [getComputedStyle(each), getComputedStyle(each, "::after")] : [];
    return styles.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1);
  };
  addEventListener("focusin", (event) => {
    const one = event.target;
    window.reached.set(one, [one, one.nextElementSibling, one.closest("label")].some(isMarked));
  });
  return window.controls.length;
}"""
MISSED: Final = """() => {
  const name = (each) => each.outerHTML.slice(0, 120);
  const missed = window.controls.filter((each) => each.isConnected && !window.reached.has(each));
  const unseen = [...window.reached].filter(([each, isSeen]) => each.isConnected && !isSeen);
  return [...missed.map((each) => `not reached: ${name(each)}`),
    ...unseen.map(([each]) => `focus not visible: ${name(each)}`)];
}"""
#: What buttons that change nothing are called.
LOOKING: Final = (
    r"(Copy|Details|Show|and \d+ more)\b|(Close|First page|Load older|Next page|Open|Pause|Refresh|Reload|Start tail)$"
)
MOVES: Final = """() => {
  const all = [...document.querySelectorAll("*")];
  const styles = ["", "::before", "::after"].flatMap((part) => all.map((each) => getComputedStyle(each, part)));
  const times = styles.flatMap((style) => `${style.transitionDuration}, ${style.animationDuration}`.split(","));
  return times.filter((each) => parseFloat(each) > 0).length;
}"""


@pytest.fixture(scope="module", autouse=True)
def _something_to_show(site: Site) -> Iterator[None]:
    with busy(site):
        yield


def shown(tab: Tab, name: str) -> Tab:
    """Go to a page and wait for its data."""
    tab.go(PAGES[name]).is_settled()
    return tab


def findings(tab: Tab, *rules: str) -> list[str]:
    """Let axe-core look at what is shown; return what it finds serious or critical.

    Args:
        tab: that is looked at.
        rules: the only ones; without any, all.
    """
    if not tab.page.evaluate("'axe' in window"):
        tab.page.evaluate(AXE)
    found: list[dict[str, Any]] = tab.page.evaluate(
        """async (rules) => {
          const only = rules.length ? { runOnly: rules } : {};
          return (await axe.run(document, { resultTypes: ["violations"], ...only })).violations;
        }""",
        list(rules),
    )
    return [
        f"{each['impact']} {each['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_nothing_scrolls_sideways(tabs: Tabs) -> None:
    """At 360 pixels and at 1440 every page fits, whatever the names on it are."""
    tab = tabs.open()
    too_wide = []
    for size in (NARROW, WIDE):
        tab.page.set_viewport_size(size)  # type: ignore[arg-type]
        for name in PAGES:
            shown(tab, name)
            width = tab.page.evaluate("document.documentElement.scrollWidth")
            if width > size["width"]:
                too_wide.append(f"{name} at {size['width']}: {width}")
    assert not too_wide
    tab.button("Sign out").click()
    tab.page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    tab.is_signed_out()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_axe_finds_nothing_serious(tabs: Tabs) -> None:
    """Every page can be heard and read, in both themes; the contrast alone differs between them."""
    tab = tabs.open(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    found = []
    for name in PAGES:
        shown(tab, name)
        found += [f"{name}: {each}" for each in findings(tab)]
        tab.page.emulate_media(color_scheme="dark")
        found += [f"{name}, dark: {each}" for each in findings(tab, "color-contrast")]
        tab.page.emulate_media(color_scheme="light")
    tab.button("Sign out").click()
    tab.is_signed_out()
    found += [f"signed out: {each}" for each in findings(tab)]
    assert not found, "\n".join(found)


def test_dialogs(tabs: Tabs) -> None:
    """axe-core finds nothing in them; Escape closes them, nothing is done, and the focus is where it was."""
    tab = tabs.open(viewport=WIDE, reduced_motion="reduce")
    found = []
    for name, buttons in DIALOGS.items():
        shown(tab, name)
        for button in buttons:
            opener = tab.button(button).first
            opener.focus()
            tab.page.keyboard.press("Enter")
            dialog = tab.page.get_by_role("dialog")
            expect(dialog).to_be_visible()
            expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
            for scheme in ("light", "dark"):
                tab.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                found += [f"{button}, {scheme}: {each}" for each in findings(tab)]
            tab.page.keyboard.press("Escape")
            expect(dialog).to_be_hidden()
            expect(opener).to_be_focused()
    assert not found, "\n".join(found)


def test_a_broadcast_and_what_it_asks(tabs: Tabs) -> None:
    """axe-core finds nothing in its form, in what asks before it begins and ends, and in what is said afterwards."""
    tab = tabs.open(at="#/broadcasts?new=1&channel=*", viewport=WIDE, reduced_motion="reduce")
    page, dialog = tab.page, tab.page.get_by_role("dialog")
    found = []

    def look(what: str) -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found.extend(f"{what}, {scheme}: {each}" for each in findings(tab))

    page.get_by_label("Message, as JSON").fill('{"text":"hello"}')
    page.get_by_label("Connections a second").fill("1")
    expect(tab.button("Begin the broadcast")).to_be_enabled()
    look("the form")
    tab.button("Begin the broadcast").click()
    page.get_by_label("Type everyone to go on").fill("everyone")
    look("before it begins")
    dialog.get_by_role("button", name=re.compile("^Write to ")).click()
    tab.sees("has begun.")
    tab.button("Pause").click()
    expect(tab.button("Resume")).to_be_visible()
    look("under way")
    tab.expects("net::ERR_FAILED")
    tab.context.route("**/console/api/broadcasts/*/resume", lambda route: route.abort())
    tab.button("Resume").click()
    tab.sees("It could not be resumed")
    look("what failed")
    tab.button("Cancel broadcast").click()
    expect(dialog.get_by_role("button", name="Let it go on")).to_be_focused()
    look("before it is cancelled")
    dialog.get_by_role("button", name="Cancel the broadcast").click()
    tab.sees("Cancelled; it was written to")
    look("cancelled")
    assert not found, "\n".join(found)


def test_who_may_only_read_sees_nothing_that_changes(tabs: Tabs) -> None:
    """On no page is there a button, or a field to write in, that only admin may use."""
    tab = tabs.open("read", viewport=WIDE)
    more = {name: changes(shown(tab, name)) for name in PAGES}
    assert more == {name: [] for name in PAGES}
    tabs.sign_in(tab, "admin")
    assert [name for name in PAGES if changes(shown(tab, name))] == ["channel", "client", "workers", "broadcasts"]


def changes(tab: Tab) -> list[str]:
    """Return what is there besides what looks at things and sorts them: buttons by label or text, boxes to write in."""
    names: list[str] = (
        tab.page.evaluate("""() => [...document.querySelectorAll("main :is(button, textarea):not(th *)")].map(
      (each) => each.ariaLabel ?? (each.innerText.trim() || each.localName))""")
    )
    return [each for each in names if not re.match(LOOKING, each)]


def test_the_keyboard_reaches_everything(tabs: Tabs) -> None:
    """Tab comes to every control of every page, and one sees where it is."""
    tab = tabs.open(viewport=WIDE)
    missed = []
    for name, at in PAGES.items():
        tab.load(at).is_settled()
        for _ in range(tab.page.evaluate(CONTROLS) + 2):
            tab.page.keyboard.press("Tab")
        missed += [f"{name}: {each}" for each in tab.page.evaluate(MISSED)]
    assert not missed, "\n".join(missed)


def test_signing_in_by_the_keyboard(tabs: Tabs, site: Site) -> None:
    """The field has the focus; what comes before the page can be skipped; a page is chosen, and signing out found."""
    tab = tabs.open(None)
    field = tab.page.get_by_label("API key")
    expect(field).to_be_focused()
    keyboard = tab.page.keyboard
    for button in ("Sign in", "Show key"):
        keyboard.press("Tab")
        expect(tab.button(button)).to_be_focused()
    keyboard.press("Space")
    keyboard.press("Shift+Tab")
    keyboard.press("Shift+Tab")
    keyboard.type(site.key("read"))
    keyboard.press("Enter")
    tab.is_signed_in()
    keyboard.press("Tab")
    skip = tab.page.get_by_role("link", name="Skip to the page")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    keyboard.press("Enter")
    expect(tab.main).to_be_focused()
    assert tab.page.url.endswith("#/")
    tab.page.get_by_role("link", name="Workers", exact=True).focus()
    keyboard.press("Enter")
    expect(tab.page).to_have_title("Workers · MegaComet")


def test_nothing_moves_for_who_wants_none_of_it(tabs: Tabs) -> None:
    """With prefers-reduced-motion nothing is animated, also no dialog."""
    tab = tabs.open(reduced_motion="reduce")
    for name in PAGES:
        assert shown(tab, name).page.evaluate(MOVES) == 0, name
    shown(tab, "workers").button("Restart worker 0").first.click()
    expect(tab.page.get_by_role("dialog")).to_be_visible()
    assert tab.page.evaluate(MOVES) == 0


def test_the_theme_is_kept(tabs: Tabs) -> None:
    """Dark as the system has it, light as somebody chose, also after the page was loaded again."""
    tab = tabs.open(color_scheme="dark")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    dark = tab.page.evaluate(paper)
    tab.page.get_by_label("Theme").select_option("light")
    light = tab.page.evaluate(paper)
    assert light != dark
    tab.load("#/workers").is_signed_in()
    assert tab.page.evaluate(paper) == light
    tab.page.get_by_label("Theme").select_option("system")
    assert tab.page.evaluate(paper) == dark


def test_addresses_that_are_none(tabs: Tabs) -> None:
    """Whatever was typed by hand, there is a page that says what is wrong, and the way on."""
    tab = tabs.open(at="#/nowhere")
    for at in ("#/nowhere", "#/workers/7", "#/toString", "#/__proto__/x", "#/%E0%A4%A"):
        tab.load(at).sees("There is no page at this address.")
    for at, title in (("#/channels/%E0%A4%A", "Channels"), ("#/channels/", "Channels"), ("#workers", "Workers")):
        tab.load(at).is_settled()
        expect(tab.page).to_have_title(f"{title} · MegaComet")
    for at in ("#/events?kind=toString", "#/workers?sort=constructor", "#/channels?sort=__proto__"):
        tab.load(at).is_settled()
        expect(tab.main.get_by_text("This page has failed.")).to_have_count(0)
    tab.page.get_by_role("link", name="Overview").click()
    expect(tab.page).to_have_title("Overview · MegaComet")


def test_a_slow_network(tabs: Tabs) -> None:
    """What takes long is said to be on its way; who goes elsewhere meanwhile is not held up."""
    tab = tabs.open()
    held: list[Route] = []
    tab.context.route("**/console/api/channels?*", lambda route: held.append(route))
    with tab.page.expect_request("**/console/api/channels?*"):
        tab.go("#/channels")
    tab.sees("Loading…")
    shown(tab, "workers")
    expect(tab.page).to_have_title("Workers · MegaComet")
    with tab.page.expect_request("**/console/api/channels?*"):
        tab.go("#/channels")
    tab.context.unroute("**/console/api/channels?*")  # what is held goes on
    expect(tab.main.get_by_role("link", name=CHANNEL, exact=True)).to_be_visible()


def test_names_of_every_kind(tabs: Tabs) -> None:
    """They are shown as they are, lead where they say, and run nothing."""
    tab = tabs.open()
    for name in ODD:
        at = "#/clients/" + quote(name, safe="!'()*~")
        shown(tab, "clients").main.locator(f'a[href="{at}"]').first.click()
        connections = tab.main.get_by_role("table", name="Connections").locator("tbody tr")
        expect(connections).to_have_count(1)
        expect(connections.get_by_role("link", name=CHANNEL, exact=True)).to_be_visible()
    shown(tab, "channels")
    tab.main.get_by_role("link", name=CHANNEL, exact=True).click()
    expect(tab.page).to_have_title(f"Channel {CHANNEL} · MegaComet")
    shown(tab, "client")
    expect(tab.page).to_have_title(f"Client {TITLE} · MegaComet")
    expect(tab.main.locator("bdi").first).to_be_visible()
