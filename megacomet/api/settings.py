"""`GET /api/config`: the settings in force, and where each of them came from."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from megacomet.settings import Settings, entries


def config_json(settings: Settings, sources: Mapping[str, str]) -> bytes:
    """Return the body of the answer; secrets are hidden.

    Args:
        settings: what is in force.
        sources: for each setting by name, where its value came from.
    """
    return msgspec.json.encode(entries(settings, sources))
