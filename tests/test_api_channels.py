"""GET /api/channels and below: what a list is asked for with, how channels and their history are told, odd names."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from megacomet.errors import BadName, PeerError
from megacomet.model.position import OLDEST, Since
from megacomet.model.ranking import Place
from megacomet.model.views import PastMessage
from megacomet.names import check_channel
from tests.doors import PUSH_KEY, READ_KEY, Answer, Doors, get

ALL = ("/api/channels", "/api/channels?sort=subscribers", "/api/channels/news", "/api/channels/news/history")


def path_of(channel: str, *more: str) -> str:
    """The path of a channel, as `encodeURIComponent` makes it."""
    return "/".join(["/api/channels", quote(channel, safe="!'()*"), *more])


def is_name(text: str) -> bool:
    try:
        check_channel(text.encode())
    except (BadName, UnicodeEncodeError):
        return False
    return True


#: Every character that a name may have, and all that mean something in a path, oftener.
NAMES = st.text(st.one_of(st.characters(), st.sampled_from("/%?#&+.:;@*<>\\\"'~[]")), min_size=1, max_size=40).filter(
    is_name
)


# -- lists


def test_a_page() -> None:
    """Channels by name, each with its subscribers and what is kept."""
    doors = Doors()
    doors.lookup.channels = {b"news": (3, 0), b"a:1": (0, 7), "ü".encode(): (1, 1), b"@sue": (1, 0)}
    answer = doors.ask(get("/api/channels"))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "channels": [
            {"channel": "a:1", "subscribers": 0, "messages": 7},
            {"channel": "news", "subscribers": 3, "messages": 0},
            {"channel": "ü", "subscribers": 1, "messages": 1},
        ],
        "after": None,
    }
    assert doors.lookup.asked == [("page", b"", b"", 100)]


def test_pages() -> None:
    """What `after` says is given back to get the next page, whatever characters are in it."""
    doors = Doors()
    names = ["a+b", "a%2Fb", "a&b=c", "a/b", "<script>", "ü?", "z#"]
    doors.lookup.channels = {name.encode(): (1, 0) for name in names}
    found, after = [], None
    while after is not None or not found:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = doors.ask(get("/api/channels?" + urlencode(query))).json()
        found += [each["channel"] for each in page["channels"]]
        after = page["after"]
    assert found == sorted(names, key=str.encode)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("prefix=@", (b"@", b"", 100)),
        ("prefix=news%3A&after=news%3A7&limit=1000", (b"news:", b"news:7", 1000)),
        ("prefix=.&limit=1", (b".", b"", 1)),
        ("prefix=&after=&limit=", (b"", b"", 100)),
        ("after=@bob&_=123&nonsense", (b"", b"@bob", 100)),
        ("limit=5&limit=6", (b"", b"", 6)),
        ("prefix=" + "x" * 255, (b"x" * 255, b"", 100)),
    ],
)
def test_what_a_page_is_asked_for_with(query: str, asked: tuple[Any, ...]) -> None:
    """Unknown parameters are passed over, empty ones are as none."""
    doors = Doors()
    assert doors.ask(get(f"/api/channels?{query}")).status == 200
    assert doors.lookup.asked == [("page", *asked)]


LIMITS = ["0", "1001", "-1", "+1", "1.5", "1e2", "x", "00001", "%EF%BC%91", "%201"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        *((f"limit={limit}", "bad-request") for limit in LIMITS),
        ("prefix=a%20b", "bad-name"),
        ("prefix=%00", "bad-name"),
        ("prefix=%ff", "bad-name"),
        ("prefix=" + "x" * 256, "bad-name"),
        ("after=%0A", "bad-name"),
        ("after=..", "bad-name"),
        ("after=%c3", "bad-name"),
        ("after=" + "x" * 256, "bad-name"),
    ],
)
def test_what_a_page_cannot_be_asked_for_with(query: str, code: str) -> None:
    """It is a 400 that says what would be right."""
    doors = Doors()
    answer = doors.ask(get(f"/api/channels?{query}"))
    assert (answer.status, answer.code) == (400, code)
    assert doors.lookup.asked == []


# -- lists by subscribers


def test_a_page_by_subscribers() -> None:
    """The most first, then by name."""
    doors = Doors()
    doors.lookup.channels = {b"news": (3, 0), b"a:1": (0, 7), "ü".encode(): (3, 1), b"@sue": (9, 0)}
    answer = doors.ask(get("/api/channels?sort=subscribers"))
    assert answer.json() == {
        "channels": [
            {"channel": "news", "subscribers": 3, "messages": 0},
            {"channel": "ü", "subscribers": 3, "messages": 1},
            {"channel": "a:1", "subscribers": 0, "messages": 7},
        ],
        "after": None,
    }
    assert doors.lookup.asked == [("ranked", b"", None, 100)]


def test_pages_by_subscribers() -> None:
    """What `after` says is given back, whatever characters are in it, also of the longest name."""
    doors = Doors()
    names = ["a+b", "a%2Fb", "a&b=c", "1-1", "<script>", "ü?", "z#", "x" * 255]
    doors.lookup.channels = {name.encode(): (len(name) % 3, 1) for name in names}
    found, after = [], None
    while after is not None or not found:
        query = {"limit": 2, "sort": "subscribers"} | ({"after": after} if after else {})
        page = doors.ask(get("/api/channels?" + urlencode(query))).json()
        found += [each["channel"] for each in page["channels"]]
        after = page["after"]
    assert found == sorted(names, key=lambda name: (-(len(name) % 3), name.encode()))


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("sort=subscribers&prefix=@&limit=7", ("ranked", b"@", None, 7)),
        ("sort=subscribers&after=12-news%3A7", ("ranked", b"", Place(-12, b"news:7"), 100)),
        ("sort=subscribers&after=0-a-1", ("ranked", b"", Place(0, b"a-1"), 100)),
        ("sort=name&after=12-news", ("page", b"", b"12-news", 100)),
        ("sort=", ("page", b"", b"", 100)),
        ("sort=subscribers&sort=name", ("page", b"", b"", 100)),
    ],
)
def test_what_an_order_is_asked_for_with(query: str, asked: tuple[Any, ...]) -> None:
    """By name unless it is asked for otherwise."""
    doors = Doors()
    assert doors.ask(get(f"/api/channels?{query}")).status == 200
    assert doors.lookup.asked == [asked]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("sort=x", "bad-request"),
        ("sort=Name", "bad-request"),
        ("sort=%ff", "bad-request"),
        ("sort=subscribers&limit=1001", "bad-request"),
        *(
            (f"sort=subscribers&after={after}", "bad-name")
            for after in ("news", "1-", "-1-a", "1-a%20b", "1-%ff", "1-%0A", "99999999999-a", "1-" + "x" * 256)
        ),
    ],
)
def test_what_an_order_cannot_be_asked_for_with(query: str, code: str) -> None:
    """It is a 400 that says what would be right."""
    doors = Doors()
    answer = doors.ask(get(f"/api/channels?{query}"))
    assert (answer.status, answer.code) == (400, code)
    assert doors.lookup.asked == []


# -- one channel


def test_a_channel() -> None:
    """Its numbers, and from where on to listen."""
    doors = Doors()
    doors.lookup.channels = {b"news": (3, 7)}
    answer = doors.ask(get("/api/channels/news"))
    assert answer.json() == {"channel": "news", "subscribers": 3, "messages": 7, "position": "e1-7"}


def test_a_mailbox() -> None:
    """It also says what waits."""
    doors = Doors()
    doors.lookup.waiting = 2
    answer = doors.ask(get("/api/channels/@sue"))
    assert answer.json() == {"channel": "@sue", "subscribers": 0, "messages": 0, "position": "e1-7", "waiting": 2}


def test_a_channel_that_was_never_used() -> None:
    """There is no list of channels that exist: it is there, with zeros."""
    answer = Doors().ask(get("/api/channels/nobody"))
    assert (answer.status, answer.json()["subscribers"], answer.json()["messages"]) == (200, 0, 0)


@given(NAMES)
def test_every_name_has_its_path(name: str) -> None:
    """One percent-encoded segment, cut before it is decoded, whatever is in it; and it comes back as it was sent."""
    doors = Doors()
    connection = doors.connect()
    answer = connection.send(get(path_of(name))).answer()
    assert (answer.status, answer.json()["channel"]) == (200, name)
    answer = connection.send(get(path_of(name, "history"))).answer()
    assert answer.status == 200
    answer = connection.send(get(path_of(name, "history"), method="DELETE")).answer()
    assert answer.status == 200
    raw = name.encode()
    assert doors.lookup.asked == [("channel", raw), ("history", raw, None, None, 100, False), ("clear", raw)]


@pytest.mark.parametrize(
    "name", ["<script>", "a/history", "history", "/", "//", "/a/", "%2F", "%", "a?limit=0", "#", "*", "@*", "...", "~"]
)
def test_some_names(name: str) -> None:
    """Those that look like something else."""
    doors = Doors()
    assert doors.ask(get(path_of(name))).json()["channel"] == name
    assert doors.lookup.asked == [("channel", name.encode())]


@pytest.mark.parametrize("segment", ["%20", "a%20b", "%00", "%0d%0a", "%7f", "%ff", "..", ".", "%2e%2E", "@", "@.."])
@pytest.mark.parametrize("more", ["", "/history"])
def test_what_is_no_name(segment: str, more: str) -> None:
    """It is a 400, not an empty channel."""
    answer = Doors().ask(get(f"/api/channels/{segment}{more}"))
    assert (answer.status, answer.code) == (400, "bad-name")


@pytest.mark.parametrize("segment", ["%", "%zz", "%2", "a%"])
def test_what_is_not_encoded(segment: str) -> None:
    """A percent sign stands for itself only as %25."""
    answer = Doors().ask(get(f"/api/channels/{segment}"))
    assert (answer.status, answer.code) == (400, "bad-request")


@pytest.mark.parametrize(
    "path",
    [
        "/api/channels/",
        "/api/channels//history",
        "/api/channels/a/b",
        "/api/channels/a/history/",
        "/api/channels/a/history/b",
        "/api/channels/a%2Fhistory/b",
        "/api/channels/a/%68istory",
        "/api%2Fchannels",
        "/api/channels%2Fa",
    ],
)
def test_paths_that_are_not_there(path: str) -> None:
    """Nothing is guessed."""
    doors = Doors()
    assert (doors.ask(get(path)).status, doors.lookup.asked) == (404, [])


# -- histories


def test_a_history() -> None:
    """Messages with their ids and times, and the data as it was published."""
    doors = Doors()
    doors.lookup.past = [
        PastMessage(b"e1-1", b'{"b":1,"a":[1.0,1e400]}', 1764302400.0),
        PastMessage(b"e1-2", '"ü\\u2028"'.encode(), 1764302400.1239),
    ]
    answer = doors.ask(get("/api/channels/news/history"))
    assert answer.body == (
        b'{"messages":[{"id":"e1-1","data":{"b":1,"a":[1.0,1e400]},"time":"2025-11-28T04:00:00.000Z"},'
        b'{"id":"e1-2","data":"\xc3\xbc\\u2028","time":"2025-11-28T04:00:00.123Z"}],"position":"e1-9","gap":true,"more":false}'
    )


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", (None, None, 100, False)),
        ("since=&before=&limit=&reverse=", (None, None, 100, False)),
        ("since=oldest", (OLDEST, None, 100, False)),
        ("since=3kx9-12&limit=7&reverse=1", (Since(b"3kx9", 12), None, 7, True)),
        ("before=3kx9-12&reverse=1", (None, Since(b"3kx9", 12), 100, True)),
        ("reverse=0", (None, None, 100, False)),
    ],
)
def test_what_a_history_is_asked_for_with(query: str, asked: tuple[Any, ...]) -> None:
    """From a position on, before another one, so many, the newest first."""
    doors = Doors()
    assert doors.ask(get(f"/api/channels/news/history?{query}")).status == 200
    assert doors.lookup.asked == [("history", b"news", *asked)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        *((f"limit={limit}", "bad-request") for limit in LIMITS),
        ("since=x", "bad-position"),
        ("since=3kx9-", "bad-position"),
        ("since=3kx9-1%20", "bad-position"),
        ("since=Oldest", "bad-position"),
        ("since=%ff", "bad-position"),
    ],
)
def test_what_a_history_cannot_be_asked_for_with(query: str, code: str) -> None:
    """It is a 400 that says what would be right."""
    answer = Doors().ask(get(f"/api/channels/news/history?{query}"))
    assert (answer.status, answer.code) == (400, code)


def test_clearing() -> None:
    """It says how many messages that were."""
    doors = Doors()
    doors.lookup.past = [PastMessage(b"e1-1", b"1", 0.0)] * 3
    connection = doors.connect()
    for removed in (3, 0):
        answer = connection.send(get("/api/channels/news/history", method="DELETE")).answer()
        assert (answer.status, answer.json()) == (200, {"removed": removed})


# -- who may, and what goes wrong


@pytest.mark.parametrize("path", ALL)
def test_scopes(path: str) -> None:
    """A key that reads may look, a key that pushes may not, and without a key nobody may."""
    doors = Doors()
    assert doors.ask(get(path, key=READ_KEY)).status == 200
    assert [(a.status, a.code) for a in (doors.ask(get(path, key=PUSH_KEY)),)] == [(403, "forbidden")]
    assert doors.ask(get(path, key=None)).code == "unauthorized"
    assert len(doors.lookup.asked) == 1


@pytest.mark.parametrize("key", [READ_KEY, PUSH_KEY])
def test_clearing_is_the_administrators(key: str) -> None:
    """Whoever only reads or pushes removes nothing."""
    doors = Doors()
    answer = doors.ask(get("/api/channels/news/history", method="DELETE", key=key))
    assert (answer.status, answer.code, doors.lookup.asked) == (403, "forbidden", [])


@pytest.mark.parametrize(("path", "allow"), [*((path, "GET, HEAD") for path in ALL[:3]), (ALL[3], "DELETE, GET, HEAD")])
def test_other_methods(path: str, allow: str) -> None:
    """They are told which there are."""
    answer = Doors().ask(get(path, "Content-Length: 0", method="PUT"))
    assert (answer.status, answer.headers["allow"]) == (405, allow)


@pytest.mark.parametrize("path", ALL)
def test_a_worker_that_does_not_answer(path: str) -> None:
    """The answer is an error that says which, and when to try again."""
    doors = Doors()
    doors.lookup.failure = PeerError("overloaded", "worker 3 has not answered within 2 s")
    answer = doors.ask(get(path))
    assert (answer.status, answer.code) == (503, "overloaded")
    assert answer.json()["detail"] == "worker 3 has not answered within 2 s"
    assert 1 <= int(answer.headers["retry-after"]) <= 5


def test_answers_come_in_order() -> None:
    """A request that has to wait for a worker does not let another overtake it."""
    doors = Doors()
    doors.lookup.late = late = Deferred()
    connection = doors.connect().send(get("/api/channels/a"))
    doors.lookup.late = None
    connection.send(get("/api/channels/b"))
    assert connection.answers() == []
    late.callback(None)
    assert [names(answer) for answer in connection.answers()] == ["a", "b"]


def names(answer: Answer) -> Any:
    return answer.json()["channel"]


def test_a_client_that_goes_away_meanwhile() -> None:
    """What was asked for it is given up, and nothing is logged."""
    doors = Doors()
    doors.lookup.late = late = Deferred()
    connection = doors.connect().send(get("/api/channels/a"))
    connection.lose()
    late.callback(None)
    assert connection.answers() == []


def test_a_channel_that_is_called_like_a_script() -> None:
    """A name is told as JSON, which no browser takes for a page, and a refusal does not repeat what it refuses."""
    doors = Doors()
    doors.lookup.channels[b"<script>"] = (1, 2)
    for path in (
        "/api/channels",
        "/api/channels/%3Cscript%3E",
        "/api/channels/<script>",
        "/api/channels/%3Cscript%3E%00",
    ):
        answer = doors.ask(get(path))
        assert answer.headers["x-content-type-options"] == "nosniff"
        if path.endswith("%00"):
            assert answer.code == "bad-name"
            assert b"<" not in answer.body
        else:
            assert answer.headers["content-type"] == "application/json"
            assert "<script>" in {
                answer.json().get("channel"),
                *(c["channel"] for c in answer.json().get("channels", ())),
            }
