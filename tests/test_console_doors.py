"""The console's doors as a browser and its enemies meet them: the page, sessions, and the way to the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import ISSLTransport
from zope.interface import directlyProvides

from megacomet.console.attempts import MOST_FAILURES, NOTE_S, WINDOW_S
from megacomet.console.sessions import RENEW_S
from megacomet.console.tokens import LIFE_S, LONGEST_S
from tests.doors import KEY, PUSH_KEY, READ_KEY, Answer, Connection, Doors, get, post

APP = "/console/@1f/app.js"
SIGN_IN = "/console/session"
JSON = "Content-Type: application/json"
PUSH = '{"channel":"a","data":1}'
POLICY = ("content-security-policy", "referrer-policy", "cross-origin-opener-policy", "cross-origin-resource-policy")


def sign_in(doors: Doors, key: str = KEY, *headers: str) -> Answer:
    """Sign in with a key."""
    return doors.ask(post(SIGN_IN, json.dumps({"key": key}), JSON, *headers, key=None))


class Browser:
    """Somebody who has signed in: keeps the cookie, and knows the token of its pages."""

    def __init__(self, doors: Doors, key: str = KEY) -> None:
        self.doors = doors
        self.took(sign_in(doors, key))

    def took(self, answer: Answer) -> None:
        """Keep what an answer sets and tells."""
        assert answer.status == 200, answer.body
        self.cookie = answer.headers["set-cookie"].partition(";")[0]
        self.csrf = answer.json()["csrf"]

    def get(self, path: str, *headers: str, method: str = "GET") -> bytes:
        """Return a request that changes nothing."""
        return get(path, f"Cookie: {self.cookie}", *headers, method=method, key=None)

    def change(self, path: str, body: str, *headers: str, csrf: str | None = None, method: str = "POST") -> bytes:
        """Return a request that changes something."""
        lines = (f"Cookie: {self.cookie}", f"X-CSRF-Token: {self.csrf if csrf is None else csrf}", *headers)
        return post(path, body, *lines, key=None).replace(b"POST", method.encode(), 1)

    def look(self, path: str) -> Answer:
        """Ask for something."""
        return self.doors.ask(self.get(path))


# -- the page


@pytest.mark.parametrize("path", ["/", "/console"])
def test_the_way_to_the_page(path: str) -> None:
    """Whoever leaves the end out comes to the page, wherever the console is served."""
    answer = Doors().ask(get(path, key=None))
    assert (answer.status, answer.headers["location"], answer.body) == (302, "/console/", b"")


def test_the_page() -> None:
    """Anybody may have the page and its files; the page is asked for anew, the files never."""
    doors = Doors()
    page = doors.ask(get("/console/", key=None))
    assert (page.status, page.body) == (200, b"<!DOCTYPE html>")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (page.headers["cache-control"], page.headers["etag"]) == ("no-cache", '"page"')
    app = doors.ask(get(APP, "Accept-Encoding: gzip", key=None))
    assert (app.status, app.body, app.headers["content-encoding"]) == (200, b"zipped", "gzip")
    assert app.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert doors.ask(get(APP, 'If-None-Match: "app"', key=None)).status == 304
    assert doors.ask(get(APP + "?x", key=None)).status == 200


def test_head() -> None:
    """HEAD tells the size, and nothing follows."""
    raw = Doors().connect().send(get(APP, method="HEAD", key=None)).transport.value()
    assert b"Content-Length: 100\r\n" in raw
    assert raw.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "path",
    [
        "/console/index.html",
        "/console/@/app.js",
        "/console/@1e/app.js",
        "/console/@1f/",
        "/console/@1f",
        "/console/@1f/App.js",
        "/console/@1f//app.js",
        "/console//@1f/app.js",
        "/console/./@1f/app.js",
        "/console/@1f/../@1f/app.js",
        "/console/@1f/%2e%2e/app.js",
        "/console/@1f/%252e%252e/app.js",
        "/console/@1f/app%2Ejs",
        "/console/%401f/app.js",
        "/console/@1f/app.js/",
        "/console/@1f/app.js%00",
        "/console/@1f\\app.js",
        "/console/@1f/..%5c..%5csetup.py",
        "/console/../setup.py",
        "/console/%2e%2e/setup.py",
        "/console/@1f//etc/passwd",
        "/console/session/",
        "/console/sessions",
        "/console/apis",
        "/console%2F",
        "//console/",
        "/Console/",
        "/consoles",
    ],
)
def test_no_tricks(path: str) -> None:
    """A path is what was sent: nothing else is served, and no detour leads anywhere, whoever asks."""
    doors = Doors()
    browser = Browser(doors)
    for request in (get(path, key=None), browser.get(path), get(path)):
        answer = doors.ask(request)
        assert (answer.status, answer.code) == (404, "not-found")


def test_a_byte_that_no_path_has() -> None:
    """NUL and what is not ASCII is refused."""
    for path in ("/console/@1f/\0", "/console/é"):
        assert Doors().connect().send(get(path, key=None)).answer().status == 400


@pytest.mark.parametrize("path", ["/", "/console", "/console/", APP])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_files_are_read_only(path: str, method: str) -> None:
    """Other methods are refused with those that there are."""
    answer = Doors().ask(get(path, method=method, key=None))
    assert (answer.status, answer.code, answer.headers["allow"]) == (405, "method-not-allowed", "GET, HEAD")


def test_every_answer_has_the_policy() -> None:
    """Whatever stands under the console is bound to what its page may do, errors and the API's answers too."""
    doors = Doors()
    browser = Browser(doors)
    requests = [
        get("/console", key=None),
        get("/console/", key=None),
        get(APP, key=None),
        get("/console/nothing", key=None),
        get(SIGN_IN, key=None),
        post(SIGN_IN, "{", JSON, key=None),
        post("/console/", "", key=None),
        browser.get(SIGN_IN),
        browser.get("/console/api/stats"),
        browser.get("/console/api/nothing"),
        browser.change("/console/api/push", "{"),
        browser.change("/console/api/push", PUSH, csrf=""),
        browser.get("/console/api/docs"),
        browser.get("/console/api/events", method="HEAD"),
    ]
    for request in requests:
        headers = doors.ask(request).headers
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert not [name for name in headers if name.startswith("access-control")]
    for request in (get("/api/stats"), get("/healthz"), get("/nothing")):
        assert not [name for name in doors.ask(request).headers if name in POLICY]


