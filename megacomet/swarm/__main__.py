"""`python -m megacomet.swarm`: the load client without the rest of the command line."""

from __future__ import annotations

import sys

from megacomet.swarm.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
