"""`megacomet key`: make, list and revoke the keys of the API in a state directory, and tell the running server."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from megacomet.api.key_file import change_keys, read_keys
from megacomet.api.key_lines import CREATED_FORM, MAX_KEYS, NAME_RULE, check_name
from megacomet.api.own_key import KEY_BYTES
from megacomet.cli.arguments import Parser, given_settings, settings_options
from megacomet.cli.statuses import FAILED, FINE, complain, ending
from megacomet.errors import KeyFileError
from megacomet.hangup import hang_up
from megacomet.model.keys import SCOPES, NamedKey, digest_of
from megacomet.settings import load

#: Tells whoever finds a key somewhere what it opens.
PREFIX: Final = "mc_"


class Unchanged(Exception):
    """Raised when a key cannot be made or revoked; the text says why."""


class Told(NamedTuple):
    """Whether the running server knows of a change.

    Attributes:
        server: its process, None: none runs, or it is not known.
        ok: whether nobody has to do anything more about it.
        text: the same as a sentence.
    """

    server: int | None
    ok: bool
    text: str


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; return the exit status."""
    return ending("key", lambda: _key(arguments))


def _key(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    settings, _ = load(given_settings(options), os.environ)
    try:
        if not os.path.isdir(settings.state_dir):
            # Made here, it would belong to whoever makes a key, and a slip of the pen would have a key of its own.
            raise Unchanged(f"the state directory {settings.state_dir} is not there; the server makes it at its start")
        run: Callable[[str, argparse.Namespace], int] = options.run
        return run(settings.state_dir, options)
    except (Unchanged, KeyFileError) as e:
        complain("key", str(e))
        return FAILED


def parser() -> Parser:
    """Return the parser of the command; `run` of what it parses takes the state directory and the options."""
    shared = settings_options()
    p = Parser(prog="megacomet key", description="Makes, lists and revokes keys of the API.")
    commands = p.add_subparsers(required=True, metavar="new|list|revoke")

    def command(name: str, run: Callable[[str, argparse.Namespace], int], about: str) -> Parser:
        found = commands.add_parser(name, parents=[shared], help=about, description=about)
        found.set_defaults(run=run)
        return found

    new = command("new", _new, "make a key, and print it this once: only its hash is kept")
    new.add_argument("name", type=_name, metavar="NAME", help=NAME_RULE)
    new.add_argument("--scope", required=True, choices=SCOPES, help="push: to publish; read: to look; admin: all")
    command("list", _list, "list the keys by their names")
    revoke = command("revoke", _revoke, "make a key worthless: its next request is answered 401")
    revoke.add_argument("name", metavar="NAME", help="of the key")
    return p


def _name(text: str) -> str:
    try:
        return check_name(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"a key {e}") from None


def _new(state_dir: str, options: argparse.Namespace) -> int:
    key = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    created = datetime.now(UTC).strftime(CREATED_FORM)
    made = NamedKey(options.name, options.scope, digest_of(key.encode()), created)

    def add(keys: tuple[NamedKey, ...]) -> tuple[NamedKey, ...]:
        if any(other.name == made.name for other in keys):
            raise Unchanged(f"there is a key {made.name} already")
        if len(keys) >= MAX_KEYS:
            raise Unchanged(f"there are {MAX_KEYS} keys already")
        return (*keys, made)

    change_keys(state_dir, add)
    told = _tell_server(state_dir)
    if options.json:
        print(json.dumps({**_shown(made), "key": key, **_shown_told(told)}))
    else:
        print(key, flush=True)
        print(f"The key {made.name} has scope {made.scope}; it is not shown again. {told.text}", file=sys.stderr)
    return _status(told, options.json)


def _list(state_dir: str, options: argparse.Namespace) -> int:
    keys = sorted(read_keys(state_dir), key=lambda key: key.name)
    if options.json:
        print(json.dumps({"keys": [_shown(key) for key in keys]}))
    elif keys:
        width = max(len("NAME"), *(len(key.name) for key in keys))
        print(f"{'NAME':<{width}}  SCOPE  CREATED")
        print("\n".join(f"{key.name:<{width}}  {key.scope:<5}  {key.created}" for key in keys))
    else:
        print(f"no key with a name is kept in {state_dir}", file=sys.stderr)
    return FINE


def _revoke(state_dir: str, options: argparse.Namespace) -> int:
    revoked: list[NamedKey] = []

    def remove(keys: tuple[NamedKey, ...]) -> tuple[NamedKey, ...]:
        revoked.extend(key for key in keys if key.name == options.name)
        if not revoked:
            raise Unchanged(f"there is no key {options.name!r}")
        return tuple(key for key in keys if key.name != options.name)

    change_keys(state_dir, remove)
    told = _tell_server(state_dir)
    if options.json:
        print(json.dumps({**_shown(revoked[0]), **_shown_told(told)}))
    else:
        print(f"The key {options.name} is revoked. {told.text}", file=sys.stdout if told.ok else sys.stderr)
    return _status(told, options.json)


def _status(told: Told, json_only: bool) -> int:
    """Return the exit status; what remains to be done is said to people even if a program reads the rest."""
    if json_only and not told.ok:
        complain("key", told.text)
    return FINE if told.ok else FAILED


def _tell_server(state_dir: str) -> Told:
    try:
        server = hang_up(state_dir)
    except OSError as e:
        why = (e.strerror or str(e)).lower()
        return Told(None, False, f"The server could not be told ({why}): send SIGHUP to its manager.")
    if server is None:
        return Told(None, True, f"No server runs here with {state_dir}: this counts from the next start on.")
    return Told(server, True, f"The server (process {server}) was told.")


def _shown(key: NamedKey) -> dict[str, Any]:
    return {"name": key.name, "scope": key.scope, "created": key.created}


def _shown_told(told: Told) -> dict[str, Any]:
    return {"server": told.server, "told": told.server is not None}
