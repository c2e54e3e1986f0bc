"""What is the same for every request to the API."""

from __future__ import annotations

import re

import pytest

from megacomet.errors import PeerError
from megacomet.wire.http import date_line
from megacomet.wire.requests import (
    JSON,
    NDJSON,
    REQUEST_ID_PATTERN,
    RequestIds,
    answer_lines,
    check_type,
    expects_continue,
    is_request_id,
    too_large,
    wants_receipt,
)

GOOD_IDS = [b"a", b"7f3a.b_c-D", b"0" * 64]
BAD_IDS = [b"", b"0" * 65, b"a b", b"a\r\nX: y", b"a\n", b"\xc3\xbc", b"a/b", b'"', b"a\0"]


@pytest.mark.parametrize("given", GOOD_IDS)
def test_the_clients_own_id(given: bytes) -> None:
    """An id that may stand in a log is taken over as it is."""
    assert is_request_id(given)
    assert RequestIds().of({b"x-request-id": given}) == given.decode()


@pytest.mark.parametrize("given", BAD_IDS)
def test_an_id_that_could_do_harm(given: bytes) -> None:
    """Whatever else a client sends is replaced by an id of ours, which is one itself."""
    assert not is_request_id(given)
    made = RequestIds().of({b"x-request-id": given})
    assert is_request_id(made.encode())
    assert made.encode() != given


def test_no_id() -> None:
    """Who gives none gets one."""
    assert re.fullmatch(REQUEST_ID_PATTERN, RequestIds().of({})) is not None


def test_made_ids_are_distinct() -> None:
    """No two requests have the same id, whichever process made it."""
    ids = [RequestIds() for _ in range(3)]
    made = [each.make() for _ in range(1000) for each in ids]
    assert len(set(made)) == 3000


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (None, True),
        (b"application/json", True),
        (b"Application/JSON ; charset=utf-8", True),
        (b"application/x-ndjson", True),
        (b"", False),
        (b"application/jsonx", False),
        (b"text/plain", False),
        (b"application/json, text/plain", False),
    ],
)
def test_types(given: bytes | None, taken: bool) -> None:
    """A body's type is one of those that are taken, whatever its parameters; none given is the first of them."""
    headers = {} if given is None else {b"content-type": given}
    if taken:
        check_type(headers, (NDJSON, JSON))
        return
    with pytest.raises(PeerError) as caught:
        check_type(headers, (NDJSON, JSON))
    assert caught.value.code == "unsupported-media-type"
    assert caught.value.detail == "the content type here is application/x-ndjson or application/json"


def test_too_large() -> None:
    """The bound is said."""
    error = too_large(123)
    assert (error.code, error.detail) == ("too-large", "a body here has at most 123 bytes")


@pytest.mark.parametrize(
    ("expect", "minor", "waits"),
    [
        (b"100-continue", 1, True),
        (b"100-Continue", 1, True),
        (b"100-continue", 0, False),
        (b"200-ok", 1, False),
        (b"", 1, False),
        (None, 1, False),
    ],
)
def test_who_waits_for_continue(expect: bytes | None, minor: int, waits: bool) -> None:
    """A client of HTTP/1.1 that says so waits before it sends its body, one of 1.0 does not."""
    assert expects_continue({} if expect is None else {b"expect": expect}, minor) is waits


@pytest.mark.parametrize(
    ("query", "wants"),
    [
        (b"", False),
        (b"receipt=1", True),
        (b"receipt=%31", True),
        (b"%72eceipt=1", True),
        (b"_=12&receipt=1&x", True),
        (b"receipt=0", False),
        (b"receipt=", False),
        (b"receipt", False),
        (b"receipt=01", False),
        (b"receipt=+1", False),
        (b"receipts=1", False),
        (b"Receipt=1", False),
        (b"receipt=0&receipt=1", True),
        (b"receipt=1&receipt=0", False),
        (b"&&receipt=1&", True),
    ],
)
def test_receipts(query: bytes, wants: bool) -> None:
    """receipt=1 asks for one; of several the last holds."""
    assert wants_receipt(query) is wants


@pytest.mark.parametrize(
    ("query", "wants"),
    [
        (b"receipt=%", False),
        (b"receipt=%3", False),
        (b"receipt=%zz", False),
        (b"receipt=1%", False),
        (b"%=1", False),
        (b"%receipt=1", False),
        (b"receipt=1&x=%g0", True),
        (b"%&receipt=1", True),
        (b"%zz=%zz&receipt=%31", True),
        (b"receipt=1&receipt=%", False),
        (b"receipt=%&receipt=1", True),
        (b"receipt=1&%receipt=0", True),
    ],
)
def test_a_broken_query(query: bytes, wants: bool) -> None:
    """A percent sign without its digits stands for itself, in whichever parameter, and costs the others nothing."""
    assert wants_receipt(query) is wants


def test_lines_of_an_answer() -> None:
    """Date, type and id stand in whole lines."""
    assert answer_lines(date_line(0), JSON, "abc-1") == (
        b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: application/json\r\nX-Request-Id: abc-1\r\n"
    )
