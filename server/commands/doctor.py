"""``impasto doctor``: is everything here that Impasto needs, where is it, and what is to be done about the rest."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from engine import __version__
from server.checks import computer, folders, libraries, plugins
from server.checks.finding import AGAIN, Check, Finding
from server.commands.command import Command

CHECKS: tuple[Check, ...] = (
    computer.check_python,
    computer.check_memory,
    computer.check_disks,
    computer.check_console,
    computer.check_network,
    libraries.check_torch,
    libraries.check_device,
    libraries.check_weights,
    libraries.check_extras,
    plugins.check_plugins,
    plugins.check_gimps_python,
    folders.check_folder,
    folders.check_engine,
    folders.check_start_log,
)
MARKS = {True: "ok ", False: "BAD", None: "   "}
STATES = {True: "good", False: "bad", None: "information"}
INDENT = " " * 23


def run(options: argparse.Namespace) -> int:
    """Print what every check finds.

    Returns:
        1 if something needs doing.
    """
    found = list(examine(CHECKS))
    is_good = all(finding.is_good is not False for finding in found)
    if options.json:
        listed = [{**asdict(finding), "state": STATES[finding.is_good]} for finding in found]
        print(json.dumps({"version": __version__, "is_good": is_good, "findings": listed}, indent=2))
        return 0 if is_good else 1
    lines = [f"Impasto {__version__}", *(line for finding in found for line in lines_of(finding))]
    lines.append("All is well." if is_good else "Something needs doing: see the lines marked BAD.")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print("\n".join(lines).encode(encoding, "replace").decode(encoding))
    return 0 if is_good else 1


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """What every check finds. One that fails itself is a finding too: the others are still wanted."""
    for check in checks:
        try:
            yield from check()
        except Exception as error:
            name = check.__name__.removeprefix("check_").replace("_", " ").capitalize()
            text = f"this check failed ({type(error).__name__}: {error})"
            advice = AGAIN if isinstance(error, ImportError | OSError) else "Tell the developers this line."
            yield Finding(False, name, text, "What it looks at may be broken.", advice)


def lines_of(finding: Finding) -> Iterator[str]:
    """A finding as it is printed."""
    yield f"{MARKS[finding.is_good]} {finding.what:18} {finding.text}"
    yield from (INDENT + sentence for sentence in (finding.matters, finding.advice) if sentence)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


COMMAND = Command("doctor", "check that everything that Impasto needs is here, and say what to do", run, _add_arguments)
