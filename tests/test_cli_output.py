"""What programs read."""

from __future__ import annotations

import json
import sys

import pytest

from megacomet.cli.output import print_json, print_object


def test_as_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes as they were, with one end of a line."""
    print_json('{"a": "\x9b\u202eä"}\n'.encode())
    assert capsys.readouterr().out == '{"a": "\x9b\u202eä"}\n'


def test_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets the same JSON, written so that it obeys nothing."""
    text = '{"a":\n "\x9b\u202eä\U000e0001"}'
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_json(text.encode())
    out = capsys.readouterr().out
    assert out == '{"a":\n "\\u009b\\u202eä\\udb40\\udc01"}\n'
    assert json.loads(out) == json.loads(text)


def test_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """One line of ASCII."""
    print_object({"a": "\x9bä"})
    assert capsys.readouterr().out == '{"a": "\\u009b\\u00e4"}\n'