# -- sign-in


@pytest.mark.parametrize(("key", "name", "scope"), [(KEY, "api-key", "admin"), (READ_KEY, "api-key", "read")])
def test_sign_in(key: str, name: str, scope: str) -> None:
    """A key that may look opens a session, whose cookie scripts and other sites do not have."""
    doors = Doors()
    answer = sign_in(doors, key)
    now = doors.clock.seconds()
    told = answer.json()
    csrf = told.pop("csrf")
    assert told == {"name": name, "scope": scope, "expires": now + LIFE_S, "now": now}
    cookie, *rest = answer.headers["set-cookie"].split("; ")
    assert cookie.startswith("megacomet_session=")
    assert rest == ["Path=/console", "HttpOnly", "SameSite=Strict", "Max-Age=43200"]
    assert key not in cookie + csrf
    assert answer.headers["cache-control"] == "no-store"
    look = doors.ask(get(SIGN_IN, f"Cookie: {cookie}", key=None))
    assert (look.status, look.json()) == (200, told | {"csrf": csrf})
    assert "set-cookie" not in look.headers


@pytest.mark.parametrize(
    ("headers", "secure"),
    [
        ((), False),
        (("Origin: http://h",), False),
        (("Origin: https://h",), True),
        (("X-Forwarded-Proto: https",), True),
    ],
)
def test_under_tls(headers: tuple[str, ...], secure: bool) -> None:
    """Where the browser speaks TLS, the cookie is never sent without."""
    assert sign_in(Doors(), KEY, *headers).headers["set-cookie"].endswith("; Secure") is secure


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], KEY + "x", "x" * 60_000, "\u20ac", "\0", f"Bearer {KEY}"])
def test_a_wrong_key(key: str) -> None:
    """401, without a cookie, and a line in the audit log that does not have it."""
    doors = Doors()
    answer = sign_in(doors, key)
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert "set-cookie" not in answer.headers
    [note] = doors.audit.notes
    assert (note["action"], note["result"], note["key"]) == ("sign-in", "unauthorized", None)
    assert not key or key not in json.dumps(note, ensure_ascii=False)


