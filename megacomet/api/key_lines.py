"""The form of the file of the API keys: one JSON object a line. Bytes in, keys out, and the other way round.

    {"name": "shop", "scope": "push", "hash": "sha256:9f86…", "created": "2026-11-28T09:00:00Z"}

Owns the rules of names and lines. Where the file lies and how it is replaced, `key_file.py` knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from megacomet.errors import KeyFileError
from megacomet.model.keys import OWN_NAME, SCOPES, NamedKey

#: More are hard to oversee, and the file is read in one go while the server waits: a thousand take 15 ms.
MAX_KEYS: Final = 1000
#: A line of ours has less than 250 bytes; some room for whoever writes spaces.
MAX_FILE_BYTES: Final = MAX_KEYS * 500
NAME_RULE: Final = "1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-', the first a letter or digit"
CREATED_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})").fullmatch
_FIELDS: Final = ("name", "scope", "hash", "created")


def check_name(name: str) -> str:
    """Return the name when it may be a key's.

    Raises:
        ValueError: says what a name is; as the end of a sentence about whatever has it.
    """
    if not _NAME(name):
        raise ValueError(f"has a name that is not {NAME_RULE}")
    if name == OWN_NAME:
        raise ValueError(f"has the name {OWN_NAME}, which is that of the server's own key")
    return name


def parse_keys(data: bytes, path: str) -> tuple[NamedKey, ...]:
    """Return the keys of a file, in its order; blank lines are passed over.

    Args:
        data: the whole file.
        path: of the file, for the error.

    Raises:
        KeyFileError: names the line at fault. A file without a key is one too: it was cut off, since the one without
            keys is none at all.
    """
    if len(data) > MAX_FILE_BYTES:
        raise KeyFileError(path, 0, f"has more than {MAX_FILE_BYTES} bytes")
    keys: list[NamedKey] = []
    lines: dict[tuple[str, str | bytes], int] = {}
    # Only these end a line; Python's splitlines knows more that may stand in a JSON text.
    for number, line in enumerate(data.replace(b"\r\n", b"\n").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            key = _parse_line(line)
        except ValueError as e:
            raise KeyFileError(path, number, str(e)) from None
        for what, value in (("name", key.name), ("hash", key.digest)):
            first = lines.setdefault((what, value), number)
            if first != number:
                raise KeyFileError(path, number, f"has the {what} of line {first}")
        keys.append(key)
    if not keys:
        raise KeyFileError(path, 0, "is empty: without keys there is no file")
    if len(keys) > MAX_KEYS:
        raise KeyFileError(path, 0, f"has more than {MAX_KEYS} keys")
    return tuple(keys)


def format_keys(keys: Sequence[NamedKey]) -> bytes:
    """Return the file of these keys."""
    return b"".join(
        json.dumps(
            dict(zip(_FIELDS, (key.name, key.scope, f"sha256:{key.digest.hex()}", key.created), strict=True))
        ).encode("ascii")
        + b"\n"
        for key in keys
    )


def _parse_line(line: bytes) -> NamedKey:
    """Return the key of a line; raise `ValueError` with what is wrong, as the end of a sentence about the line."""
    try:
        fields = json.loads(line.decode("utf-8"), object_pairs_hook=_fields)
    except UnicodeDecodeError as e:
        raise ValueError(f"is not UTF-8 (byte {e.start + 1})") from None
    except json.JSONDecodeError as e:
        raise ValueError(f"is not JSON (character {e.pos + 1})") from None
    except RecursionError:
        raise ValueError("is not JSON of our depth") from None
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")
    for field in _FIELDS:
        if not isinstance(fields.get(field), str):
            raise ValueError(f"has no text as {field}")
    found = _HASH(fields["hash"])
    if found is None:
        raise ValueError("has a hash that is not sha256: and 64 hexadecimal digits in lower case")
    if fields["scope"] not in SCOPES:
        raise ValueError(f"has a scope that is none of {', '.join(SCOPES)}")
    return NamedKey(
        check_name(fields["name"]), fields["scope"], bytes.fromhex(found[1]), _check_created(fields["created"])
    )


def _fields(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Make the object; what is said twice, or is not known, is a slip of the pen."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"has {name} twice")
        if name not in _FIELDS:
            raise ValueError(f"has another field than {', '.join(_FIELDS)}")
        fields[name] = value
    return fields


def _check_created(text: str) -> str:
    try:
        if datetime.strptime(text, CREATED_FORM).strftime(CREATED_FORM) == text:
            return text
    except ValueError:
        pass
    raise ValueError("has a created that is not of the form 2026-11-28T09:00:00Z")
