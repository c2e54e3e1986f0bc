"""Who takes note of what is changed, for all who change something: the audit log is one (`megacomet.api.audit`)."""

from __future__ import annotations

from typing import Final, Protocol

#: The result of what was done.
DONE: Final = "done"


class IAudit(Protocol):
    """Takes note of what was changed. A door of the API calls `Request.audit`, which knows who asks."""

    def note(
        self,
        action: str,
        *,
        key: str | None,
        address: str | None,
        request_id: str | None,
        result: str = DONE,
        **what: object,
    ) -> None:
        """Take note of one change, after it was made. It does not raise.

        Args:
            action: what was done, such as "disconnect": verb first, "-" between words.
            key: the name of the key that was used; None: none was, the change came from the machine itself.
            address: from where, see `megacomet.api.audit.address_text`; None: from the machine itself.
            request_id: of the request; None: it was none.
            result: "done", or the code of what stood in the way.
            what: the rest, as JSON values; no data of messages and no secrets.
        """
