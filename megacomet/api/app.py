"""The doors that Klein opens: which path goes where, and how an error becomes an answer."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, cast

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from werkzeug.exceptions import MethodNotAllowed, NotFound

from megacomet.api.channels import Channels
from megacomet.api.clients import IClients, client_in, client_json
from megacomet.api.health import HEALTHY, TEXT, IReadiness, readiness_answer
from megacomet.api.keys import ADMIN, PUSH, READ
from megacomet.api.push import Outcome, Publisher
from megacomet.api.request import Request
from megacomet.api.stats import IStats, stats_json
from megacomet.errors import PeerError
from megacomet.names import mailbox_of
from megacomet.wire.cutoff import decode_cut_off
from megacomet.wire.push import push_answer

_RECEIPT: Final = [b"1"]


class Api:
    """The app, bound to what the doors lead to. Only `site.Site` serves it: keys are checked before Klein is asked."""

    app = Klein()
    app.url_map.merge_slashes = False

    def __init__(
        self, publisher: Publisher, channels: Channels, clients: IClients, stats: IStats, readiness: IReadiness
    ) -> None:
        self._publisher = publisher
        self._channels = channels
        self._clients = clients
        self._stats = stats
        self._readiness = readiness

    @app.route("/api/push", methods=["POST"])
    def push(self, request: Request) -> Deferred[None] | None:
        """Publish one message, to one target or to many."""
        identity = request.owner(PUSH)
        push = self._publisher.decode(request.content.read(), identity)
        outcome: Deferred[Outcome] = Deferred()
        self._publisher.publish(
            push, identity, outcome.callback, wants_receipt=request.args.get(b"receipt") == _RECEIPT
        )
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
        mailbox = mailbox_of(client_in(request.path))
        request.owner(ADMIN)
        cut = decode_cut_off(request.content.read())
        counted: Deferred[int] = Deferred()
        self._publisher.publisher.cut_off(mailbox, cut, counted.callback)
        return counted.addCallback(lambda n: request.reply(200, b'{"disconnected":%d}' % n))

    @app.route("/api/stats", methods=["GET"])
    def stats(self, request: Request) -> None:
        """Tell the server's numbers."""
        request.owner(READ)
        request.reply(200, stats_json(self._stats.stats()))

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


def _reply(request: Request, answer: Coroutine[Deferred[Any], Any, bytes]) -> Deferred[None]:
    return Deferred.fromCoroutine(answer).addCallback(lambda body: request.reply(200, body))


def _answer_push(outcome: Outcome, request: Request, single: bool) -> None:
    if not outcome.accepted and outcome.refusal is not None:
        raise outcome.refusal
    request.reply(200, push_answer(outcome.results, single))
