"""The doors that Klein opens: which path goes where, and how an error becomes an answer."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, cast

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from werkzeug.exceptions import MethodNotAllowed, NotFound

from megacomet.api import workers
from megacomet.api.channels import Channels
from megacomet.api.clients import IClients, client_in, client_json
from megacomet.api.events import Readers
from megacomet.api.health import HEALTHY, TEXT, IReadiness, readiness_answer
from megacomet.api.keys import ADMIN, PUSH, READ
from megacomet.api.metrics import Scrapes
from megacomet.api.push import Outcome, Publisher, audit_everyone
from megacomet.api.request import Request
from megacomet.api.stats import IStats, stats_json
from megacomet.errors import PeerError
from megacomet.names import mailbox_of
from megacomet.wire.cutoff import CutOff, decode_cut_off
from megacomet.wire.push import push_answer

_RECEIPT: Final = [b"1"]


class Api:
    """The app, bound to what the doors lead to. Only `site.Site` serves it: keys are checked before Klein is asked."""

    app = Klein()
    app.url_map.merge_slashes = False

    def __init__(
        self,
        publisher: Publisher,
        channels: Channels,
        clients: IClients,
        stats: IStats,
        readiness: IReadiness,
        staff: workers.IWorkers,
        readers: Readers,
        scrapes: Scrapes,
        config: bytes,
    ) -> None:
        self._publisher = publisher
        self._channels = channels
        self._clients = clients
        self._stats = stats
        self._readiness = readiness
        self._workers = staff
        self._readers = readers
        self._scrapes = scrapes
        self._config = config

    @app.route("/api/push", methods=["POST"])
    def push(self, request: Request) -> Deferred[None] | None:
        """Publish one message, to one target or to many."""
        identity = request.owner(PUSH)
        push = self._publisher.decode(request.content.read(), identity)
        outcome: Deferred[Outcome] = Deferred()
        done = partial(_to_everyone, request, outcome) if push.everyone else outcome.callback
        self._publisher.publish(push, identity, done, wants_receipt=request.args.get(b"receipt") == _RECEIPT)
        if outcome.called:  # the usual case; a Deferred more is a tenth of the whole
            _answer_push(cast(Outcome, outcome.result), request, push.single)
            return None
        return outcome.addCallback(_answer_push, request, push.single)

    @app.route("/api/batch", methods=["POST"])
    def batch(self, request: Request) -> None:
        """Stand here for other methods; a POST is taken below Klein (`site.make_site`), as its body arrives."""
        raise PeerError("not-implemented")

    # Names are taken from the path as it was sent: what Klein cuts out of it for `_` is not decoded.

    @app.route("/api/channels", methods=["GET"])
    def channels(self, request: Request) -> Deferred[None]:
        """List channels by name."""
        request.owner(READ)
        return _reply(request, self._channels.page(request.args))

    @app.route("/api/channels/<_>", methods=["GET"])
    def channel(self, request: Request, _: str) -> Deferred[None]:
        """Tell how a channel stands."""
        request.owner(READ)
        return _reply(request, self._channels.channel(request.path))

    @app.route("/api/channels/<_>/history", methods=["GET"])
    def history(self, request: Request, _: str) -> Deferred[None]:
        """Tell what is kept of a channel."""
        request.owner(READ)
        return _reply(request, self._channels.history(request.path, request.args))

    @app.route("/api/channels/<_>/history", methods=["DELETE"])
    def clear(self, request: Request, _: str) -> Deferred[None]:
        """Drop what is kept of a channel."""
        request.owner(ADMIN)
        return _reply(request, self._channels.clear(request.path))

    @app.route("/api/clients/<_>", methods=["GET"])
    def client(self, request: Request, _: str) -> Deferred[None]:
        """Tell how a client stands."""
        request.owner(READ)
        return _reply(request, client_json(self._clients, request.path))

    @app.route("/api/clients/<_>/disconnect", methods=["POST"])
    def disconnect(self, request: Request, _: str) -> Deferred[None]:
        """Cut a client off, wherever it is connected."""
        client = client_in(request.path)
        request.owner(ADMIN)
        cut = decode_cut_off(request.content.read())
        counted: Deferred[int] = Deferred()
        self._publisher.publisher.cut_off(mailbox_of(client), cut, partial(_cut_off, request, counted, client, cut))
        return counted.addCallback(lambda n: request.reply(200, b'{"disconnected":%d}' % n))

    @app.route("/api/stats", methods=["GET"])
    def stats(self, request: Request) -> None:
        """Tell the server's numbers."""
        request.owner(READ)
        request.reply(200, stats_json(self._stats.stats()))

    @app.route("/api/config", methods=["GET"])
    def config(self, request: Request) -> None:
        """Tell the settings in force, and where they came from."""
        request.owner(READ)
        request.reply(200, self._config)

    @app.route("/api/events", methods=["GET"])
    def events(self, request: Request) -> Deferred[None] | None:
        """Tell what happens, as it happens."""
        request.owner(READ)
        return self._readers.serve(request)

    @app.route("/api/workers", methods=["GET"])
    def workers(self, request: Request) -> None:
        """Tell how the workers stand."""
        request.owner(READ)
        request.reply(200, workers.list_workers(self._workers))

    @app.route("/api/workers/<string:_>/restart", methods=["POST"])
    def restart(self, request: Request, _: str) -> None:
        """Have a worker end in order and replaced."""
        request.owner(ADMIN)
        request.reply(202, workers.restart(self._workers, request.path))

    @app.route("/api/workers/<string:_>/drain", methods=["POST"])
    def drain(self, request: Request, _: str) -> Deferred[None]:
        """Have a worker let its connections go."""
        request.owner(ADMIN)
        drained = workers.drain(self._workers, request.path, request.content.read())
        return Deferred.fromCoroutine(drained).addCallback(lambda body: request.reply(202, body))

    @app.route("/api/workers/<string:_>/drain", methods=["DELETE"])
    def undrain(self, request: Request, _: str) -> Deferred[None]:
        """Have a worker listen again."""
        request.owner(ADMIN)
        undrained = workers.undrain(self._workers, request.path)
        return Deferred.fromCoroutine(undrained).addCallback(lambda body: request.reply(202, body))

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: Request) -> None:
        """Tell the metrics."""
        self._scrapes.serve(request)

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: Request) -> None:
        """This process answers."""
        request.reply(200, HEALTHY, TEXT)

    @app.route("/readyz", methods=["GET"])
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
            allow = ", ".join(sorted(error.valid_methods or ()))
            request.reply_problem(PeerError("method-not-allowed", f"allowed here: {allow}"), allow.encode())
        elif isinstance(error, NotFound):
            request.reply_problem(PeerError("not-found"))
        else:
            request.log_failure(failure)
            request.reply_problem(PeerError("internal"))


def _to_everyone(request: Request, published: Deferred[Outcome], outcome: Outcome) -> None:
    audit_everyone(request.audit, outcome)
    published.callback(outcome)


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
