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
    told = {name: {"value": one["value"], "source": one["source"]} for name, one in answer.json().items()}
    assert told == json.loads(as_json(settings, dict.fromkeys(ROWS, BUILT_IN)))


def test_what_a_setting_does() -> None:
    """Whoever shows the settings has no table of its own to tell what they mean."""
    told = Doors(ping_s=7.0).ask(get("/api/config", key=READ_KEY)).json()
    text = "Pause between signs of life on a stream or WebSocket where nothing else flows."
    assert told["ping_s"] == {"value": 7.0, "source": BUILT_IN, "default": 25.0, "unit": "s", "text": text, "zero": ""}
    assert (told["port"]["default"], told["port"]["zero"]) == (80, "a free port, told in the ready line")


def test_secrets_are_hidden() -> None:
    """The key is nowhere in it."""
    answer = Doors(api_key="very-secret").ask(get("/api/config"))
    assert answer.json()["api_key"]["value"] == HIDDEN
    assert b"very-secret" not in answer.body


def test_texts_are_plain() -> None:
    """A value that came as text is a text and nothing more, for whoever packs it."""
    settings, _ = load({"interface": "127.0.0.1"}, {})
    assert type(settings.interface) is str
