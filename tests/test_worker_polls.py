"""What a poll asks for: parameters, their bounds, and what is wrong with them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.errors import PeerError
from megacomet.wire.http import RequestHead, parse_head
from megacomet.worker.polls import OBJECT, SCRIPT, Form, Poll, form_of, object_poll, script_poll

from .fronts import request

TIMEOUT_S = 50.0


def head(query: str, *headers: str) -> RequestHead:
    return parse_head(request(f"/comet/poll?{query}", *headers))


def poll(query: str, *headers: str, origin: bytes = b"") -> Poll:
    return object_poll(head(query, *headers), origin, timeout_s=TIMEOUT_S, most_channels=128)


def script(query: str, *headers: str, client: bytes = b"sue", origin: bytes = b"") -> Poll:
    return script_poll(client, head(query, *headers), origin)


def test_a_plain_poll_of_a_mailbox() -> None:
    """`/sue.js` waits for one message of sue's mailbox, for ever, and cache breakers mean nothing."""
    for query in ("", "c=1", "_=17&utm=x", "channel=news", "since=", "callback_=f"):
        assert script(query) == Poll((b"@sue",), b"", 1, math.inf, SCRIPT)
        assert script(query).is_plain
        assert script(query).form is SCRIPT


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("timeout=30", Poll((b"@sue",), b"", 1, 30.0, SCRIPT)),
        ("timeout=0", Poll((b"@sue",), b"", 1, 0.0, SCRIPT)),
        ("timeout=9999", Poll((b"@sue",), b"", 1, 900.0, SCRIPT)),
        ("since=e1-7", Poll((b"@sue",), b"e1-7", 1, math.inf, SCRIPT)),
        ("callback=a.b$_9", Poll((b"@sue",), b"", 1, math.inf, Form(True, b"a.b$_9"))),
    ],
)
def test_a_script_that_asks_for_more(query: str, expected: Poll) -> None:
    """since, timeout and callback are heard; only a timeout needs no row of its own."""
    assert script(query) == expected
    assert script(query).is_plain == (query in ("timeout=30", "timeout=9999"))


def test_a_session_has_what_the_hub_needs() -> None:
    """A poll becomes a row of plain data; timeout=0 is answered at once."""
    session = poll("channel=a&client=b&since=e1-7&limit=5&timeout=0").session()
    assert (session.channels, session.since, session.limit) == ((b"a", b"@b"), b"e1-7", 5)
    assert session.immediate
    assert isinstance(session.options, bytes)
    assert form_of(session.options) is OBJECT


@given(
    st.booleans(),
    st.from_regex(rb"\A[a-zA-Z0-9$_.]{0,128}\Z"),
    st.sampled_from([b"", b"*", b"https://a.example:8443"]),
)
def test_a_form_as_bytes(is_script: bool, callback: bytes, origin: bytes) -> None:
    """It comes back as it was; the two that nearly all polls want are one object each."""
    form = Form(is_script, callback, origin)
    assert form_of(form.pack()) == form
    assert (form_of(SCRIPT.pack()) is SCRIPT, form_of(OBJECT.pack()) is OBJECT) == (True, True)
    assert not poll("channel=a").session().immediate


def test_channels_and_client() -> None:
    """Channels are taken once each, in order, decoded; the client's mailbox is one more."""
    assert poll("channel=a&channel=b&channel=a&client=c%2Fd").channels == (b"a", b"b", b"@c/d")
    assert poll("channel=caf%C3%A9").channels == ("café".encode(),)
    assert poll("client=*").channels == (b"@*",)


def test_what_holds_without_being_asked() -> None:
    """50 s, 100 messages, from now."""
    assert poll("channel=a") == Poll((b"a",), b"", 100, TIMEOUT_S, OBJECT)
    assert poll("channel=a&timeout=&limit=&since=&lastEventId=") == poll("channel=a")
    assert poll("channel=a").form is OBJECT


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("since=e1-1", (), b"e1-1"),
        ("since=e1-1&lastEventId=e1-2", (), b"e1-2"),
        ("lastEventId=e1-2&since=e1-1", ("Last-Event-ID: e1-3",), b"e1-3"),
        ("since=e1-1", ("Last-Event-ID:",), b"e1-1"),
        ("since=e1-1&lastEventId=", (), b"e1-1"),
        ("since=oldest", (), b"oldest"),
        ("since=e1-1.2.3", (), b"e1-1.2.3"),
    ],
)
def test_which_since_counts(query: str, headers: tuple[str, ...], expected: bytes) -> None:
    """The header wins over lastEventId over since; an empty one counts as absent."""
    assert poll("channel=a&" + query, *headers).since == expected
    assert script(query, *headers).since == expected


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("0.5", 0.5), ("1", 1), ("900", 900), ("901", 900)])
def test_timeouts(text: str, expected: float) -> None:
    """0 to 900 seconds; a longer one is cut."""
    assert poll(f"channel=a&timeout={text}").timeout_s == expected
    assert poll(f"channel=a&timeout={'9' * 9}").timeout_s == 900