def test_tls_of_our_own() -> None:
    """A connection that is TLS itself needs no word of a proxy."""
    connection = Doors().connect()
    directlyProvides(connection.transport, ISSLTransport)
    answer = connection.send(post(SIGN_IN, json.dumps({"key": KEY}), JSON, key=None)).answer()
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_spaces_around_a_key() -> None:
    """A key that was pasted with its end of line is the key."""
    assert sign_in(Doors(), f" {KEY}\n").status == 200


def test_a_key_that_only_publishes() -> None:
    """It says what is missing; it is no wrong key."""
    doors = Doors()
    for _ in range(2 * MOST_FAILURES):
        answer = sign_in(doors, PUSH_KEY)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert answer.json()["detail"] == "a key of scope push only publishes: sign in with read or admin"
    [note] = doors.audit.notes
    assert (note["result"], note["key"]) == ("forbidden", "api-key")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 422, "bad-fields"),
        ("{}", 422, "bad-fields"),
        ("[]", 422, "bad-fields"),
        ("null", 422, "bad-fields"),
        ('{"key":1}', 422, "bad-fields"),
        ('{"key":null}', 422, "bad-fields"),
        (f'{{"key":"{KEY}","x":1}}', 422, "bad-fields"),
        ("{", 400, "bad-json"),
        ("key=" + KEY, 400, "bad-json"),
        (b'{"key":"\xff"}', 400, "bad-json"),
        ("[" * 60_000, 422, "bad-fields"),
        (f'{{"key":"{"x" * 70_000}"}}', 413, "too-large"),
    ],
)
def test_a_sign_in_that_is_none(body: str | bytes, status: int, code: str) -> None:
    """What is wrong with the body is told; it is no attempt with a wrong key."""
    doors = Doors()
    answer = doors.ask(post(SIGN_IN, body, JSON, key=None))
    assert (answer.status, answer.code) == (status, code)
    assert doors.audit.notes == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", None])
def test_a_form(content_type: str | None) -> None:
    """A form of another site cannot sign anybody in, nor a request that leaves out what it sends."""
    headers = [] if content_type is None else [f"Content-Type: {content_type}"]
    answer = Doors().ask(post(SIGN_IN, json.dumps({"key": KEY}), *headers, key=None))
    assert (answer.status, answer.code) == (415, "unsupported-media-type")


@pytest.mark.parametrize("header", ["Origin: http://evil", "Origin: null", "Sec-Fetch-Site: cross-site"])
def test_a_sign_in_from_elsewhere(header: str) -> None:
    """A page of somebody else signs nobody in; it is told before the body is read."""
    doors = Doors()
    answer = sign_in(doors, KEY, header)
    assert (answer.status, answer.code, answer.headers["connection"]) == (403, "forbidden", "close")
    assert "set-cookie" not in answer.headers


def test_too_many_attempts() -> None:
    """After ten wrong keys the address waits, with a right one too; the audit log has a line a minute."""
    doors = Doors()
    for n in range(MOST_FAILURES):
        assert sign_in(doors, f"wrong-{n}").status == 401
    for _ in range(5):
        answer = sign_in(doors)
        assert (answer.status, answer.code) == (429, "too-many-requests")
        assert answer.headers["retry-after"] == str(int(WINDOW_S))
    [note] = doors.audit.notes
    assert (note["result"], note["passed_over"]) == ("unauthorized", 0)
    doors.clock.advance(NOTE_S)
    sign_in(doors)
    assert [(note["result"], note["passed_over"]) for note in doors.audit.notes[1:]] == [("too-many-requests", 14)]
    doors.clock.advance(WINDOW_S - NOTE_S)
    assert sign_in(doors).status == 200


def test_attempts_at_once() -> None:
    """Who sends all heads before the first body has no more attempts than others."""
    doors = Doors()
    body = b'{"key":"wrong"}'
    connections = []
    for _ in range(3 * MOST_FAILURES):
        connections.append(doors.connect().send(post(SIGN_IN, body, JSON, key=None)[: -len(body)]))
    statuses = [connection.send(body).answer().status for connection in connections]
    assert statuses == [401] * MOST_FAILURES + [429] * 2 * MOST_FAILURES


def test_a_session_goes_on_where_sign_ins_are_refused() -> None:
    """Who is in stays in, whatever others at the same address try."""
    doors = Doors()
    browser = Browser(doors)
    for _ in range(2 * MOST_FAILURES):
        sign_in(doors, "wrong")
    assert browser.look("/console/api/stats").status == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS"])
