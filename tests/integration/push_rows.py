"""What `POST /api/push` can say and get wrong, as rows: bodies, fields, targets, keys, parameters, types, scopes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tests.integration.ways import KEYS, Row, request

#: Bounds that the reference of the API tells: targets of a push, and what a body may have besides the data.
MAX_TARGETS: Final = 10_000
ENVELOPE_BYTES: Final = 3_000_000
#: Of the servers under test.
MESSAGE_BYTES: Final = 150_000
#: A message of which so much is data costs more than the half of the store that mailboxes may have.
TOO_MUCH: Final = 120_000
STORE_BYTES: Final = 200_000
MAILBOX_MESSAGES: Final = 2
OPTIONS: Final = (
    f"--message-bytes={MESSAGE_BYTES}",
    f"--store-bytes={STORE_BYTES}",
    f"--mailbox-messages={MAILBOX_MESSAGES}",
    "--mailbox-ttl-s=3600",
    "--history-s=3600",
)
#: Somebody listens to it on both servers.
HEARD: Final = "heard"
#: Of which messages come to their end while the tests run.
PASSING: Final = "passing"

PATH: Final = "/api/push"
PUSH: Final = b'{"channel":"c","data":1}'
FORM: Final = "Content-Type: application/x-www-form-urlencoded"


def push(**fields: Any) -> bytes:
    """Return a body."""
    return json.dumps({"data": 1, **fields}).encode()


def code(code: str) -> bytes:
    """Return what stands in the answer of an error."""
    return b'"code":"%b"' % code.encode()


#: What the answers to whole pushes say; of 507 there are two.
SAYS: Final = {
    200: b'"status":"',
    400: code("bad-json"),
    403: code("forbidden"),
    413: code("too-large"),
    415: code("unsupported-media-type"),
    422: code("bad-fields"),
    507: b"-full",
}


def one(name: str, body: bytes, status: int, published: int = 0, **more: Any) -> Row:
    """Return the row of one push."""
    return Row(name, request(PATH, body, **more), [status], published, says=SAYS[status])


def many(name: str, bodies: Sequence[bytes], statuses: Sequence[int], published: int) -> Row:
    """Return the row of several pushes, one written behind the other."""
    return Row(name, b"".join(request(PATH, body) for body in bodies), statuses, published, says=SAYS[statuses[-1]])


def _taken() -> Iterator[Row]:
    """Every form of a push that is right."""
    yield one("channel", push(channel="c"), 200, 1)
    yield one("heard", push(channel=HEARD), 200, 1)
    yield one("channels", push(channels=["a", "b"]), 200, 2)
    yield one("channels: one", push(channels=["a"]), 200, 1)
    yield one("channels: twice the same", push(channels=["a", "b", "a"]), 200, 2)
    yield one("channels: heard and not", push(channels=["a", HEARD]), 200, 2)
    yield one("channel: a mailbox", push(channel="@c", ttl=0), 200, 1)
    yield one("channel: with a colon", push(channel="ns:c:d"), 200, 1)
    yield one("channel: with letters of all kinds", push(channel="grüße-\U0001f600"), 200, 1)
    yield one("channel: escaped", b'{"channel":"gr\\u00fc\\u00dfe\\/","data":1}', 200, 1)
    yield one("channel: 255 bytes", push(channel="x" * 255), 200, 1)
    yield one("client", push(client="nobody", ttl=0), 200, 1)
    yield one("client: kept", push(client="_RUN_"), 200, 1)
    yield one("clients", push(clients=["n1", "n2"], ttl=0), 200, 2)
    yield one("clients: 250 bytes", push(clients=["x" * 250], ttl=0), 200, 1)
    yield one("everyone", push(everyone=True), 200, 1, key=KEYS["admin"])
    yield one("everyone as a channel", push(channel="*"), 200, 1, key=KEYS["admin"])
    yield one("everyone among channels", push(channels=["c", "*"]), 200, 2, key=KEYS["admin"])
    yield one("everyone: no", push(channel="c", everyone=False), 200, 1)
    for ttl in (0, 1, 0.5, 1e3, 2_592_000):
        yield one(f"ttl {ttl}", push(channel=PASSING, ttl=ttl), 200, 1)
    yield one("as many as may be", push(channels=[f"m{n}" for n in range(MAX_TARGETS)], ttl=0), 200, MAX_TARGETS)
    yield one("300 clients", push(clients=[f"m{n}" for n in range(300)], ttl=0), 200, 300)
    yield one("white space", b' \r\n{ "data" :\t[1,\n2] , "channel" : "c" }\n ', 200, 1)
    for data in (b"null", b"false", b'""', b"{}", b"[]", b"-0.0e+5", b'"\\ud83d\\ude00"', '"\U0001f600"'.encode()):
        yield one(f"data {data.decode()}", b'{"channel":"c","data":%b}' % data, 200, 1)
    yield one("data: a number of 5,000 digits", b'{"channel":"c","data":%b}' % (b"9" * 5000), 200, 1)
    yield one("data: 128 deep", b'{"channel":"c","data":%b%b}' % (b"[" * 128, b"]" * 128), 200, 1)
    yield one("data: as long as may be", push(channel="c", data="x" * (MESSAGE_BYTES - 2), ttl=0), 200, 1)


def _keys() -> Iterator[Row]:
    """Idempotency keys."""
    yield many("key", [push(channel="k", key="_RUN_1")] * 3, [200] * 3, 1)
    yield many("key: other targets", [push(channel=f"k{n}", key="_RUN_2") for n in range(2)], [200] * 2, 2)
    yield many("key: one of several", [push(channels=["k", f"k{n}"], key="_RUN_3") for n in range(3)], [200] * 3, 4)
    yield many("key: other fields", [push(channel="k", key="_RUN_4", data=n) for n in range(2)], [200] * 2, 1)
    yield many("key: heard", [push(channel=HEARD, key="_RUN_5")] * 2, [200] * 2, 1)
    yield many("key: a client", [push(client="k_RUN_", key="_RUN_6", ttl=0)] * 2, [200] * 2, 1)
    yield one("key: 128 bytes", push(channel="k", key="_RUN_" + "ü" * 61 + "x"), 200, 1)
    yield one("key: 129 bytes", push(channel="k", key="_RUN_" + "ü" * 62), 422)
    others = [request(PATH, push(channel="k", key="_RUN_7"), key=KEYS[scope]) for scope in ("push", "admin", "push")]
    yield Row("key: of two API keys", b"".join(others), [200] * 3, 2)
    yield one("key: empty", push(channel="k", key=""), 422)
    yield one("key: a number", push(channel="k", key=1), 422)


def _wrong() -> Iterator[Row]:
    """Every error of one push."""
    for name, body in (
        ("nothing", b""),
        ("white space", b" \n"),
        ("half", PUSH[:-1]),
        ("two", PUSH + PUSH),
        ("no JSON", b"channel=c&data=1"),
        ("NaN", b'{"channel":"c","data":NaN}'),
        ("a comment", b'{"channel":"c",/**/"data":1}'),
        ("a comma at the end", b'{"channel":"c","data":1,}'),
        ("single quotes", b"{'channel':'c','data':1}"),
        ("a line break in a text", b'{"channel":"c","data":"\n"}'),
        ("a control character", b'{"channel":"c","data":"\x01"}'),
        ("half a surrogate pair", b'{"channel":"c","data":"\\ud83d"}'),
        ("half a surrogate pair in a name", b'{"channel":"\\ud83d","data":1}'),
        ("an unknown escape", b'{"channel":"c","data":"\\x41"}'),
        ("01", b'{"channel":"c","data":01}'),
        ("BOM", b"\xef\xbb\xbf" + PUSH),
        ("UTF-16", PUSH.decode().encode("utf-16")),
        ("bytes that are no UTF-8 in data", b'{"channel":"c","data":"\xff"}'),
        ("bytes that are no UTF-8 in a name", b'{"channel":"\xff","data":1}'),
        ("bytes that are no UTF-8 behind", PUSH + b"\xff"),
        ("surrogates in UTF-8", b'{"channel":"c","data":"\xed\xa0\x80"}'),
        ("UTF-8 that is too long", b'{"channel":"c","data":"\xc0\xaf"}'),
        ("wrong, and broken behind it", b'{"channel":1,"data":'),
    ):
        yield one(f"bad JSON: {name}", body, 400)
    for name, body in (
        ("no object", b"[]"),
        ("a text", b'"x"'),
        ("null", b"null"),
        ("empty", b"{}"),
        ("no data", b'{"channel":"c"}'),
        ("no target", push()),
        ("two targets", push(channel="c", client="s")),
        ("two kinds of everyone", push(channel="c", everyone=True)),
        ("everyone false alone", push(everyone=False)),
        ("everyone is a text", push(everyone="yes")),
        ("everyone is null", push(everyone=None)),
        ("unknown field", push(channel="c", colour="red")),
        ("unknown field with a strange name", push(channel="c", **{"a/b~`c": 1})),
        ("unknown field in capitals", push(Channel="c")),
        ("channel is a number", push(channel=1)),
        ("channel is null", push(channel=None)),
        ("channel is a list", push(channel=["c"])),
        ("channels is a text", push(channels="c")),
        ("channels has a number", push(channels=["c", 1])),
        ("channels is empty", push(channels=[])),
        ("clients is empty", push(clients=[])),
        ("clients has null", push(clients=["a", None])),
        ("10,001 channels", push(channels=[f"m{n}" for n in range(MAX_TARGETS + 1)])),
        ("10,001 clients", push(clients=["m"] * (MAX_TARGETS + 1))),
        ("ttl is a text", push(channel="c", ttl="1")),
        ("ttl is true", push(channel="c", ttl=True)),
        ("ttl is negative", push(channel="c", ttl=-1)),
        ("ttl is null", push(channel="c", ttl=None)),
        ("ttl too large", push(channel="c", ttl=2_592_001)),
        ("ttl beyond floats", b'{"channel":"c","data":1,"ttl":1e999}'),
        ("channel twice", b'{"channel":"c","channel":"d","data":1}'),
        ("channel twice, once escaped", b'{"channel":"c","\\u0063hannel":"d","data":1}'),
        ("data twice", b'{"channel":"c","data":1,"data":2}'),
        ("key twice", b'{"key":"a:b","channel":"c:d","data":{"a":1},"key":"c"}'),
        ("data too deep", b'{"channel":"c","data":%b%b}' % (b"[" * 129, b"]" * 129)),
        ("data much too deep", b'{"channel":"c","data":%b%b}' % (b"[" * 50_000, b"]" * 50_000)),
        ("another field much too deep", b'{"channel":"c","data":1,"x":%b%b}' % (b"[" * 50_000, b"]" * 50_000)),
        ("channel: empty", push(channel="")),
        ("channel: a space", push(channel="a b")),
        ("channel: a wide space", push(channel="a\u3000b")),
        ("channel: NUL", push(channel="a\0b")),
        ("channel: a dot", push(channel=".")),
        ("channel: 256 bytes", push(channel="ü" * 128)),
        ("channel: an empty mailbox", push(channel="@")),
        ("channel: a mailbox too long", push(channel="@" + "x" * 251)),
        ("channels: the second", push(channels=["a", "b\n"])),
        ("client: empty", push(client="")),
        ("client: two dots", push(client="..")),
        ("client: 251 bytes", push(client="x" * 251)),
        ("clients: the third", push(clients=["a", "b", "\u2028"])),
    ):
        yield one(f"bad fields: {name}", body, 422)
    yield one("data too large", push(channel="c", data="x" * (MESSAGE_BYTES - 1)), 413)
    yield one("data too large, and no target", push(data="x" * MESSAGE_BYTES), 413)


def _full() -> Iterator[Row]:
    """What the store does not take."""
    full = request(PATH, push(client="f_RUN_"))
    yield Row("mailbox full", full * 3, [200, 200, 507], 2, says=code("mailbox-full"))
    yield many("mailbox full: some", [push(clients=["g_RUN_", f"h{n}_RUN_"]) for n in range(3)], [200] * 3, 5)
    yield many("mailbox full: all", [push(clients=["i_RUN_", "j_RUN_"])] * 3, [200, 200, 507], 4)
    yield many("mailbox full: live only", [*[push(client="l_RUN_")] * 2, push(client="l_RUN_", ttl=0)], [200] * 3, 3)
    yield Row("store full", request(PATH, push(client="s", data="x" * TOO_MUCH)), [507], says=code("store-full"))
    yield one("store full: some", push(channels=["s", "@s"], data="x" * TOO_MUCH), 200, 1)
    yield one("store full: a channel is told live", push(channel="s", data="x" * TOO_MUCH), 200, 1)


def _parameters() -> Iterator[Row]:
    """The query: unknown parameters are passed over, of one that is given twice the last one holds."""
    for query, is_told in (
        ("", False),
        ("receipt=1", True),
        ("receipt=0", False),
        ("receipt=", False),
        ("receipt", False),
        ("receipt=1&receipt=1", True),
        ("receipt=0&receipt=1", True),
        ("receipt=1&receipt=0", False),
        ("receipt=1&receipt=", False),
        ("receipt=11", False),
        ("receipt=%31", True),
        ("%72eceipt=1", True),
        ("receipt=+1", False),
        ("Receipt=1", False),
        ("&&receipt=1&&", True),
        ("?receipt=1", False),
        ("receipt=1=1", False),
        ("x=1&receipt=1&_=%ff", True),
        ("x=%", False),
        ("x=%zz&receipt=1", True),
        ("%&receipt=1&%0", True),
        ("receipt=1%00", False),
    ):
        for target, status, number in ((HEARD, b"sent", 1), ("c", b"queued", 0)):
            says = b'"status":"%b"' % status + (b',"connections":%d}' % number if is_told else b"}")
            yield Row(f"?{query} to {target}", request(f"{PATH}?{query}", push(channel=target)), [200], 1, says=says)
    yield Row("?receipt=1;x=2", request(f"{PATH}?receipt=1;x=2", PUSH), [200], 1)
    path = f"{PATH}?receipt=1"
    told = b'"connections":%d}'
    yield Row("receipt: several", request(path, push(channels=["c", HEARD])), [200], 2, says=told % 1)
    yield Row("receipt: of a list of one", request(path, push(channels=[HEARD])), [200], 1, says=told % 1)
    repeat = request(path, push(channel=HEARD, key="_RUN_8")) * 2
    yield Row("receipt: of a repeat", repeat, [200, 200], 1, says=b'"repeated":true,"connections":0}')
    full = request(path, push(client="s", data="x" * TOO_MUCH))
    yield Row("receipt: refused", full, [507], says=code("store-full"))
    some = request(path, push(channels=["@s", HEARD], data="x" * TOO_MUCH, ttl=60))
    yield Row("receipt: some refused", some, [200], 1, says=told % 1)
    yield Row("receipt: all refused", request(path, push(clients=["r_RUN_", "q_RUN_"])) * 3, [200, 200, 507], 4)
    everyone = request(path, push(everyone=True), key=KEYS["admin"])
    yield Row("receipt: everyone", everyone, [200], 1, says=told % 1)
    yield Row("receipt: bad fields", request(path, push()), [422], says=code("bad-fields"))
    yield Row("receipt for a batch", request("/api/batch?receipt=1", PUSH), [200], 1)


def _types() -> Iterator[Row]:
    """Content types."""
    for path in ("/api/push", "/api/batch"):
        for given, status in (
            ("application/json", 200),
            ("application/json; charset=utf-8", 200),
            ("application/json;charset=latin-1", 200),
            ("APPLICATION/JSON", 200),
            (" application/json ; x", 200),
            ("application/x-ndjson", 200 if path == "/api/batch" else 415),
            ("Application/X-NDJSON;x=y", 200 if path == "/api/batch" else 415),
            ("application/jsonp", 415),
            ("application/problem+json", 415),
            ("text/plain", 415),
            ("application/x-www-form-urlencoded", 415),
            ("multipart/form-data; boundary=x", 415),
            ("", 415),
            (";", 415),
            ("*/*", 415),
            ("application/json, text/plain", 415),
        ):
            sent = request(path, PUSH, f"Content-Type: {given}")
            ok = status == 200
            yield Row(f"{path} as {given!r}", sent, [status], int(ok), stays=ok, says=b"" if ok else SAYS[status])
        twice = request(path, PUSH, *["Content-Type: application/json"] * 2)
        yield Row(f"{path} with two types", twice, [400], stays=False, differs="unreadable")
        yield Row(f"{path} of no type and no body", request(path, None, FORM), [415])


def _scopes() -> Iterator[Row]:
    """Who may do what."""
    for path in ("/api/push", "/api/batch"):
        for scope, status in (("push", 200), ("admin", 200), ("read", 403)):
            early = path == "/api/batch" and status == 403
            sent = request(path, PUSH, key=KEYS[scope])
            ok = status == 200
            yield Row(
                f"{path} with scope {scope}", sent, [status], int(ok), stays=not early, says=b"" if ok else SAYS[403]
            )
        yield Row(f"{path} with scope read, no body", request(path, None, key=KEYS["read"]), [403])
    for fields in ({"everyone": True}, {"channel": "*"}, {"channels": ["c", "*"]}, {"channel": "*", "ttl": -1}):
        status = 422 if "ttl" in fields else 403
        yield one(f"to everyone without its scope: {fields}", push(**fields), status)
    yield one("nonsense with scope read", b"{", 403, key=KEYS["read"])
    both = request(PATH, PUSH, "Content-Type: a/b", key=KEYS["read"])
    yield Row("a type that is not taken, with scope read", both, [415], stays=False, says=SAYS[415])


ROWS: Final = [
    *(row for rows in (_taken, _keys, _wrong, _full, _parameters, _types, _scopes) for row in rows()),
]
