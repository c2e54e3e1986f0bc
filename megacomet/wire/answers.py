"""The answers of the API: types that they are encoded from, and that the API's description is made of.

An answer has its fields in the order that they have here. The texts under "Attributes" stand in the description too, so
they say `null` and not None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from megacomet.errors import CATALOGUE
from megacomet.wire.described import After, Channel, Client, Count, Position, Time

_CODES: Final = [{"const": code, "title": title} for code, (_, title) in CATALOGUE.items()]

Transport = Annotated[str, Meta(extra_json_schema={"enum": ["poll", "sse", "stream", "ws"]})]
RefusalCode = Annotated[str, Meta(extra_json_schema={"enum": ["mailbox-full", "store-full"]})]


class Pushed(Struct, frozen=True, omit_defaults=True):
    """What became of a push to one target.

    Attributes:
        id: the message's position.
        status: `sent`: handed to a worker that has a listener now; `queued`: nobody listens, it is kept; `unheard`:
            nobody listens, and nothing is kept.
        repeated: whether an earlier push with the same `key` is answered again.
        connections: how many it was written to; only with a receipt.
    """

    id: Position
    status: Annotated[str, Meta(extra_json_schema={"enum": ["sent", "queued", "unheard"]})]
    repeated: bool = False
    connections: Count | UnsetType = UNSET


class PushedOne(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What became of one target of several.

    Attributes:
        channel: the target; a client's mailbox is `@` and the client's id.
        id: the message's position; none when it was refused.
        status: as for one target, or `refused`.
        repeated: whether an earlier push with the same `key` is answered again.
        connections: how many it was written to; only with a receipt.
        code: why it was refused.
    """

    channel: Channel
    id: Position | UnsetType = UNSET
    status: Annotated[str, Meta(extra_json_schema={"enum": ["sent", "queued", "unheard", "refused"]})]
    repeated: bool = False
    connections: Count | UnsetType = UNSET
    code: RefusalCode | UnsetType = UNSET


class PushedMany(Struct, frozen=True):
    """What became of a push to a list of targets.

    Attributes:
        results: one for each target, in the order that was asked for.
    """

    results: list[PushedOne]


class BatchError(Struct, frozen=True):
    """A line that was refused, for some of its targets at least.

    Attributes:
        line: its number, from 1 on; blank lines count.
        code: of the error.
        detail: what exactly is wrong.
    """

    line: Annotated[int, Meta(extra_json_schema={"minimum": 1})]
    code: Annotated[str, Meta(extra_json_schema={"enum": sorted(CATALOGUE)})]
    detail: str


class BatchDone(Struct, frozen=True):
    """What became of a batch.

    Attributes:
        lines: pushes, blank lines not counted.
        sent: messages that were handed to a worker that has a listener.
        queued: messages that are kept, for nobody listens.
        unheard: messages that nobody listens to and nothing keeps.
        repeated: messages that were answered from an earlier push with the same key.
        failed: lines that published nothing.
        errors: the first of them.
        position: everything that the batch published is up to it.
    """

    lines: Count
    sent: Count
    queued: Count
    unheard: Count
    repeated: Count
    failed: Count
    errors: list[BatchError]
    position: Position


class ListedChannel(Struct, frozen=True):
    """A channel in a list.

    Attributes:
        channel: its name.
        subscribers: connections that hear it.
        messages: how many are kept.
    """

    channel: Channel
    subscribers: Count
    messages: Count


class ChannelList(Struct, frozen=True):
    """A page of channels.

    Attributes:
        channels: in the order that was asked for.
        after: what the next page is asked for with; `null`: this is the last.
    """

    channels: list[ListedChannel]
    after: After | None


class ChannelInfo(Struct, frozen=True):
    """A channel.

    Attributes:
        channel: its name.
        subscribers: connections that hear it.
        messages: how many are kept.
        position: whoever resumes from there misses nothing from now on.
        waiting: of a mailbox, the messages that were not written to any connection yet.
    """

    channel: Channel
    subscribers: Count
    messages: Count
    position: Position
    waiting: Count | UnsetType = UNSET


