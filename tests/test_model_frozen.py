"""Rows that wait as one value of bytes: what is put in comes out, and nothing is taken for something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.frozen import (
    channels_of,
    freeze_poll,
    freeze_stream,
    is_frozen_stream,
    is_name,
    only_mailbox,
    thawed,
)
from megacomet.model.session import Session

NAMES = st.lists(st.binary(min_size=1, max_size=255).filter(lambda name: name[0] > 32), max_size=5).map(tuple)


@given(NAMES)
def test_a_live_stream(channels: tuple[bytes, ...]) -> None:
    """It is its channels side by side, in this order; no name looks like one."""
    key = freeze_stream(channels)
    assert (is_frozen_stream(key), is_name(key), channels_of(key)) == (True, False, channels)
    assert thawed(key, b"e") is key
    assert not any(map(is_frozen_stream, (None, b"", *channels, Session(channels, None))))


@given(NAMES, st.binary(max_size=255), st.integers(0, 1000), st.integers(0, 2**64 - 1))
def test_a_poll(channels: tuple[bytes, ...], options: bytes, limit: int, offset: int) -> None:
    """It comes back as it was, from up to where it had looked or from where it is told to stand."""
    key = freeze_poll(Session(channels, options, b"before-1", limit), offset)
    assert key is not None
    assert (is_frozen_stream(key), is_name(key), channels_of(key)) == (False, False, channels)
    for stands_at in (None, 0, 7):
        session = thawed(key, b"e", stands_at)
        assert isinstance(session, Session)
        stood = offset if stands_at is None else stands_at
        assert (session.channels, session.options, session.limit) == (channels, options, limit)
        assert (session.since, session.immediate, session.join) == (b"e-%d" % stood, False, 0)


@pytest.mark.parametrize("options", [None, "text", b"o" * 256], ids=["none", "text", "long"])
def test_options_that_do_not_fit(options: object) -> None:
    """A poll whose options are no short bytes stays a session."""
    assert freeze_poll(Session((b"@sue",), options), 1) is None


def test_a_name() -> None:
    """A plain poll is its mailbox, frozen and thawed."""
    assert (is_name(b"@sue"), channels_of(b"@sue"), thawed(b"@sue", b"e")) == (True, (b"@sue",), b"@sue")
    assert not any(map(is_name, (None, Session((b"@sue",), b""))))


@pytest.mark.parametrize(
    ("channels", "mailbox"),
    [
        *(((b"@sue",), b"@sue"), ((b"@" + b"s" * 64,), b"@" + b"s" * 64), ((b"news",), b""), ((), b"")),
        *(((b"@sue", b"news"), b""), ((b"@sue", b"@bob"), b""), ((b"news", b"@sue"), b"")),
    ],
    ids=str,
)
def test_who_listens_to_a_mailbox_only(channels: tuple[bytes, ...], mailbox: bytes) -> None:
    """It is told whatever waits there; who listens to more, or to something else, is not among them."""
    session = Session(channels, b"options")
    assert only_mailbox(freeze_stream(channels)) == mailbox
    assert only_mailbox(freeze_poll(session, 3)) == mailbox
    assert (only_mailbox(session), only_mailbox(None), only_mailbox(b"@sue")) == (b"", b"", b"@sue")
