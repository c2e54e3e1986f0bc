"""The doors that Klein opens: which path goes where, and how an error becomes an answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any, Final, TypeVar, cast

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from werkzeug.exceptions import MethodNotAllowed, NotFound

from megacomet.api import broadcasting, doctor, operations, workers
from megacomet.api.acts import act
from megacomet.api.audit_pages import AuditPages
from megacomet.api.broadcasts import Broadcasts, wants_estimate
from megacomet.api.channels import Channels
from megacomet.api.clients import IClients, client_in, client_json
from megacomet.api.events import Readers
from megacomet.api.health import HEALTHY, TEXT, IReadiness, readiness_answer
from megacomet.api.live import ILive
from megacomet.api.metrics import Scrapes
from megacomet.api.openapi import document_json
from megacomet.api.operation import Operation
from megacomet.api.page import page_headers, page_html
from megacomet.api.request import Request
from megacomet.api.stats import IStats, stats_json
from megacomet.api.tails import Tails
from megacomet.errors import PeerError, WrongMethod
from megacomet.names import mailbox_of
from megacomet.publishing.publisher import Publisher
from megacomet.publishing.pushing import Outcome, decode
from megacomet.wire.answers import Disconnected, as_json
from megacomet.wire.cutoff import CutOff, decode_cut_off
from megacomet.wire.push import push_answer
from megacomet.wire.requests import wants_receipt

_IN_BRACES: Final = re.compile(r"\{\w+\}")


_Opened = TypeVar("_Opened", bound=Callable[..., Any])


def _door(app: Any, operation: Operation, *, is_open: bool = False) -> Callable[[_Opened], _Opened]:
    """Return a decorator that makes a method of `Api` the door of an operation.

    Whoever comes in has a key that allows what the operation's scope allows (where it is open the method asks for that
    itself), and a body of a type that it takes. Names are taken from the path as it was sent: what Klein cuts out of it
    for `_` is not decoded, and not handed on.
    """

    def open_door(method: _Opened) -> _Opened:
        scope, takes = "" if is_open else operation.scope, operation.takes
        types = takes.types if takes is not None and not takes.is_checked_early else ()

        @wraps(method)
        def opened(self: Api, request: Request, **_: str) -> Any:
            if scope:
                request.owner(scope)
            if types:
                request.check_type(types)
            return method(self, request)

        route = app.route(_IN_BRACES.sub("<_>", operation.path), methods=[operation.method])
        return cast(_Opened, route(opened))

    return open_door


class Api:
    """The app, bound to what the doors lead to. Only `site.Site` serves it: keys are checked before Klein is asked."""

    app = Klein()
    app.url_map.merge_slashes = False

    def __init__(
        self,
        publisher: Publisher,
        channels: Channels,
        clients: IClients,
        broadcasts: Broadcasts,
        stats: IStats,
        readiness: IReadiness,
        staff: workers.IWorkers,
        readers: Readers,
        tails: Tails,
        scrapes: Scrapes,
        config: bytes,
        checkup: doctor.IDoctor,
        live: ILive,
        audit_pages: AuditPages,
    ) -> None:
        self._publisher = publisher
        self._channels = channels
        self._clients = clients
        self._broadcasts = broadcasts
        self._stats = stats
        self._readiness = readiness
        self._workers = staff
        self._readers = readers
        self._tails = tails
        self._scrapes = scrapes
        self._config = config
        self._doctor = checkup
        self._live = live
        self._audit_pages = audit_pages

    @_door(app, operations.PUSH_ONE)
    def push(self, request: Request) -> Deferred[None] | None:
        """Publish one message, to one target or to many."""
        sender = request.sender(operations.PUSH_ONE.scope)
        push = decode(request.content.read(), sender, self._publisher.max_data_bytes)
        outcome: Deferred[Outcome] = Deferred()
        self._publisher.publish(push, sender, outcome.callback, wants_receipt=wants_receipt(request.query))
        if outcome.called:  # the usual case; a Deferred more is a tenth of the whole
            _answer_push(cast(Outcome, outcome.result), request, push.single)
            return None
        return outcome.addCallback(_answer_push, request, push.single)

    @_door(app, operations.BATCH)
    def batch(self, request: Request) -> None:
        """Stand here for other methods; a POST is taken below Klein (`site.make_site`), as its body arrives."""
        raise PeerError("not-implemented")

    @_door(app, operations.LIST_CHANNELS)
    def channels(self, request: Request) -> Deferred[None]:
        """List channels, by name or by subscribers."""
        return _reply(request, self._channels.page(request.args))

    @_door(app, operations.READ_CHANNEL)
    def channel(self, request: Request) -> Deferred[None]:
        """Tell how a channel stands."""
        return _reply(request, self._channels.channel(request.path))

    @_door(app, operations.READ_HISTORY)
    def history(self, request: Request) -> Deferred[None]:
        """Tell what is kept of a channel."""
        return _reply(request, self._channels.history(request.path, request.args))

    @_door(app, operations.CLEAR_HISTORY)
    def clear(self, request: Request) -> Deferred[None]:
        """Drop what is kept of a channel."""
        return act(request, "clear-history", self._channels.clear(request.path))

    @_door(app, operations.TAIL_CHANNEL)
    def tail(self, request: Request) -> Deferred[None] | None:
        """Tell what is published to a channel, as it is published."""
        return self._tails.serve(request)

    @_door(app, operations.READ_CLIENT)
    def client(self, request: Request) -> Deferred[None]:
        """Tell how a client stands."""
        return _reply(request, client_json(self._clients, request.path))

    @_door(app, operations.DISCONNECT)
    def disconnect(self, request: Request) -> Deferred[None]:
        """Cut a client off, wherever it is connected."""
        client = client_in(request.path)
        cut = decode_cut_off(request.content.read())
        counted: Deferred[int] = Deferred()
        self._publisher.publisher.cut_off(mailbox_of(client), cut, partial(_cut_off, request, counted, client, cut))
        return counted.addCallback(lambda n: request.reply(200, as_json(Disconnected(n))))

    @_door(app, broadcasting.START)
    def broadcast(self, request: Request) -> Deferred[None]:
        """Publish one message to many, at a pace; or tell what that would be."""
        order = self._broadcasts.order(request.content.read())
        if wants_estimate(request.args.get(b"estimate", ())):
            return _reply(request, self._broadcasts.estimate(order))
        by = request.owner(broadcasting.START.scope).name
        return act(request, "broadcast", self._broadcasts.start(order, by), 202)

    @_door(app, broadcasting.LIST)
    def broadcasts(self, request: Request) -> None:
        """Tell how the last broadcasts stand."""
        request.reply(200, self._broadcasts.listed())

    @_door(app, broadcasting.READ_ONE)
    def broadcast_as_it_stands(self, request: Request) -> None:
        """Tell how a broadcast stands."""
        request.reply(200, self._broadcasts.one(request.path))

    @_door(app, broadcasting.PAUSE)
    def pause(self, request: Request) -> Deferred[None]:
        """Have a broadcast wait."""
        return act(request, "pause-broadcast", self._broadcasts.pause(request.path))

    @_door(app, broadcasting.RESUME)
    def resume(self, request: Request) -> Deferred[None]:
        """Have a broadcast go on."""
        return act(request, "resume-broadcast", self._broadcasts.resume(request.path))

    @_door(app, broadcasting.CANCEL)
    def cancel(self, request: Request) -> Deferred[None]:
        """Take a broadcast back."""
        return act(request, "cancel-broadcast", self._broadcasts.cancel(request.path))

    @_door(app, operations.READ_STATS)
    def stats(self, request: Request) -> None:
        """Tell the server's numbers."""
        request.reply(200, stats_json(self._stats.stats()))

    @_door(app, operations.READ_TRENDS)
    def trends(self, request: Request) -> None:
        """Tell how the figures went."""
        request.reply(200, self._live.trends())

    @_door(app, operations.READ_AUDIT)
    def audit(self, request: Request) -> None:
        """Tell who has changed what."""
        request.reply(200, self._audit_pages.page(request.args))

    @_door(app, operations.READ_CONFIG)
    def config(self, request: Request) -> None:
        """Tell the settings in force, and where they came from."""
        request.reply(200, self._config)

    @_door(app, operations.READ_DOCTOR)
    def doctor(self, request: Request) -> None:
        """Tell what the machine allows."""
        request.reply(200, doctor.look(self._doctor))

    @_door(app, operations.FOLLOW_EVENTS)
    def events(self, request: Request) -> Deferred[None] | None:
        """Tell what happens, as it happens."""
        return self._readers.serve(request)

    @_door(app, operations.LIST_WORKERS)
    def workers(self, request: Request) -> None:
        """Tell how the workers stand."""
        request.reply(200, workers.list_workers(self._workers))

    @_door(app, operations.RESTART)
    def restart(self, request: Request) -> Deferred[None]:
        """Have a worker end in order and replaced."""
        return act(request, "restart-worker", workers.restart(self._workers, request.path), 202)

    @_door(app, operations.DRAIN)
    def drain(self, request: Request) -> Deferred[None]:
        """Have a worker let its connections go."""
        return act(request, "drain-worker", workers.drain(self._workers, request.path, request.content.read()), 202)

    @_door(app, operations.UNDRAIN)
    def undrain(self, request: Request) -> Deferred[None]:
        """Have a worker listen again."""
        return act(request, "undrain-worker", workers.undrain(self._workers, request.path), 202)

    @_door(app, operations.DESCRIBE)
    def describe(self, request: Request) -> None:
        """Describe the API to programs."""
        request.reply(200, document_json())

    @_door(app, operations.DOCS)
    def docs(self, request: Request) -> None:
        """Describe the API to people."""
        request.reply(200, page_html(), operations.HTML, page_headers())

    @_door(app, operations.METRICS, is_open=True)
    def metrics(self, request: Request) -> None:
        """Tell the metrics; a setting says whether a key is asked for."""
        self._scrapes.serve(request)

    @_door(app, operations.HEALTH)
    def healthz(self, request: Request) -> None:
        """This process answers."""
        request.reply(200, HEALTHY, TEXT)

    @_door(app, operations.READINESS)
    def readyz(self, request: Request) -> None:
        """Every worker listens."""
        request.reply(*readiness_answer(self._readiness))

    @app.handle_errors(Exception)  # type: ignore[arg-type]  # Klein cannot know that the request is the site's
    def failed(self, request: Request, failure: Failure) -> None:
        """Answer an error: the one place that knows which is which."""
        error = failure.value
        if isinstance(error, PeerError):
            request.reply_problem(error)
        elif isinstance(error, MethodNotAllowed):
            request.reply_problem(WrongMethod(", ".join(sorted(error.valid_methods or ()))))
        elif isinstance(error, NotFound):
            request.reply_problem(PeerError("not-found"))
        else:
            request.log_failure(failure)
            request.reply_problem(PeerError("internal"))


def _reply(request: Request, answer: Coroutine[Deferred[Any], Any, bytes]) -> Deferred[None]:
    return Deferred.fromCoroutine(answer).addCallback(lambda body: request.reply(200, body))


def _answer_push(outcome: Outcome, request: Request, single: bool) -> None:
    if not outcome.accepted and outcome.refusal is not None:
        raise outcome.refusal
    request.reply(200, push_answer(outcome.results, single))


def _cut_off(request: Request, counted: Deferred[int], client: bytes, cut: CutOff, number: int) -> None:
    request.audit(
        "disconnect", client=client.decode(), disconnected=number, reconnect=cut.reconnect, block_s=cut.block_s
    )
    counted.callback(number)
