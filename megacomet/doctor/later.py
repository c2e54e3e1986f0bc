"""What the files of sysctl.d that are read after ours make of it: what `--fix` has set and the next start loses.

As sysctl.d(5) has it: the files of all directories are read in the order of their names, and one hides those of the
same name in the directories after its own. What stands several times is what the last of them says. A pattern never
wins over a name, wherever it stands. A name with - in front and no value takes back what was said before, and nobody
sets it then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

import attrs

from megacomet.doctor.etc_files import SYSCTLS, assigned, sysctl_file
from megacomet.doctor.ports import RESERVED, spans
from megacomet.doctor.readings import Files, sysctl_number

#: Those before hide what has the same name in those after.
DIRECTORIES: Final = ("etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d")


@attrs.frozen
class Loss:
    """A line that takes back what was set.

    Attributes:
        path: of the file.
        name: of the sysctl.
        value: that it gets; "": none, and the kernel's own value holds.
        wanted: what our file says.
    """

    path: str
    name: str
    value: str
    wanted: str


@attrs.frozen
class Later:
    """What is read after our file.

    Attributes:
        losses: what is taken back.
        unread: files of which that is not known, with the reason as words that follow "it is".
    """

    losses: tuple[Loss, ...] = ()
    unread: Mapping[str, str] = attrs.field(factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield a line for each, for people."""
        for one in self.losses:
            what = f"sets {one.name} to {one.value}" if one.value else f"lets nobody set {one.name}"
            holds = f"that holds after the next start, not {one.wanted}"
            if one.value and _parts(one.name, one.wanted) and not _parts(one.name, one.value):
                what += ", which is no number that is understood"
                holds = f"whether {one.wanted} holds after the next start is not known"
            yield f"{one.path}, read later, {what}: {holds}"
        for path, why in self.unread.items():
            yield f"{path}, read later, is {why}: what it sets is not known"

    def as_object(self) -> dict[str, Any]:
        """Return what JSON tells of it."""
        unread = [{"path": path, "why": why} for path, why in self.unread.items()]
        return {"losses": [attrs.asdict(one) for one in self.losses], "unread": unread}


def look_later(files: Files, text: str | None, wanted: Mapping[str, str]) -> Later:
    """Look what becomes of our file at the next start.

    Args:
        files: the system's.
        text: of our file; None: there is none yet.
        wanted: values by name that it gets.
    """
    values = {**assigned(text), **sysctl_file(text, wanted)[0]}
    said: dict[str, list[Loss]] = {name: [] for name, value in values.items() if value}
    if not said:
        return Later()
    unread = {}
    for path in _after(files, SYSCTLS):
        shown = os.fsencode(f"/{path}").decode("utf-8", "replace")
        found = files.text(path)
        if found is None and files.reason(path) != "missing":  # a link to nowhere says nothing
            unread[shown] = files.reason(path)
        for name, value in assigned(found).items():
            if name in said:
                said[name].append(Loss(shown, name, value, values[name]))
    losses = tuple(
        one
        for _, lines in sorted(said.items())
        if lines and not _is_enough(lines[-1])
        for one in lines
        if not _is_enough(one)
    )
    return Later(losses, unread)


def _after(files: Files, path: str) -> list[str]:
    """Return the files that are read after one, in their order."""
    found: dict[str, str] = {}
    for directory in DIRECTORIES:
        for name in files.names(directory):
            if name.endswith(".conf"):
                found.setdefault(name, f"{directory}/{name}")
    ours = os.fsencode(PurePath(path).name)
    return [found[name] for name in sorted(found, key=os.fsencode) if os.fsencode(name) > ours]


def _is_enough(one: Loss) -> bool:
    """Whether what is set is not less than what is wanted: numbers may be larger, lists of ports longer."""
    if one.value.split() == one.wanted.split():
        return True
    have, need = _parts(one.name, one.value), _parts(one.name, one.wanted)
    if not have or not need:
        return False
    if one.name == RESERVED:
        return all(any(a <= port <= b for a, b in have) for c, d in need for port in range(c, d + 1))
    return len(have) == len(need) and all(has >= needs for (has, _), (needs, _) in zip(have, need, strict=True))


def _parts(name: str, value: str) -> list[tuple[int, int]] | None:
    """Return a value's numbers as spans, of a number alone from and to it; None or none: there is one that is not."""
    if name == RESERVED:
        return spans(value)
    numbers = [sysctl_number(word) for word in value.split()]
    return [(each, each) for each in numbers if each is not None] if None not in numbers else None
