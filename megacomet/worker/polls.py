"""What a poll asks for: from a request head to channels, position, time and form (the wire contract, section 5).

Channels and position are asked for in the same way by streams (`openings`).

Pure: it answers with values or with the `PeerError` to be told, and knows nothing of connections.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

import attrs

from megacomet.errors import PeerError
from megacomet.model.position import parse_since
from megacomet.model.session import Session
from megacomet.names import check_channel, check_client_id, is_reserved, mailbox_of
from megacomet.wire.encodings import is_callback
from megacomet.wire.http import RequestHead, query_pairs

#: The longest wait that may be asked for, seconds: what asks for more gets this.
MOST_TIMEOUT_S: Final = 900
#: Messages an answer, at most and unless the request says.
MOST_LIMIT: Final = 1000
LIMIT: Final = 100

_SECONDS: Final = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,9})?").fullmatch
_COUNT: Final = re.compile(rb"[0-9]{1,4}").fullmatch


@attrs.frozen
class Form:
    """How a poll wants to be answered.

    Attributes:
        is_script: one message in raw form (`/<client>.js`), else the object of `/comet/poll`.
        callback: the JSONP function, b"" for none.
        origin: the page's origin, when the answer depends on it, else b"".
    """

    is_script: bool
    callback: bytes = b""
    origin: bytes = b""

    def pack(self) -> bytes:
        """Return it as the bytes that `form_of` takes; of those that nearly all polls want, a few."""
        if not self.callback and not self.origin:
            return b"" if self.is_script else _IS_OBJECT
        return b"%c%b\0%b" % (self.is_script, self.callback, self.origin)


#: Shared by the nearly all polls that want nothing special: a form of its own would cost each of them 88 bytes.
SCRIPT: Final = Form(is_script=True)
OBJECT: Final = Form(is_script=False)
_IS_OBJECT: Final = b"\0"


def form_of(packed: bytes) -> Form:
    """Return the form of a session's options."""
    if not packed:
        return SCRIPT
    if packed == _IS_OBJECT:
        return OBJECT
    callback, _, origin = packed[1:].partition(b"\0")
    return Form(packed[0] == 1, callback, origin)


@attrs.frozen
class Poll:
    """One poll.

    Attributes:
        channels: what it listens to, a mailbox included, each once.
        since: from where it goes on, as text; b"" from now.
        limit: at most so many messages.
        timeout_s: how long it waits; 0: it is answered at once; infinite: for ever.
        form: how it is answered.
    """

    channels: tuple[bytes, ...]
    since: bytes
    limit: int
    timeout_s: float
    form: Form

    @property
    def is_plain(self) -> bool:
        """Whether its mailbox is all there is to know, and it can wait as a name."""
        return self.form is SCRIPT and not self.since and self.timeout_s > 0

    def session(self) -> Session:
        """Return the row for the hub."""
        return Session(self.channels, self.form.pack(), self.since, self.limit, self.timeout_s == 0)


def script_poll(client: bytes, head: RequestHead, origin: bytes) -> Poll:
    """Read `GET /<client>.js`.

    Args:
        client: the segment without its ending, decoded.
        head: the request.
        origin: what the answer's CORS lines depend on, b"" if on nothing.

    Raises:
        PeerError: `bad-name`, `bad-callback`, `bad-position`, `bad-request`.
    """
    channels = (mailbox_of(check_client_id(client)),)
    pairs = dict(query_pairs(head.query)) if head.query else {}
    form = _form(SCRIPT, pairs, origin)
    return Poll(channels, since_of(pairs, head), 1, _timeout(pairs, math.inf), form)


def object_poll(head: RequestHead, origin: bytes, *, timeout_s: float, most_channels: int) -> Poll:
    """Read `GET /comet/poll`.

    Args:
        head: the request.
        origin: what the answer's CORS lines depend on, b"" if on nothing.
        timeout_s: how long it waits unless it says.
        most_channels: how many a poll may name.

    Raises:
        PeerError: those of `script_poll`, `reserved-channel`, `no-channel`.
    """
    channels, pairs = wanted_channels(head, most_channels)
    if not channels:
        raise PeerError("no-channel", "name a channel= or a client=")
    form = _form(OBJECT, pairs, origin)
    return Poll(channels, since_of(pairs, head), _limit(pairs), _timeout(pairs, timeout_s), form)


def wanted_channels(head: RequestHead, most: int) -> tuple[tuple[bytes, ...], dict[bytes, bytes]]:
    """Return the channels that a query names, the client's mailbox last, and the query's other parameters.

    Raises:
        PeerError: `bad-name`, `reserved-channel`, `bad-request`.
    """
    queried = query_pairs(head.query)
    pairs = dict(queried)
    channels = dict.fromkeys(check_channel(value) for name, value in queried if name == b"channel")
    for channel in channels:
        if is_reserved(channel):
            raise PeerError("reserved-channel", "mailboxes are reached by client=, and everybody hears * anyway")
    if len(channels) > most:
        raise PeerError("bad-request", f"a connection has at most {most} channels")
    if b"client" in pairs:
        channels[mailbox_of(check_client_id(pairs[b"client"]))] = None
    return tuple(channels), pairs


def _form(common: Form, pairs: Mapping[bytes, bytes], origin: bytes) -> Form:
    callback = pairs.get(b"callback")
    if callback is None and not origin:
        return common
    if callback is not None and not is_callback(callback):
        raise PeerError("bad-callback", "a callback is a JavaScript name of at most 128 letters, digits, $, _ and .")
    return Form(common.is_script, callback or b"", origin)


def since_of(pairs: Mapping[bytes, bytes], head: RequestHead) -> bytes:
    """Return from where a request wants to go on, b"" for from now.

    Raises:
        PeerError: `bad-position`.
    """
    # An EventSource repeats its old URL and puts the news into the header, so the header wins; empty is absent.
    since = head.headers.get(b"last-event-id") or pairs.get(b"lastEventId") or pairs.get(b"since") or b""
    parse_since(since)
    return since


def _timeout(pairs: Mapping[bytes, bytes], unless_said: float) -> float:
    text = pairs.get(b"timeout")
    if text and _SECONDS(text) is None:
        raise PeerError("bad-request", "a timeout is a number of seconds")
    seconds = float(text) if text else unless_said
    return seconds if seconds == math.inf else min(seconds, MOST_TIMEOUT_S)


def _limit(pairs: Mapping[bytes, bytes]) -> int:
    text = pairs.get(b"limit")
    if not text:
        return LIMIT
    if _COUNT(text) is None or not 1 <= int(text) <= MOST_LIMIT:
        raise PeerError("bad-request", f"a limit is a whole number from 1 to {MOST_LIMIT}")
    return int(text)
