"""`POST /api/push` and `/api/batch` on the public port: answered by the worker that has the connection.

They are answered as the manager's own doors answer them (`megacomet.api`), to the byte: what is checked, in which order
and with which words, both have from `megacomet.wire` and `megacomet.publishing`; here it is done on rows. The worker
decodes pushes, and the manager publishes them (`pusher`). A connection has an object here while its request lasts, and
none between two requests.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from typing import Final

import msgspec
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet import peers
from megacomet.errors import BadBody, PeerError
from megacomet.kinds import CLOSES, LINGERS
from megacomet.model.keys import ADMIN, PUSH, Identity
from megacomet.publishing.batch import Batch
from megacomet.publishing.pushing import Outcome, Sender, decode
from megacomet.rows import Rows
from megacomet.taking import Taking
from megacomet.wire.http import RequestHead
from megacomet.wire.push import BATCH_PATH, BATCH_TYPES, ENVELOPE_BYTES, PUSH_PATH, PUSH_TYPES, push_answer
from megacomet.wire.requests import CONTINUE, check_type, expects_continue, too_large, wants_receipt
from megacomet.wire.transfer import ChunkedBody, SizedBody, body_of
from megacomet.worker.answers import Answers
from megacomet.worker.pusher import Pusher

_PUSH: Final = PUSH_PATH.encode()
_BATCH: Final = BATCH_PATH.encode()
#: Of all pushes that are being received; of a batch only an unfinished line is kept, and not counted. Whoever may push
#: is trusted, and may still be mistaken.
MOST_KEPT_BYTES: Final = 128_000_000
#: Heads that are remembered, and how long one may be: some hundred bytes, but for who sends cookies.
MOST_FAMILIAR: Final = 256
MOST_FAMILIAR_BYTES: Final = 1024


class _Request(msgspec.Struct, eq=False):
    """A request that is being received or answered.

    Attributes:
        fd: its row.
        head: its head.
        id: for answers and notes.
        identity: who asks.
        body: what cuts the body out of what comes.
        batch: takes it; None: it is a push, whose body is kept.
        pieces, size: of the body that is kept.
    """

    fd: int
    head: RequestHead
    id: str
    identity: Identity
    body: SizedBody | ChunkedBody | None = None
    batch: Batch | None = None
    pieces: list[bytes] = msgspec.field(default_factory=list)
    size: int = 0


class Pushes:
    """The two doors.

    Attributes:
        answered: requests, by status.
        refused: errors told, by code.
    """

    _log = Logger()

    def __init__(
        self, rows: Rows, answers: Answers, refused: Counter[str], pusher: Pusher, *, silence_s: float
    ) -> None:
        """
        Args:
            rows: the connections.
            answers: makes answers.
            refused: errors told, by code, are counted there.
            pusher: publishes.
            silence_s: how long a client may send nothing of a body that it has begun.
        """
        self.answered: Counter[int] = Counter()
        self.refused = refused
        self._rows = rows
        self._answers = answers
        self._pusher = pusher
        self._taking = Taking(rows, silence_s)
        self._max_bytes = ENVELOPE_BYTES + pusher.max_data_bytes
        self._kept = 0
        self._of: dict[int, _Request] = {}
        #: by the bytes of a head, its key among them: what it says, and whose it is
        self._familiar: dict[bytes, tuple[RequestHead, Identity]] = {}
        pusher.keys.on_change(self._familiar.clear)

    @staticmethod
    def serves(head: RequestHead) -> bool:
        """Tell whether a request is one for these doors."""
        return head.method == b"POST" and (head.target == _PUSH or head.target == _BATCH)

    def begin_again(self, fd: int, data: bytes, end: int) -> bytes | None:
        """Take a push whose head is the same, to the byte, as that of one before it: nothing of it is looked at again.

        A backend that pushes sends one head with every message; at most the length of the body changes.

        Args:
            fd: its row.
            data: what was read.
            end: where the head ends in it.

        Returns:
            as `begin`; None, and nothing was done: it has to be read, or its body is not all there.
        """
        familiar = self._familiar.get(data[:end])
        if familiar is None or not self._pusher.up:
            return None
        head, identity = familiar
        after = end + head.content_length
        if after > len(data):
            return None
        self._rows.flag(fd, 0)
        request = self._of[fd] = _Request(fd, head, self._answers.request_ids.of(head.headers), identity)
        self._complete(request, data[end:after])
        return data[after:]

    def begin(self, fd: int, head: RequestHead, data: bytes, end: int) -> bytes:
        """Take a request whose head is complete.

        Args:
            fd: its row, with the request's flags.
            head: the head.
            data: what was read.
            end: where the head ends in it.

        Returns:
            what of it stands behind the request; b"": nothing, or nothing that anybody wants to see.

        Raises:
            PeerError: `overloaded`: there is no manager.
        """
        if not self._pusher.up:
            raise PeerError("overloaded", "the manager is away")
        request_id = self._answers.request_ids.of(head.headers)
        try:
            identity = self._pusher.keys.check(head.headers.get(b"authorization"))
        except PeerError as e:  # strangers have one request a connection
            self._refuse(fd, head, request_id, e, is_last=True)
            return b""
        request = _Request(fd, head, request_id, identity)
        has_body = head.chunked or head.content_length > 0
        try:
            self._check(request)
        except PeerError as e:
            self._refuse(fd, head, request_id, e, is_last=has_body)
            return data[end:]
        if has_body and expects_continue(head.headers, head.minor):
            self._go_ahead(fd)
        elif request.batch is None and not head.chunked:
            self._remember(data[:end], request)
        self._of[fd] = request
        after = end + head.content_length
        if not head.chunked and after <= len(data):
            self._complete(request, data[end:after])
            return data[after:]
        request.body = body_of(head)
        self._taking.take(fd)
        if end < len(data):
            self.taken(fd, data[end:])
        return b""

    def _remember(self, head: bytes, request: _Request) -> None:
        """Remember the head of a push that is fine and the like of which is to follow, for as long as the keys stay."""
        if len(head) <= MOST_FAMILIAR_BYTES and request.head.keep_alive and request.head.minor:
            if len(self._familiar) >= MOST_FAMILIAR:
                self._familiar.clear()
            self._familiar[head] = request.head, request.identity

    def _check(self, request: _Request) -> None:
        """Decide by the head alone; raise `PeerError`."""
        head = request.head
        if head.target == _PUSH:
            check_type(head.headers, PUSH_TYPES)
            if head.content_length > self._max_bytes:
                raise too_large(self._max_bytes)
            return
        check_type(head.headers, BATCH_TYPES)
        request.identity.demand(PUSH)
        request.batch = Batch(
            self._pusher,
            self._sender_of_many(request),
            self._max_bytes,
            partial(self._hold, request),
            partial(self._failed, request),
        )

    def _go_ahead(self, fd: int) -> None:
        # A few bytes on a connection that owes its client nothing: should they not fit, nobody is at its other end.
        try:
            os.write(fd, CONTINUE)
        except OSError:
            pass

    @staticmethod
    def _noted(request: _Request) -> Sender:
        """Return who sends a push of which note is taken."""
        return Sender(request.identity, request.id, partial(peers.address_of, request.fd))

    @staticmethod
    def _sender_of_many(request: _Request) -> Sender:
        """Return who sends a batch, of which lines may be published when its connection is gone."""
        identity = request.identity
        if not identity.allows(ADMIN):  # nothing of it is noted with an address
            return Sender(identity, request.id)
        address = peers.address_of(request.fd)
        return Sender(identity, request.id, lambda: address)

    # -- bodies

    def taken(self, fd: int, data: bytes) -> None:
        """Bytes came of a body."""
        request = self._of[fd]
        body = request.body
        assert body is not None
        fault: PeerError | None = None
        try:
            pieces = body.feed(data)
        except BadBody as e:
            pieces, fault = e.pieces, e
        if body.rest is not None:
            self._taking.call(fd)
            if body.rest:
                self._rows.hold(fd, body.rest)
        else:
            self._taking.take(fd)
        if request.batch is not None:
            if pieces:
                request.batch.feed(b"".join(pieces))
        else:
            fault = fault or self._keep(request, pieces)
        if self._of.get(fd) is not request:
            return  # answered, as what has failed
        if fault is not None:
            # What is malformed is told by who reads the bytes, and that one does not know whose request it was.
            self._refuse(fd, request.head, "" if isinstance(fault, BadBody) else request.id, fault, is_last=True)
        elif body.rest is not None:
            self._complete(request, b"".join(request.pieces))

    def _keep(self, request: _Request, pieces: list[bytes]) -> PeerError | None:
        """Keep more of a push; return what is wrong with that."""
        piece = b"".join(pieces)  # each object has 33 bytes of its own: small chunks would take many times their size
        size = len(piece)
        request.pieces.append(piece)
        request.size += size
        self._kept += size
        if request.size > self._max_bytes:
            return too_large(self._max_bytes)
        if self._kept > MOST_KEPT_BYTES:
            return PeerError("overloaded", "too many large pushes are being received")
        return None

    def _hold(self, request: _Request, is_held: bool) -> None:
        if self._of.get(request.fd) is request:
            self._taking.pause(request.fd, is_held)

    def forget(self, fd: int) -> None:
        """The connection is gone, or its request is answered; what was published of it stays so."""
        request = self._of.pop(fd, None)
        if request is not None:
            self._kept -= request.size

    # -- requests that are complete

    def _complete(self, request: _Request, body: bytes) -> None:
        self._taking.call(request.fd)
        try:
            if request.batch is None:
                self._push(request, body)
            else:
                if body:
                    request.batch.feed(body)
                request.batch.end().addCallback(self._batched, request).addErrback(partial(self._failed, request))
        except PeerError as e:
            self._answer_problem(request, e)
        except Exception:
            self._failed(request, Failure())

    def _push(self, request: _Request, body: bytes) -> None:
        request.identity.demand(PUSH)
        sender = Sender(request.identity, request.id)
        push = decode(body, sender, self._pusher.max_data_bytes)
        if push.everyone:
            sender = self._noted(request)
        is_counted = wants_receipt(request.head.query)
        self._pusher.publish(push, sender, partial(self._pushed, request, push.single), wants_receipt=is_counted)

    def _pushed(self, request: _Request, single: bool, outcome: Outcome) -> None:
        refusal = outcome.refusal
        try:
            if not outcome.accepted and refusal is not None:
                # A key that the manager has revoked a moment ago is a stranger's.
                self._answer_problem(request, refusal, is_last=refusal.code == "unauthorized")
            else:
                self._answer(request, 200, push_answer(outcome.results, single))
        except Exception:
            self._failed(request, Failure())

    def _batched(self, answer: tuple[int, bytes], request: _Request) -> None:
        self._answer(request, *answer)

    # -- answers

    def _answer(self, request: _Request, status: int, body: bytes) -> None:
        fd = request.fd
        if self._of.get(fd) is not request:
            return  # nobody is there any more
        keep_alive = not self._rows.kinds[fd] & CLOSES
        answer = self._answers.json(body, request.id, status=status, keep_alive=keep_alive, minor=request.head.minor)
        self.forget(fd)
        self.answered[status] += 1
        self._rows.answer(fd, answer)

    def _answer_problem(self, request: _Request, error: PeerError, *, is_last: bool = False) -> None:
        if self._of.get(request.fd) is request:
            self._refuse(request.fd, request.head, request.id, error, is_last=is_last)

    def _refuse(self, fd: int, head: RequestHead, request_id: str, error: PeerError, *, is_last: bool) -> None:
        if is_last:
            self._rows.flag(fd, CLOSES | LINGERS)
        keep_alive = not self._rows.kinds[fd] & CLOSES
        told = request_id or self._answers.request_ids.make()
        answer = self._answers.problem(error, head, keep_alive=keep_alive, cors=False, request_id=told)
        self.forget(fd)
        self.answered[error.status] += 1
        self.refused[error.code] += 1
        self._rows.answer(fd, answer)

    def _failed(self, request: _Request, failure: Failure) -> None:
        """An error of ours: say so in the log, and to the client without its inside."""
        self._log.failure(
            "POST {path} failed, request {request_id}",
            failure=failure,
            path=request.head.target.decode(),
            request_id=request.id,
        )
        is_whole = request.body is None or request.body.rest is not None
        self._answer_problem(request, PeerError("internal"), is_last=not is_whole)
