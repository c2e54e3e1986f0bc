"""GET /api/audit: the audit log backwards, whatever is in the file and becomes of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.api.audit import FILE_NAME, AuditLog
from megacomet.api.audit_pages import MOST_LINES, MOST_PIECES, PIECE_BYTES, AuditPages
from megacomet.errors import PeerError
from tests.doors import PUSH_KEY, READ_KEY, Doors, get

MOST_BYTES = MOST_PIECES * PIECE_BYTES


def page(path: Path, before: str | None = None, limit: int | None = None) -> dict[str, Any]:
    """Ask for a page."""
    query = {b"before": [] if before is None else [before.encode()], b"limit": [] if limit is None else [b"%d" % limit]}
    found = json.loads(AuditPages(str(path)).page({name: given for name, given in query.items() if given}))
    assert list(found) == ["entries", "before", "unreadable"]
    return dict(found)


def pages(path: Path, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """All pages, one after the other."""
    found = page(path, None, limit)
    yield found
    while found["before"] is not None:
        found = page(path, found["before"], limit)
        yield found


def lines(*numbers: int, size: int = 0) -> bytes:
    """Entries with numbers, of a size."""
    return b"".join(json.dumps({"n": n, "text": "x" * size}).encode() + b"\n" for n in numbers)


def numbers(found: dict[str, Any]) -> list[int]:
    """The numbers of a page's entries."""
    return [entry["n"] for entry in found["entries"]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


def test_what_the_log_has_written(path: Path) -> None:
    """Entries are told as they stand in the file, the newest first."""
    log = AuditLog(str(path), lambda: 1_795_856_400.25)
    for client in ("sue", "joe"):
        log.note("disconnect", key="shop", address=None, request_id="f00-1", client=client)
    log.close()
    found = page(path)
    assert [entry["client"] for entry in found["entries"]] == ["joe", "sue"]
    assert found["entries"][0] == json.loads(path.read_bytes().splitlines()[1])
    assert (found["before"], found["unreadable"]) == (None, 0)


def test_pages(path: Path) -> None:
    """Each goes on where the one before it ended, also when entries were added meanwhile."""
    path.write_bytes(lines(*range(7)))
    first = page(path, limit=3)
    with path.open("ab") as file:
        file.write(lines(7, 8))
    second = page(path, first["before"], 3)
    third = page(path, second["before"], 3)
    assert [numbers(each) for each in (first, second, third)] == [[6, 5, 4], [3, 2, 1], [0]]
    assert third["before"] is None


def test_no_file(path: Path) -> None:
    """Before the first entry there is an empty list; so it is in the place of something else."""
    assert page(path) == {"entries": [], "before": None, "unreadable": 0}
    path.mkdir()
    assert numbers(page(path)) == []
    path.rmdir()
    os.mkfifo(path)
    assert numbers(page(path)) == []
    path.unlink()
    path.write_bytes(b"")
    assert page(path) == {"entries": [], "before": None, "unreadable": 0}


def test_what_cannot_be_read(path: Path) -> None:
    """Lines that are no entries are passed over and counted; blank ones are nothing."""
    bad = b'no JSON\n{"n":1\n[1]\n7\n\xff\xfe\n\n  \n{"n":"\xff"}\n' + b'{"n":' * 5000 + b"\n"
    path.write_bytes(lines(1) + bad + lines(2) + b'{"time":"2026')
    found = page(path)
    assert (numbers(found), found["unreadable"]) == ([2, 1], 8)
    assert found["before"] is None


def test_the_last_line_lacks_its_end_only(path: Path) -> None:
    """An entry that is complete but for the end of its line is one."""
    path.write_bytes(lines(1, 2)[:-1])
    assert numbers(page(path)) == [2, 1]


def test_bad_parameters(path: Path) -> None:
    """What was in no `before` is told so, and a wrong limit too."""
    path.write_bytes(lines(1))
    for bad in ("x", "-1", "1-", "1-2-3", "99999999999999999999999-1", "1-\xb2"):
        with pytest.raises(PeerError, match="a before is what the page before said in it"):
            page(path, bad)
    with pytest.raises(PeerError, match="a limit is a whole number"):
        page(path, limit=1001)


def test_rotated_between_two_pages(path: Path) -> None:
    """The next page goes on in the file that was moved; new entries are on a first page only."""
    path.write_bytes(lines(*range(4)))
    first = page(path, limit=2)
    moved = path.with_name(f"{FILE_NAME}.1")
    path.rename(moved)
    path.with_name(f"{FILE_NAME}.0").mkdir()
    path.with_name(f"{FILE_NAME}.00").write_bytes(lines(99) * 50)
    path.write_bytes(lines(*range(10, 50)))
    assert numbers(page(path, first["before"])) == [1, 0]
    assert numbers(page(path, limit=1)) == [49]
    path.unlink()
    assert numbers(page(path, first["before"])) == [1, 0]
    moved.rename(path.with_name("elsewhere"))
    assert page(path, first["before"]) == {"entries": [], "before": None, "unreadable": 0}
    path.parent.joinpath("elsewhere").unlink()


def test_the_directory_is_gone(path: Path) -> None:
    """Pages end where there is nothing any more."""
    assert numbers(page(path.with_name("nowhere") / FILE_NAME, "7-7")) == []


def test_emptied_between_two_pages(path: Path) -> None:
    """A log that was cut off in its place (copytruncate) ends the pages, as long as it is shorter than it was."""
    path.write_bytes(lines(*range(100)))
    first = page(path, limit=2)
    with path.open("r+b") as file:
        file.truncate(len(lines(1, 2)))
    assert page(path, first["before"]) == {"entries": [], "before": None, "unreadable": 0}
    with path.open("ab") as file:
        file.write(lines(*range(200)))
    assert len(numbers(page(path, first["before"]))) > 10


def test_a_gigabyte(path: Path) -> None:
    """Of a file of a gigabyte only the end is read: what lies before may be anything, it costs nothing."""
    with path.open("wb") as file:
        file.truncate(10**9)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + lines(*range(3000)))
    found = page(path, limit=1000)
    assert numbers(found) == [*range(2999, 1999, -1)]
    inode, end = map(int, found["before"].split("-"))
    assert (inode, end) == (path.stat().st_ino, 10**9 + 1 + len(lines(*range(2000))))


