"""How many more connections the memory has room for, and when nothing is said."""

from __future__ import annotations

from megacomet.model.room import ENOUGH, SOCKET_BYTES, Upkeep

MB = 10**6


def test_too_few_to_tell() -> None:
    """With a few connections the processes themselves are nearly all of it."""
    assert Upkeep().fits(100 * MB, ENOUGH - 1, 1000 * MB) is None
    assert Upkeep().fits(100 * MB, ENOUGH, 1000 * MB) is not None


def test_what_the_machine_does_not_tell() -> None:
    """Without knowing what is available nothing is said."""
    assert Upkeep().fits(100 * MB, 10 * ENOUGH, None) is None


def test_what_a_connection_costs() -> None:
    """What the server took without any is not theirs; the kernel's part of each is."""
    upkeep = Upkeep()
    upkeep.seen(60 * MB, 0)
    upkeep.seen(50 * MB, 10)
    upkeep.seen(55 * MB, 20)
    upkeep.seen(40 * MB, ENOUGH)
    assert upkeep.fits(150 * MB, 100_000, (1000 + SOCKET_BYTES) * 7000) == 7000


def test_a_server_that_was_never_seen_without() -> None:
    """Then all of it is theirs: less seems to fit than does."""
    assert Upkeep().fits(100 * MB, 100_000, (1000 + SOCKET_BYTES) * 7000) == 7000


def test_more_was_taken_without() -> None:
    """When less is taken than before, a connection costs the kernel's part at least."""
    upkeep = Upkeep()
    upkeep.seen(100 * MB, 0)
    assert upkeep.fits(90 * MB, ENOUGH, SOCKET_BYTES * 5) == 5


def test_nothing_left() -> None:
    """When nothing is available nothing fits."""
    assert Upkeep().fits(100 * MB, ENOUGH, 0) == 0
