"""Who may use the API, from the start of the server on and as it changes: keys from all sources, and the audit log.

Owns what a start and a SIGHUP do with them. A SIGHUP changes all keys or none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final

from twisted.logger import Logger

from megacomet.api import audit, key_file
from megacomet.api.audit import AuditLog
from megacomet.api.own_key import FILE_NAME, load_or_make_key
from megacomet.errors import KeyFileError, StartError
from megacomet.model.keys import ADMIN, OWN_NAME, Keys, NamedKey, digest_of
from megacomet.model.notes import DONE
from megacomet.settings import Settings
from megacomet.statedir import hand_over

RELOAD: Final = "reload-keys"
REFUSED: Final = "refused"


class Access:
    """See the module.

    Attributes:
        keys: those that are accepted; always this object.
        audit: the audit log.
        audit_path: where it is.
    """

    _log = Logger()

    def __init__(
        self, settings: Settings, now: Callable[[], float], uid: int | None = None, gid: int | None = None
    ) -> None:
        """Read the keys, make the server's own if there is none, and open the audit log.

        Args:
            settings: `api_key` and `state_dir`, which must be there.
            now: seconds since the epoch.
            uid, gid: who will run the server, None: whoever runs this.

        Raises:
            StartError: a file of keys is broken or cannot be read; it is named.
        """
        self._settings = settings
        self._uid, self._gid = uid, gid
        if uid is not None:  # what can be read now is to be read at a SIGHUP too
            for name in (FILE_NAME, key_file.FILE_NAME):
                hand_over(os.path.join(settings.state_dir, name), uid, -1 if gid is None else gid)
        try:
            own, self._named = self._load()
        except KeyFileError as e:
            raise StartError(f"the API keys cannot be used: {e}") from None
        self._own = digest_of(own.encode())
        self.keys = Keys([(own, ADMIN)], self._named)
        self.audit_path = os.path.join(settings.state_dir, audit.FILE_NAME)
        self.audit = AuditLog(self.audit_path, now, uid, gid)

    def _load(self) -> tuple[str, tuple[NamedKey, ...]]:
        """Return the server's own key and those with names; raise `KeyFileError` or `StartError`."""
        state_dir = self._settings.state_dir
        named = key_file.read_keys(state_dir)
        if self._settings.api_key:
            return self._settings.api_key, named
        loaded = load_or_make_key(state_dir, self._uid, self._gid)
        if loaded.made:
            self._log.info("API key {key} (made now, kept in {path})", key=loaded.key, path=loaded.path)
        return loaded.key, named

    def reload(self) -> None:
        """Read the keys and open the audit log again; broken keys are logged, and those that were known stay."""
        self.audit.reopen()
        try:
            own, named = self._load()
        except (KeyFileError, StartError) as e:
            self._log.error("the API keys stay as they were: {why}", why=str(e))
            self._note(REFUSED, why=str(e))
            return
        digest = digest_of(own.encode())
        changes = changes_between(self._named, named)
        if digest != self._own:
            changes["changed"].append(OWN_NAME)
        self._own, self._named = digest, named
        self.keys.replace([(own, ADMIN)], named)
        told = "; ".join(f"{what} {', '.join(names)}" for what, names in changes.items() if names)
        self._log.info("the API keys were read again: {told}", told=told or "nothing has changed")
        if told:
            self._note(DONE, **changes)

    def _note(self, result: str, **what: object) -> None:
        self.audit.note(RELOAD, key=None, address=None, request_id=None, result=result, **what)

    def close(self) -> None:
        """Close the audit log."""
        self.audit.close()


def changes_between(before: Iterable[NamedKey], after: Iterable[NamedKey]) -> dict[str, list[str]]:
    """Return the names that were added, removed and changed, in this order and each list by name.

    Changed is a name that stands for another key, or for another scope.
    """
    old = {key.name: (key.digest, key.scope) for key in before}
    new = {key.name: (key.digest, key.scope) for key in after}
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }
