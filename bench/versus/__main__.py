"""`python -m bench.versus FILE … [--charts FOLDER]`: tells runs as tables in Markdown, and draws them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.versus.measures import table
from megacomet.swarm.comparison import Comparison, charts, comparison


def main(arguments: Sequence[str]) -> int:
    """Tell, and draw if there is a folder; returns the exit status: 2 when a file is none of a run."""
    p = argparse.ArgumentParser(prog="python -m bench.versus", description=__doc__)
    p.add_argument("files", metavar="FILE", nargs="+", help="what `python -m bench versus --json FILE` has written")
    p.add_argument("--charts", metavar="FOLDER", help="where they go")
    given = p.parse_args(arguments)
    compared: Comparison = {}
    for file in given.files:
        try:
            compared |= comparison(json.loads(Path(file).read_text("utf-8"))["figures"])
        except (OSError, ValueError, KeyError, TypeError) as e:
            print(f"bench.versus: {file}: {e}", file=sys.stderr)
            return 2
    print("\n".join(table(transport, figures) for transport, figures in compared.items()), end="")
    if given.charts:
        Path(given.charts).mkdir(parents=True, exist_ok=True)
        for name, svg in charts(compared).items():
            Path(given.charts, f"{name}.svg").write_text(svg, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
