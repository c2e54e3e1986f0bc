"""What twistd finds: the options, and the service, which is put together in `megacomet.tap`.

Nothing of Twisted's networking is imported before the settings are known: they decide whether TLS is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from megacomet.options import Options as Options  # twistd looks for it here

if TYPE_CHECKING:
    from twisted.application.service import IService

    from megacomet.settings import Settings

#: Kinds of endpoints that need no TLS; of others nobody knows.
_PLAIN: Final = ("tcp:", "tcp6:", "unix:", "systemd:")


def makeService(options: Options) -> IService:
    """Build what twistd is to run; see `megacomet.tap.makeService`."""
    if not wants_tls(options.settings):
        # OpenSSL with all that it imports is 5 MB, its libraries not counted. Twisted does without where it cannot
        # import it.
        sys.modules.setdefault("OpenSSL", None)  # type: ignore[arg-type]
    from megacomet import tap

    return tap.makeService(options)


def wants_tls(settings: Settings) -> bool:
    """Tell whether an endpoint of the settings has, or may have, TLS."""
    return bool(settings.admin) and not settings.admin.startswith(_PLAIN)
