"""`python -m megacomet.worker`: the zygote of the workers. Whatever a worker imports is imported here, once for all."""

# Before anything else, so that they stand together.
from megacomet.worker.interned import intern_all

_names = intern_all()

import encodings.idna  # noqa: E402
import http  # noqa: E402
import sys  # noqa: E402
import types  # noqa: E402

# A worker has no use for TLS, and OpenSSL with all that imports it is 10 MB: Twisted does without when it is not to be
# had, and so does Python's own library, which has hashes of its own.
sys.modules["OpenSSL"] = sys.modules["ssl"] = sys.modules["_hashlib"] = None  # type: ignore[assignment]
# Twisted has it for programs of Python 2, and it brings a client for HTTP and what that needs: 2 MB.
http.cookiejar = sys.modules["http.cookiejar"] = types.ModuleType("http.cookiejar")

# Imported by the reactor when it is installed or run: only now do all workers share them.
import twisted.internet._signals  # noqa: E402
import twisted.internet.epollreactor  # noqa: E402
import twisted.internet.main  # noqa: E402
import twisted.internet.unix  # noqa: E402, F401

from megacomet.worker.birth import prepare  # noqa: E402
from megacomet.zygote import main  # noqa: E402

assert encodings.idna is not None

if __name__ == "__main__":
    main(prepare)
