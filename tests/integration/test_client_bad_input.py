"""What clients meet that is not the server they expect: fronts that refuse, other versions, what a browser forbids."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from megacomet import __version__
from tests.integration.between import Between
from tests.integration.chromium_crew import PATH, serve_page
from tests.integration.crews import FEED, SHOWN_S, mailbox
from tests.integration.numbers import Message
from tests.integration.python_crew import PythonCrew
from tests.integration.stage import HURRY, Stage
from tests.integration.troubles import CLOSE, EVENTS, POLL, REFUSE, WEBSOCKET, Trouble

#: A page with a client of another version.
OTHER_PATH: Final = "/other"
#: A transport's requests, as the proxy calls them.
KINDS: Final = {"websocket": WEBSOCKET, "sse": EVENTS, "poll": POLL}
NO_STORAGE: Final = """for (const name of ["sessionStorage", "localStorage"])
  Object.defineProperty(globalThis, name, { get() { throw new DOMException("forbidden", "SecurityError"); } });"""
NOTHING_TO_SHARE_BY: Final = """for (const name of ["SharedWorker", "BroadcastChannel"]) delete globalThis[name];
Object.defineProperty(navigator, "locks", { value: undefined });"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server and the proxy before it; nobody listens yet."""
    with Stage(tmp_path_factory.mktemp("bad-input")) as stage:
        serve_page(stage.between, stage.browser_client(), HURRY)
        yield stage


@pytest.fixture
def between(stage: Stage) -> Iterator[Between]:
    """The proxy, with nothing in the way; it counts from the beginning of the test."""
    stage.between.free()
    yield stage.between
    stage.between.free()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """What the tabs of a test have together."""
    with browser.new_context() as context:
        yield context


class Tab:
    """A page with one client.

    Attributes:
        page: of Playwright.
        name: of the client.
    """

    def __init__(self, context: BrowserContext, between: Between, name: str, path: str = PATH, **options: Any) -> None:
        """Open it; its client connects."""
        self.name = name
        self.page: Page = context.new_page()
        self.page.goto(f"{between.url.rstrip('/')}{path}")
        self.listen(**options)

    def listen(self, **options: Any) -> None:
        """Have the client connect."""
        self.page.evaluate("([name, options, feed]) => crew.listen(name, options, feed)", [self.name, options, FEED])

    def told(self, event: str) -> list[Any]:
        """Return what the client has told by an event."""
        script = "([name, event]) => crew.clients.get(name).told.filter(([each]) => each === event).map(([, it]) => it)"
        told: list[Any] = self.page.evaluate(script, [self.name, event])
        return told

    def tells(self, event: str, times: int = 1) -> list[Any]:
        """Wait until the client has told of an event so often; return what."""
        script = """([name, event, times, ms]) => crew.until(() => {
          const { told } = crew.clients.get(name);
          return told.filter(([each]) => each === event).length < times ? `no ${event}: ${JSON.stringify(told)}` : "";
        }, ms)"""
        missing = self.page.evaluate(script, [self.name, event, times, SHOWN_S * 1000])
        assert not missing, missing
        return self.told(event)

    def shows(self, channel: str, number: int) -> None:
        """Wait until the client has shown a number."""
        script = "([last, ms]) => crew.shown(last, ms)"
        missing = self.page.evaluate(script, [{self.name: {channel: number}}, SHOWN_S * 1000])
        assert not missing, missing

    def shown(self) -> list[list[Any]]:
        """Return what the client has shown since it was asked for last: channel, number, id, or a channel for a gap."""
        [(_, shown)] = self.page.evaluate("crew.take()")
        return list(shown)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_by_a_front(context: BrowserContext, between: Between, status: int) -> None:
    """Who may not pass is told so, and asks no more: by events its status is seen, which a WebSocket hides."""
    between.stand(Trouble.everywhere(REFUSE, status=status))
    tab = Tab(context, between, "own", shared=False)
    assert [told["code"] for told in tab.tells("disconnected")] == [status]
    asked = between.counts()
    assert (asked["websocket"], asked["events"], asked["poll"]) == (1, 1, 0)


