"""EventSource clients that others have written, on connections that are cut: every message once, and in order.

Each client hears a channel of its own through a proxy of its own, all of them at the same time, since most of what they
do is to wait before they come back.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

import pytest

from tests.event_stream import Event
from tests.integration.cutting import Cut, CuttingProxy
from tests.integration.eventsources import CLIENTS
from tests.integration.server import LINE_S, Server
from tests.integration.stream_double import (
    Fault,
    loses_one,
    mixes_up_two,
    repeats_one,
    stream_double,
)

#: Numbers that are published to each client; the last one ends it.
MESSAGES: Final = 60
#: So many are under way at a time: some of them come live, some while the client is away.
UNDER_WAY: Final = 5
#: In turn: before the head, within it, within the opening, twice amid a message, and twice between two.
CUTS: Final = (
    Cut(0),
    Cut(40, resets=True),
    Cut(560),
    Cut(730),
    Cut(900, at_end=True),
    Cut(1100, resets=True),
    Cut(1300, at_end=True, resets=True),
)
#: It takes an event's id when it reads that line, and not with the event: cut amid one, it asks on from behind a
#: message that it has not shown. So it is cut between two.
TAKES_IDS_EARLY: Final = "fetch-event-source"

Publish = Callable[[str, int], None]


def cuts_of(name: str) -> list[Cut]:
    """Return where a client's connections are cut: for each at other places."""
    if name == TAKES_IDS_EARLY:
        return [cut._replace(at_end=True) if cut.after > 400 else cut for cut in CUTS]
    shift = 11 * list(CLIENTS).index(name)
    return [cut._replace(after=cut.after + shift) if cut.after else cut for cut in CUTS]


def watch(name: str, port: int, publish: Publish) -> list[Event]:
    """Let a client hear a channel until it shows the last number; return all that it has shown."""
    url = f"http://127.0.0.1:{{}}/comet/events?channel={name}"
    shown: list[Event] = []
    published = 0
    with ExitStack() as stack:
        proxy = stack.enter_context(CuttingProxy(port, cuts_of(name)))
        client = CLIENTS[name](stack, url.format(proxy.port), f"http://127.0.0.1:{port}/healthz")
        assert client.next().type == "position"
        while True:
            numbers = numbers_in(shown, name)
            if MESSAGES - 1 in numbers:
                break
            while published < min(MESSAGES, len(numbers) + UNDER_WAY):
                publish(name, published)
                published += 1
            shown.append(client.next())
        assert not proxy.cuts, "the client has shown everything before it was cut as often as it should be"
    return shown


def numbers_in(shown: list[Event], channel: str) -> list[int]:
    """Return the numbers of the messages; fail when something else was shown than messages and positions."""
    numbers = []
    for event in shown:
        if event.type != "position":
            assert event.type == "message", event
            body = json.loads(event.data)
            assert body["channel"] == channel
            numbers.append(body["data"])
    return numbers


def assert_complete(numbers: list[int]) -> None:
    """Fail unless every number is there once and in order."""
    assert numbers == list(range(MESSAGES))


def publisher(port: int, key: str = "") -> Publish:
    """Return what publishes a number on a channel by POST /api/push."""

    def publish(channel: str, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LINE_S)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        try:
            connection.request("POST", "/api/push", json.dumps({"channel": channel, "data": number}), headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
        finally:
            connection.close()

    return publish


@pytest.fixture(scope="module", autouse=True)
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[list[Event]]]]:
    """What each client shows of a real server: under way all at once, and while the other tests run."""
    state = tmp_path_factory.mktemp("eventsource") / "state"
    kept = ("--history-s=3600", "--history-messages=10000")
    with (
        Server(state, "--port=0", "--interface=127.0.0.1", *kept) as server,
        ThreadPoolExecutor(len(CLIENTS)) as threads,
    ):
        publish = publisher(server.port, server.key)
        yield {name: threads.submit(watch, name, server.port, publish) for name in CLIENTS}


def test_the_double_passes() -> None:
    """A server that does as the documentation says passes the check, with every client."""
    with stream_double() as port, ThreadPoolExecutor(len(CLIENTS)) as threads:
        publish = publisher(port)
        watched = {name: threads.submit(watch, name, port, publish) for name in CLIENTS}
        for name, shown in watched.items():
            assert_complete(numbers_in(shown.result(), name))


@pytest.mark.parametrize("fault", [loses_one, repeats_one, mixes_up_two])
def test_a_fault_is_seen(fault: Fault) -> None:
    """A server that loses, repeats or mixes up a single message when a client comes back does not pass."""
    with stream_double(fault) as port:
        numbers = numbers_in(watch("curl", port, publisher(port)), "curl")
    with pytest.raises(AssertionError):
        assert_complete(numbers)


@pytest.mark.parametrize("name", CLIENTS)
def test_every_message_once_and_in_order(watched: dict[str, Future[list[Event]]], name: str) -> None:
    """Whatever the client, and wherever its connection breaks, the page misses nothing and gets nothing twice."""
    assert_complete(numbers_in(watched[name].result(), name))
