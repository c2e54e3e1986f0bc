"""Which paths need a key."""

from __future__ import annotations

import pytest

from megacomet.wire.keyless import DOCUMENT, PAGE, needs_key


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/push", "/api/nothing", "/api/docs/", "/api/docs/x", "/api//docs"]
)
def test_under_api(path: str) -> None:
    """Everything under /api needs a key, also what is not there and what only looks like the description."""
    assert needs_key(path.encode())


@pytest.mark.parametrize("path", ["/healthz", "/apis", "/api%2Fpush", "/sue.js", "/", DOCUMENT.decode(), PAGE.decode()])
def test_the_rest(path: str) -> None:
    """The description and what is none of the API's business do not."""
    assert not needs_key(path.encode())
