"""Sign-ins that have failed: how many an address may have, and how many of them stand in the audit log.

Time is an argument, in seconds; it need not be the time of the day.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Final

import attrs

from megacomet.errors import TooMany

#: A person mistypes a key twice; a program that tries keys has 10 attempts in five minutes.
MOST_FAILURES: Final = 10
WINDOW_S: Final = 300.0
#: Of refused sign-ins, one of an address in so many seconds stands in the audit log.
NOTE_S: Final = 60.0
#: Addresses that are remembered, some 600 bytes each; those that have failed longest ago are forgotten first.
MOST_ADDRESSES: Final = 10_000


@attrs.define
class _Record:
    """Of one address: when its last attempts failed, when one was noted, and how many were not since."""

    failures: list[float]
    noted: float = -math.inf
    passed_over: int = 0


class Attempts:
    """See the module."""

    def __init__(self, most_addresses: int = MOST_ADDRESSES) -> None:
        """Remember so many addresses."""
        self._most = most_addresses
        self._records: dict[str, _Record] = {}

    def check(self, address: str, now: float) -> None:
        """Let an address try.

        Raises:
            TooMany: it has failed too often.
        """
        record = self._records.get(address)
        if record is None:
            return
        # What lies ahead of us was counted by a clock that was put back since.
        record.failures = [each for each in record.failures if 0 <= now - each < WINDOW_S]
        if len(record.failures) >= MOST_FAILURES:
            wait_s = max(1, math.ceil(record.failures[-MOST_FAILURES] + WINDOW_S - now))
            raise TooMany(
                f"{MOST_FAILURES} sign-ins from this address have failed in {WINDOW_S / 60:g} minutes", wait_s
            )

    def failed(self, address: str, now: float) -> None:
        """An address has shown a key that is none."""
        record = self._record(address)
        record.failures.append(now)
        del record.failures[:-MOST_FAILURES]

    def note(self, address: str, now: float) -> int | None:
        """Decide whether a refused sign-in is noted: how many before it were not, or None: it is not either."""
        record = self._record(address)
        if 0 <= now - record.noted < NOTE_S:
            record.passed_over += 1
            return None
        passed_over, record.passed_over, record.noted = record.passed_over, 0, now
        return passed_over

    def _record(self, address: str) -> _Record:
        """Return the record of an address, as the one that is used last."""
        record = self._records.pop(address, None) or _Record([])
        if len(self._records) >= self._most:
            del self._records[next(iter(self._records))]
        self._records[address] = record
        return record


def group_of(address: str | None) -> str:
    """Return what counts as one address: of IPv6 the /64, which one customer has.

    Args:
        address: `192.0.2.7:50312`, `[2001:db8::7]:50312`, `unix`, or None: nobody knows.
    """
    if address is None:
        return "unknown"
    host, colon, _ = address.rpartition(":")
    try:
        found = ipaddress.ip_address(host.strip("[]").partition("%")[0]) if colon else None
    except ValueError:
        found = None
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found.packed, 64), strict=False))
    return str(found) if found is not None else address
