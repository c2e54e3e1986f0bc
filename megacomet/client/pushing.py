"""Pushes as the API takes them, and its answers. Knows no connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import attrs
import msgspec

from megacomet.client.items import Pushed
from megacomet.errors import BadData, CallError, PeerError, Rejected
from megacomet.names import check_channel, check_client_id

_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@attrs.frozen
class Targets:
    """Where a push goes.

    Attributes:
        field: of the request: channel, client, channels, clients or everyone.
        value: its value.
        names: the channels, as the server calls them.
        is_single: whether one was named by itself.
    """

    field: str
    value: Any
    names: Sequence[str]
    is_single: bool


class _Result(msgspec.Struct):
    status: str
    id: str = ""
    connections: int | None = None
    repeated: bool = False
    channel: str = ""
    code: str = ""


class _Results(msgspec.Struct):
    results: list[_Result]


def targets_of(
    channel: str | None,
    client: str | None,
    channels: Sequence[str] | None,
    clients: Sequence[str] | None,
    everyone: bool,
) -> Targets:
    """Return where a push goes.

    Raises:
        BadName: a name breaks the rule of names.
        PeerError: `bad-fields`, not exactly one kind of target was named.
    """
    given = {"channel": channel, "client": client, "channels": channels, "clients": clients}
    named = [name for name, value in given.items() if value is not None] + ["everyone"] * everyone
    if len(named) != 1:
        raise PeerError("bad-fields", f"name one of channel, client, channels, clients and everyone, not {len(named)}")
    if everyone:
        return Targets("everyone", True, ("*",), True)
    field, value = named[0], given[named[0]]
    if isinstance(value, str):
        if field.endswith("s"):
            raise PeerError("bad-fields", f"{field} is a list of names, not one name")
        return Targets(field, value, (_target(field, value),), True)
    names = list(value or ())
    return Targets(field, names, tuple(_target(field, name) for name in names), False)


def _target(field: str, name: str) -> str:
    raw = name.encode("utf-8", "surrogatepass")
    if field.startswith("client"):
        check_client_id(raw)
        return f"@{name}"
    check_channel(raw)
    return name


def body_of(targets: Targets, data: Any, ttl_s: float | None, key: str | None) -> bytes:
    """Return the body of a push.

    Raises:
        BadData: the data is nothing that JSON has.
    """
    fields: dict[str, Any] = {targets.field: targets.value, "data": data}
    if ttl_s is not None:
        fields["ttl"] = ttl_s
    if key is not None:
        fields["key"] = key
    try:
        return json.dumps(fields, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as e:
        raise BadData("bad-json", str(e), "/data") from None


def pushed_of(body: bytes, targets: Targets) -> list[Pushed]:
    """Return what an answer says of each target; raise `CallError` when it is none."""
    try:
        if targets.is_single:
            results = [msgspec.json.decode(body, type=_Result)]
        else:
            results = msgspec.json.decode(body, type=_Results).results
    except _BROKEN:
        raise CallError("the answer is not of the form that this version knows") from None
    return [
        Pushed(one.id, one.status, one.connections, one.repeated, one.channel or targets.names[0], one.code)
        for one in results
    ]


def rejected_of(status: int, body: bytes) -> Rejected:
    """Return the error that a problem tells."""
    try:
        problem = msgspec.json.decode(body)
    except _BROKEN:
        problem = None
    told: dict[str, Any] = problem if isinstance(problem, dict) else {}
    errors = told.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = str(told.get("code") or told.get("title") or "error")
    return Rejected(status, code, str(told.get("detail", "")), str(first.get("pointer", "")))
