"""The console in a real browser: who may come in, and how it stays true while server and network do what they do."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.consoles import Site, Tabs, Watch


def test_signing_in_and_out(tabs: Tabs, site: Site) -> None:
    """With a key one is let in where one wanted to go, and out again."""
    tab = tabs.open(None, at="#/workers")
    tab.sign_in(site.key("read"))
    tab.is_live()
    expect(tab.page).to_have_title("Workers · MegaComet")
    tab.button("Sign out").click()
    tab.sees("You have signed out.")
    tab.load("#/workers").sees("API key")


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
    context.new_page().goto(site.origin + "/healthz")
    context.close()
    assert watch.unexpected() == [f"request to another host: {site.origin}/healthz"]
