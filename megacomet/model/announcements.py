"""What a worker tells the manager of its listeners: wanted end states, gathered over a turn.

A channel that came and went again between two calls is not told. The manager's directory has a channel exactly when
this side says so, so a LEAVE is only said of what was said to be here.
"""

from __future__ import annotations

from collections.abc import Iterable

from megacomet.model.row_keys import IRowKeys
from megacomet.model.session import Session
from megacomet.model.subscriptions import Subscriptions
from megacomet.wire import frames


class Announcements:
    """The listeners' changes that the manager has not been told yet, and the joins that it has not answered yet."""

    def __init__(self, keys: IRowKeys, listeners: Subscriptions) -> None:
        self._keys = keys
        self._listeners = listeners
        #: channels whose presence changed -> whether the manager knows them as present
        self._changed: dict[bytes, bool] = {}
        self._asked: dict[bytes, None] = {}
        self._joins: dict[int, int] = {}
        self._unsent: dict[int, None] = {}
        self._last_join = 0

    def listen(self, channel: bytes, fd: int) -> None:
        """A row listens to a channel."""
        if self._listeners.add(channel, fd):
            self._changed.setdefault(channel, False)

    def unlisten(self, channel: bytes, fd: int) -> None:
        """A row listens to a channel no more."""
        if self._listeners.remove(channel, fd):
            self._changed.setdefault(channel, True)

    def put(self, fd: int, key: bytes | Session) -> None:
        """Put another key in the place of a row's, which goes on listening to the same."""
        self._listeners.put(fd, key)

    def ask(self, channel: bytes) -> None:
        """Somebody listens to a mailbox of which something was returned: ask for what waits."""
        if not self._only_joining(channel):
            self._asked[channel] = None

    def join(self, fd: int, session: Session) -> None:
        """A session asks for what it missed."""
        self._last_join = self._last_join % 0xFFFF_FFFF + 1
        session.join, session.missed = self._last_join, None
        self._joins[session.join] = fd
        self._unsent[session.join] = None

    def give_up(self, join: int) -> None:
        """The session that joins is gone."""
        self._joins.pop(join, None)
        self._unsent.pop(join, None)

    def joining(self, join: int) -> int | None:
        """Return the descriptor of the session that joins, None when it is gone."""
        return self._joins.get(join)

    def joined(self, join: int) -> int | None:
        """The join is answered: return the descriptor of its session, None when it is gone."""
        return self._joins.pop(join, None)

    def all_joining(self) -> Iterable[int]:
        """Return the descriptors of all sessions that join."""
        return self._joins.values()

    def outgoing(self) -> list[bytes]:
        """Return the records since the last call.

        Leaving comes before joining: a join says that its channels are here.
        """
        if not self._changed and not self._asked and not self._unsent:
            return []
        records = []
        for channel, known in self._changed.items():
            here = channel in self._listeners
            if known and not here:
                records.append(frames.encode(frames.LEAVE, channel=channel))
            elif here and not known and not self._only_joining(channel):
                self._asked[channel] = None
        records += [frames.encode(frames.WANT, channel=c) for c in self._asked if c in self._listeners]
        records += [self._join_record(join) for join in self._unsent]
        self._changed.clear()
        self._asked.clear()
        self._unsent.clear()
        return records

    def _join_record(self, join: int) -> bytes:
        session = self._keys[self._joins[join]]
        assert isinstance(session, Session)
        is_late = session.joins_late
        names = frames.encode_names(session.late if is_late else session.channels)
        since = session.late_since if is_late else session.since
        flags = frames.LATE if is_late else 0
        return frames.encode(frames.JOIN, flags=flags, number=join, offset=session.limit, channel=since, data=names)

    def everything(self) -> list[bytes]:
        """Return the records that tell a manager that knows nothing; every session joins anew."""
        self.clear()  # sessions that came while nobody was there to be told have a join that was never sent
        for fd, key in enumerate(self._keys):
            if isinstance(key, Session):
                self.join(fd, key)
        self._changed = dict.fromkeys(self._listeners, False)
        return self.outgoing()

    def clear(self) -> None:
        """Nobody is there to be told; `everything` will be."""
        self._changed.clear()
        self._asked.clear()
        self._joins.clear()
        self._unsent.clear()

    def _only_joining(self, channel: bytes) -> bool:
        """Whether everybody on the channel waits for a page, which will bring what waits."""
        for fd in self._listeners.of(channel):
            key = self._keys[fd]
            if not isinstance(key, Session) or not key.is_joining(channel):
                return False
        return True
