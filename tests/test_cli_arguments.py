"""The options that commands have in common."""

from __future__ import annotations

import pytest

from megacomet.cli.arguments import Parser, given_settings, seconds_of_life, server_options


@pytest.fixture
def parser() -> Parser:
    """A command with the options of who asks a server."""
    return Parser(prog="megacomet x", parents=[server_options()])


def test_nothing_given(parser: Parser) -> None:
    """What is not given is None, so that the settings decide."""
    options = parser.parse_args([])
    assert (options.url, options.api_key_file, options.timeout, options.json) == (None, None, 10.0, False)
    assert given_settings(options) == {}


def test_all_given(parser: Parser) -> None:
    """Every option comes through, and those of the settings as the loader takes them."""
    options = parser.parse_args(
        ["--url", "u", "--api-key-file", "k", "--timeout", "0.5", "--json", "-c", "f", "--state-dir", "d"]
    )
    assert (options.url, options.api_key_file, options.timeout, options.json) == ("u", "k", 0.5, True)
    assert given_settings(options) == {"config": "f", "state_dir": "d"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--timeout", "0"], "argument --timeout: '0' must be a number of seconds, more than 0 and at most 3600"),
        (["--timeout", "nan"], "argument --timeout: 'nan' must be a number of seconds"),
        (["--time", "3"], "unrecognized arguments: --time 3"),
        (["\x1b[2J"], "unrecognized arguments: \\x1b[2J"),
    ],
)
def test_wrong_use(parser: Parser, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong use is one line, harmless, with status 2; options are not abbreviated."""
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"megacomet x: {said}")
    assert err.endswith(" (--help tells more)\n")
    assert err.count("\n") == 1


def test_seconds_of_life() -> None:
    """A message may be kept for nothing at all."""
    assert seconds_of_life("0") == 0.0
