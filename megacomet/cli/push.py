"""`megacomet push`: one message, to one target or to many; or a batch of them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

from megacomet.cli.arguments import Parser, seconds_of_life, server_options
from megacomet.cli.batch import push_batch
from megacomet.cli.calling import Answer, api_of
from megacomet.cli.figures import count
from megacomet.cli.output import print_json
from megacomet.cli.statuses import FAILED, FINE, ending
from megacomet.cli.text import table
from megacomet.errors import CallError, SettingError
from megacomet.settings import COMMAND_LINE

STDIN: Final = "-"
REFUSED: Final = "refused"


def main(arguments: Sequence[str]) -> int:
    """Publish what the arguments say; return the exit status."""
    return ending("push", lambda: _push(parser().parse_args(arguments)))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    p = Parser(
        prog="megacomet push", parents=[server_options()], description="Publishes a message, or many with --batch."
    )
    to = p.add_mutually_exclusive_group(required=True)
    to.add_argument("--channel", action="append", metavar="CHANNEL", help="to a channel; may be repeated")
    to.add_argument("--client", action="append", metavar="ID", help="to a client's mailbox; may be repeated")
    to.add_argument("--everyone", action="store_true", help="to all connections; needs a key of scope admin")
    to.add_argument("--batch", metavar="FILE", help="publish the lines of a file, -: of stdin, each of them a push")
    p.add_argument("--ttl", type=seconds_of_life, metavar="S", help="seconds that it is kept, 0: for who listens now")
    p.add_argument("--once", metavar="KEY", help="who repeats it within 300 s with the same KEY publishes nothing")
    p.add_argument("--receipt", action="store_true", help="tell to how many connections it was written")
    p.add_argument("--text", action="store_true", help="DATA is a text, not JSON")
    p.add_argument("data", nargs="?", metavar="DATA", help="a JSON value; -: from stdin")
    return p


def _push(options: argparse.Namespace) -> int:
    if options.batch is not None:
        alone = (options.data, options.ttl, options.once, options.receipt or None, options.text or None)
        if any(value is not None for value in alone):
            parser().error("--batch FILE stands without DATA, --ttl, --once, --receipt and --text")
        with api_of(options) as api:
            return push_batch(api, options.batch, options.json)
    if options.data is None:
        parser().error("DATA is missing")
    body = body_of(options)
    with api_of(options) as api:
        answer = api.post("/api/push?receipt=1" if options.receipt else "/api/push", body)
    return tell(answer, targets(options), options.json)


def body_of(options: argparse.Namespace) -> bytes:
    """Return the body of the request; the data travels as it was written.

    Raises:
        SettingError: the data is not JSON, or not text.
    """
    data = _json_of(options) if not options.text else json.dumps(_text_of(options))
    return f'{{{json.dumps(fields(options))[1:-1]},"data":{data}}}'.encode()


def fields(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the request but its data."""
    found: dict[str, Any] = {}
    for name in ("channel", "client"):
        if (named := getattr(options, name)) is not None:
            found |= {name: named[0]} if len(named) == 1 else {f"{name}s": named}
    if options.everyone:
        found["everyone"] = True
    if options.ttl is not None:
        found["ttl"] = options.ttl
    if options.once is not None:
        found["key"] = options.once
    return found


def targets(options: argparse.Namespace) -> list[str]:
    """Return the targets as the server calls them."""
    return options.channel or [f"@{client}" for client in options.client or ()] or ["*"]


def _text_of(options: argparse.Namespace) -> str:
    """Return DATA, from stdin without the line break at its end; raise `SettingError` when it is not UTF-8."""
    try:
        if options.data != STDIN:
            text: str = options.data
            text.encode()  # an argument that is not UTF-8 has surrogates
            return text
        text = sys.stdin.buffer.read().decode()
    except UnicodeError:
        raise SettingError("DATA", "(of bytes)", "text in UTF-8", COMMAND_LINE) from None
    return text.removesuffix("\n").removesuffix("\r") if options.text else text


def _json_of(options: argparse.Namespace) -> str:
    text = _text_of(options)
    try:
        json.loads(text, parse_constant=_no_number, parse_int=str, parse_float=str)
    except RecursionError:
        pass  # the server says how deep it may be
    except ValueError as e:
        hint = "as '\"text\"' or with --text for a text"
        raise SettingError("DATA", text[:60], f"JSON, {hint} ({e})", COMMAND_LINE) from None
    return text


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def tell(answer: Answer, targets: Sequence[str], as_json: bool) -> int:
    """Print what became of a push; return the exit status."""
    each = _results(answer.value, targets[0])
    if as_json:
        print_json(answer.body)
    else:
        print("\n".join(lines(each)))
    return FAILED if any(one.get("status") == REFUSED for one in each) else FINE


def _results(value: Any, target: str) -> Sequence[Mapping[str, Any]]:
    results = value.get("results", [{"channel": target, **value}]) if isinstance(value, dict) else None
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise CallError("the answer is not of the form that this version knows")
    return results


def lines(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each target."""
    rows = [
        (str(one.get("status")), str(one.get("id") or one.get("code") or ""), str(one.get("channel")), _more(one))
        for one in results
    ]
    yield from table(rows)


def _more(one: Mapping[str, Any]) -> str:
    written = one.get("connections")
    told = "" if written is None else f"{count(written)} connection{'' if written == 1 else 's'}"
    return "  ".join(filter(None, ("repeated" if one.get("repeated") else "", told)))
