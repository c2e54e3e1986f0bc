"""The names of our processes: told from those of others."""

from __future__ import annotations

import os

from megacomet.proctitle import has_title
from tests.strangers import Stranger


def test_titles() -> None:
    """A process has its whole name and no other; one that does not exist has none."""
    with Stranger("megacomet: worker 12") as stranger:
        assert has_title(stranger.pid, "worker 12")
        for other in ("worker 1", "worker", "worker 123", ""):
            assert not has_title(stranger.pid, other)
    assert not has_title(stranger.pid, "worker 12")
    assert not has_title(os.getpid(), "manager")
