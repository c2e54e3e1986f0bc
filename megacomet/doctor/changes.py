"""What `--fix` writes and `--undo` takes back: files below /etc, and sysctls at once. All of it, or nothing.

    plan       what the files would be, from what was found and from what stands there
    make       1. the journal: what was, of files and of live values   2. the live values
               3. each new file, in the place of the old one
    take_back  from the journal: files, live values; then the journal goes

No limit of open files stands in a file while fs.nr_open is below it: nobody could sign in. A failure at any step, and
Ctrl-C, undoes those before it. Who is killed half-way leaves the journal, and so does a step that cannot be undone;
`take_back` works from it.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs

from megacomet.doctor.descriptors import UNITS, has_unit
from megacomet.doctor.etc_files import SYSCTLS, drop_in, limit_of_unit, limits_file, sysctl_file
from megacomet.doctor.finding import Finding, sysctls_of
from megacomet.doctor.later import Later, look_later
from megacomet.doctor.readings import Files, sysctl_path
from megacomet.errors import ChangeError

LIMITS: Final = "etc/security/limits.d/60-megacomet.conf"
DROP_IN: Final = "etc/systemd/system/megacomet.service.d/60-megacomet.conf"
TARGETS: Final = (SYSCTLS, LIMITS, DROP_IN)
#: Beside the first of them; sysctl reads *.conf only.
JOURNAL: Final = "etc/sysctl.d/60-megacomet.undo.json"
_NAME: Final = re.compile(r"(fs|kernel|net|vm)(\.[a-z0-9_-]+)+").fullmatch


@attrs.frozen
class Plan:
    """What is to be changed.

    Attributes:
        before: the files as they are; None: there is none.
        after: the same as they would be.
        live: sysctls by name, with value now (None: not known) and then.
        later: what takes it back at the next start.
    """

    before: Mapping[str, str | None]
    after: Mapping[str, str]
    live: Mapping[str, tuple[str | None, str]]
    later: Later = attrs.field(factory=Later)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.live and all(self.before[path] == text for path, text in self.after.items())

    def lines(self) -> Iterator[str]:
        """Yield the difference, for people."""
        for path, text in self.after.items():
            old = (self.before[path] or "").splitlines()
            names = (f"/{path}" if self.before[path] is not None else "/dev/null", f"/{path}")
            yield from difflib.unified_diff(old, text.splitlines(), *names, lineterm="")
        for name, (old_value, new_value) in self.live.items():
            shown = "(not known)" if old_value is None else old_value or "(nothing)"
            yield f"sysctl {name}: {shown} -> {new_value}"
        yield from (f"! {line}" for line in self.later.lines())


def plan(files: Files, findings: Iterable[Finding]) -> Plan:
    """Work out what changes what is low; what an earlier --fix has written stays."""
    found = list(findings)
    wanted = sysctls_of(found)
    limit = max((finding.descriptors for finding in found), default=0)
    before = {path: _former(files.root / path) for path in TARGETS}
    after: dict[str, str] = {}
    later = look_later(files, before[SYSCTLS], wanted)
    if wanted:
        wanted, after[SYSCTLS] = sysctl_file(before[SYSCTLS], wanted)
    if limit:
        # What is more already stays.
        if has_unit(files) and limit_of_unit([before[DROP_IN]] if before[DROP_IN] else map(files.text, UNITS)) < limit:
            after[DROP_IN] = drop_in(before[DROP_IN], limit)
        after[LIMITS] = limits_file(before[LIMITS], limit)
    live = {name: (_live(files, name), value) for name, value in wanted.items()}
    return Plan({path: before[path] for path in after}, after, live, later)


def _former(path: Path) -> str | None:
    """Return a file to the byte, None: there is none that can be read."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None


def _live(files: Files, name: str) -> str | None:
    text = files.text(sysctl_path(name))
    return None if text is None else " ".join(text.split())


def make(root: Path, todo: Plan, write: Callable[[Path, str], None] | None = None) -> None:
    """Do it all, or nothing.

    Args:
        root: where `proc` and `etc` are.
        todo: what is to be done.
        write: makes a file whole on the disk; None: as it is done.

    Raises:
        ChangeError: it was not done; nothing is changed.
    """
    write = write or write_whole
    old = read_journal(root)
    journal = _merged(old, todo)
    steps: list[Callable[[], None]] = []
    first = 0
    try:
        made = _make_directory((root / JOURNAL).parent)
        steps.append(lambda: _remove_directories(made))
        steps.append(lambda: _put_journal(root, old))
        first = len(steps)
        _replace(root / JOURNAL, json.dumps(journal, indent=1) + "\n", write)
        for name, (before, value) in todo.live.items():
            steps.append(_set_back(root, name, before))
            set_live(root, name, value)
        for path, text in todo.after.items():
            _check_former(root / path, todo.before[path])
            steps.append(_put_back(root, path, todo.before[path]))
            _make_directory((root / path).parent)
            _replace(root / path, text, write)
    except OSError as e:
        raise ChangeError(_told(e), _undo(steps, first)) from None
    except KeyboardInterrupt:
        if failed := _undo(steps, first):
            raise ChangeError("interrupted", failed) from None
        raise


def _check_former(path: Path, text: str | None) -> None:
    """Raise OSError where the way back would not lead to what is there."""
    if path.is_symlink():
        raise OSError(errno.EEXIST, "it is a link, and would be one no more", str(path))
    if _former(path) != text:
        raise OSError(errno.EAGAIN, "it has been changed meanwhile", str(path))
    if text is None and path.exists():
        raise OSError(errno.EACCES, "it is there and cannot be read", str(path))


