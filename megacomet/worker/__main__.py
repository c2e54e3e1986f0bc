"""`python -m megacomet.worker`: the zygote of the workers. Whatever a worker imports is imported here, once for all."""

import encodings.idna

# Imported by the reactor when it is installed or run: only now do all workers share them.
import twisted.internet._signals
import twisted.internet.epollreactor
import twisted.internet.main
import twisted.internet.unix  # noqa: F401

from megacomet.worker.main import run
from megacomet.zygote import main

assert encodings.idna is not None

if __name__ == "__main__":
    main(run)
