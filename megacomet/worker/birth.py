"""What a worker process runs: its reactor, its log, and the worker.

All of it is built in the zygote, once; a fork of it only starts (see `megacomet.forking`).
"""

from __future__ import annotations

import gc
from typing import Final

from twisted.logger import Logger, globalLogBeginner

from megacomet.browser_client import shipped_client
from megacomet.collector import THRESHOLDS, fill_holes
from megacomet.forking import LateReactor, sigterm
from megacomet.listeners import Listener
from megacomet.locality import move_together, ran_during
from megacomet.logs import ZYGOTE, PipeObserver, worker_name
from megacomet.settings import Settings
from megacomet.worker.main import Worker
from megacomet.worker.rehearsal import CLIENTS, ROUNDS, rehearse
from megacomet.zygote import Birth, Run

#: The descriptor that every process of the server logs to.
LOG_FD: Final = 2
_log: Final = Logger()


def prepare(birth: Birth, settings: Settings) -> Run:
    """Build what all workers are forks of; called in the zygote.

    Returns:
        what a fork is to run.
    """
    observer = PipeObserver(LOG_FD, ZYGOTE)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    ran = ran_during(rehearse_once)
    fill_holes()
    move_together(ran)
    late = LateReactor()
    reactor = late.reactor
    worker = Worker(
        reactor, settings, workers=birth.workers, nonce=bytes.fromhex(birth.nonce), browser_client=shipped_client()
    )
    rehearse_once()  # code that was moved is not adapted yet, and what lookups remember is to be of what runs

    def restart() -> None:
        reactor.callFromThread(worker.restart)

    def run(number: int, listeners: list[Listener]) -> int:
        observer.process = worker_name(number)
        late.install()
        gc.set_threshold(*THRESHOLDS)  # frozen it was before the fork
        worker.start(number, listeners, birth.link_path)
        sigterm.then = restart
        late.run()
        return 0

    return run


def rehearse_once() -> None:
    """Have the workers' code run once; they work without it, with some more memory each."""
    try:
        told = rehearse()
    except Exception:
        _log.failure("the rehearsal of a worker failed")
    else:
        if told != ROUNDS * len(CLIENTS):
            _log.warn("{told} of {all} clients were served in the rehearsal", told=told, all=ROUNDS * len(CLIENTS))