def test_other_methods_of_a_session(method: str) -> None:
    """They are refused with those that there are."""
    answer = Doors().ask(get(SIGN_IN, method=method, key=None))
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, POST")


# -- a session


def test_renewed() -> None:
    """A page that stays open keeps its session: the cookie is set again now and then, with the same token of pages."""
    doors = Doors()
    browser = Browser(doors)
    doors.clock.advance(RENEW_S)
    answer = browser.look(SIGN_IN)
    assert answer.json()["csrf"] == browser.csrf
    assert answer.json()["expires"] == doors.clock.seconds() + LIFE_S
    old = browser.cookie
    browser.took(answer)
    assert browser.cookie != old
    assert browser.look("/console/api/stats").status == 200
    doors.clock.advance(LIFE_S - 1)
    assert browser.look("/console/api/stats").status == 200
    doors.clock.advance(1)
    answer = browser.look("/console/api/stats")
    assert (answer.status, answer.json()["detail"]) == (401, "the session is over: sign in again")


def test_the_last_cookie() -> None:
    """Near the end of its seven days a session's cookie is kept no longer than the session lives."""
    doors = Doors()
    browser = Browser(doors)
    for _ in range(LONGEST_S // (LIFE_S - 60)):
        doors.clock.advance(LIFE_S - 60)
        answer = browser.look(SIGN_IN)
        browser.took(answer)
    left_s = LONGEST_S % (LIFE_S - 60)
    assert left_s < LIFE_S
    assert answer.json()["expires"] == doors.clock.seconds() + left_s
    assert answer.headers["set-cookie"].endswith(f"Max-Age={left_s}")


def test_sign_out() -> None:
    """The cookie is taken away, and whoever has kept a copy has nothing."""
    doors = Doors()
    browser, other = Browser(doors), Browser(doors)
    answer = doors.ask(browser.change(SIGN_IN, "", method="DELETE"))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["set-cookie"].startswith("megacomet_session=; Path=/console; HttpOnly; SameSite=Strict; Max-")
    assert answer.headers["set-cookie"].endswith("Max-Age=0")
    for path in (SIGN_IN, "/console/api/stats"):
        assert browser.look(path).status == 401
        assert other.look(path).status == 200
    assert doors.ask(browser.change(SIGN_IN, "", method="DELETE")).status == 401
    assert [(note["action"], note["key"]) for note in doors.audit.notes] == [
        ("sign-in", "api-key"),
        ("sign-in", "api-key"),
        ("sign-out", "api-key"),
    ]


def test_nobody_else_signs_one_out() -> None:
    """A page of another site cannot, nor one of ours that does not know the session."""
    doors = Doors()
    browser = Browser(doors)
    for request in (
        browser.change(SIGN_IN, "", method="DELETE", csrf="wrong"),
        browser.change(SIGN_IN, "", "Origin: http://evil", method="DELETE"),
        browser.get(SIGN_IN, method="DELETE"),
    ):
        assert doors.ask(request).code == "forbidden"
    assert browser.look(SIGN_IN).status == 200


@pytest.mark.parametrize(
    ("keys", "detail"),
    [
        ([(READ_KEY, "read")], "the key of this session was revoked"),
        ([(KEY, "read")], "the key of this session has another scope now: sign in again"),
    ],
)
def test_a_key_that_goes(keys: list[tuple[str, str]], detail: str) -> None:
    """A session ends with its key, and says so; on a connection that is open too."""
    doors = Doors()
    browser = Browser(doors)
    connection = doors.connect()
    assert connection.send(browser.get("/console/api/stats")).answer().status == 200
    doors.keys.replace(keys, ())
    for request in (browser.get("/console/api/stats"), browser.get(SIGN_IN), browser.change(SIGN_IN, "")):
        answer = doors.ask(request) if b"POST" not in request else connection.send(browser.get(SIGN_IN)).answer()
        assert (answer.status, answer.code, answer.json()["detail"]) == (401, "unauthorized", detail)


# -- the way to the API


def test_the_same_answers() -> None:
    """A door says the same to who has signed in as to who shows the key."""
    doors = Doors()
    doors.lookup.channels = {b"a b": (3, 1)}
    browser = Browser(doors)
    for path in ("/stats", "/config", "/channels?limit=1", "/channels/a%20b", "/clients/x%2Fy", "/workers", "/docs"):
        with_key = doors.ask(get(f"/api{path}", "X-Request-Id: f00-1"))
        by_session = doors.ask(browser.get(f"/console/api{path}", "X-Request-Id: f00-1"))
        assert (by_session.status, by_session.body) == (with_key.status, with_key.body)
        assert by_session.headers["content-type"] == with_key.headers["content-type"]
        assert by_session.headers["cache-control"] == with_key.headers["cache-control"]
    assert ("client", b"x/y") in doors.lookup.asked
    assert doors.ask(browser.get("/console/api/stats", method="HEAD")).status == 200
    assert doors.ask(browser.get("/console/api/push")).headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/console/api", "/console/api/", "/console/api//stats", "/console/api/nothing"])
def test_no_such_door(path: str) -> None:
    """Nothing stands there for who has signed in, and nobody else is told."""
    doors = Doors()
    assert Browser(doors).look(path).code == "not-found"
    assert doors.ask(get(path)).code == "unauthorized"


@pytest.mark.parametrize(
    "path",
    ["/console/api/../api/stats", "/console/api/./stats", "/console/api/%73tats", "/console/api/console/api/stats"],
)
def test_no_detours(path: str) -> None:
    """Behind a session too a path is what was sent."""
    assert Browser(Doors()).look(path).code == "not-found"


def test_only_the_session_counts() -> None:
    """Under the console a key opens nothing, and where a key is asked for a cookie opens nothing."""
    doors = Doors()
    browser = Browser(doors, READ_KEY)
    cookie = f"Cookie: {browser.cookie}"
    assert doors.ask(get("/console/api/stats")).status == 401
    for path in ("/api/stats", "/api/events", "/metrics"):
        assert doors.ask(get(path, cookie, f"X-CSRF-Token: {browser.csrf}", key=None)).status == 401
    push = post("/api/push", PUSH, cookie, f"X-CSRF-Token: {browser.csrf}", key=None)
    assert doors.ask(push).status == 401
    # A key that may more does not help: the session's counts.
    by_both = browser.change("/console/api/workers/0/drain", "{}", f"Authorization: Bearer {KEY}")
    assert doors.ask(by_both).code == "forbidden"
    assert doors.ask(browser.get("/console/api/stats", "Authorization: Bearer wrong")).status == 200
    assert (doors.publisher.published, doors.workers.told) == ([], [])


def test_what_changes_something() -> None:
    """A push, a batch and what an operator may do, noted with the key's name."""
    doors = Doors()
    browser = Browser(doors)
    assert doors.ask(browser.change("/console/api/push", PUSH, JSON, "Origin: http://h")).json()["status"] == "sent"
    batch = browser.change("/console/api/batch", f"{PUSH}\n{PUSH}\n", "Content-Type: application/x-ndjson")
    connection = doors.connect().send(batch)
    doors.clock.advance(0)
    assert connection.answer().json()["sent"] == 2
    answer = doors.ask(browser.change("/console/api/clients/sue/disconnect", "{}", "X-Request-Id: f00-1"))
    assert answer.json() == {"disconnected": 1}
    assert doors.ask(browser.change("/console/api/workers/0/drain", "", method="DELETE")).status == 202
    note = doors.audit.notes[1]
    assert (note["action"], note["key"], note["request_id"]) == ("disconnect", "api-key", "f00-1")
    assert len(doors.publisher.published) == 3


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/push", PUSH),
        ("POST", "/batch", PUSH),
        ("POST", "/clients/sue/disconnect", "{}"),
        ("POST", "/workers/0/restart", ""),
        ("DELETE", "/workers/0/drain", ""),
        ("DELETE", "/channels/a/history", ""),
    ],
)
def test_a_forged_request(method: str, path: str, body: str) -> None:
    """What changes something is refused without the token of the session's pages, whatever the browser says."""
    doors = Doors()
    browser, other = Browser(doors), Browser(doors)
    path = f"/console/api{path}"
    bare = post(path, body, f"Cookie: {browser.cookie}", key=None).replace(b"POST", method.encode(), 1)
    forged = [
        bare,
        bare.replace(b"\r\nCookie", b"\r\nAuthorization: Bearer %b\r\nCookie" % KEY.encode()),
        browser.change(path, body, method=method, csrf=""),
        browser.change(path, body, method=method, csrf=browser.csrf[:-1]),
        browser.change(path, body, method=method, csrf=other.csrf),
        browser.change(path, body, f"X-CSRF-Token: {browser.csrf}", method=method),
        browser.change(path, body, "Origin: http://evil", method=method),
        browser.change(path, body, "Sec-Fetch-Site: same-site", method=method),
    ]
    for request in forged:
        answer = doors.ask(request)
        assert (answer.status, answer.code) == (403, "forbidden")
    assert (doors.publisher.published, doors.publisher.cut, doors.workers.told, doors.lookup.asked) == ([], [], [], [])


