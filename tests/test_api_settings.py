"""GET /api/config: what `megacomet config` prints, of the running server."""

from __future__ import annotations

import json

from megacomet.cli.config import as_json
from megacomet.settings import BUILT_IN, HIDDEN, ROWS, Settings, load
from tests.doors import READ_KEY, Doors, get


def test_all_settings() -> None:
    """Each with its value and where that came from, as the command tells them."""
    answer = Doors(ping_s=7.0).ask(get("/api/config", key=READ_KEY))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    settings = Settings(state_dir="/nowhere", ping_s=7.0)
    assert answer.json() == json.loads(as_json(settings, dict.fromkeys(ROWS, BUILT_IN)))
    assert answer.json()["ping_s"] == {"value": 7.0, "source": BUILT_IN}


def test_secrets_are_hidden() -> None:
    """The key is nowhere in it."""
    answer = Doors(api_key="very-secret").ask(get("/api/config"))
    assert answer.json()["api_key"]["value"] == HIDDEN
    assert b"very-secret" not in answer.body


def test_texts_are_plain() -> None:
    """A value that came as text is a text and nothing more, for whoever packs it."""
    settings, _ = load({"interface": "127.0.0.1"}, {})
    assert type(settings.interface) is str
