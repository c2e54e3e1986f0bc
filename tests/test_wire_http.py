"""Request heads, paths, queries and answers of the public port."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megacomet.errors import PeerError
from megacomet.wire.http import (
    MAX_HEAD_BYTES,
    RequestHead,
    cors,
    date_line,
    find_head_end,
    oversized,
    parse_head,
    preflight,
    query_pairs,
    response,
    split_path,
    split_target,
)

HEAD = b"GET /sue.js?since=ab-12 HTTP/1.1\r\nHost: push.example:80\r\nAccept: */*\r\n\r\n"


def head(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join((line, *headers, b"", b""))


def get(*headers: bytes) -> bytes:
    return head(b"GET / HTTP/1.1", b"Host: x", *headers)


def post(*headers: bytes) -> bytes:
    return head(b"POST /api/push HTTP/1.1", b"Host: x", *headers)


def code_of(data: bytes) -> str:
    with pytest.raises(PeerError) as caught:
        parse_head(data)
    return caught.value.code


# ---------------------------------------------------------------------------------------------------- cutting heads


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\n\r\n\r\n"])
@pytest.mark.parametrize("after", [b"", b"\r\n\r\n", b"GET /next HTTP/1.1\r\n\r\n", b"\0\xff"])
def test_head_is_cut_at_its_blank_line(before: bytes, after: bytes) -> None:
    """A head ends at its own blank line, whatever empty lines come before and whatever follows."""
    assert find_head_end(before + HEAD + after, 0) == len(before + HEAD)
    assert find_head_end(bytearray(before + HEAD + after), 0) == len(before + HEAD)
    assert parse_head(before + HEAD) == parse_head(HEAD)


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n"])
def test_head_that_trickles_is_found_with_its_last_byte(before: bytes) -> None:
    """Byte by byte, the end is found with the last byte and never sooner."""
    whole = before + HEAD
    searched = 0
    for length in range(1, len(whole)):
        assert find_head_end(whole[:length], searched) == -1
        searched = length
    assert find_head_end(whole, searched) == len(whole)


@given(st.lists(st.integers(1, len(HEAD)), max_size=5))
def test_head_in_pieces(cuts: list[int]) -> None:
    """Whatever the sizes of the pieces, the head is found at the same place."""
    searched = 0
    for cut in [*sorted(cuts), len(HEAD) + 3]:
        found = find_head_end((HEAD + b"GET")[:cut], searched)
        assert found == (len(HEAD) if cut >= len(HEAD) else -1)
        if found > 0:
            break
        searched = cut


def test_nothing_received_has_no_end() -> None:
    """An empty buffer, or one with empty lines only, holds no head yet."""
    assert find_head_end(b"", 0) == -1
    assert find_head_end(b"\r\n\r\n\r\n", 0) == -1


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\x00",
        b"\r\n\xff\xff",
        b" GET / HTTP/1.1\r\n",
    ],
)
def test_what_cannot_become_a_head_is_refused_at_once(data: bytes) -> None:
    """Lines that end with a bare LF, a TLS handshake and binary garbage are refused without waiting for more."""
    end = find_head_end(data, 0)
    assert end > 0
    assert code_of(data[:end]) == "bad-request"


def test_bare_lf_that_trickles_is_found_too() -> None:
    """A blank line of bare LFs is found wherever the pieces are cut."""
    data = b"GET / HTTP/1.1\nHost: x\n\r\n"
    assert [find_head_end(data[: n + 1], n) for n in range(len(data))] == [-1] * (len(data) - 1) + [len(data)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET /" + b"a" * MAX_HEAD_BYTES, "uri-too-long"),
        (b"\r\n\r\nGET /" + b"a" * MAX_HEAD_BYTES, "uri-too-long"),
        (head(b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1", b"Host: x"), "uri-too-long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * MAX_HEAD_BYTES, "head-too-large"),
        (get(b"X: " + b"a" * MAX_HEAD_BYTES), "head-too-large"),
    ],
)
def test_too_large_heads_are_told_apart(data: bytes, code: str) -> None:
    """A request line over 8 KB is 414, a head over 8 KB is 431, complete or not."""
    assert oversized(data).code == code
    assert oversized(bytearray(data)).code == code
    assert code_of(data) == code


def test_head_of_exactly_the_bound_is_taken() -> None:
    """8,192 bytes are allowed, one more is not."""
    fill = MAX_HEAD_BYTES - len(get(b"X: "))
    assert parse_head(get(b"X: " + b"a" * fill)).target == b"/"
    assert code_of(get(b"X: " + b"a" * (fill + 1))) == "head-too-large"


# ---------------------------------------------------------------------------------------------------- parsing heads


def test_everything_a_head_says() -> None:
    """Method, path, query, version, host and the headers that matter come out as they were sent."""
    parsed = parse_head(
        head(
            b"GET /comet/poll?channel=a%20b&since=oldest?x HTTP/1.1",
            b"Host: push.example:8080",
            b"User-Agent: somebody",
            b"ORIGIN:https://a.example  ",
            b"Authorization: \t Bearer k",
            b"Last-Event-ID: ab-1",
            b"X-Forwarded-For: 1.2.3.4",
            b"X-Forwarded-For: 5.6.7.8\t",
            b"Empty:",
        )
    )
    assert parsed == RequestHead(
        method=b"GET",
        target=b"/comet/poll",
        query=b"channel=a%20b&since=oldest?x",
        minor=1,
        host=b"push.example:8080",
        keep_alive=True,
        content_length=0,
        chunked=False,
        headers={
            b"host": b"push.example:8080",
            b"origin": b"https://a.example",
            b"authorization": b"Bearer k",
            b"last-event-id": b"ab-1",
            b"x-forwarded-for": b"1.2.3.4, 5.6.7.8",
        },
    )


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        (b"1.1", None, True),
        (b"1.1", b"keep-alive", True),
        (b"1.1", b"close", False),
        (b"1.1", b"Close", False),
        (b"1.1", b"x, close ,y", False),
        (b"1.1", b"Upgrade", True),
        (b"1.0", None, False),
        (b"1.0", b"close", False),
        (b"1.0", b"Keep-Alive", True),
        (b"1.0", b"x, Keep-Alive", True),
        (b"1.0", b"x", False),
        (b"1.0", b"keep-alive, close", False),
    ],
)
def test_keep_alive(version: bytes, connection: bytes | None, stays: bool) -> None:
    """HTTP/1.1 stays open unless it says close, HTTP/1.0 closes unless it says keep-alive."""
    lines = [b"Host: x"] + ([b"Connection: " + connection] if connection is not None else [])
    parsed = parse_head(head(b"GET / HTTP/" + version, *lines))
    assert parsed.keep_alive is stays
    assert parsed.minor == int(version[-1:])


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PURGE"])
def test_methods_come_through(method: bytes) -> None:
    """Methods that are known come through: whether one is served at a path is the path's business."""
    assert parse_head(head(method + b" /a HTTP/1.1", b"Host: x")).method == method


