"""The pushes of the REST API: the schema of one, and the answer to it. Many of them in a body are `batch`'s.

Owns which fields a push has and what each may hold. It must not know who may push, nor where messages go.

A name that breaks the rule of names is, in a body, a field with a wrong value: `bad-fields` (422) with its pointer.
`bad-name` (400) is for names in a path or a query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Final, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from megacomet.errors import BadName, PeerError
from megacomet.names import EVERYONE, check_channel, check_client_id, mailbox_of
from megacomet.wire.answers import Pushed, PushedMany, PushedOne, as_json
from megacomet.wire.described import Channel, Client
from megacomet.wire.jsonbytes import check_utf8, compact, too_deep
from megacomet.wire.requests import JSON, NDJSON

#: Where they are sent to, and the types of their bodies; none given is the first.
PUSH_PATH: Final = "/api/push"
BATCH_PATH: Final = "/api/batch"
PUSH_TYPES: Final = (JSON,)
BATCH_TYPES: Final = (NDJSON, JSON)
#: One push; more belong into a batch, which is published as it arrives.
MAX_TARGETS: Final = 10_000
DAY: Final = 24 * 60 * 60
MAX_TTL_S: Final = 30 * DAY
MAX_KEY_BYTES: Final = 128
#: What a push may have besides its data: 10,000 targets of 255 bytes, their quotes and commas, some escapes.
ENVELOPE_BYTES: Final = 3_000_000

_PATH: Final = re.compile(r"(?:(?P<rule>.*) - at `\$(?P<path>[^`]*)`)|(?:.*field `(?P<field>.*)`)", re.DOTALL).fullmatch


#: Which fields name targets; `everyone` does when it is true. Of all of them there is exactly one.
_TARGETS: Final = ("channel", "channels", "client", "clients")
_SOME: Final = {"minItems": 1, "maxItems": MAX_TARGETS}


Ttl = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_TTL_S})]
Fields = TypeVar("Fields")


class PushBody(msgspec.Struct, forbid_unknown_fields=True):
    """A push, to exactly one of `channel`, `channels`, `client`, `clients` and `everyone`.

    Attributes:
        data: any JSON value; it travels as it was sent, without line breaks.
        channel: the target.
        channels: the targets; duplicates count once.
        client: the target: the client's mailbox.
        clients: the targets: the clients' mailboxes; duplicates count once.
        everyone: true: the target is the channel `*`, which needs scope admin.
        ttl: seconds that it is kept, 0: live only; absent: as its namespace says.
        key: whoever sends it again within 300 s to the same target, with the same API key, publishes nothing; bytes
            of UTF-8 count.
    """

    data: msgspec.Raw
    channel: Channel | UnsetType = UNSET
    channels: Annotated[list[Channel], Meta(extra_json_schema=_SOME)] | UnsetType = UNSET
    client: Client | UnsetType = UNSET
    clients: Annotated[list[Client], Meta(extra_json_schema=_SOME)] | UnsetType = UNSET
    everyone: bool | UnsetType = UNSET
    ttl: Ttl | UnsetType = UNSET
    key: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_KEY_BYTES})] | UnsetType = UNSET


#: What the type cannot say of `PushBody`.
PUSH_RULES: Final[dict[str, object]] = {
    "oneOf": [
        *({"required": [name]} for name in _TARGETS),
        {"required": ["everyone"], "properties": {"everyone": {"const": True}}},
    ],
    "examples": [{"client": "sue", "data": {"text": "hello"}}],
}

_decode: Final = msgspec.json.Decoder(PushBody).decode
_walk: Final = msgspec.json.Decoder(msgspec.Raw).decode


class Push(msgspec.Struct, frozen=True, gc=False):
    """What one push asks for.

    Attributes:
        targets: the channels, mailboxes included, in the order given, each once.
        single: whether one target was named by itself, so that the answer is one object and not a list.
        data: checked JSON without line breaks.
        ttl_s: seconds, 0 live only; None: as long as the namespace says.
        key: the idempotency key; None: none.
        everyone: whether the channel of everyone is among the targets, under whatever name it was asked for.
    """

    targets: tuple[bytes, ...]
    single: bool
    data: bytes
    ttl_s: float | None = None
    key: bytes | None = None
    everyone: bool = False


def decode_push(body: bytes, max_data_bytes: int) -> Push:
    """Decode one push.

    Args:
        body: of `POST /api/push`, or one line of a batch.
        max_data_bytes: the most that `data` may have.

    Raises:
        PeerError: `bad-json`, `bad-fields` or `too-large`, with the pointer of the field at fault.
    """
    fields = decode_fields(_decode, body)
    raw = bytes(fields.data)
    data = compact(raw, max_data_bytes)
    _refuse_repeats(body, raw, fields)
    targets, single = _targets(fields)
    return Push(
        targets,
        single,
        data,
        None if fields.ttl is UNSET else ttl_of(fields.ttl),
        None if fields.key is UNSET else _key(fields.key),
        EVERYONE in targets,
    )


def decode_fields(decode: Callable[[bytes], Fields], body: bytes) -> Fields:
    """Decode a body that has `data` beside other fields.

    Args:
        decode: of a `msgspec.json.Decoder`, whose type has the fields.
        body: as it came.

    Raises:
        PeerError: `bad-json` or `bad-fields`, with the pointer of the field at fault.
    """
    check_utf8(body)
    try:
        return decode(body)
    except msgspec.ValidationError as e:
        _refuse_fields(body, e)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise PeerError("bad-json", str(e)) from None
    except RecursionError:
        raise too_deep("/data") from None


def _refuse_fields(body: bytes, error: msgspec.ValidationError) -> NoReturn:
    try:
        _walk(body)
    except msgspec.DecodeError as e:  # what comes after the wrong field is not even JSON
        raise PeerError("bad-json", str(e)) from None
    except RecursionError:
        raise too_deep("") from None
    text = str(error)
    place = _PATH(text)
    if place is None:
        raise PeerError("bad-fields", text) from None
    if place["field"] is not None:
        raise PeerError("bad-fields", text, _pointer(place["field"])) from None
    raise PeerError("bad-fields", place["rule"], place["path"].replace(".", "/").replace("[", "/").replace("]", ""))


def _pointer(field: str, index: int | None = None) -> str:
    name = field.replace("~", "~0").replace("/", "~1")  # RFC 6901
    return f"/{name}" if index is None else f"/{name}/{index}"


def _refuse_repeats(body: bytes, raw: bytes, fields: PushBody) -> None:
    """Refuse a field of a push that stands twice; see `refuse_repeats`."""
    name = fields.channel if fields.client is UNSET else fields.client
    # Nearly always: data and one target, and no colon is left for a third field.
    is_common = name is not UNSET and body.count(b":") == raw.count(b":") + name.count(":") + 2
    if not is_common or body.count(b"\\") != raw.count(b"\\"):
        refuse_repeats(body, raw, fields)


def refuse_repeats(body: bytes, raw: bytes, fields: msgspec.Struct) -> None:
    """Refuse a field that stands twice; the decoder takes the last one without a word.

    Each field has one colon, and the only others are those in the values. So the colons tell, unless something outside
    of `data` is escaped. (A repeated value that is not the last can only add to the count.)

    Args:
        body: as it came.
        raw: the field `data` of it.
        fields: decoded.
    """
    if body.count(b"\\") == raw.count(b"\\"):
        expected = raw.count(b":")
        for value in astuple(fields):
            if value is not UNSET:
                expected += 1
                if type(value) is str:
                    expected += value.count(":")
                elif type(value) is list:
                    expected += sum(item.count(":") for item in value)
        if body.count(b":") == expected:
            return
    try:
        # The numbers stay text: what they mean is not asked, and Python refuses integers of 4,301 digits.
        pairs = json.loads(body, object_pairs_hook=list, parse_int=str, parse_float=str)
    except RecursionError:  # in a value that the last one of its name hides
        raise too_deep("") from None
    names = [name for name, _ in pairs]
    for name in fields.__struct_fields__:
        if names.count(name) > 1:
            raise PeerError("bad-fields", f"the field {name} stands there more than once", _pointer(name))


def _targets(fields: PushBody) -> tuple[tuple[bytes, ...], bool]:
    if fields.channels is fields.clients is UNSET and fields.everyone is not True:  # nearly always
        if fields.client is UNSET and fields.channel is not UNSET:
            return (_target("channel", None, fields.channel),), True
        if fields.channel is UNSET and fields.client is not UNSET:
            return (_target("client", None, fields.client),), True
    named = [name for name in _TARGETS if getattr(fields, name) is not UNSET]
    if fields.everyone is True:
        named.append("everyone")
    if len(named) != 1:
        rule = "exactly one of channel, channels, client, clients and everyone (true) is named"
        raise PeerError("bad-fields", rule, _pointer(named[1]) if named else "")
    kind = named[0]
    if kind == "everyone":
        return (EVERYONE,), True
    value = getattr(fields, kind)
    if isinstance(value, str):
        return (_target(kind, None, value),), True
    if not 1 <= len(value) <= MAX_TARGETS:
        raise PeerError("bad-fields", f"1 to {MAX_TARGETS} are named, not {len(value)}", _pointer(kind))
    return tuple(dict.fromkeys([_target(kind, i, name) for i, name in enumerate(value)])), False


def _target(kind: str, index: int | None, name: str) -> bytes:
    try:
        if kind.startswith("client"):
            return mailbox_of(check_client_id(name.encode()))
        return check_channel(name.encode())
    except BadName as e:
        raise PeerError("bad-fields", e.detail, _pointer(kind, index)) from None


def ttl_of(ttl_s: float) -> float:
    """Return the time that a message is to be kept, seconds; raise `PeerError` when that is none."""
    if not 0 <= ttl_s <= MAX_TTL_S:
        raise PeerError("bad-fields", f"ttl is seconds from 0 to {MAX_TTL_S}", "/ttl")
    return ttl_s


def _key(key: str) -> bytes:
    raw = key.encode()
    if not 1 <= len(raw) <= MAX_KEY_BYTES:
        raise PeerError("bad-fields", f"key has 1 to {MAX_KEY_BYTES} bytes", "/key")
    return raw


class PushResult(msgspec.Struct, frozen=True, gc=False):
    """What happened to one target of a push.

    Attributes:
        channel: the target.
        id: the message's position; b"" when it was refused.
        status: "sent", "queued", "unheard" or "refused".
        repeated: whether an earlier push with the same key is answered again.
        connections: how many it was written to, when a receipt was asked for.
        code: why it was refused: "mailbox-full" or "store-full".
    """

    channel: bytes
    id: bytes
    status: str
    repeated: bool = False
    connections: int | None = None
    code: str = ""


def push_answer(results: Sequence[PushResult], single: bool) -> bytes:
    """Return the body that answers a push.

    Args:
        results: one for each target, in the order of the push. All refused is no answer but a problem.
        single: as in `Push`.
    """
    if single:
        [one] = results
        told = UNSET if one.connections is None else one.connections
        return as_json(Pushed(one.id.decode(), one.status, one.repeated, told))
    return as_json(PushedMany([_one_of_many(result) for result in results]))


def _one_of_many(result: PushResult) -> PushedOne:
    channel = result.channel.decode()
    if result.status == "refused":
        return PushedOne(channel=channel, status=result.status, code=result.code)
    id_, told = result.id.decode(), UNSET if result.connections is None else result.connections
    return PushedOne(channel=channel, id=id_, status=result.status, repeated=result.repeated, connections=told)
