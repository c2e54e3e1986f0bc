"""`GET /healthz` and `GET /readyz` on the manager's own address: is this process alive, can the server serve?"""

from __future__ import annotations

from typing import Final, Protocol

from megacomet.wire.answers import Readiness, as_json

HEALTHY: Final = b"ok"
TEXT: Final = b"text/plain; charset=utf-8"


class IReadiness(Protocol):
    """Knows whether every worker listens: the supervisor."""

    @property
    def ready(self) -> bool:
        """Whether all do."""

    @property
    def workers(self) -> int:
        """How many there should be."""


def readiness_answer(readiness: IReadiness) -> tuple[int, bytes]:
    """Return status and body of the answer."""
    ready = readiness.ready
    return 200 if ready else 503, as_json(Readiness(ready, readiness.workers))
