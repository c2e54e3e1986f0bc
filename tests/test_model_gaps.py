"""The memory of what channels without a row have lost."""

from __future__ import annotations

from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.gaps import Gaps


def test_nothing_is_lost_at_first() -> None:
    """A new log has no gaps."""
    assert Gaps().lost(b"a") == 0


def test_the_highest_offset_stays() -> None:
    """A smaller loss that is told later does not hide a greater one."""
    gaps = Gaps()
    gaps.note(b"a", 7)
    gaps.note(b"a", 3)
    assert gaps.lost(b"a") == 7
    gaps.note(b"a", 2**40)
    assert gaps.lost(b"a") == 2**40
    assert gaps.lost(b"b") == 0


def test_channels_of_one_bucket_share_their_losses() -> None:
    """The price of the small memory: one of 65,536 names hears of another's gap."""
    alike = next(b"%d" % i for i in range(10**6) if crc32(b"%d" % i) & 0xFFFF == crc32(b"a") & 0xFFFF)
    gaps = Gaps()
    gaps.note(b"a", 7)
    assert gaps.lost(alike) == 7


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.integers(1, 2**63 - 1)), max_size=50))
def test_no_loss_is_ever_forgotten(losses: list[tuple[bytes, int]]) -> None:
    """A gap may be told in vain, but never be kept from a reader."""
    gaps = Gaps()
    for channel, offset in losses:
        gaps.note(channel, offset)
    assert all(gaps.lost(channel) >= offset for channel, offset in losses)
