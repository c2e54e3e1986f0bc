"""Why something did not work, in words."""

from __future__ import annotations

import errno

import pytest
from OpenSSL.SSL import Error as TlsError
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError, ConnectionAborted, ConnectionDone, ConnectionLost, DNSLookupError
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.python.failure import Failure
from twisted.web.client import ResponseNeverReceived

from megacomet.client.failures import said


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Refused(osError=errno.ECONNREFUSED, string="x"), "connection refused"),
        (ConnectError(osError="what", string="it is"), "An error occurred while connecting: what: it is"),
        (CancelledError(), "given up"),
        (
            DNSLookupError("no results for hostname lookup: a.example"),
            "DNS lookup failed: no results for hostname lookup: a.example",
        ),
        (ResponseNeverReceived([Failure(Refused(osError=errno.ECONNREFUSED))]), "connection refused"),
        (ResponseNeverReceived([]), "[]"),
        (ValueError(), "ValueError"),
        (TlsError([("SSL routines", "", "certificate verify failed")]), "TLS: certificate verify failed"),
        (TlsError(), "TLS: it has failed"),
    ],
)
def test_said(error: Exception, text: str) -> None:
    """The system's words where it has some, and the innermost reason."""
    assert said(Failure(error)) == text


@pytest.mark.parametrize("error", [ConnectionLost, ConnectionDone, ConnectionAborted])
def test_lost(error: type[Exception]) -> None:
    """A connection that just ended."""
    assert said(Failure(error())) == "the connection was lost"
