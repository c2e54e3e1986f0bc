"""Everything that can go wrong and that a caller may tell apart.

    MegaCometError
      SettingError            a setting's value breaks its rule
      StartError              the server cannot start (port in use, directory not writable, ...)
      KeyFileError            the file of the API keys is broken, or cannot be read or written
      ChangeError             the doctor could not change the system, or not change it back
      PeerError               caused by who speaks to us; carries the code of the published catalogue
        BadName               a client id or channel that breaks wire rule 1
        BadPosition           a `since` that is not a position
        BadBody               a chunked body that is malformed; has what came before the fault
        BadData               `data` that is not JSON, not UTF-8, too deep or too large
        Refused               the store does not take a message (mailbox-full, store-full)
        TooMany               what is asked for was tried too often; tells when it may be tried again
        WrongMethod           a method that the path does not have; tells those that it has
      OpError                 a request of a WebSocket that is refused; carries a number of `OP_CODES`
      CallError               a command of `megacomet`, or a client, did not get from the API what it asked for
        NoServer              nobody answers
          Unanswered          the answer did not come; what was asked for may have been done
        Rejected              the API's answer is an error
      Disconnected            the server has told a client that listens not to come back
      SubscriptionRefused     channels that were added later cannot be listened to

Callers test types and `code`, never the text. Whatever is not a MegaCometError is a bug.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: The published catalogue: code -> (HTTP status, title). One table for the workers' answers and for the API's.
CATALOGUE: Final[dict[str, tuple[int, str]]] = {
    "bad-request": (400, "The request is malformed"),
    "bad-json": (400, "The body is not JSON"),
    "bad-position": (400, "Not a position"),
    "bad-name": (400, "Not a client id or channel"),
    "bad-callback": (400, "Not a JSONP callback name"),
    "reserved-channel": (400, "The channel cannot be named here"),
    "no-channel": (400, "No channel and no client was named"),
    "unauthorized": (401, "A valid key is needed"),
    "forbidden": (403, "The key does not allow this"),
    "bad-origin": (403, "The origin is not allowed"),
    "not-found": (404, "Nothing stands at this path"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "head-timeout": (408, "The request head took too long"),
    "conflict": (409, "It is not in a state for this"),
    "too-large": (413, "The body is too large"),
    "uri-too-long": (414, "The request line is too long"),
    "unsupported-media-type": (415, "The content type is not supported"),
    "bad-fields": (422, "The fields are not those of this request"),
    "upgrade-required": (426, "A WebSocket handshake is needed"),
    "too-many-requests": (429, "Too many requests"),
    "head-too-large": (431, "The request head is too large"),
    "internal": (500, "An error of the server"),
    "not-implemented": (501, "Not implemented"),
    "overloaded": (503, "No room at the moment"),
    "shutting-down": (503, "The server is shutting down"),
    "version-not-supported": (505, "The HTTP version is not supported"),
    "mailbox-full": (507, "The mailbox is full"),
    "store-full": (507, "The message store is full"),
}

#: The published numbers of the errors that answer requests of a WebSocket, those of Centrifugo where it has the same.
OP_CODES: Final[dict[int, str]] = {
    100: "An error of the server",
    101: "A valid token is needed",
    102: "The channel is not known",
    103: "The permission is missing",
    104: "The op is not known",
    106: "A limit is exceeded",
    107: "The request is malformed",
    108: "The op is not available",
    109: "The token has expired",
    111: "Too many requests at the moment",
    112: "The position cannot be resumed from",
    507: "The message store is full",
}


class MegaCometError(Exception):
    """Base of all errors that this package raises on purpose."""


class SettingError(MegaCometError):
    """Raised when the value of a setting breaks its rule.

    Attributes:
        setting: its name, as in the configuration file.
        value: what was given.
        rule: what it must be, as a phrase ("a whole number from 1 to 65535").
        source: where the value came from ("command line", "MEGACOMET_PORT", a file's name).
    """

    def __init__(self, setting: str, value: object, rule: str, source: str = "") -> None:
        super().__init__(setting, value, rule, source)
        self.setting = setting
        self.value = value
        self.rule = rule
        self.source = source

    def __str__(self) -> str:
        origin = f" (from {self.source})" if self.source else ""
        return f"{self.setting} = {self.value!r}{origin}: must be {self.rule}"


class StartError(MegaCometError):
    """Raised when the server cannot start; the text names the thing that stands in the way."""


class KeyFileError(MegaCometError):
    """Raised when the file of the API keys is broken, or cannot be read or written. No key and no hash is in its text.

    Attributes:
        path: of the file.
        line: the one at fault, counted from 1; 0: the file as a whole.
        reason: what is wrong, as the end of a sentence about the file or the line.
    """

    def __init__(self, path: str, line: int, reason: str) -> None:
        super().__init__(path, line, reason)
        self.path = path
        self.line = line
        self.reason = reason

    def __str__(self) -> str:
        where = f"line {self.line} of {self.path}" if self.line else self.path
        return f"{where} {self.reason}"


class PeerError(MegaCometError):
    """Raised for what a peer did wrong.

    Attributes:
        code: a key of `CATALOGUE`; the HTTP status and the title follow from it.
        detail: what exactly is wrong, for the peer's developer.
        pointer: the JSON pointer of the field at fault, or "".
    """

    def __init__(self, code: str, detail: str = "", pointer: str = "") -> None:
        super().__init__(code, detail, pointer)
        self.code = code
        self.detail = detail
        self.pointer = pointer

    @property
    def status(self) -> int:
        """The HTTP status to answer with."""
        return CATALOGUE[self.code][0]

    @property
    def title(self) -> str:
        """The catalogue's one-line title of the code."""
        return CATALOGUE[self.code][1]

    def __str__(self) -> str:
        return f"{self.code}: {self.detail or self.title}"


class BadName(PeerError):
    """Raised when a client id or channel breaks the rule of names."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__("bad-name", detail, pointer)


class BadPosition(PeerError):
    """Raised when a `since` is not of the form of a position."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__("bad-position", detail, pointer)


class BadBody(PeerError):
    """Raised when a chunked body is malformed.

    Attributes:
        pieces: of the body, before the fault, in what was taken last.
    """

    def __init__(self, detail: str, pieces: list[bytes]) -> None:
        super().__init__("bad-request", detail)
        self.pieces = pieces


class BadData(PeerError):
    """Raised when `data` is not a JSON value in UTF-8 within the limits of depth and size."""


class Refused(PeerError):
    """Raised when the store does not take a message; nothing that waits was dropped for it."""


class TooMany(PeerError):
    """Raised when something was tried too often.

    Attributes:
        wait_s: seconds after which it may be tried again, at least 1.
    """

    def __init__(self, detail: str, wait_s: int) -> None:
        super().__init__("too-many-requests", detail)
        self.wait_s = wait_s


class WrongMethod(PeerError):
    """Raised when a path does not have the method.

    Attributes:
        allow: those that it has, as in the header Allow.
    """

    def __init__(self, allow: str) -> None:
        super().__init__("method-not-allowed", f"allowed here: {allow}")
        self.allow = allow


class OpError(MegaCometError):
    """Raised when a request of a WebSocket is refused; the connection goes on.

    Attributes:
        code: a key of `OP_CODES`.
        detail: what exactly is wrong, for the peer's developer.
        id: the request's id as JSON; None: it has none, or none that could be read.
    """

    def __init__(self, code: int, detail: str = "", id_: bytes | None = None) -> None:
        super().__init__(code, detail, id_)
        self.code = code
        self.detail = detail
        self.id = id_

    @property
    def message(self) -> str:
        """The text of the answer."""
        return self.detail or OP_CODES[self.code]

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ChangeError(MegaCometError):
    """Raised when the doctor could not change the system, or not change it back; the text is one line for people.

    Attributes:
        reason: what was in the way.
        left: what could not be put back afterwards, as texts; nothing: all is as it was.
    """

    def __init__(self, reason: str, left: Sequence[str] = ()) -> None:
        super().__init__(reason, left)
        self.reason = reason
        self.left = list(left)

    def __str__(self) -> str:
        return self.reason + (
            f"; and could not be put back: {', '.join(self.left)}; --undo may be tried" if self.left else ""
        )


class CallError(MegaCometError):
    """Raised when a call did not get from the API what it asked for; the text is one line for people."""


class NoServer(CallError):
    """Raised when nobody answers at an address, or not in time."""


class Unanswered(NoServer):
    """Raised when a request was sent, and its answer did not come: what it asks for may have been done."""


class Rejected(CallError):
    """Raised when the API's answer is an error.

    Attributes:
        status: of HTTP.
        code: of `CATALOGUE`, or of a newer server's.
        detail: what exactly is wrong.
        pointer: the JSON pointer of the field at fault, or "".
        note: what the command knows about it, or "".
    """

    def __init__(self, status: int, code: str, detail: str, pointer: str = "", note: str = "") -> None:
        super().__init__(status, code, detail, pointer, note)
        self.status = status
        self.code = code
        self.detail = detail
        self.pointer = pointer
        self.note = note

    def __str__(self) -> str:
        where = f"{self.pointer}: " if self.pointer else ""
        return f"{self.status} {self.code}: {where}{self.detail}{f' ({self.note})' if self.note else ''}"


class Disconnected(MegaCometError):
    """Raised when the server has told a client that listens not to come back.

    Attributes:
        code: of the WebSocket's close, or the HTTP status.
        reason: what was told, for people.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


class SubscriptionRefused(MegaCometError):
    """Raised when channels that were added later cannot be listened to; everything else goes on.

    Attributes:
        channels: their names.
        code: of `OP_CODES`, or the HTTP status.
        reason: what was told, for people.
    """

    def __init__(self, channels: tuple[str, ...], code: int, reason: str) -> None:
        super().__init__(channels, code, reason)
        self.channels = channels
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{', '.join(self.channels)}: {self.code}: {self.reason}"