@pytest.mark.parametrize("path", ["stats", "events?live=1", "channels/news/tail"])
def test_a_page_on_another_port_looks(path: str) -> None:
    """The browser sends it the cookie along, and it is given nothing: no figures, and none of the few streams."""
    doors = Doors()
    browser = Browser(doors)
    request = browser.get(f"/console/api/{path}")
    for line in (b"Sec-Fetch-Site: same-site", b"Origin: http://127.0.0.1:9"):
        answer = doors.ask(request.replace(b"\r\nCookie", b"\r\n" + line + b"\r\nCookie"))
        assert (answer.status, answer.code) == (403, "forbidden")
    assert browser.look("/console/api/stats").status == 200


def test_told_before_the_body() -> None:
    """A forged request is refused by its head: no byte of its body is waited for."""
    doors = Doors()
    browser = Browser(doors)
    head = browser.change("/console/api/batch", PUSH * 100, csrf="")[: -len(PUSH) * 100]
    answer = doors.ask(head)
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    head = browser.change("/console/api/push", PUSH, "Expect: 100-continue")[: -len(PUSH)]
    assert doors.connect().send(head).transport.value() == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_the_bounds_of_a_body() -> None:
    """They are those of the door."""
    doors = Doors(message_bytes=1000)
    browser = Browser(doors)
    large = json.dumps({"channel": "a", "data": "x" * 70_000})
    assert doors.ask(browser.change("/console/api/push", large)).code == "too-large"  # the data, not the body
    head = browser.change("/console/api/push", "").replace(b"Content-Length: 0", b"Content-Length: 9000000")
    assert doors.ask(head).code == "too-large"
    assert doors.ask(browser.change("/console/api/workers/0/drain", "x" * 70_000)).code == "too-large"
    wrong = browser.change("/console/api/push", PUSH, "Content-Type: text/plain")
    assert doors.ask(wrong).code == "unsupported-media-type"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/workers/0/drain"),
        ("POST", "/workers/0/restart"),
        ("POST", "/clients/sue/disconnect"),
        ("DELETE", "/channels/a/history"),
        ("POST", "/push"),
        ("POST", "/batch"),
    ],
)
def test_who_may_only_look(method: str, path: str) -> None:
    """A session of a key that may look is refused what changes something, by the API."""
    doors = Doors()
    browser = Browser(doors, READ_KEY)
    answer = doors.ask(browser.change(f"/console/api{path}", "{}", method=method))
    assert (answer.status, answer.code) == (403, "forbidden")
    assert (doors.publisher.published, doors.publisher.cut, doors.workers.told) == ([], [], [])