def test_refused_with_nothing_but_websocket(context: BrowserContext, between: Between) -> None:
    """A browser does not say why a WebSocket is refused: it is tried again, each time after a pause that was told."""
    between.stand(Trouble.everywhere(REFUSE, status=401))
    tab = Tab(context, between, "own", shared=False, transports=["websocket"])
    pauses = [told["delay"] for told in tab.tells("connecting", 6)][1:]
    assert all(pause > 0 for pause in pauses)
    assert between.counts()["websocket"] <= len(tab.told("connecting"))


def test_closed_for_good(context: BrowserContext, between: Between) -> None:
    """A token that is refused (3500) ends it: nothing is asked for any more, on any transport."""
    between.stand(Trouble(websocket=CLOSE, code=3500))
    tab = Tab(context, between, "own", shared=False)
    assert [told["code"] for told in tab.tells("disconnected")] == [3500]
    asked = between.counts()
    assert (asked["websocket"], asked["events"], asked["poll"]) == (1, 0, 0)


@pytest.mark.parametrize("transport", KINDS)
def test_cut_off_by_an_operator(context: BrowserContext, stage: Stage, between: Between, transport: str) -> None:
    """Whom an operator cuts off for good does not come back."""
    tab = Tab(context, between, f"cut{transport}", shared=False, transports=[transport])
    tab.tells("connected")
    deadline = time.monotonic() + SHOWN_S
    while stage.ask("GET", f"/api/channels/{mailbox(f'cut{transport}')}")["subscribers"] == 0:
        assert time.monotonic() < deadline, "it does not wait"
    stage.ask("POST", f"/api/clients/cut{transport}/disconnect", {"reconnect": False, "block_s": 60})
    [told] = tab.tells("disconnected")
    assert told["code"] == (3503 if transport == "websocket" else 204)
    # a stream is asked for once more, a poll was asked twice before it waited
    assert between.counts()[KINDS[transport]] == {"websocket": 1, "sse": 2, "poll": 3}[transport]


@pytest.mark.parametrize("transport", ["sse", "poll"])
def test_asked_to_wait(context: BrowserContext, between: Between, transport: str) -> None:
    """Retry-After is the least that it waits, and half as much again the most."""
    between.stand(Trouble.everywhere(REFUSE, status=429, retry_after=5))
    tab = Tab(context, between, "own", shared=False, transports=[transport])
    pauses = [told["delay"] for told in tab.tells("connecting", 3)][1:]
    assert all(5000 <= pause <= 7500 for pause in pauses), pauses
    between.free()
    tab.tells("connected")


def test_two_versions(context: BrowserContext, stage: Stage, between: Between) -> None:
    """Tabs of one version share a connection, one of another version has its own; each is shown everything once."""
    own = f'"{__version__}"'
    theirs = stage.browser_client()
    assert own in theirs
    serve_page(between, theirs.replace(own, '"0.0.1"'), HURRY, OTHER_PATH)
    tabs = [Tab(context, between, name, path) for name, path in [("a-1", PATH), ("a-2", PATH), ("a-3", OTHER_PATH)]]
    for tab in tabs:
        tab.tells("connected")
    assert between.counts()["websocket"] == 2
    stage.publisher.add(mailbox("a"))
    stage.publisher.publish(mailbox("a"), 60)
    for tab in tabs:
        tab.shows(mailbox("a"), 59)
        assert [number for channel, number, _ in tab.shown()] == list(range(60))


