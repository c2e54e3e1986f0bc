"""Makes the list of names that workers use: python -m tests.interned > megacomet/worker/interned.txt

They are those of the code that runs in the rehearsal of a worker, but for its own, in the order of its first time, and
of what only forks run; and of the modules where that stands, since each function that is made refers to its module's.
"""

from __future__ import annotations

import sys
from types import CodeType
from typing import Final

from twisted.internet.base import ReactorBase
from twisted.internet.main import installReactor

from megacomet import forking, link, logs, proctitle
from megacomet.locality import names_of, ran_during
from megacomet.worker import birth, rehearsal
from megacomet.zygote import Zygote

#: What no rehearsal runs.
_FORKS: Final = (
    *(forking.fork, Zygote._become, proctitle.set_title, birth.prepare, logs.worker_name, forking.LateReactor.install),
    *(forking.LateReactor.run, installReactor, link.connect, ReactorBase.mainLoop, ReactorBase.timeout),
)


def names() -> list[str]:
    """Return them."""
    ran = [code for code in ran_during(birth.rehearse_once) if code.co_filename != rehearsal.__file__]
    ran += [code for function in _FORKS for code in _with_inner(function.__code__)]
    files = {getattr(module, "__file__", None): name for name, module in sys.modules.items()}
    modules = dict.fromkeys(files[code.co_filename] for code in ran if code.co_filename in files)
    return [name for name in dict.fromkeys([*names_of(ran), *modules]) if name.isascii()]


def _with_inner(code: CodeType) -> list[CodeType]:
    inner = [each for constant in code.co_consts if type(constant) is CodeType for each in _with_inner(constant)]
    return [code, *inner]


if __name__ == "__main__":
    print("\n".join(names()))
