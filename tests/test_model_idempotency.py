"""Idempotency keys: what is remembered of a publication, for how long, and what it costs."""

from __future__ import annotations

from megacomet.model.idempotency import Keys, cost
from megacomet.model.message import Appended

T0 = 1000.0


def test_a_key_is_answered_with_the_first_outcome() -> None:
    """The repeat of a push is told the first one's id and status."""
    keys = Keys(300)
    assert keys.recall(b"k", T0) is None
    keys.remember(b"k", 7, True, T0)
    assert keys.recall(b"k", T0) == Appended(7, True, repeated=True, status="")
    keys.answered(b"k", "queued")
    assert keys.repeats == 1
    assert keys.recall(b"k", T0 + 299.9) == Appended(7, True, repeated=True, status="queued")
    assert keys.recall(b"k", T0 + 300) is None


def test_the_window_counts_from_the_first_publication() -> None:
    """Repeats and answers do not make a key live longer."""
    keys = Keys(300)
    keys.remember(b"k", 7, False, T0)
    keys.recall(b"k", T0 + 200)
    keys.answered(b"k", "sent")
    assert keys.recall(b"k", T0 + 300) is None


def test_bytes_are_those_of_the_known_keys() -> None:
    """Keys are under the store's bound, so each is counted until it is forgotten."""
    keys = Keys(300)
    keys.remember(b"one", 1, True, T0)
    keys.remember(b"three", 2, True, T0 + 1)
    assert keys.bytes == cost(b"one") + cost(b"three")
    assert keys.recall(b"one", T0 + 300) is None
    assert (keys.bytes, len(keys)) == (cost(b"three"), 1)
    assert keys.expire(T0 + 301, 10)
    assert (keys.bytes, len(keys)) == (0, 0)


def test_old_keys_are_forgotten_a_few_at_a_time() -> None:
    """The oldest first, so that one call never takes long."""
    keys = Keys(300)
    for i in range(10):
        keys.remember(b"%d" % i, i, True, T0 + i)
    assert keys.expire(T0 + 299, 4)
    assert len(keys) == 10
    assert not keys.expire(T0 + 306, 4)
    assert len(keys) == 6
    assert keys.expire(T0 + 306, 4)
    assert len(keys) == 3
    assert keys.recall(b"7", T0 + 306) is not None


def test_an_answer_to_an_unknown_key_is_dropped() -> None:
    """It came too late to matter."""
    keys = Keys(300)
    keys.answered(b"k", "sent")
    assert keys.recall(b"k", T0) is None
    assert keys.bytes == 0