@pytest.mark.parametrize(
    "line", [b"FROB /a HTTP/1.1", b"get /a HTTP/1.1", b"GETX /a HTTP/1.1", b"CONNECT h:80 HTTP/1.1"]
)
def test_unknown_methods_are_not_allowed(line: bytes) -> None:
    """A method that nobody knows is 405, not a malformed request; methods are case-sensitive."""
    assert code_of(head(line, b"Host: x")) == "method-not-allowed"


def test_body_with_a_length() -> None:
    """The length of a body is read, with leading zeros too."""
    assert parse_head(post(b"Content-Length: 0017 ")).content_length == 17
    assert parse_head(post(b"Content-Length: 0")).content_length == 0
    assert parse_head(post()).chunked is False


def test_chunked_body() -> None:
    """A chunked body has no length."""
    parsed = parse_head(post(b"Transfer-Encoding: Chunked", b"Expect: 100-continue"))
    assert (parsed.chunked, parsed.content_length) == (True, 0)
    assert parsed.headers[b"expect"] == b"100-continue"


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c"])
def test_upgrade_is_a_request_like_others(upgrade: bytes) -> None:
    """Asking for another protocol is a request; who serves the path looks at the headers."""
    parsed = parse_head(get(b"Connection: keep-alive, Upgrade", b"Upgrade: " + upgrade, b"Sec-WebSocket-Version: 13"))
    assert parsed.headers[b"upgrade"] == upgrade
    assert parsed.headers[b"connection"] == b"keep-alive, Upgrade"
    assert parsed.headers[b"sec-websocket-version"] == b"13"