@pytest.mark.parametrize("forbidden", [NO_STORAGE, NOTHING_TO_SHARE_BY, NO_STORAGE + NOTHING_TO_SHARE_BY])
def test_what_a_browser_forbids(context: BrowserContext, stage: Stage, between: Between, forbidden: str) -> None:
    """Without storage, or without a way to share, all works that can."""
    context.add_init_script(forbidden)
    tab = Tab(context, between, "b", remember="b")
    tab.tells("connected")
    publish(stage, mailbox("b"))
    tab.shows(mailbox("b"), last(stage, mailbox("b")))
    assert tab.page.evaluate("crew.faults") == []


def test_a_page_that_is_loaded_again(context: BrowserContext, stage: Stage, between: Between) -> None:
    """A page that remembers its position shows what was published while it was away, and nothing twice."""
    tab = Tab(context, between, "c", remember="c")
    tab.tells("connected")
    publish(stage, FEED)
    tab.shows(FEED, before := last(stage, FEED))
    tab.page.goto("about:blank")
    publish(stage, FEED)
    tab.page.goto(f"{between.url.rstrip('/')}{PATH}")
    tab.listen(remember="c")
    tab.shows(FEED, last(stage, FEED))
    assert [number for _, number, _ in tab.shown()] == list(range(before + 1, last(stage, FEED) + 1))


def test_a_position_of_another_epoch(context: BrowserContext, stage: Stage, between: Between) -> None:
    """Who comes with a position of a server that is gone is told of a gap, and then shown what is kept."""
    publish(stage, FEED)
    tab = Tab(context, between, "d", shared=False, since="another-7")
    tab.shows(FEED, last(stage, FEED))
    assert tab.shown()[0] == [FEED]


@pytest.mark.parametrize("channel", ["", "@sue", "*", "a b", "..", "x" * 256])
def test_a_channel_that_is_none(context: BrowserContext, between: Between, channel: str) -> None:
    """What is no name of a channel is refused at once, in words, and the connection goes on."""
    tab = Tab(context, between, "e", shared=False)
    script = """([name, channel]) => {
      try { crew.clients.get(name).comet.subscribe(channel); } catch (error) { return error.message; }
    }"""
    assert "channel" in tab.page.evaluate(script, [tab.name, channel])
    tab.tells("connected")


@pytest.mark.parametrize(
    ("trouble", "ends"),
    [
        (Trouble.everywhere(REFUSE, status=401), "Disconnected(401"),
        (Trouble.everywhere(REFUSE, status=403), "Disconnected(403"),
        (Trouble(websocket=CLOSE, code=3500), "Disconnected(3500"),
    ],
)
def test_python_is_refused(between: Between, trouble: Trouble, ends: str) -> None:
    """A Python program that is refused gets an exception with the code, and asks no more."""
    with ExitStack() as stack:
        crew = stack.enter_context(PythonCrew(between.port, HURRY, {"asyncio": {"f": {}}}))
        between.stand(trouble, cut=True)
        crew.wait_error("f")
        asked = between.counts()
    assert crew.errors[0].startswith(f"f: {ends}")
    assert max(asked["websocket"], asked["events"], asked["poll"]) == 1


def test_python_behind_a_front_without_websocket(stage: Stage, between: Between) -> None:
    """An upgrade that something in between refuses with 400 is none of the server's words: events are taken."""
    with PythonCrew(between.port, HURRY, {"asyncio": {"g": {}}}) as crew:
        between.stand(Trouble(websocket=REFUSE, status=400), cut=True)
        crew.wait_transport("g", "sse")
        publish(stage, FEED)
        crew.wait({"g": {FEED: last(stage, FEED)}})
        numbers = [showing.shown.number for showing in crew.take() if isinstance(showing.shown, Message)]
    assert numbers == list(range(numbers[0], last(stage, FEED) + 1))
    assert crew.errors == []


def publish(stage: Stage, channel: str) -> None:
    """Publish some numbers."""
    stage.publisher.add(channel)
    stage.publisher.publish(channel, 60)


def last(stage: Stage, channel: str) -> int:
    """Return the number that was published last."""
    return stage.publisher.ledgers[channel].entries[-1].number
