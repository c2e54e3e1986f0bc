"""Listening in on channels: what goes through the log, as it goes, for somebody who is no subscriber.

While nobody does, the store does not know of it, so that it costs the publishing nothing. Whoever listens in takes what
he is given and does nothing else: the message is on its way to its subscribers meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from megacomet.model.message import Message
from megacomet.model.store import IMessageStore

#: Is given a message and the time of the day, UNIX seconds.
Take = Callable[[Message, float], None]


class Tapping:
    """See `megacomet.api.tails.ITap`."""

    _log = Logger()

    def __init__(self, store: IMessageStore, unix_s: Callable[[], float]) -> None:
        """Listen to nothing yet; `unix_s` tells the time of the day."""
        self._store = store
        self._unix_s = unix_s
        self._takers: dict[bytes, list[Take]] = {}

    @property
    def epoch(self) -> bytes:
        """The log's epoch."""
        epoch: bytes = self._store.epoch
        return epoch

    def listen(self, channel: bytes, take: Take) -> None:
        """Have every message of a channel given to `take` from now on."""
        if not self._takers:
            self._store.feed(self._feed)
        self._takers.setdefault(channel, []).append(take)

    def unlisten(self, channel: bytes, take: Take) -> None:
        """Give `take` nothing more."""
        takers = self._takers[channel]
        takers.remove(take)
        if not takers:
            del self._takers[channel]
        if not self._takers:
            self._store.unfeed(self._feed)

    def _feed(self, message: Message, kept: bool, note: object) -> None:
        takers = self._takers.get(message.channel)
        if takers is None:
            return
        now = self._unix_s()
        for take in takers:
            try:
                take(message, now)
            except Exception:  # whoever publishes has other things to do than to look after those who listen in
                self._log.failure("somebody who listens in on a channel failed")
