"""What a check finds, and what it is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from megacomet.doctor.readings import Files, sysctl_path
from megacomet.settings import Settings

FINE: Final = "fine"
LOW: Final = "low"
UNKNOWN: Final = "unknown"
#: Low, and nothing that is written here changes it: by its nature, or since the container's runtime decides.
FIXED: Final = "not changeable here"
STATES: Final = (FINE, LOW, UNKNOWN, FIXED)

IP_SYSCTL: Final = "kernel docs, networking/ip-sysctl.rst"
NET: Final = "kernel docs, admin-guide/sysctl/net.rst"
FS: Final = "kernel docs, admin-guide/sysctl/fs.rst"
VM: Final = "kernel docs, admin-guide/sysctl/vm.rst"
RESULTS: Final = "bench/RESULTS.md"


@attrs.frozen
class Held:
    """What a server that runs has taken already, and what is therefore room for it.

    Attributes:
        memory_bytes: of its processes.
        files: that they have open, most of them connections.
    """

    memory_bytes: int = 0
    files: int = 0


@attrs.frozen
class Aim:
    """What is to be held, and by whom.

    Attributes:
        connections: so many.
        workers: processes that share them.
        settings: of the server.
        process: whose limits count: the number of the running manager, or "self".
        held: what the running server has; nothing: none runs.
        cores: processors.
    """

    connections: int
    workers: int
    settings: Settings
    process: str = "self"
    held: Held = Held()
    cores: int = 1


@attrs.frozen
class Finding:
    """What a check has found.

    Attributes:
        name: of the sysctl, the limit, the file.
        value: what is so, as text; "" when it is not known.
        needs: what the aim needs, as text; "" when it needs nothing of it.
        state: one of `STATES`.
        why: why so much is needed, or why nothing is.
        source: where that is from.
        change: the line that changes it; "" where there is none. What is fine may have one too, as advice.
        sysctls: what `changes` writes, by name.
        descriptors: the hard limit of open files that `changes` writes; 0: none.
        most: connections that this bound lets in; None: it bounds none, or is not known.
    """

    name: str
    value: str
    needs: str
    state: str
    why: str
    source: str
    change: str = ""
    sysctls: Mapping[str, str] = attrs.field(factory=dict)
    descriptors: int = 0
    most: int | None = None

    @property
    def is_low(self) -> bool:
        """Whether it stands in the way."""
        return self.state in (LOW, FIXED)

    def as_object(self) -> dict[str, Any]:
        """Return what JSON tells of it."""
        names = ("name", "value", "needs", "state", "why", "source", "change", "most")
        return {name: getattr(self, name) for name in names}


def sysctls_of(findings: Iterable[Finding]) -> dict[str, str]:
    """Return what `changes` writes of all of them, by name."""
    return {name: value for finding in findings for name, value in finding.sysctls.items()}


def grouped(number: int) -> str:
    """12345 -> 12,345"""
    return f"{number:,}"


def megabytes(number: float) -> str:
    """1234567890 -> 1,235 MB; MB are 1,000,000 bytes."""
    return f"{number / 1e6:,.0f} MB"


def unknown(files: Files, name: str, path: str, why: str, source: str) -> Finding:
    """Return the finding of what cannot be read."""
    return Finding(name, "", "", UNKNOWN, f"{why} It is {files.reason(path)} here.", source)


def fine(name: str, value: str, why: str, source: str, needs: str = "", most: int | None = None) -> Finding:
    """Return the finding of what is as it should be."""
    return Finding(name, value, needs, FINE, why, source, most=most)


def low_sysctl(
    files: Files,
    name: str,
    value: str,
    new: str,
    why: str,
    source: str,
    *,
    needs: str = "",
    most: int | None = None,
) -> Finding:
    """Return the finding of a sysctl that is to be changed.

    Args:
        new: what it should be, as it is written.
        needs: the same for people; "": as it is written.
        most: connections that fit as it is.
    """
    fixed = files.is_read_only(sysctl_path(name))
    change = f"sysctl -w {name}={new}" if " " not in new and "\t" not in new else f"sysctl -w {name}='{new}'"
    written = {} if fixed else {name: new}
    return Finding(name, value, needs or new, FIXED if fixed else LOW, why, source, change, written, most=most)


def at_least(
    files: Files, name: str, value: int, need: int, why: str, source: str, *, most: int | None = None
) -> Finding:
    """Return the finding of a sysctl with one number that should not be less than another."""
    if value >= need:
        return fine(name, grouped(value), why, source, grouped(need), most)
    return low_sysctl(files, name, grouped(value), str(need), why, source, needs=grouped(need), most=most)