@pytest.mark.parametrize("text", ["-1", "x", "1e3", "inf", "nan", "0x10", "1.", ".5", "1+", "%20", "9" * 400, "%D9%A3"])
def test_what_is_no_timeout(text: str) -> None:
    """Anything but a decimal number is refused, not guessed at."""
    with pytest.raises(PeerError) as caught:
        poll(f"channel=a&timeout={text}")
    assert caught.value.code == "bad-request"


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("1000", 1000), ("007", 7)])
def test_limits(text: str, expected: int) -> None:
    """1 to 1000 messages."""
    assert poll(f"channel=a&limit={text}").limit == expected


BAD = {
    "limit=0": "bad-request",
    "limit=1001": "bad-request",
    "limit=-1": "bad-request",
    "limit=1.5": "bad-request",
    "limit=many": "bad-request",
    "limit=" + "9" * 5000: "bad-request",
    "since=yesterday": "bad-position",
    "since=e1-": "bad-position",
    "since=E1-1": "bad-position",
    "since=e1-1%00": "bad-position",
    "since=%FF": "bad-position",
    "since=e1-" + "1" * 20: "bad-position",
    "callback=": "bad-callback",
    "callback=1f": "bad-callback",
    "callback=alert(1)": "bad-callback",
    "callback=a%0Ab": "bad-callback",
    "callback=" + "f" * 129: "bad-callback",
    "callback=%E2%80%A8": "bad-callback",
    "channel=": "bad-name",
    "channel=%00": "bad-name",
    "channel=a%20b": "bad-name",
    "channel=a+b": "bad-name",
    "channel=..": "bad-name",
    "channel=%FF%FE": "bad-name",
    "channel=" + "c" * 256: "bad-name",
    "channel=@sue": "reserved-channel",
    "channel=*": "reserved-channel",
    "client=": "bad-name",
    "client=.": "bad-name",
    "client=a%0D%0Ab": "bad-name",
    "client=" + "c" * 251: "bad-name",
    "client=%C3": "bad-name",
    "channel=%zz": "bad-request",
    "%": "bad-request",
    "&".join(f"channel=c{n}" for n in range(129)): "bad-request",
}


@pytest.mark.parametrize(("query", "code"), BAD.items(), ids=[query[:30] for query in BAD])
def test_what_is_wrong(query: str, code: str) -> None:
    """Each has its code, and is refused beside whatever is right."""
    with pytest.raises(PeerError) as caught:
        poll("channel=right&" + query)
    assert caught.value.code == code


@pytest.mark.parametrize("query", ["", "c=1", "since=e1-1", "timeout=5"])
def test_a_poll_for_nothing(query: str) -> None:
    """Without a channel and a client there is nothing to wait for."""
    with pytest.raises(PeerError) as caught:
        poll(query)
    assert caught.value.code == "no-channel"


def test_as_many_channels_as_are_allowed() -> None:
    """128 are; names that are repeated, and the mailbox, do not count."""
    query = "&".join(f"channel=c{n % 128}" for n in range(200)) + "&client=sue"
    assert len(poll(query).channels) == 129


@pytest.mark.parametrize(
    "client", [b"", b".", b"..", b"a b", b"a\0", b"\xff", b"c" * 251, "\N{LINE SEPARATOR}".encode()]
)
def test_what_is_no_client(client: bytes) -> None:
    """A mailbox needs a client id."""
    with pytest.raises(PeerError) as caught:
        script("", client=client)
    assert caught.value.code == "bad-name"


def test_the_origin_is_remembered_where_the_answer_depends_on_it() -> None:
    """With origins set, each poll knows whose page it is."""
    assert script("", origin=b"https://a.example").form == Form(True, b"", b"https://a.example")
    assert not script("", origin=b"https://a.example").is_plain
    assert poll("channel=a&callback=f", origin=b"https://a.example").form == Form(False, b"f", b"https://a.example")


def test_forms_are_shared() -> None:
    """A poll that wants nothing special costs no object for its form."""
    assert poll("channel=a").form is poll("channel=b&since=e1-1").form


@given(st.text(st.sampled_from("achnel=&timeoutsincelimitcallback%0f19.-+@*")), st.booleans())
def test_any_query_is_a_poll_or_an_error(query: str, is_script: bool) -> None:
    """Nothing else comes out, whatever goes in."""
    try:
        parsed = script(query) if is_script else poll(query)
        outcome = bool(parsed.channels) and parsed.timeout_s >= 0
    except PeerError as e:
        outcome = e.status == 400
    assert outcome
