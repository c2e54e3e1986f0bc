"""Why something did not work, in the words of the system and not of the libraries."""

from __future__ import annotations

import os
from typing import Final

from OpenSSL.SSL import Error as TlsError
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError, ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

#: The other end has gone, or what lies between.
LOST: Final = "the connection was lost"


def said(failure: Failure) -> str:
    """Return why a request or a connection failed, for people."""
    error = failure.value
    # What twisted.web raises has the failures that it comes from.
    reasons = [reason for reason in getattr(error, "reasons", ()) if isinstance(reason, Failure)]
    if reasons:
        return said(reasons[0])
    if isinstance(error, CancelledError):
        return "given up"
    if isinstance(error, ConnectionDone | ConnectionLost | ConnectionAborted):
        return LOST
    if isinstance(error, TlsError):
        # A list of what OpenSSL has to say, each with its library and function.
        texts = [str(each[-1]) for each in error.args[0]] if error.args and isinstance(error.args[0], list) else []
        return f"TLS: {', '.join(texts) or 'it has failed'}"
    number = error.osError if isinstance(error, ConnectError) else None
    if isinstance(number, int):
        return os.strerror(number).lower()
    return str(error).rstrip(".") or type(error).__name__
