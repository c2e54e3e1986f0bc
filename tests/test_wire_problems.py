"""Errors as answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.errors import CATALOGUE, PeerError
from megacomet.wire.http import cors
from megacomet.wire.problems import problem_json, problem_response
from megacomet.wire.requests import is_request_id


def test_problem_says_everything() -> None:
    """The body names type, title, status, detail, code and the request, as RFC 9457 has it."""
    assert json.loads(problem_json(PeerError("bad-position", "a position looks like x-1"), "r1")) == {
        "type": "urn:megacomet:error:bad-position",
        "title": "Not a position",
        "status": 400,
        "detail": "a position looks like x-1",
        "code": "bad-position",
        "request_id": "r1",
    }


def test_problem_points_at_the_field() -> None:
    """An error of one field says which."""
    problem = json.loads(problem_json(PeerError("bad-fields", "seconds", "/ttl"), "r1"))
    assert problem["errors"] == [{"pointer": "/ttl", "detail": "seconds"}]


def test_problem_without_a_detail_says_its_title() -> None:
    """There is always something to read."""
    assert json.loads(problem_json(PeerError("not-found"), "r"))["detail"] == "Nothing stands at this path"


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_detail_makes_json(detail: str, pointer: str) -> None:
    """Whatever a detail quotes, broken Unicode too, the body is JSON."""
    json.loads(problem_json(PeerError("bad-fields", detail, pointer), "r"))


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_makes_an_answer(code: str) -> None:
    """Each code of the catalogue comes with its status, its body and the request's id."""
    answer = problem_response(PeerError(code), request_id="r-7", keep_alive=True, minor=1)
    head, _, body = answer.partition(b"\r\n\r\n")
    status, title = CATALOGUE[code]
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert b"\r\nX-Request-Id: r-7\r\n" in head
    assert b"\r\nCache-Control: no-store\r\n" in head
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert json.loads(body)["title"] == title
    assert (b"WWW-Authenticate: Bearer" in head) == (status == 401)
    assert (b"Sec-WebSocket-Version: 13" in head) == (status == 426)


def test_answer_carries_what_the_caller_knows() -> None:
    """Allow, Retry-After, the end of the connection and the lines for pages of other origins."""
    error = PeerError("method-not-allowed")
    answer = problem_response(
        error, request_id="r", keep_alive=False, minor=1, allow=b"GET, HEAD", retry_after=0, cors=cors(b"", ())
    )
    head, _, _ = answer.partition(b"\r\n\r\n")
    for line in (b"Allow: GET, HEAD", b"Retry-After: 0", b"Connection: close", b"Access-Control-Allow-Origin: *"):
        assert b"\r\n" + line in head
    plain = problem_response(error, request_id="r", keep_alive=True, minor=1)
    for name in (b"Allow:", b"Retry-After", b"Connection", b"Access-Control"):
        assert name not in plain


def test_answer_to_head_has_no_body() -> None:
    """HEAD gets the length only."""
    answer = problem_response(PeerError("not-found"), request_id="r", keep_alive=True, minor=1, head_only=True)
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 0" not in answer


@pytest.mark.parametrize("raw", [b"a", b"A-z_0.9", b"x" * 64])
def test_ids_of_requests_are_taken_over(raw: bytes) -> None:
    """An id of up to 64 harmless characters is kept."""
    assert is_request_id(raw)


@pytest.mark.parametrize("raw", [b"", b"x" * 65, b"a b", b"a\n", b"a\r\nX: y", b'"', b"\xc3\xa4", b"a/b"])
def test_other_ids_of_requests_are_not(raw: bytes) -> None:
    """What could break a header or a log line is not kept."""
    assert not is_request_id(raw)