def test_host_may_be_missing_in_http_1_0() -> None:
    """HTTP/1.0 knows no Host."""
    assert parse_head(head(b"GET / HTTP/1.0")).host == b""
    assert parse_head(head(b"GET / HTTP/1.0", b"Host: x")).host == b"x"


@pytest.mark.parametrize("host", [b"", b"x", b"x:80", b"[::1]:80", b"a_b.example", b"127.0.0.1"])
def test_hosts(host: bytes) -> None:
    """Names, addresses of both families and ports are hosts."""
    assert parse_head(head(b"GET / HTTP/1.1", b"Host: " + host)).host == host


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"http://h.example:80/a?b=c", b"/a", b"b=c", b"h.example:80"),
        (b"HTTPS://h.example/", b"/", b"", b"h.example"),
        (b"http://h.example", b"/", b"", b"h.example"),
        (b"http://h.example?b", b"/", b"b", b"h.example"),
        (b"/a//b/?", b"/a//b/", b"", b"x"),
        (b"//a", b"//a", b"", b"x"),
        (b'/a"<>\\^`{}|', b'/a"<>\\^`{}|', b"", b"x"),
    ],
)
def test_forms_of_targets(target: bytes, path: bytes, query: bytes, host: bytes) -> None:
    """A whole address is taken as its path, and its authority wins over Host (RFC 9112, 3.2.2)."""
    parsed = parse_head(head(b"GET " + target + b" HTTP/1.1", b"Host: x"))
    assert (parsed.target, parsed.query, parsed.host) == (path, query, host)
    assert split_target(target) == (path, query)


def test_options_of_the_server() -> None:
    """OPTIONS * asks about the server itself."""
    assert parse_head(head(b"OPTIONS * HTTP/1.1", b"Host: x")).target == b"*"


