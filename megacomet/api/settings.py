"""`GET /api/config`: the settings in force, and where each of them came from."""

from __future__ import annotations

from collections.abc import Mapping

from megacomet.settings import ROWS, Settings, entries
from megacomet.wire.answers import SettingInForce, as_json


def config_json(settings: Settings, sources: Mapping[str, str]) -> bytes:
    """Return the body of the answer; secrets are hidden.

    Args:
        settings: what is in force.
        sources: for each setting by name, where its value came from.
    """
    return as_json({name: _told(name, entry) for name, entry in entries(settings, sources).items()})


def _told(name: str, entry: Mapping[str, object]) -> SettingInForce:
    row = ROWS[name]
    about = row.about
    return SettingInForce(entry["value"], str(entry["source"]), row.default, about.unit, about.text, about.zero)
