"""How commands end."""

from __future__ import annotations

import pytest

from megacomet.cli.statuses import FAILED, FINE, NO_SERVER, WRONG_USE, ending
from megacomet.errors import CallError, NoServer, Rejected, SettingError


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SettingError("port", "x", "a number"), WRONG_USE, "megacomet push: port = 'x': must be a number\n"),
        (NoServer("nobody"), NO_SERVER, "megacomet push: nobody\n"),
        (CallError("it is odd"), FAILED, "megacomet push: it is odd\n"),
        (
            Rejected(422, "bad-fields", "no spaces", "/channel"),
            FAILED,
            "megacomet push: 422 bad-fields: /channel: no spaces\n",
        ),
        (Rejected(401, "x", "a\x1b[2J\nb", note="c"), FAILED, "megacomet push: 401 x: a\\x1b[2J\\x0ab (c)\n"),
    ],
)
def test_errors(error: Exception, status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of error has a status, and is told in one harmless line."""

    def run() -> int:
        raise error

    assert ending("push", run) == status
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize(("code", "status"), [(0, FINE), (None, FINE), (2, WRONG_USE), ("wrong", WRONG_USE)])
def test_exits(code: object, status: int) -> None:
    """argparse ends by SystemExit."""

    def run() -> int:
        raise SystemExit(code)

    assert ending("push", run) == status


def test_fine() -> None:
    """What a command returns is the status."""
    assert ending("push", lambda: FAILED) == FAILED


def test_a_bug_is_none_of_it() -> None:
    """Any other error is a bug, and has its traceback."""
    with pytest.raises(ZeroDivisionError):
        ending("push", lambda: 1 // 0)
