"""Which paths need a key: one rule for the workers, who turn strangers away, and for the API behind them."""

from __future__ import annotations

from typing import Final

#: The API's description, for programs and for people. It is the same on every server of a version and holds no secret,
#: and a browser sends no key.
DOCUMENT: Final = b"/api/openapi.json"
PAGE: Final = b"/api/docs"
KEYLESS: Final = frozenset({DOCUMENT, PAGE})


def needs_key(target: bytes) -> bool:
    """Tell whether a path, as it was sent and without its query, is asked for with a key, whatever stands there."""
    return target.startswith(b"/api") and target[4:5] in (b"/", b"") and target not in KEYLESS
