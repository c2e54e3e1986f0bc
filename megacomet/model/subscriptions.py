"""Who listens where, inside one worker: channel -> descriptors.

Nearly all who listen are alone on a mailbox, which their row names: they are in an index that costs seven bytes each.
All others are in a dict, where a channel with one subscriber maps to the plain number, with more to a set (a set costs
216 bytes). A channel is in one of the two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from megacomet.model.frozen import only_mailbox
from megacomet.model.row_index import RowIndex
from megacomet.model.row_keys import IRowKeys
from megacomet.model.session import Session
from megacomet.model.shards import Shards

#: Slots of the index from the start: enough for 19,660, which is what a limit of 20,000 descriptors leaves a worker.
#: They exist before the fork; a table that grew in each worker would leave holes as large as itself.
SLOTS: Final = 32_768
#: Rows of a part in which channels are looked for: a tenth of a millisecond.
_PART_ROWS: Final = 1024


class Subscriptions:
    """Channels and the descriptors of the connections that listen to them."""

    __slots__ = ("_alone", "_keys", "_of")

    def __init__(self, keys: IRowKeys) -> None:
        """Begin without any.

        Args:
            keys: by descriptor. A row that names its mailbox only (`frozen`) listens to nothing else; the key is there
                before `add`, and another one is `put`.
        """
        self._keys = keys
        self._alone = RowIndex(keys, SLOTS)
        self._of: Shards[int | set[int]] = Shards()

    def add(self, channel: bytes, fd: int) -> bool:
        """Subscribe; tells whether it is the channel's first subscriber. Adding twice changes nothing."""
        there = self._of.get(channel)
        if there is None:
            return self._add_to_alone(channel, fd)
        if isinstance(there, set):
            there.add(fd)
        elif there != fd:
            self._of[channel] = {there, fd}
        return False

    def _add_to_alone(self, channel: bytes, fd: int) -> bool:
        alone = self._alone
        there = alone.find(channel)
        if there == fd:
            return False
        if there >= 0:
            alone.remove(channel, there)
            self._of[channel] = {there, fd}
            return False
        if self._keys[fd] == channel:
            alone.add(channel, fd)
        else:
            self._of[channel] = fd
        return True

    def remove(self, channel: bytes, fd: int) -> bool:
        """Unsubscribe; tells whether it was the channel's last subscriber. Its row may have lost its key by now."""
        there = self._of.get(channel)
        if there is None:
            return self._alone.remove(channel, fd)
        if isinstance(there, set):
            there.discard(fd)
            if len(there) == 1:
                self._of[channel] = there.pop()
            return False
        if there == fd:
            del self._of[channel]
            return True
        return False

    def put(self, fd: int, key: bytes | Session) -> None:
        """Put another key in the place of a row's, which goes on listening to the same."""
        alone = self._alone
        if (name := only_mailbox(self._keys[fd])) and alone.remove(name, fd):
            self._of[name] = fd
        self._keys[fd] = key
        if (name := only_mailbox(key)) and self._of.get(name) == fd:
            del self._of[name]
            alone.add(name, fd)

    def of(self, channel: bytes) -> Collection[int]:
        """Return the channel's subscribers, () for none. Not to be kept over a change."""
        there = self._of.get(channel)
        if there is None:
            alone = self._alone.find(channel)
            return (alone,) if alone >= 0 else ()
        return there if isinstance(there, set) else (there,)

    def counts(self, names: Sequence[bytes]) -> dict[bytes, int]:
        """Return how many subscribers each of the channels has, without those that have none."""
        alone, counts = self._alone, {}
        for name, there in zip(names, self._of.of_each(names), strict=True):
            if there is None:
                if alone.find(name) >= 0:
                    counts[name] = 1
            else:
                counts[name] = len(there) if isinstance(there, set) else 1
        return counts

    def parts(self, *, has_mailboxes: bool = True) -> Iterator[Iterable[bytes]]:
        """Iterate over all channels in small parts; between them, listeners may come and go.

        A channel that has a listener all the time is in one of the parts, or in several. b"" may be among them, which
        is none.

        Args:
            has_mailboxes: whether mailboxes are wanted. Only rows that wait for their mailbox and nothing else are not
                in the dict, so without them nobody looks through the rows.
        """
        if has_mailboxes:
            for begin in range(0, len(self._keys), _PART_ROWS):
                yield map(only_mailbox, self._keys.texts(begin, begin + _PART_ROWS))
        yield from self._of.parts()

    def __contains__(self, channel: bytes) -> bool:
        return channel in self._of or self._alone.find(channel) >= 0

    def __iter__(self) -> Iterator[bytes]:
        return chain(self._alone, self._of)

    def __len__(self) -> int:
        return len(self._alone) + len(self._of)