def test_more_than_a_page_reads(path: Path) -> None:
    """A page of large entries ends before its limit, and the next one goes on; none is lost or told twice."""
    path.write_bytes(lines(*range(40), size=40_000))
    found = list(pages(path, 1000))
    assert [n for each in found for n in numbers(each)] == [*range(39, -1, -1)]
    assert len(found) > 2
    assert all(each["entries"] for each in found[:-1])


@pytest.mark.parametrize("size", [PIECE_BYTES, 3 * PIECE_BYTES, MOST_BYTES - 100])
def test_a_line_longer_than_a_piece(path: Path, size: int) -> None:
    """It is an entry like any other."""
    path.write_bytes(lines(1) + lines(2, size=size) + lines(3))
    assert [n for each in pages(path) for n in numbers(each)] == [3, 2, 1]


@pytest.mark.parametrize("size", [MOST_BYTES - 20, MOST_BYTES, MOST_BYTES + 1, 3 * MOST_BYTES])
def test_a_line_that_is_too_long(path: Path, size: int) -> None:
    """It is counted once, and what stands before it is found."""
    path.write_bytes(lines(0, 1) + b"x" * size + b"\n" + lines(3))
    found = list(pages(path))
    assert [n for each in found for n in numbers(each)] == [3, 1, 0]
    assert sum(each["unreadable"] for each in found) == 1


@pytest.mark.parametrize("line", [b"\n", b"x\n", b"  \n"])
def test_many_short_lines(path: Path, line: bytes) -> None:
    """A page looks at so many lines at most, and the next one goes on behind them."""
    path.write_bytes(lines(1) + line * (2 * MOST_LINES + 5))
    found = list(pages(path))
    assert [len(numbers(each)) for each in found] == [0, 0, 1]
    assert sum(each["unreadable"] for each in found) == (2 * MOST_LINES + 5 if line == b"x\n" else 0)


_lines = st.lists(st.integers(0, 300).map(lambda size: lines(7, size=size)) | st.sampled_from([b"\n", b"bad\n"]))


@given(_lines, st.integers(1, 5), st.sampled_from([b"", b"cut", b'{"n":7}']))
def test_all_is_told_once(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], limit: int, end: bytes) -> None:
    """Whatever the file has, all pages together are its entries backwards, and what is none is counted once."""
    path = tmp_path_factory.getbasetemp() / FILE_NAME
    path.write_bytes(b"".join(parts) + end)
    found = list(pages(path, limit))
    all_lines = [each for each in path.read_bytes().split(b"\n") if each]
    entries = [json.loads(each) for each in reversed(all_lines) if each.startswith(b"{")]
    assert [entry for each in found for entry in each["entries"]] == entries
    assert sum(each["unreadable"] for each in found) == len(all_lines) - len(entries)
    path.unlink()


# -- the door


def test_the_door(tmp_path: Path) -> None:
    """It is for admins, who see the newest entries first."""
    (tmp_path / FILE_NAME).write_bytes(lines(1, 2, 3))
    doors = Doors(state_dir=str(tmp_path))
    answer = doors.ask(get("/api/audit?limit=2"))
    assert (answer.status, numbers(answer.json())) == (200, [3, 2])
    answer = doors.ask(get(f"/api/audit?before={answer.json()['before']}"))
    assert numbers(answer.json()) == [1]
    assert doors.ask(get("/api/audit?before=x")).code == "bad-request"
    for key in (READ_KEY, PUSH_KEY):
        assert doors.ask(get("/api/audit", key=key)).code == "forbidden"
