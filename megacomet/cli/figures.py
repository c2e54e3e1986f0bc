"""Figures for people: thousands, MB, durations, rates. MB are 1,000,000 bytes, as everywhere in the documentation.

What is None is not known, and stands as "-".
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

UNKNOWN: Final = "-"
_KB: Final = 1000
_MB: Final = 1_000_000
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def count(number: int | None) -> str:
    """1,234,567"""
    return UNKNOWN if number is None else f"{number:,}"


def size(number: int | None) -> str:
    """812 B, 12.3 kB, 1,234.5 MB"""
    if number is None:
        return UNKNOWN
    if number < _KB:
        return f"{number} B"
    # What would be rounded up to 1,000.0 kB is 1.0 MB.
    return f"{number / _KB:.1f} kB" if number < _MB - 50 else f"{number / _MB:,.1f} MB"


def duration(seconds: float | None) -> str:
    """42 s, 3 min 20 s, 5 h 3 min, 3 d 4 h"""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    for unit, name, below, below_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // below} {below_name}"
    return f"{whole} s"


def lag(seconds: float | None) -> str:
    """0.4 ms, 250 ms, 12.3 s"""
    if seconds is None:
        return UNKNOWN
    if seconds >= 1:
        return f"{seconds:,.1f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def share(part: float | None) -> str:
    """12.3 %"""
    return UNKNOWN if part is None else f"{part * 100:.1f} %"


def rate(per_s: float | None) -> str:
    """0/s, 2.5/s, 12,345/s"""
    if per_s is None:
        return f"{UNKNOWN}/s"
    return f"{per_s:.1f}/s" if 0 < per_s < 100 else f"{per_s:,.0f}/s"


def age(started: str, now: str | None) -> float | None:
    """Return the seconds between two moments in RFC 3339; None when one of them is none."""
    try:
        return (datetime.fromisoformat(now or "") - datetime.fromisoformat(started)).total_seconds()
    except (ValueError, TypeError):
        return None
