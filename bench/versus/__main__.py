"""`python -m bench.versus FILE [FOLDER]`: tells the JSON of a run as tables in Markdown, and draws it as SVG."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.versus.charts import charts
from bench.versus.measures import comparison, table


def main(arguments: Sequence[str]) -> int:
    """Tell, and draw if there is a folder; returns the exit status: 2 when there is nothing to tell."""
    p = argparse.ArgumentParser(prog="python -m bench.versus", description=__doc__)
    p.add_argument("file", metavar="FILE", help="what `python -m bench versus --json FILE` has written")
    p.add_argument("folder", metavar="FOLDER", nargs="?", help="for the charts")
    given = p.parse_args(arguments)
    try:
        compared = comparison(json.loads(Path(given.file).read_text("utf-8"))["figures"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        print(f"bench.versus: {given.file}: {e}", file=sys.stderr)
        return 2
    print("\n".join(table(transport, figures) for transport, figures in compared.items()), end="")
    if given.folder:
        Path(given.folder).mkdir(parents=True, exist_ok=True)
        for name, svg in charts(compared).items():
            Path(given.folder, f"{name}.svg").write_text(svg, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