def _undo(steps: list[Callable[[], None]], first: int) -> list[str]:
    """Take the steps back, the last first; return what could not be.

    Args:
        steps: that were done.
        first: of them that changes something; those before it are the journal's, which stays when it is needed.
    """
    failed = _all_of(reversed(steps[first:]))
    return failed or _all_of(reversed(steps[:first]))


def _all_of(steps: Iterable[Callable[[], None]]) -> list[str]:
    """Take all steps; return what could not be."""
    failed = []
    for step in steps:
        try:
            step()
        except OSError as e:
            failed.append(_told(e))
    return failed


def _put_back(root: Path, path: str, text: str | None) -> Callable[[], None]:
    return lambda: _put(root / path, text)


def _set_back(root: Path, name: str, value: str | None) -> Callable[[], None]:
    def set_back() -> None:
        if value is not None and _live(Files(root), name) != value:
            set_live(root, name, value)

    return set_back


def _put(path: Path, text: str | None) -> None:
    """Let a file be as it was, None: not be."""
    if text is None:
        if os.path.lexists(path):  # else a file system that is read-only would say so
            path.unlink()
        with contextlib.suppress(OSError):  # one of ours goes when it is empty; others stay
            if path.parent.name.endswith(".service.d"):
                path.parent.rmdir()
    elif path.is_symlink() or _former(path) != text:
        _replace(path, text, write_whole)


def _make_directory(path: Path) -> list[Path]:
    """Make a directory and those above it; return those that were made."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    return missing


def _remove_directories(made: list[Path]) -> None:
    for path in made:
        with contextlib.suppress(OSError):
            path.rmdir()


def take_back(root: Path) -> list[str]:
    """Undo what `make` has done.

    Returns:
        What was put back, as lines.

    Raises:
        ChangeError: there is nothing to undo, or not all could be; the journal stays then, for another try.
    """
    journal = read_journal(root)
    if journal is None:
        raise ChangeError(f"there is nothing to undo: /{JOURNAL} is not there")
    told: list[str] = []
    failed = _all_of(_ways_back(root, journal, told))
    failed = failed or _all_of([(root / JOURNAL).unlink])
    if failed:
        done = f"; done so far: {', '.join(told)}" if told else ""
        raise ChangeError(f"{', '.join(failed)}{done}; --undo may be tried again")
    return told


def _ways_back(root: Path, journal: Mapping[str, Any], told: list[str]) -> Iterator[Callable[[], None]]:
    """Yield the steps back, which add to what is told."""

    def put(path: str, text: str | None) -> None:
        _put(root / path, text)
        told.append(f"/{path} {'removed' if text is None else 'as before'}")

    def set_back(name: str, value: str) -> None:
        try:
            set_live(root, name, value)
        except FileNotFoundError:  # of a module that was unloaded, and its value with it
            told.append(f"sysctl {name}: there is none any more")
        else:
            told.append(f"sysctl {name} = {value or '(nothing)'}")

    for path, text in journal["files"].items():
        yield partial(put, path, text)
    for name, value in journal["sysctls"].items():
        if value is not None:
            yield partial(set_back, name, value)


def _merged(old: Mapping[str, Any] | None, todo: Plan) -> dict[str, Any]:
    """Return a journal of what was before the first change of each."""
    known: Mapping[str, Any] = old or {"files": {}, "sysctls": {}}
    live = {name: before for name, (before, _) in todo.live.items()}
    return {"files": {**todo.before, **known["files"]}, "sysctls": {**live, **known["sysctls"]}}


def _put_journal(root: Path, journal: Mapping[str, Any] | None) -> None:
    _put(root / JOURNAL, None if journal is None else json.dumps(journal, indent=1) + "\n")


def read_journal(root: Path) -> dict[str, Any] | None:
    """Return what was before the first change; None: nothing was changed.

    Raises:
        ChangeError: it is none of ours, or cannot be read.
    """
    try:
        found = json.loads((root / JOURNAL).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as e:
        raise ChangeError(_told(e)) from None
    except (ValueError, RecursionError) as e:
        raise ChangeError(f"/{JOURNAL} is broken: {e}") from None
    if not _is_journal(found):
        raise ChangeError(f"/{JOURNAL} is none that --fix has written")
    journal: dict[str, Any] = found
    return journal


def _is_journal(found: Any) -> bool:
    if not isinstance(found, dict) or set(found) != {"files", "sysctls"}:
        return False
    files, sysctls = found["files"], found["sysctls"]
    return (
        isinstance(files, dict)
        and isinstance(sysctls, dict)
        and all(path in TARGETS and (text is None or isinstance(text, str)) for path, text in files.items())
        and all(_NAME(name) and (value is None or isinstance(value, str)) for name, value in sysctls.items())
    )


def set_live(root: Path, name: str, value: str) -> None:
    """Set a sysctl.

    Raises:
        OSError: the kernel, or who has mounted /proc, does not take it.
    """
    path = root / sysctl_path(name)
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_TRUNC)
    try:
        os.write(fd, value.encode() + b"\n")
    except OSError as e:
        raise OSError(e.errno, e.strerror, str(path)) from None
    finally:
        os.close(fd)


def write_whole(path: Path, text: str) -> None:
    """Make a file whose content is on the disk when this returns.

    Raises:
        OSError: it cannot be; what was begun is still there.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        with open(fd, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as e:
        raise OSError(e.errno, e.strerror, str(path)) from None


def _replace(path: Path, text: str, write: Callable[[Path, str], None]) -> None:
    """Put a file in the place of another at once."""
    beside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()  # of somebody who was killed
    try:
        write(beside, text)
        os.replace(beside, path)
        _sync(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def _sync(directory: Path) -> None:
    """Have the names of a directory on the disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _told(error: OSError) -> str:
    return f"{error.filename or ''}: {error.strerror or error}".removeprefix(": ")
