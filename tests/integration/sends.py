"""Pushes and batches that are right or nearly so, and requests that carry them in pieces, for hypothesis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st

from tests.integration.batch_rows import chunks
from tests.integration.push_rows import HEARD
from tests.integration.ways import KEYS, request

_GOOD_NAMES: Final = st.sampled_from(["a", "b", HEARD, "@a", "ns:a", "grüße", "\U0001f600", "x" * 255])
_NAMES: Final = _GOOD_NAMES | st.sampled_from(["", "*", ".", "a b", "@", "a\n", "x" * 256]) | st.text(max_size=3)
_SCALARS: Final = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_JSON: Final = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
_FIELDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "channel": _NAMES,
    "channels": st.lists(_NAMES, max_size=4),
    "client": _NAMES,
    "clients": st.lists(_NAMES, max_size=4),
    "everyone": st.booleans(),
    "ttl": st.sampled_from([0, 600, 1e5, 2_592_000, 2_592_001, -1, "1"]),
    "key": st.sampled_from(["", "k", "l:m", "\\", "ü" * 64, "x" * 129]),
}


@st.composite
def pushes(draw: st.DrawFn) -> bytes:
    """Return a body of one push."""
    target = draw(st.sampled_from(["channel", "channels", "client", "clients", "everyone"]))
    fields = {target: draw(_FIELDS[target]), "data": draw(_JSON)}
    for name in draw(st.lists(st.sampled_from(["ttl", "key", *_FIELDS]), max_size=2)):
        fields[name] = draw(_FIELDS[name])
    if draw(st.integers(0, 9)) == 0:
        fields[draw(st.sampled_from(["x", "a/b~c", *_FIELDS, "data"]))] = draw(_JSON)
    if draw(st.integers(0, 9)) == 0:
        del fields[draw(st.sampled_from(sorted(fields)))]
    # NaN, infinities and half surrogate pairs are left as Python writes them: broken.
    body = json.dumps(fields, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=2)) + body[at + draw(st.integers(0, 2)) :]
    return body


@st.composite
def sends(draw: st.DrawFn) -> Sequence[bytes]:
    """Return a request for a push or a batch, in pieces."""
    path = draw(st.sampled_from(["/api/push", "/api/push?receipt=1", "/api/batch"]))
    body = draw(pushes())
    if path == "/api/batch":
        ends = st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"])
        body = b"".join(line + draw(ends) for line in [body, *draw(st.lists(pushes(), max_size=3))])
        body = body if draw(st.booleans()) else body.rstrip()
    key = KEYS[draw(st.sampled_from(["push", "admin", "admin", "read"]))]
    lines = draw(st.sampled_from([[], ["Content-Type: application/json"], ["Content-Type: application/x-ndjson"]]))
    if draw(st.booleans()):
        raw = request(path, body, *lines, key=key)
    else:
        size = draw(st.integers(1, max(len(body), 1)))
        raw = request(path, None, *lines, "Transfer-Encoding: chunked", key=key) + chunks(body, size)
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    return [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
