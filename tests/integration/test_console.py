"""Who may come into the console, in a real browser: keys, sessions, and how they end."""

from __future__ import annotations

import time
from pathlib import Path

import attrs
import pytest
from playwright.sync_api import Browser, expect

from megacomet.console.attempts import MOST_FAILURES
from megacomet.console.cookies import NAME
from megacomet.console.tokens import LIFE_S, Seal
from tests.integration.consoles import OPTIONS, Site, Tab, Tabs, Watch
from tests.integration.server import Server
from tests.integration.test_keys import megacomet, new_key

#: Where the live stream is.
EVENTS = "**/console/api/events?*"
#: What the browser says of a sign-in that was refused.
REFUSED = "status of (401|403|429) .*/console/session$"
#: And of requests with a session that has ended.
ENDED = "status of 401 .*/console/(api|session)"


def test_signing_in_and_out(tabs: Tabs, site: Site) -> None:
    """With a key one is let in where one wanted to go, and out again."""
    tab = tabs.open(None, at="#/workers")
    tab.sign_in(site.key("read"))
    tab.is_live()
    expect(tab.page).to_have_title("Workers · MegaComet")
    tab.button("Sign out").click()
    tab.sees("You have signed out.")
    tab.load("#/workers").is_signed_out()


def test_a_wrong_key(tabs: Tabs, site: Site) -> None:
    """One is told what is wrong with the key, can look at it, and try again; the console keeps it nowhere."""
    tab = tabs.open(None)
    tab.expects(REFUSED)
    tab.sign_in("not-a-key")
    tab.sees("The server does not know this key.")
    field = tab.page.get_by_label("API key")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("type", "password")
    tab.button("Show key").click()
    expect(field).to_have_attribute("type", "text")
    tab.sign_in(site.key("push"))
    tab.sees("The console needs a key of scope read or admin.")
    tab.sign_in(f"  {site.key('read')}\n")
    tab.is_signed_in()
    kept = tab.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert site.key("read") not in kept
    assert "megacomet_session" not in kept


def test_attempts_are_limited(browser: Browser, tmp_path: Path) -> None:
    """Who tries keys is told to wait, and for how long; the right key does not help then."""
    with Server(tmp_path / "state", *OPTIONS, workers=1) as server:
        tabs = Tabs(browser, Site(server))
        tab = tabs.open(None)
        tab.expects(REFUSED)
        for number in range(MOST_FAILURES):
            with tab.page.expect_response("**/console/session") as answered:
                tab.sign_in(f"key-{number}")
            assert answered.value.status == 401
        tab.sign_in(server.key)
        expect(tab.page.get_by_text("Too many attempts from this address. Try again in 2")).to_be_visible()
        expect(tab.button("Sign in")).to_be_disabled()
        tabs.close()


def test_two_tabs(tabs: Tabs, site: Site) -> None:
    """They have one session: who signs out in one is out in the other, which says so without a touch."""
    one = tabs.open()
    other = tabs.open(beside=one)
    for tab in (one, other):
        tab.is_live()
        tab.expects(ENDED)
    one.button("Sign out").click()
    other.is_signed_out()
    expect(other.page.get_by_role("status")).not_to_be_empty()
    other.sign_in(site.key("admin"))
    other.is_live()


def test_another_session_in_the_other_tab(tabs: Tabs, site: Site) -> None:
    """A tab whose session was replaced by a new one goes on with that, also where it changes something."""
    tab = tabs.open()
    tab.is_live()
    tabs.begin_session(tab.context, site.key("admin"))
    tab.expects("status of 403 .*/console/session")
    tab.button("Sign out").click()
    tab.sees("You have signed out.")
    tab.load().is_signed_out()