# -- streams and connections


def events_of(doors: Doors, browser: Browser) -> Connection:
    """Open a stream of events."""
    connection = doors.connect().send(browser.get("/console/api/events"))
    assert b"event: position" in connection.transport.value()
    return connection


def test_a_stream_ends_with_its_session() -> None:
    """Within a second of the sign-out, of the end of the session, and of its key; others go on."""
    for end in ("sign out", "time", "key"):
        doors = Doors()
        browser, other = Browser(doors), Browser(doors, READ_KEY)
        streams = events_of(doors, browser), events_of(doors, other)
        if end == "sign out":
            doors.ask(browser.change(SIGN_IN, "", method="DELETE"))
        elif end == "key":
            doors.keys.replace([(READ_KEY, "read")], ())
        else:
            doors.clock.pump([10.0] * (LIFE_S // 10 - 1))
            assert not streams[0].closed
            doors.clock.advance(9)
        doors.clock.advance(1)
        assert [stream.closed for stream in streams] == [True, end == "time"]
        for stream in streams:
            stream.lose()


class Home:
    """Where a connection of the public port came from."""

    peer = None

    def is_foreign(self, target: bytes) -> bool:
        """Everything is served here."""
        return False

    def take_back(self) -> None:
        """Nothing."""

    def lost(self) -> None:
        """Nothing."""


def handed_over(doors: Doors) -> Connection:
    """Return a connection that a worker has handed over."""
    connection = doors.connect()
    connection.channel.home = Home()
    return connection


def test_who_may_stay() -> None:
    """Who has signed in keeps the connection, for files too; a stranger has one answer of the public port."""
    doors = Doors()
    browser = Browser(doors)
    for path in ("/console/", APP, SIGN_IN, "/console/api/stats", "/console/nothing"):
        assert handed_over(doors).send(get(path, key=None)).closed
    for path in ("/console/", APP, SIGN_IN, "/console/api/stats", "/console/api/nothing"):
        connection = handed_over(doors).send(browser.get(path))
        assert not connection.closed
        assert connection.send(browser.get(path)).answers()[1].status
    assert not doors.connect().send(get("/console/", key=None)).closed  # `--admin` has places enough


def test_a_stranger_s_body() -> None:
    """Who has not signed in cannot sit here by sending a sign-in byte by byte; whoever has may take their time."""
    doors = Doors()
    browser = Browser(doors)
    body = b'{"key":"' + b"x" * 100
    stranger = handed_over(doors).send(post(SIGN_IN, body, JSON, key=None)[: -len(body)])
    known = handed_over(doors).send(browser.change("/console/api/push", "x" * 100)[:-100])
    for _ in range(75):
        stranger.send(b" ")
        known.send(b" ")
        doors.clock.advance(0.99)
    assert not stranger.closed
    doors.clock.advance(1)
    assert stranger.closed
    assert not known.closed
    known.lose()


def test_counted() -> None:
    """Answers of the console stand in the metrics as others do."""
    doors = Doors()
    browser = Browser(doors)
    browser.look(APP)
    browser.look("/console/api/stats")
    browser.look("/console/api/nothing")
    doors.ask(get(SIGN_IN, key=None))
    assert doors.site.answered == {200: 3, 404: 1, 401: 1}
    assert doors.site.refused == {"not-found": 1, "unauthorized": 1}


def test_two_cookies_of_our_name() -> None:
    """A browser that has an old session of another path besides is let in with the right one."""
    doors = Doors()
    browser = Browser(doors)
    for line in (f"megacomet_session=old; {browser.cookie}", f"{browser.cookie}; megacomet_session=old", "a=b"):
        status = doors.ask(get("/console/api/stats", f"Cookie: {line}", key=None)).status
        assert status == (200 if browser.cookie in line else 401)
    twice = get("/console/api/stats", "Cookie: a=b", f"Cookie: {browser.cookie}", key=None)
    assert doors.ask(twice).status == 200


@given(st.lists(st.binary(max_size=200).filter(lambda line: not set(line) & set(b"\r\n\0")), max_size=4))
def test_any_cookies(lines: list[bytes]) -> None:
    """Whatever cookies are sent, nobody comes in by them and nothing breaks."""
    doors = Doors()
    raw = b"GET /console/api/stats HTTP/1.1\r\nHost: h\r\n"
    for line in lines:
        raw += b"Cookie: megacomet_session=" + line + b"\r\n"
    assert doors.ask(raw + b"\r\n").status in (400, 401)


def test_a_head_full_of_cookies() -> None:
    """Up to the bound of a head they are looked through; beyond it the head is refused."""
    doors = Doors()
    browser = Browser(doors)
    for size, status in ((7500, 200), (8192, 431)):
        line = f"Cookie: {'a=' + 'x' * (size - 4)}; {browser.cookie}"
        assert doors.ask(get("/console/api/stats", line, key=None)).status == status


def test_an_error_of_ours(logged_failures: Any) -> None:
    """A bug in an answer of the console is logged and told without its inside."""
    doors = Doors()
    browser = Browser(doors)
    doors.signed_out.failure = RuntimeError("inside")
    answer = doors.ask(browser.change(SIGN_IN, "", method="DELETE"))
    assert (answer.status, answer.code) == (500, "internal")
    assert b"inside" not in answer.body
    assert len(logged_failures.flush(RuntimeError)) == 1