BAD_HEADS = {
    "nothing": b"",
    "empty lines only": b"\r\n\r\n",
    "binary garbage": bytes(range(256)) + b"\r\n\r\n",
    "TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "a word": head(b"hello"),
    "no version": head(b"GET /", b"Host: x"),
    "no target": head(b"GET  HTTP/1.1", b"Host: x"),
    "no method": head(b" / HTTP/1.1", b"Host: x"),
    "two spaces before the target": head(b"GET  / HTTP/1.1", b"Host: x"),
    "two spaces before the version": head(b"GET /  HTTP/1.1", b"Host: x"),
    "space at the end of the line": head(b"GET / HTTP/1.1 ", b"Host: x"),
    "bare LF in the path": head(b"GET /sue.\nAccept:js HTTP/1.1", b"Host: x"),
    "bare LF in the version": head(b"GET /sue.js HTTP/1.1\nA:", b"Host: x"),
    "bare CR in the path": head(b"GET /sue.\rAccept:js HTTP/1.1", b"Host: x"),
    "space in the path": head(b"GET /a b HTTP/1.1", b"Host: x"),
    "tab for space": head(b"GET\t/\tHTTP/1.1", b"Host: x"),
    "small letters": head(b"GET / http/1.1", b"Host: x"),
    "another protocol": head(b"DESCRIBE / RTSP/1.0", b"Host: x"),
    "version of three digits": head(b"GET / HTTP/1.10", b"Host: x"),
    "method that is no token": head(b"G(T / HTTP/1.1", b"Host: x"),
    "method that is no token, another version": head(b"G(T / HTTP/2.0", b"Host: x"),
    "NUL in the path": head(b"GET /a\0.js HTTP/1.1", b"Host: x"),
    "control character in the path": head(b"GET /a\x01.js HTTP/1.1", b"Host: x"),
    "DEL in the path": head(b"GET /a\x7f.js HTTP/1.1", b"Host: x"),
    "byte over 127 in the path": head("GET /ä.js HTTP/1.1".encode(), b"Host: x"),
    "fragment": head(b"GET /a#b HTTP/1.1", b"Host: x"),
    "path without its slash": head(b"GET a HTTP/1.1", b"Host: x"),
    "query only": head(b"GET ?a HTTP/1.1", b"Host: x"),
    "star": head(b"GET * HTTP/1.1", b"Host: x"),
    "address of another scheme": head(b"GET ftp://h/a HTTP/1.1", b"Host: x"),
    "address without a host": head(b"GET http:///a HTTP/1.1", b"Host: x"),
    "address with a user": head(b"GET http://u:p@h/a HTTP/1.1", b"Host: x"),
    "no Host": head(b"GET / HTTP/1.1"),
    "no Host beside an address": head(b"GET http://h/ HTTP/1.1"),
    "two Hosts": get(b"Host: y"),
    "two equal Hosts": get(b"host: x"),
    "two Hosts in HTTP/1.0": head(b"GET / HTTP/1.0", b"Host: x", b"Host: y"),
    "Host with a space": head(b"GET / HTTP/1.1", b"Host: x y"),
    "Host with a user": head(b"GET / HTTP/1.1", b"Host: u@x"),
    "Host with a path": head(b"GET / HTTP/1.1", b"Host: x/y"),
    "two keys": get(b"Authorization: Bearer a", b"Authorization: Bearer b"),
    "two Origins": get(b"Origin: a", b"Origin: b"),
    "two Last-Event-IDs": get(b"Last-Event-ID: a", b"Last-Event-ID: b"),
    "two lengths": post(b"Content-Length: 1", b"Content-Length: 2"),
    "two equal lengths": post(b"Content-Length: 1", b"Content-Length: 1"),
    "list of lengths": post(b"Content-Length: 1, 1"),
    "length with a sign": post(b"Content-Length: +1"),
    "negative length": post(b"Content-Length: -1"),
    "empty length": post(b"Content-Length: "),
    "length in hexadecimal": post(b"Content-Length: 0x1"),
    "length with thousands of zeros": post(b"Content-Length: " + b"0" * 5000 + b"7"),
    "length without end": post(b"Content-Length: " + b"9" * 30),
    "length and coding": post(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    "coding and length": post(b"Transfer-Encoding: chunked", b"Content-Length: 1"),
    "chunked twice": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "not chunked at last": post(b"Transfer-Encoding: gzip"),
    "almost chunked": post(b"Transfer-Encoding: xchunked"),
    "coding in HTTP/1.0": head(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked"),
    "space before the colon": get(b"A : b"),
    "space before the first header": head(b"GET / HTTP/1.1", b" A: b", b"Host: x"),
    "folded value": get(b"A: b", b" c"),
    "value folded with a tab": get(b"A: b", b"\tc"),
    "no colon": get(b"foo"),
    "no name": get(b": x"),
    "NUL in a value": get(b"A: b\0c"),
    "control character in a value": get(b"A: b\x01c"),
    "NUL in a name": get(b"A\0: b"),
    "name that is no token": get(b"A(b): c"),
    "name in UTF-8": get("Ä: b".encode()),
    "bare CR in a value": get(b"A: b\rB: c"),
    "bare LF after a value": get(b"A: b\nB: c"),
    "bare LFs": b"GET / HTTP/1.1\nHost: x\n\n",
    "bare LF at the end": b"GET / HTTP/1.1\r\nHost: x\r\n\n",
    "no end": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "cut in the request line": b"GET / HTTP/1.1",
}


@pytest.mark.parametrize("data", BAD_HEADS.values(), ids=BAD_HEADS.keys())
def test_malformed_heads_are_bad_requests(data: bytes) -> None:
    """Whatever breaks the rules of HTTP/1 is 400."""
    assert code_of(data) == "bad-request"


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/3.0"])
def test_other_versions_are_not_supported(version: bytes) -> None:
    """HTTP/2 without TLS, and whatever else is not HTTP/1.0 or 1.1, is 505."""
    assert code_of(head(b"GET / " + version, b"Host: x")) == "version-not-supported"
    assert code_of(b"PRI * HTTP/2.0\r\n\r\n") == "version-not-supported"


def test_other_codings_are_not_implemented() -> None:
    """A transfer coding besides chunked is 501 (RFC 9112, 6.1)."""
    assert code_of(post(b"Transfer-Encoding: gzip, chunked")) == "not-implemented"
    assert code_of(post(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked")) == "not-implemented"


def test_head_is_plain_data() -> None:
    """A parsed head cannot be changed."""
    with pytest.raises(AttributeError, match="immutable"):
        parse_head(HEAD).minor = 0  # type: ignore[misc]


PIECES = st.sampled_from(
    [
        b"GET",
        b"POST",
        b" ",
        b"/",
        b"a",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b": ",
        b":",
        b"Host: x",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
        b"Connection: Upgrade\r\nUpgrade: h2c",
        b"\xff",
        b"%",
        b"*",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"http://",
        b"Connection: close",
        b"\t",
        b"?",
        b"#",
        b", ",
        b"CONNECT x:1",
    ]
)


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=20).map(b"".join)))
def test_any_bytes_give_a_head_or_a_peer_error(data: bytes) -> None:
    """Whatever a client sends, it gets a parsed head or an error of the catalogue."""
    end = find_head_end(data, 0)
    if end >= 0:
        assert 0 < end <= len(data)
        data = data[:end]
    status = 200
    try:
        parsed = parse_head(data)
    except PeerError as e:
        status = e.status
    else:
        assert parsed.target[:1] == b"/" or parsed.target == b"*"
        assert b"\n" not in data.lstrip(b"\r\n").replace(b"\r\n", b"")
        assert data.endswith(b"\r\n\r\n")
    assert status in {200, 400, 405, 501, 505}


# ------------------------------------------------------------------------------------------------ paths and queries


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        (b"/", [b""]),
        (b"/sue.js", [b"sue.js"]),
        (b"/api/push", [b"api", b"push"]),
        (b"/api/push/", [b"api", b"push", b""]),
        (b"//api", [b"", b"api"]),
        (b"/api/clients/bob%2Fdisconnect", [b"api", b"clients", b"bob/disconnect"]),
        (b"/%2e%2E/%00", [b"..", b"\0"]),
        (b"/../x", [b"..", b"x"]),
        (b"/a+b", [b"a+b"]),
        (b"/%C3%A4%ff", [b"\xc3\xa4\xff"]),
        (b"/a%2525", [b"a%25"]),
        (b"http://h/a%2Fb/c?d/e", [b"a/b", b"c"]),
        (b"/a?b/c", [b"a"]),
    ],
)
def test_paths_are_cut_before_they_are_decoded(path: bytes, segments: list[bytes]) -> None:
    """An id with a slash in it, percent-encoded, stays one segment."""
    assert split_path(path) == segments


