"""`megacomet doctor`: what this machine allows, what so many connections need, what stands in the way; to change it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from megacomet.cli import local
from megacomet.cli.arguments import Parser, given_settings, settings_options
from megacomet.cli.doctor_text import lines
from megacomet.cli.local import Local
from megacomet.cli.output import print_object
from megacomet.cli.statuses import FAILED, FINE, WRONG_USE, complain, ending
from megacomet.cli.text import safe
from megacomet.doctor.changes import DROP_IN, LIMITS, make, plan, take_back
from megacomet.doctor.forecast import MOST
from megacomet.doctor.kernel_log import kernel_messages
from megacomet.doctor.memory import held_by
from megacomet.doctor.readings import Files
from megacomet.doctor.report import Report, aim_of, make_report
from megacomet.errors import ChangeError
from megacomet.settings import Settings, load

_ROOT: Final = Path("/")


def main(arguments: Sequence[str]) -> int:
    """Look at the machine, or change it; return the exit status."""
    return ending("doctor", lambda: _doctor(arguments, _ROOT))


def parser() -> Parser:
    """Return the parser of the command."""
    about = "Tells what this machine allows, what so many connections need, and what has run short already."
    made = Parser(prog="megacomet doctor", parents=[settings_options()], description=about)
    made.add_argument("--capacity", type=_capacity, default=0, metavar="N", help="connections to be held")
    made.add_argument("--long", action="store_true", help="tell the reason of each check")
    acts = made.add_mutually_exclusive_group()
    acts.add_argument("--fix", action="store_true", help="show what would change what is low, ask, and do it")
    acts.add_argument("--undo", action="store_true", help="take back what --fix has done")
    made.add_argument("--yes", action="store_true", help="with --fix: do not ask")
    return made


def _capacity(text: str) -> int:
    if not text.isascii() or not text.replace("_", "").isdecimal() or not 0 < int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1 to {MOST}")
    return int(text)


def _doctor(arguments: Sequence[str], root: Path) -> int:
    options = parser().parse_args(arguments)
    if options.yes and not options.fix:
        complain("doctor", "--yes is for --fix (--help tells more)")
        return WRONG_USE
    if options.json and (options.fix or options.undo):
        complain("doctor", f"--json and --{'fix' if options.fix else 'undo'} exclude each other (--help tells more)")
        return WRONG_USE
    try:
        if options.undo:
            return _undo(root)
        settings, _ = load(given_settings(options), os.environ)
        files = Files(root)
        if options.fix:
            return _fix(files, settings, options)
        report = _look(files, settings, options.capacity, kernel_messages(root))
    except ChangeError as e:
        complain("doctor", f"{e}{'; root is needed for this' if os.geteuid() else ''}")
        return FAILED
    if options.json:
        print_object(report.as_object())
    else:
        print("\n".join(lines(report, options.long)))
    return FAILED if report.low else FINE


def _look(files: Files, settings: Settings, capacity: int, log: Sequence[str] | None) -> Report:
    """Look at everything; a server that runs with the state directory is the one whose limits count."""
    here = local.look(settings.state_dir)
    cores = len(os.sched_getaffinity(0))
    process = str(here.manager.pid) if here.manager is not None else "self"
    aim = aim_of(files, settings, capacity, cores, process, held_by(files, tuple(_pids(here))))
    return make_report(files, aim, log)


def _pids(here: Local) -> Iterator[int]:
    yield from (each.pid for each in (here.manager, here.zygote, *here.workers.values()) if each is not None)


# -- to change it


def _fix(files: Files, settings: Settings, options: argparse.Namespace) -> int:
    report = _look(files, settings, options.capacity, ())
    todo = plan(files, report.all())
    rest = [finding for finding in report.low if not finding.sysctls and not finding.descriptors]
    shown = "\n".join(map(safe, todo.lines()))
    if todo.is_empty:
        print("There is nothing to write", *filter(None, [shown]), sep="\n")
    else:
        print(shown)
        if not (options.yes or _is_agreed()):
            print("Nothing was changed")
            return FAILED
        make(files.root, todo)
        print("Done; megacomet doctor --undo takes it back")
    if LIMITS in todo.after:
        print("The limit of open files holds for who signs in from now on; start the server again")
    if DROP_IN in todo.after:
        print("systemd: systemctl daemon-reload, then restart the server")
    for finding in rest:
        print(safe(f"Not written, for you to do: {finding.name}: {finding.change}"))
    return FAILED if rest or todo.later.losses else FINE


def _is_agreed() -> bool:
    """Ask; raise `ChangeError` where nobody can answer."""
    if not sys.stdin.isatty():
        raise ChangeError("nobody can be asked here: --yes does it without asking; nothing was changed")
    print("Write this? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _undo(root: Path) -> int:
    for line in take_back(root):
        print(safe(line))
    return FINE
