"""What can be said and got wrong in the head of a push or a batch, as rows: targets, keys, hosts, ids, versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.integration.push_rows import code
from tests.integration.ways import KEYS, Row, request

PUSH: Final = b'{"channel":"h","data":1}'
GOOD: Final = request("/api/push", PUSH)
PATHS: Final = ("/api/push", "/api/batch")
#: A push that somebody would smuggle in: it is behind what two servers could cut in two ways.
SMUGGLED: Final = request("/api/push", b'{"channel":"smuggled","data":1}')
CLOSE: Final = "Connection: close"
KEEP: Final = "Connection: keep-alive"


def broken(name: str, sent: bytes, *statuses: int, published: int = 0) -> Row:
    """Return the row of a head that cannot be read, whose answer is the last one of its connection."""
    return Row(name, sent, statuses, published, stays=False, differs="unreadable")


def _bearer(scope: str) -> str:
    return f"Authorization: Bearer {KEYS[scope]}"


def _targets() -> Iterator[Row]:
    """Methods and paths."""
    for path in PATHS:
        for method in ("GET", "PUT", "OPTIONS", "DELETE", "PATCH"):
            yield Row(f"{method} {path}", request(path, None, method=method), [405])
            yield Row(f"{method} {path} with a body", request(path, PUSH, method=method), [405])
        yield Row(f"HEAD {path}", request(path, None, method="HEAD"), [405], bodiless=True)
        for method in ("post", "FOO"):
            yield broken(f"{method} {path}", request(path, PUSH, method=method) + SMUGGLED, 405)
        # llhttp knows it, and as a path is no name of another host there is nothing to be refused but the method.
        yield Row(f"CONNECT {path}", request(path, PUSH, method="CONNECT") + GOOD, [405, 200], 1)
        yield Row(f"{path} in full", request(f"http://h{path}", PUSH), [200], 1)
        yield Row(f"{path} in full, with a query", request(f"HTTPS://h:80{path}?receipt=1", PUSH), [200], 1)
        yield Row(f"{path} in full, of another host", request(f"http://evil{path}", PUSH), [200], 1)
        yield broken(f"{path} of a user", request(f"http://u@evil{path}", PUSH), 400)
        yield broken(f"{path} by ftp", request(f"ftp://h{path}", PUSH), 400)
        yield broken(f"{path} with a fragment", request(f"{path}#x", PUSH), 400)
        yield broken(f"{path} that is not ASCII", request(f"{path}\xe9", PUSH), 400)
        for other in ("/", "/x", ";x=1", "%00", "s"):
            yield Row(f"{path}{other}", request(path + other, PUSH), [404])
    for path in ("/api", "/api/", "/api//push", "/api/./push", "/api/../api/push", "/api/%70ush", "/api/Push"):
        yield Row(path, request(path, PUSH), [404])
        yield Row(f"GET {path}", request(path, None, method="GET"), [404])
    for path in ("/api%2Fpush", "/API/push", "//api/push", "/%61pi/push", "/x/../api/push"):
        # No path of the API, so that it may be a page of the worker's.
        yield Row(path, request(path, None), [404], foreign=[0])


def _authorization() -> Iterator[Row]:
    """Who asks."""
    for path in PATHS:
        for given, status in (
            (f"bearer {KEYS['push']}", 200),
            (f"BEARER {KEYS['push']}", 200),
            (f"Bearer  {KEYS['push']}", 200),
            (f"  Bearer {KEYS['push']}  ", 200),
            (f"Bearer\t{KEYS['push']}", 401),
            (f"Basic {KEYS['push']}", 401),
            (KEYS["push"], 401),
            ("Bearer", 401),
            ("Bearer ", 401),
            ("", 401),
            ("Bearer nobodys", 401),
            (f"Bearer {KEYS['push']}x", 401),
            (f"Bearer {KEYS['push']}, Bearer x", 401),
            (f'Bearer "{KEYS["push"]}"', 401),
            ("Bearer gr\xfc\xdfe", 401),
        ):
            line = f"Authorization: {given}"
            ok = status == 200
            sent = request(path, PUSH, line, key=None) + (GOOD if ok else SMUGGLED)
            says = b"" if ok else code("unauthorized")
            yield Row(f"{path}, {line}", sent, [200, 200] if ok else [401], 2 * ok, stays=ok, says=says)
        nobody = request(path, PUSH, "X-Request-Id: nobodys", key=None)
        for name, sent in (
            ("without a key", nobody + SMUGGLED),
            ("without a key, only its head", nobody[: -len(PUSH)]),
            ("with a key in the address", request(f"{path}?key={KEYS['push']}", PUSH, key=None)),
            ("without a key and of a wrong type", request(path, PUSH, "Content-Type: a/b", key=None)),
        ):
            yield Row(f"{path} {name}", sent, [401], stays=False, says=code("unauthorized"))
        yield broken(f"{path} with two keys", request(path, PUSH, _bearer("read")) + SMUGGLED, 400)
        for key in (None, "nobodys"):
            for method in ("POST", "GET"):
                sent = request(path, None, key=key, method=method)
                yield Row(f"{method} {path} with key {key}, no body", sent, [401], differs="stranger")


def _hosts() -> Iterator[Row]:
    """Host."""
    for path in PATHS:
        yield broken(f"{path} without Host", request(path, PUSH, host=None) + SMUGGLED, 400)
        yield broken(f"{path} without Host, in full", request(f"http://h{path}", PUSH, host=None), 400)
        yield Row(f"{path} without Host, 1.0", request(path, PUSH, KEEP, host=None, version="1.0"), [200], 1)
        yield broken(f"{path} with two Hosts", request(path, PUSH, "Host: h"), 400)
        for host in ("", "evil:99999", "a,evil", "[::1]:80", "h%41", "$(x)"):
            yield Row(f"{path} of Host {host!r}", request(path, PUSH, host=host), [200], 1)
        for host in ("a b", "u@evil", "evil/x", "evil?x", "evil#", "<script>", 'a"b', "gr\xfc\xdf", "a\x01"):
            yield broken(f"{path} of Host {host!r}", request(path, PUSH, host=host) + SMUGGLED, 400)


def _ids() -> Iterator[Row]:
    """X-Request-Id."""
    for given in ("my.Id_-7", "x" * 64, "x" * 65, 'a"b', "a b", "", "gr\xfc\xdf"):
        line = f"X-Request-Id: {given}"
        yield Row(f"{line}, good", request("/api/push", PUSH, line), [200], 1)
        yield Row(f"{line}, bad", request("/api/push", b"{", line), [400])
        yield Row(f"{line}, batch", request("/api/batch", PUSH, line), [200], 1)
        yield Row(f"{line}, early", request("/api/batch", PUSH, line, key=KEYS["read"]), [403], stays=False)
    yield broken("X-Request-Id twice", request("/api/push", PUSH, *["X-Request-Id: a"] * 2), 400)


def _versions() -> Iterator[Row]:
    """Versions, and whether the connection is kept."""
    for path in PATHS:
        for version, lines, stays in (
            ("1.1", [], True),
            ("1.1", [CLOSE], False),
            ("1.1", ["Connection: x, Close"], False),
            ("1.1", [KEEP], True),
            ("1.1", [KEEP, CLOSE], False),
            ("1.1", ["Connection: Upgrade", "Upgrade: websocket"], True),
            ("1.1", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA"], True),
            ("1.0", [], False),
            ("1.0", [KEEP], True),
            ("1.0", ["Connection: Keep-Alive"], True),
            ("1.0", ["Connection: close, keep-alive"], False),
        ):
            for body, status in ((PUSH, 200), (b"{", 400 if path == "/api/push" else 422)):
                sent = request(path, body, *lines, version=version)
                yield Row(f"{path} {version} {lines} {status}", sent, [status], int(status == 200), stays=stays)
            sent = request(path, PUSH, *lines, version=version) + GOOD
            yield Row(f"{path} {version} {lines}, and another", sent, [200, 200][: 1 + stays], 1 + stays, stays=stays)
        for version, status in (("2.0", 505), ("1.2", 505), ("0.9", 505), ("1", 400), ("1.1 ", 400)):
            yield broken(f"{path} {version!r}", request(path, PUSH, version=version) + SMUGGLED, status)


def _heads() -> Iterator[Row]:
    """Heads that are broken, large, or come in pieces."""
    for path in PATHS:
        whole = request(path, PUSH)
        for cut in (1, 2, 17, len(whole) - len(PUSH) - 1, len(whole) - len(PUSH) + 1):
            yield Row(f"{path}, {cut} bytes at once", whole + GOOD, [200, 200], 2, cut=cut)
        yield Row(f"{path} behind empty lines", b"\r\n\r\n" + whole + b"\r\n" + GOOD, [200, 200], 2)
        fill = 8192 - len(request(path, None, "Content-Length: 24", "X: "))
        full = request(path, None, "Content-Length: 24", "X: " + "x" * fill)
        yield Row(f"{path}, a head of 8,192", full + PUSH, [200], 1)
        yield broken(f"{path}, a head of 8,193", full.replace(b"X: ", b"X: x") + PUSH, 431)
        yield broken(f"{path}, a head without an end", whole[:30] + b"\r\nA: b" * 2000, 431)
        yield broken(f"{path}, a target too long", request(f"{path}?{'x' * 9000}", PUSH), 414)
        for line in (" folded", "No colon", ": no name", "X: a\0b", "X: a\nY: b", "X y: z", "X\xe9: y"):
            yield broken(f"{path} with {line!r}", request(path, PUSH, line) + SMUGGLED, 400)
        yield broken(f"{path} with two spaces", whole.replace(b"POST ", b"POST  ") + SMUGGLED, 400)
        yield broken(f"{path} with LF", whole.replace(b"\r\n", b"\n") + SMUGGLED, 400)
        for line in ("Origin: http://evil", "Accept: text/html", "Accept: text/event-stream", "Cookie: a=b; c"):
            yield Row(f"{path} with {line!r}", request(path, PUSH, line), [200], 1)
            yield Row(f"{path} with {line!r}, bad", request(path, PUSH, line, key="nobodys"), [401], stays=False)


ROWS: Final = [row for rows in (_targets, _authorization, _hosts, _ids, _versions, _heads) for row in rows()]