@pytest.mark.parametrize("text", [b"%", b"a%2", b"%zz", b"%%41", b"%4", b"%u0041", b"% 1", b"%-1"])
def test_broken_percent_signs_are_refused(text: bytes) -> None:
    """A percent sign without two hexadecimal digits is 400, in paths and in queries."""
    for call in (lambda: split_path(b"/x/" + text), lambda: query_pairs(b"a=" + text), lambda: query_pairs(text)):
        with pytest.raises(PeerError) as caught:
            call()
        assert caught.value.code == "bad-request"


@pytest.mark.parametrize("target", [b"", b"a", b"*", b"?x", b"ftp://x/"])
def test_targets_that_are_no_paths_are_refused(target: bytes) -> None:
    """What is neither a path nor an http address is 400."""
    for call in (split_path, split_target):
        with pytest.raises(PeerError) as caught:
            call(target)
        assert caught.value.code == "bad-request"


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        (b"", []),
        (b"&&", []),
        (b"a", [(b"a", b"")]),
        (b"a=", [(b"a", b"")]),
        (b"=b", [(b"", b"b")]),
        (b"a=b=c", [(b"a", b"b=c")]),
        (b"channel=x&channel=y&&since=", [(b"channel", b"x"), (b"channel", b"y"), (b"since", b"")]),
        (b"a+b=c+d%2B", [(b"a b", b"c d+")]),
        (b"%61=%26%3D", [(b"a", b"&=")]),
        (b"a;b=c", [(b"a;b", b"c")]),
    ],
)
def test_queries(query: bytes, pairs: list[tuple[bytes, bytes]]) -> None:
    """Names and values come out decoded and in order, repeated ones too."""
    assert query_pairs(query) == pairs


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_any_segments_survive_encoding(segments: list[bytes]) -> None:
    """What was percent-encoded segment by segment comes out as it was."""
    encoded = ["".join(f"%{byte:02x}" for byte in segment) for segment in segments]
    assert split_path(("/" + "/".join(encoded)).encode()) == segments
    query = "&".join(f"{text}={text}" for text in encoded if text)
    assert query_pairs(query.encode()) == [(segment, segment) for segment in segments if segment]


