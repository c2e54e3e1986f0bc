"""Connections by server-sent events, on treq."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from megacomet.client.event_stream import Event, EventStream
from megacomet.client.failures import said
from megacomet.client.http import MOST_ERROR_BYTES, BodyReader, Head, Http, discard_body, head_of, whole_body
from megacomet.client.objects import EVENT_STREAM, PROBLEM, Garbage, of_event, of_problem
from megacomet.client.rules import Ending
from megacomet.client.ways import Ear, Wanted


class SseWay:
    """The transport."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def open(self, wanted: Wanted, ear: Ear) -> SseConnection:
        """Begin to open a connection."""
        return SseConnection(self._http, wanted, ear)


class SseConnection(BodyReader):
    """One stream."""

    def __init__(self, http: Http, wanted: Wanted, ear: Ear) -> None:
        self._ear: Ear | None = ear
        self._stream = EventStream()
        asked = http.get(f"/comet/events?{wanted.query()}", {"Accept": EVENT_STREAM, "Cache-Control": "no-cache"})
        self._asking: Deferred[Any] = asked.addCallbacks(self._answered, lambda failure: self._end(0, said(failure)))

    def ask(self) -> None:
        """Nothing can be asked of a stream."""

    def send(self, op: dict[str, Any]) -> bool:
        """Nothing can be sent on a stream."""
        return False

    def close(self) -> None:
        """End it, and tell nothing more."""
        self._ear = None
        self._asking.cancel()
        self.drop()

    def _answered(self, response: Any) -> None:
        head = head_of(response)
        if head.status == 200 and head.kind == EVENT_STREAM:
            if self._ear is not None:
                self._ear.heard()
                response.deliverBody(self)
        elif head.kind == PROBLEM:
            self._asking = whole_body(response, MOST_ERROR_BYTES)
            self._asking.addCallbacks(lambda body: self._refused(head, body), lambda _: self._refused(head, b""))
        else:
            discard_body(response)
            self._end(*strange(head), head.wait_s, head.status == 204)

    def _refused(self, head: Head, body: bytes) -> None:
        self._end(head.status, of_problem(body) or f"status {head.status}", head.wait_s, True)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the stream."""
        ear = self._ear
        if ear is None:
            return
        ear.heard()
        try:
            for event in self._stream.receive(data):
                self._tell(event)
        except Garbage as e:
            self._end(0, str(e))
            self.drop()
        else:
            ear.flush()

    def _tell(self, event: Event) -> None:
        if self._ear is None:
            return
        try:
            value = of_event(*event)
        except Garbage as e:
            self._ear.complain(str(e))
        else:
            if value is not None:
                self._ear.told(value, len(event.data))

    def body_ended(self, error: str) -> None:
        """Tell the end of the stream."""
        retry_ms = self._stream.retry_ms
        self._end(0, error or "the stream has ended", (retry_ms or 0) / 1000, retry_ms is not None)

    def _end(self, code: int, reason: str, wait_s: float = 0.0, is_server_s: bool = False) -> None:
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.ended(Ending(code, reason, wait_s, is_server_s))


def strange(head: Head) -> tuple[int, str]:
    """Return code and reason of an answer that is none of MegaComet's."""
    if head.status == 200:
        return 0, f"the answer is no MegaComet's: it is {head.kind or 'of no type'}"
    return head.status, f"status {head.status}"