class HistoryMessage(Struct, frozen=True):
    """A message that is kept.

    Attributes:
        id: its position.
        data: as it was pushed.
        time: when it was published.
    """

    id: Position
    data: Raw
    time: Time


class History(Struct, frozen=True):
    """What is kept of a channel.

    Attributes:
        messages: in the order that was asked for.
        position: from where to ask for what comes behind them.
        gap: whether something after the position asked from is, or may be, no longer kept.
        more: whether a bound cut the list off.
    """

    messages: list[HistoryMessage]
    position: Position
    gap: bool
    more: bool


class Removed(Struct, frozen=True):
    """What was dropped.

    Attributes:
        removed: messages.
    """

    removed: Count


class ClientConnection(Struct, frozen=True):
    """A connection of a client.

    Attributes:
        worker: the number of the worker that has it.
        transport: `poll`, `sse`, `stream` or `ws`.
        address: of the peer, `unix` on a UNIX socket; `null`: it has just gone.
        since: when the poll or the stream began; `null`: the system does not tell.
        channels: that it hears, beside that of everyone.
        backlog_bytes: written to it and not sent yet.
    """

    worker: Count
    transport: Transport
    address: str | None
    since: Time | None
    channels: list[Channel]
    backlog_bytes: Count


class ClientInfo(Struct, frozen=True):
    """A client.

    Attributes:
        client: its id.
        waiting: messages that were not written to any connection yet.
        connections: that it has now, by worker.
    """

    client: Client
    waiting: Count
    connections: list[ClientConnection]


class Disconnected(Struct, frozen=True):
    """Who was cut off.

    Attributes:
        disconnected: connections.
    """

    disconnected: Count


#: A line of the audit log, as it stands there.
AuditEntry = Annotated[Raw, Meta(extra_json_schema={"type": "object", "required": ["time", "action", "result"]})]


class AuditPage(Struct, frozen=True):
    """What was changed, and by whom.

    Attributes:
        entries: of the audit log, the newest first.
        before: what the page of older ones is asked for with; `null`: this is the last.
        unreadable: lines that were passed over, since they are no entries.
    """

    entries: Sequence[AuditEntry]
    before: str | None
    unreadable: Count


class SettingInForce(Struct, frozen=True):
    """A setting.

    Attributes:
        value: in force; a secret is `(hidden)`.
        source: where it came from: `built-in`, a file, a variable or the `command line`.
        default: the built-in value.
        unit: `s`, `bytes` or nothing.
        text: what it does.
        zero: what 0, or nothing, means; empty: it means nothing special, or is not allowed.
    """

    value: Any
    source: str
    default: Any
    unit: str
    text: str
    zero: str


#: The settings in force, by name.
Config = Mapping[str, SettingInForce]


class Readiness(Struct, frozen=True):
    """Whether the server can serve.

    Attributes:
        ready: whether every worker listens.
        workers: how many there should be.
    """

    ready: bool
    workers: Count


class FieldError(Struct, frozen=True):
    """What is wrong with one field.

    Attributes:
        pointer: the JSON pointer of the field (RFC 6901).
        detail: what is wrong with it.
    """

    pointer: str
    detail: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """An error (RFC 9457).

    Attributes:
        type: `urn:megacomet:error:` and the code.
        title: the code in words.
        status: the status of the answer.
        detail: what exactly is wrong.
        code: what a program looks at.
        request_id: as in X-Request-Id; the log has it too.
        errors: the fields at fault, where it is one of the body's.
    """

    type: str
    title: str
    status: Annotated[int, Meta(extra_json_schema={"enum": sorted({status for status, _ in CATALOGUE.values()})})]
    detail: str
    code: Annotated[str, Meta(extra_json_schema={"oneOf": _CODES})]
    request_id: str
    errors: list[FieldError] | UnsetType = UNSET


#: Returns the body of an answer.
as_json: Final = msgspec.json.Encoder().encode