@given(st.binary(max_size=100))
def test_any_path_and_query_decode_or_are_refused(data: bytes) -> None:
    """No bytes of a target do more harm than a 400."""
    codes = set()
    for call in (split_path, query_pairs, split_target):
        try:
            call(data)
        except PeerError as e:
            codes.add(e.code)
    assert codes <= {"bad-request"}


# ---------------------------------------------------------------------------------------------------------- answers


def test_answer_in_full() -> None:
    """An answer carries its length and the headers of every answer of the public port."""
    assert response(200, b"Content-Type: text/plain\r\n", b"hello", keep_alive=True, minor=1) == (
        b"HTTP/1.1 200 OK\r\nServer: MegaComet\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
    )


@pytest.mark.parametrize(
    ("keep_alive", "minor", "line"),
    [(True, 1, None), (False, 1, b"close"), (True, 0, b"keep-alive"), (False, 0, b"close")],
)
def test_answer_tells_what_becomes_of_the_connection(keep_alive: bool, minor: int, line: bytes | None) -> None:
    """Connection is said where it differs from the version's own rule, and to HTTP/1.0 always."""
    answer = response(200, b"", b"", keep_alive=keep_alive, minor=minor)
    assert (b"Connection: " in answer) == (line is not None)
    assert line is None or b"\r\nConnection: " + line + b"\r\n" in answer


def test_answer_to_head_has_the_length_without_the_body() -> None:
    """HEAD gets the same headers and no body."""
    full = response(200, b"", b"hello", keep_alive=True, minor=1)
    assert response(200, b"", b"hello", keep_alive=True, minor=1, head_only=True) == full.removesuffix(b"hello")


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_no_length(status: int) -> None:
    """204 and 304 end with their head."""
    answer = response(status, b"A: b\r\n", b"", keep_alive=True, minor=1)
    assert b"Content-Length" not in answer
    assert answer.endswith(b"A: b\r\n\r\n")


def test_other_cache_rules_and_statuses() -> None:
    """A library may be cached; a status without a phrase is still a status."""
    assert b"\r\nCache-Control: public, max-age=3600\r\n" in response(
        200, b"", b"", keep_alive=True, minor=1, cache_control=b"public, max-age=3600"
    )
    assert response(299, b"", b"", keep_alive=True, minor=1).startswith(b"HTTP/1.1 299 \r\n")
    assert response(431, b"", b"", keep_alive=True, minor=1).startswith(b"HTTP/1.1 431 Request Header Fields Too Large")


def test_every_origin_may_read_when_none_is_set() -> None:
    """Without a list of origins any page may read the answers, and their position."""
    assert (
        cors(b"https://a.example", ())
        == cors(b"", ())
        == (
            b"Access-Control-Allow-Origin: *\r\n"
            b"Access-Control-Expose-Headers: MegaComet-Position, Retry-After, X-Request-Id\r\n"
        )
    )


def test_only_the_origins_that_are_set_may_read() -> None:
    """With a list, the page's own origin comes back, and caches are told that it matters."""
    allowed = (b"https://a.example", b"https://b.example")
    lines = cors(b"https://b.example", allowed)
    assert lines.startswith(b"Access-Control-Allow-Origin: https://b.example\r\nVary: Origin\r\n")
    assert b"Expose-Headers" in lines
    assert cors(b"https://evil.example", allowed) == cors(b"", allowed) == b"Vary: Origin\r\n"


def test_preflight() -> None:
    """A browser that asks beforehand is told what it may send, for a day."""
    answer = preflight(b"https://a.example", (), keep_alive=True, minor=1, headers=date_line(0))
    assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
    for line in (
        b"Date: Thu, 01 Jan 1970 00:00:00 GMT",
        b"Access-Control-Allow-Origin: *",
        b"Access-Control-Allow-Methods: GET, POST, OPTIONS",
        b"Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID, Cache-Control, X-Request-Id",
        b"Access-Control-Max-Age: 86400",
    ):
        assert b"\r\n" + line + b"\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_preflight_of_a_foreign_origin_allows_nothing() -> None:
    """An origin that is not on the list gets no permission."""
    answer = preflight(b"https://evil.example", (b"https://a.example",), keep_alive=True, minor=1)
    assert b"Access-Control" not in answer
    assert b"\r\nVary: Origin\r\n" in answer
    assert b"Access-Control-Allow-Methods" in preflight(b"o", (b"o",), keep_alive=True, minor=1)
