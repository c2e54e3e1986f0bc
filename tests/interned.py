"""Makes the list of names that workers use: python -m tests.interned > megacomet/worker/interned.txt

They are those of the code that runs in the rehearsal of a worker, but for its own, in the order of its first time.
"""

from __future__ import annotations

from megacomet.locality import names_of, ran_during
from megacomet.worker import rehearsal
from megacomet.worker.birth import rehearse_once


def names() -> list[str]:
    """Return them."""
    ran = [code for code in ran_during(rehearse_once) if code.co_filename != rehearsal.__file__]
    return [name for name in names_of(ran) if name.isascii()]


if __name__ == "__main__":
    print("\n".join(names()))
