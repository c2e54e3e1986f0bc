"""Where the manager itself listens."""

from __future__ import annotations

import os
from typing import Any

import pytest

from megacomet.api.doors import own_addresses
from megacomet.settings import Settings


@pytest.mark.parametrize(
    ("settings", "addresses"),
    [
        ({}, []),
        ({"admin": "tcp:8081:interface=127.0.0.1"}, [("http://127.0.0.1:8081", "api")]),
        ({"admin": "unix:admin.sock:mode=600"}, [(f"unix:{os.path.abspath('admin.sock')}", "api")]),
        ({"admin": "systemd:index=0"}, [("systemd:index=0", "api")]),
        ({"classic": True}, [("tcp://127.0.0.1:9000", "binary")]),
    ],
)
def test_own_addresses(settings: dict[str, Any], addresses: list[tuple[str, str]]) -> None:
    """As far as the settings tell, so that another process can call there."""
    found = own_addresses(Settings(state_dir="/nowhere", **settings))
    assert [(door.address, door.serves) for door in found] == addresses
