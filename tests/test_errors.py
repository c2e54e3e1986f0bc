"""The tree of errors and the published catalogue."""

from __future__ import annotations

import re
from http import HTTPStatus

import pytest

from megacomet import errors
from megacomet.errors import (
    CATALOGUE,
    OP_CODES,
    BadData,
    BadName,
    BadPosition,
    CallError,
    MegaCometError,
    NoServer,
    OpError,
    PeerError,
    Refused,
    Rejected,
    SettingError,
    StartError,
    TooMany,
    WrongMethod,
)


@pytest.mark.parametrize("code", CATALOGUE)
def test_codes_are_published_well(code: str) -> None:
    """A code is words with dashes, its status an error of HTTP, its title one line."""
    status, title = CATALOGUE[code]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    assert HTTPStatus(status) >= 400
    assert title == title.strip()
    assert title.splitlines() == [title]


@pytest.mark.parametrize("code", CATALOGUE)
def test_peer_error_follows_the_catalogue(code: str) -> None:
    """Status and title of an error are those of its code."""
    error = PeerError(code)
    assert (error.status, error.title) == CATALOGUE[code]
    assert str(error) == f"{code}: {error.title}"


def test_peer_error_says_what_and_where() -> None:
    """The detail is for the peer's developer, the pointer for the field."""
    error = PeerError("bad-fields", "seconds", "/ttl")
    assert (error.code, error.detail, error.pointer) == ("bad-fields", "seconds", "/ttl")
    assert str(error) == "bad-fields: seconds"
    assert PeerError("not-found").pointer == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadName("too long", "/client"), "bad-name"),
        (BadPosition("no dash", "/since"), "bad-position"),
        (BadData("too-large", "x", "/data"), "too-large"),
        (Refused("mailbox-full"), "mailbox-full"),
        (TooMany("ten of them", 7), "too-many-requests"),
        (WrongMethod("GET, HEAD"), "method-not-allowed"),
    ],
)
def test_peers_faults_are_peer_errors(error: PeerError, code: str) -> None:
    """Whoever catches PeerError gets every fault of a peer, with its code."""
    assert isinstance(error, PeerError)
    assert error.code == code


@pytest.mark.parametrize("code", OP_CODES)
def test_op_codes_are_published_well(code: int) -> None:
    """A code of an open connection has a title of one line, which is the message when nothing else is said."""
    title = OP_CODES[code]
    assert title == title.strip()
    assert title.splitlines() == [title]
    error = OpError(code)
    assert (error.message, error.id) == (title, None)
    assert str(error) == f"{code}: {title}"


def test_op_error_says_what_and_whose() -> None:
    """The detail is for the peer's developer, the id for its program."""
    error = OpError(107, "no op", b'"a"')
    assert (error.code, error.detail, error.message, error.id) == (107, "no op", "no op", b'"a"')


def test_setting_error_names_setting_value_rule_and_source() -> None:
    """The message is what an operator needs to mend it."""
    error = SettingError("port", "http", "a whole number from 1 to 65535", "MEGACOMET_PORT")
    assert str(error) == "port = 'http' (from MEGACOMET_PORT): must be a whole number from 1 to 65535"
    assert str(SettingError("port", 0, "more")) == "port = 0: must be more"


def test_tree_is_the_one_in_the_documentation() -> None:
    """The list at the head of the module names every class, and all stand under one base."""
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert errors.__doc__ is not None
    assert set(re.findall(r"^ +(\w+)", errors.__doc__.partition("Callers")[0], re.MULTILINE)) >= classes
    assert issubclass(StartError, MegaCometError)
    assert all(issubclass(getattr(errors, name), MegaCometError) for name in classes)


def test_what_a_command_is_refused() -> None:
    """An answer of the API as one line, with its field and what the command knows about it."""
    assert str(Rejected(422, "bad-fields", "no spaces", "/channel")) == "422 bad-fields: /channel: no spaces"
    assert str(Rejected(401, "unauthorized", "not known", note="k")) == "401 unauthorized: not known (k)"
    assert issubclass(Rejected, CallError)
    assert issubclass(NoServer, CallError)
