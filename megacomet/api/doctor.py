"""`GET /api/doctor`: what the machine allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from megacomet.wire.doctor import doctor_json


class IDoctor(Protocol):
    """Looks at the machine: the manager."""

    def look(self) -> Mapping[str, Any]:
        """Return what was found, in the form of `megacomet doctor --json`."""


def look(doctor: IDoctor) -> bytes:
    """Return the body of the answer."""
    return doctor_json(doctor.look())
