"""The text of the files below /etc that `--fix` writes: what it needs, and all else as it was.

Numbers only grow: what stands there and is more than what is needed stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from megacomet.doctor.readings import sysctl_number

SYSCTLS: Final = "etc/sysctl.d/60-megacomet.conf"
HEAD: Final = "# Written by megacomet doctor --fix; megacomet doctor --undo takes it back.\n"
#: With - in front nobody complains where there is no such sysctl.
_SYSCTL_LINE: Final = re.compile(r"\s*(-?)\s*([^\s=#;]+)\s*=\s*(.*?)\s*").fullmatch
#: No value: nobody is to set it, see sysctl.d(5).
_SYSCTL_OUT: Final = re.compile(r"\s*-\s*([^\s=#;]+)\s*").fullmatch
#: As systemd ends lines.
_LINE_ENDS: Final = re.compile(r"[\n\r\0]+")
_LIMIT_LINE: Final = re.compile(r"\s*(\*|root)\s+hard\s+nofile\s+(\S+)\s*(?:#.*)?").fullmatch
_UNIT_LINE: Final = re.compile(r"^\s*LimitNOFILE\s*=(?:[0-9]{1,20}:)?([0-9]{1,20}|infinity)[ \t]*$", re.M | re.A)
#: Sysctls of a module that may not be loaded.
_OPTIONAL: Final = "net.netfilter."
#: More than a limit has.
_DIGITS: Final = 20
_ENDLESS: Final = 1 << 63


def sysctl_file(text: str | None, wanted: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Put sysctls into a file.

    Args:
        text: of the file; None: there is none.
        wanted: values by name.

    Returns:
        The values, where the file has not more already, and the text with them, in decimal. What the kernel does not
        take for a number is no more than any.
    """
    values, lines = dict(wanted), _lines(text)
    found = [(n, match) for n, match in enumerate(map(_SYSCTL_LINE, lines)) if match and _dotted(match[2]) in wanted]
    for _, match in found:
        name = _dotted(match[2])
        old, new = sysctl_number(match[3]), sysctl_number(values[name])
        if old is not None and new is not None:
            values[name] = str(max(old, new))
    for n, match in found:
        lines[n] = f"{match[1]}{match[2]} = {values[_dotted(match[2])]}"
    there = {_dotted(match[2]) for _, match in found}
    for name in sorted(values.keys() - there):
        lines.append(f"{'-' if name.startswith(_OPTIONAL) else ''}{name} = {values[name]}")
    return values, "".join(f"{line}\n" for line in lines)


def assigned(text: str | None) -> dict[str, str]:
    """Return what a file of sysctl.d sets, by name; "": it lets nobody set it. The last line of a name counts."""
    return dict(_assignments(text or ""))


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in _LINE_ENDS.split(text):
        if match := _SYSCTL_LINE(line):
            yield _dotted(match[2]), match[3]
        elif match := _SYSCTL_OUT(line):
            yield _dotted(match[1]), ""


def _dotted(name: str) -> str:
    """Return the name of a sysctl as we write it: net/core/somaxconn is one too, see sysctl.d(5)."""
    first = re.search("[./]", name)
    if first is None or first[0] == ".":
        return name
    return "/".join(filter(None, name.split("/"))).translate({ord("/"): ".", ord("."): "/"})


def limits_file(text: str | None, limit: int) -> str:
    """Return the file of limits with that of open files, for all and for root, whom * does not mean."""
    lines, missing = _lines(text), ["*", "root"]
    for n, match in enumerate(map(_LIMIT_LINE, lines)):
        if match and match[1] in missing:
            missing.remove(match[1])
        if match and match[2].isascii() and match[2].isdecimal() and len(match[2]) <= _DIGITS and int(match[2]) < limit:
            lines[n] = f"{match[1]} hard nofile {limit}"
    return "".join(f"{line}\n" for line in (*lines, *(f"{each} hard nofile {limit}" for each in missing)))


def drop_in(text: str | None, limit: int) -> str:
    """Return the drop-in of systemd's unit with a limit of open files."""
    line = f"LimitNOFILE={limit}"
    if text and _UNIT_LINE.search(text):
        return _UNIT_LINE.sub(line, text)
    return "".join(f"{each}\n" for each in (*_lines(text), "[Service]", line))


def limit_of_unit(texts: Iterable[str | None]) -> int:
    """Return the limit of open files in the texts of a unit, 0: none stands there."""
    limits = [found for text in texts for found in _UNIT_LINE.findall(text or "")]
    return max((_ENDLESS if each == "infinity" else int(each) for each in limits), default=0)


def _lines(text: str | None) -> list[str]:
    return (text or HEAD).removesuffix("\n").split("\n")
