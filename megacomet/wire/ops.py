"""The requests of a WebSocket and their answers: one JSON object each.

Owns which fields a request has, what each may hold, and which number an error has. It must not know frames, nor what a
connection may do: whether a client may publish, and how many channels it may have, is asked elsewhere. What users read
about it is docs/reference/websocket.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs
import msgspec
from msgspec import UNSET, UnsetType

from megacomet.errors import BadPosition, OpError, PeerError
from megacomet.names import check_channel, is_position, is_reserved
from megacomet.wire.encodings import message_objects
from megacomet.wire.jsonbytes import check_utf8, compact, too_deep
from megacomet.wire.push import MAX_KEY_BYTES

MAX_HISTORY: Final = 1000
DEFAULT_HISTORY: Final = 100
#: The largest integer that every language's JSON gives back as it was, JavaScript's included.
MAX_ID: Final = 2**53
MAX_ID_CHARACTERS: Final = 64
#: Ops that the vocabulary has and the server has not yet.
NOT_AVAILABLE: Final = frozenset({"presence", "auth", "rpc"})

#: What a refused part of a request, or the store, comes to in a WebSocket; everything else is malformed.
_CODES: Final[dict[str, int]] = {
    "internal": 100,
    "overloaded": 100,
    "shutting-down": 100,
    "unauthorized": 101,
    "reserved-channel": 103,
    "forbidden": 103,
    "too-large": 106,
    "too-many-requests": 111,
    "mailbox-full": 507,
    "store-full": 507,
}
#: A decoder's complaint may quote the peer's own field names, which may be as long as its message.
_MAX_DETAIL: Final = 200  # characters
_INTEGER: Final = re.compile(rb"0|[1-9][0-9]{0,15}").fullmatch
_text_of: Final = msgspec.json.Decoder(str).decode


@attrs.frozen
class Subscribe:
    """Hear channels.

    Attributes:
        channels: at least one, each once, in the order given.
        since: a position or b"oldest"; b"": from now.
        id: the request's id as JSON; None: no answer is wanted. So in all requests.
    """

    channels: tuple[bytes, ...]
    since: bytes
    id: bytes | None


@attrs.frozen
class Unsubscribe:
    """Hear channels no longer.

    Attributes:
        channels: at least one, each once, in the order given.
    """

    channels: tuple[bytes, ...]
    id: bytes | None


@attrs.frozen
class Publish:
    """Publish a message.

    Attributes:
        data: checked JSON without line breaks.
        key: the idempotency key; None: none.
    """

    channel: bytes
    data: bytes
    key: bytes | None
    id: bytes | None


@attrs.frozen
class History:
    """Read what is kept of a channel.

    Attributes:
        since: a position or b"oldest"; b"": not given.
        limit: messages, 1 to `MAX_HISTORY`.
    """

    channel: bytes
    since: bytes
    limit: int
    id: bytes | None


@attrs.frozen
class Ping:
    """Ask for a sign of life."""

    id: bytes | None


Request = Subscribe | Unsubscribe | Publish | History | Ping


class _Fields(msgspec.Struct, tag_field="op", forbid_unknown_fields=True):
    id: msgspec.Raw | UnsetType = UNSET


class _Subscribe(_Fields, tag="subscribe", kw_only=True):
    channels: list[str]
    since: str = ""


class _Unsubscribe(_Fields, tag="unsubscribe", kw_only=True):
    channels: list[str]


class _Publish(_Fields, tag="publish", kw_only=True):
    channel: str
    data: msgspec.Raw
    key: str | UnsetType = UNSET


class _History(_Fields, tag="history", kw_only=True):
    channel: str
    since: str = ""
    limit: int = DEFAULT_HISTORY


class _Ping(_Fields, tag="ping"):
    pass


class _Envelope(msgspec.Struct):
    op: msgspec.Raw | UnsetType = UNSET
    id: msgspec.Raw | UnsetType = UNSET


_decode: Final = msgspec.json.Decoder(_Subscribe | _Unsubscribe | _Publish | _History | _Ping).decode
_decode_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_OPS: Final = frozenset({"subscribe", "unsubscribe", "publish", "history", "ping"})


def parse(payload: bytes, max_data_bytes: int) -> Request:
    """Decode a request.

    A field that stands twice counts as it stands last.

    Args:
        payload: of a text frame, UTF-8 or not.
        max_data_bytes: the most that the data of a publish may have.

    Raises:
        OpError: 103 (a channel that browsers may not name), 104 (unknown op), 106 (data too large), 107 (all else that
            is wrong) or 108 (an op that does not exist yet), with the request's id when it could be read.
    """
    try:
        check_utf8(payload)
        fields = _decode(payload)
    except PeerError as e:
        raise op_error(e, None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise _complaint(payload, e) from None
    id_ = _id(fields.id)
    try:
        return _request(fields, id_, max_data_bytes)
    except PeerError as e:
        raise op_error(e, id_) from None


def op_error(error: PeerError, id_: bytes | None) -> OpError:
    """Return what an error of the catalogue of HTTP comes to as the answer to a request with this id."""
    return OpError(_CODES.get(error.code, 107), error.detail or error.title, id_)


def _complaint(payload: bytes, error: Exception) -> OpError:
    """Find out what a request is that is none of ours: the id is told as soon as it is JSON at all."""
    try:
        envelope = _decode_envelope(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        return OpError(107, str(e)[:_MAX_DETAIL])
    except RecursionError:
        return op_error(too_deep(""), None)
    id_ = _id(envelope.id)
    op = b"" if envelope.op is UNSET else bytes(envelope.op)
    if op[:1] == b'"' and (name := _text_of(op)) not in _OPS:
        return OpError(108 if name in NOT_AVAILABLE else 104, "", id_)
    return OpError(107, str(error)[:_MAX_DETAIL], id_)


def _id(raw: msgspec.Raw | UnsetType) -> bytes | None:
    """Return an id as it is to be echoed; `null` is none."""
    text = b"null" if raw is UNSET else bytes(raw)
    if text == b"null":
        return None
    if text[:1] == b'"':
        if len(_text_of(text)) <= MAX_ID_CHARACTERS:
            return text
    elif _INTEGER(text) is not None and int(text) <= MAX_ID:
        return text
    raise OpError(107, f"id is an integer from 0 to 2^53 or a string of at most {MAX_ID_CHARACTERS} characters")


def _request(fields: _Fields, id_: bytes | None, max_data_bytes: int) -> Request:
    match fields:
        case _Subscribe():
            return Subscribe(_channels(fields.channels), _since(fields.since), id_)
        case _Unsubscribe():
            return Unsubscribe(_channels(fields.channels), id_)
        case _Publish():
            channel = _channel(fields.channel)
            return Publish(channel, compact(bytes(fields.data), max_data_bytes), _key(fields.key), id_)
        case _History():
            if not 1 <= fields.limit <= MAX_HISTORY:
                raise PeerError("bad-fields", f"limit is 1 to {MAX_HISTORY}")
            return History(_channel(fields.channel), _since(fields.since), fields.limit, id_)
        case _:
            return Ping(id_)


def _channels(names: list[str]) -> tuple[bytes, ...]:
    if not names:
        raise PeerError("bad-fields", "channels names at least one")
    return tuple(dict.fromkeys(map(_channel, names)))


def _channel(name: str) -> bytes:
    channel = check_channel(name.encode())
    if is_reserved(channel):
        raise PeerError("reserved-channel", "mailboxes are reached by client=, and everybody hears * anyway")
    return channel


def _since(text: str) -> bytes:
    since = text.encode()
    if since not in (b"", b"oldest") and not is_position(since):
        raise BadPosition("since is a position that the server gave, or oldest")
    return since


def _key(key: str | UnsetType) -> bytes | None:
    if key is UNSET:
        return None
    raw = key.encode()
    if not 1 <= len(raw) <= MAX_KEY_BYTES:
        raise PeerError("bad-fields", f"key has 1 to {MAX_KEY_BYTES} bytes")
    return raw


def ok(id_: bytes) -> bytes:
    """Return the answer to a request that has nothing to tell.

    Args:
        id_: the request's, as `parse` gave it. To a request without one there is no answer. So in all answers.
    """
    return b'{"op":"ok","id":%b}' % id_


def ok_position(id_: bytes, position: bytes) -> bytes:
    """Return the answer to `subscribe` and `ping`: where the client stands."""
    return b'{"op":"ok","id":%b,"position":"%b"}' % (id_, position)


def ok_message(id_: bytes, position: bytes) -> bytes:
    """Return the answer to `publish`: the new message's id."""
    return b'{"op":"ok","id":%b,"message":"%b"}' % (id_, position)


def ok_history(id_: bytes, messages: Iterable[tuple[bytes, bytes, bytes]], position: bytes, gap: bool) -> bytes:
    """Return the answer to `history`.

    Args:
        messages: channel, id and data of each, in order; they look as in a poll.
        position: what to ask from next.
        gap: whether something is missing before them.
    """
    form = b'{"op":"ok","id":%b,"messages":[%b],"position":"%b","gap":%b}'
    return form % (id_, message_objects(messages), position, b"true" if gap else b"false")


def error(id_: bytes | None, code: int, message: str) -> bytes:
    """Return the answer to a request that was refused.

    Args:
        id_: the request's; None: it had none, or none that could be read, and the answer has no `id` either. (As in
            Centrifugo, where only replies have one. A request without id that fails is answered nevertheless.)
        code: a key of `errors.OP_CODES`.
        message: for the client's developer.
    """
    whose = b"" if id_ is None else b'"id":%b,' % id_
    return b'{"op":"error",%b"code":%d,"message":%b}' % (whose, code, msgspec.json.encode(message))