def test_another_key_in_the_other_tab(tabs: Tabs, site: Site) -> None:
    """A tab goes on with the key that signed in beside it: with what that may do, and nothing of what the other saw."""
    tab = tabs.open(at="#/clients/somebody")
    expect(tab.button("Send")).to_be_visible()
    tab.go("#/clients")
    seen = tab.main.get_by_role("link", name="somebody", exact=True)
    expect(seen).to_have_count(1)
    tabs.begin_session(tab.context, site.key("read"))
    tab.expects("net::ERR_.* at .*/console/api/events")
    tab.context.route(EVENTS, lambda route: route.abort())
    tab.page.evaluate("dispatchEvent(new Event('online'))")
    expect(tab.page.get_by_title("signed in as read, scope read")).to_be_visible()
    tab.context.unroute(EVENTS)
    expect(seen).to_have_count(0)
    tab.go("#/clients/somebody")
    tab.sees("is not connected, and nothing waits for it.")
    expect(tab.button("Send")).to_have_count(0)


def test_a_session_that_has_expired(tabs: Tabs, site: Site) -> None:
    """Who comes back the next morning is asked for the key, and why."""
    tab = tabs.open()
    tab.is_live()
    tab.expects(ENDED)
    age_session(tab, site, LIFE_S)
    tab.page.evaluate("dispatchEvent(new Event('online'))")
    tab.is_signed_out()
    tab.sees("The session is over: sign in again.")


def test_a_session_is_renewed(tabs: Tabs, site: Site) -> None:
    """Who leaves the console open stays signed in: an older cookie is replaced, and the new one is worth more."""
    tab = tabs.open()
    tab.is_live()
    age_session(tab, site, LIFE_S - 60)
    tab.load().is_live()
    seal, token = session_of(tab, site)
    session = seal.read(token)
    assert session is not None
    assert session.expires > time.time() + LIFE_S - 600
    assert session.issued < session.renewed - LIFE_S + 600


def session_of(tab: Tab, site: Site) -> tuple[Seal, bytes]:
    """Return what signs sessions, and the token that a tab has."""
    cookie = next(each for each in tab.context.cookies() if each["name"] == NAME.decode())
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    secret = (site.server.state_dir / "console-secret").read_text()
    return Seal(bytes.fromhex(secret)), cookie["value"].encode()


def age_session(tab: Tab, site: Site, age_s: float) -> None:
    """Replace the cookie by one that was begun earlier, as the server would have made it then."""
    seal, token = session_of(tab, site)
    session = seal.read(token)
    assert session is not None
    moment = session.issued - age_s
    older = seal.token(attrs.evolve(session, issued=moment, renewed=moment)).decode()
    cookie = {"name": NAME.decode(), "value": older, "domain": site.server.host, "path": "/console"}
    tab.context.add_cookies([{**cookie, "httpOnly": True, "sameSite": "Strict"}])  # type: ignore[typeddict-item]


def test_a_key_that_is_revoked(tabs: Tabs, site: Site) -> None:
    """Whose key goes is out at once, and told why; nothing of what was shown stays."""
    guest = new_key(site.server, "guest", "read")
    tab = tabs.open(None)
    tab.sign_in(guest)
    tab.is_live()
    tab.expects(ENDED)
    assert megacomet(site.server, "revoke", "guest").returncode == 0
    tab.sees("The key of this session was revoked.")
    tab.is_signed_out()
    assert "Connections" not in tab.page.inner_text("body")


def test_what_must_never_happen_is_seen(browser: Browser, site: Site) -> None:
    """A page that asks another host, breaks the policy, throws or complains does not pass, unless it was announced."""
    tabs = Tabs(browser, site)
    tab = tabs.open()
    tab.expects("announced")
    tab.page.evaluate("""async () => {
      console.error("it was announced");
      console.error("a complaint");
      setTimeout(() => { throw new Error("a throw"); });
      await fetch("http://127.0.0.2:9/elsewhere").catch(() => {});
      await new Promise((resolve) => setTimeout(resolve));
    }""")
    with pytest.raises(AssertionError) as failed:
        tabs.close()
    told = str(failed.value)
    assert "announced" not in told
    for each in ("a complaint", "a throw", "policy: connect-src http://127.0.0.2:9/elsewhere"):
        assert each in told
    context = browser.new_context()
    watch = Watch(context, "127.0.0.1:1")
    watch.expected.append(r"/favicon\.ico$")  # Chromium may ask for it, of a page that names none
    context.new_page().goto(site.origin + "/healthz")
    context.close()
    assert watch.unexpected() == [f"request to another host: {site.origin}/healthz"]
