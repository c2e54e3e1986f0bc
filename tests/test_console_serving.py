"""Files as answers: gzip for who takes it, 304 for who has them."""

from __future__ import annotations

import pytest

from megacomet.console.files import File
from megacomet.console.serving import FOR_EVER, Reply, file_reply, takes_gzip

SMALL = File(b"image/png", b"png", None, "t1")
LARGE = File(b"text/css; charset=utf-8", b"plain", b"zipped", "t2")


def reply(file: File, encoding: bytes = b"", known: bytes = b"") -> Reply:
    """Ask for a file."""
    return file_reply(file, {b"accept-encoding": [encoding], b"if-none-match": [known]}, FOR_EVER)


def test_plain_and_zipped() -> None:
    """Each form has a tag of its own, and caches know that there are two."""
    plain, zipped = reply(LARGE), reply(LARGE, b"gzip, deflate, br")
    assert plain == Reply(200, b"plain", LARGE.content_type, b'ETag: "t2"\r\nVary: Accept-Encoding\r\n', FOR_EVER)
    lines = b'ETag: "t2-gzip"\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n'
    assert zipped == Reply(200, b"zipped", LARGE.content_type, lines, FOR_EVER)
    assert reply(SMALL, b"gzip") == Reply(200, b"png", b"image/png", b'ETag: "t1"\r\n', FOR_EVER)
    assert file_reply(LARGE, {}, FOR_EVER) == plain


@pytest.mark.parametrize("known", [b'"t2"', b'W/"t2"', b'"x", "t2"', b'"x",W/"t2" ', b"*", b'"t2-gzip", "t2"'])
def test_known(known: bytes) -> None:
    """Whoever has it is told so, with what a cache needs."""
    found = reply(LARGE, known=known)
    assert (found.status, found.body) == (304, b"")
    assert (found.lines, found.cache_control) == (b'ETag: "t2"\r\nVary: Accept-Encoding\r\n', FOR_EVER)


@pytest.mark.parametrize("known", [b"", b'"t1"', b"t2", b'"t2-gzip"', b'"t2', b"W/", b'"T2"'])
def test_not_known(known: bytes) -> None:
    """Whoever has something else, or the other form, gets it."""
    assert reply(LARGE, known=known).status == 200


def test_the_zipped_form_is_known_by_its_tag() -> None:
    """A client that takes gzip is compared with what it would get."""
    assert reply(LARGE, b"gzip", b'"t2-gzip"').status == 304
    assert reply(LARGE, b"gzip", b'"t2"').status == 200


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        (b"gzip", True),
        (b"GZIP", True),
        (b"br, gzip;q=0.5", True),
        (b"*", True),
        (b"*;q=0.1", True),
        (b"gzip ; q=1", True),
        (b"", False),
        (b"br", False),
        (b"identity", False),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000, *", False),
        (b"*, gzip;q=0", False),
        (b"*;q=0", False),
        (b"gzip;q=x", False),
        (b"gzip;q=", False),
        (b"gzip;q=nan", False),
        (b"x-gzip", False),
        (b";;,,;q=1", False),
    ],
)
def test_who_takes_gzip(accepted: bytes, takes: bool) -> None:
    """As RFC 9110 has it; what cannot be read counts as no."""
    assert takes_gzip([accepted]) is takes
