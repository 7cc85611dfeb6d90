#!/usr/bin/env python3
"""Installs Impasto for this user, shows it, tests it, or takes it away again. Standard library only.

python3 install.py              install: engine, launcher, the plug-in in every GIMP 3 found
python3 install.py demo         stylize an object of a sample photo; writes a sheet of pictures
python3 install.py test         run the tests; further arguments go to pytest
python3 install.py --uninstall  take away exactly what was made
"""

import os
import sys

for _folder in os.environ.get("PYTHONPATH", "").split(os.pathsep):  # modules of another Python, before our own
    if _folder and os.path.abspath(_folder) in sys.path:
        sys.path.remove(os.path.abspath(_folder))

import argparse  # noqa: E402
import platform  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

if sys.version_info < (3, 8):  # noqa: UP036  (said here, since the modules below cannot even be read by it)
    sys.exit("This Python is too old for PyTorch: install a Python from 3.10 to 3.14 and run this again with it.")

from scripts.installer import interpreter  # noqa: E402


def main(arguments: "list[str] | None" = None) -> int:
    """Do what the command line asks.

    Returns:
        0 done, 1 failed with one sentence on stderr (a test run: pytest's own status), 2 wrong usage.
    """
    options, further = _parse(sys.argv[1:] if arguments is None else arguments)
    reason = interpreter.reason_against(
        sys.platform,
        platform.machine(),
        sys.version_info[:2],
        is_64bit=sys.maxsize > 2**32,
        home=f"{sys.base_prefix} {sys.executable}",
    )
    if reason:
        is_curable = not interpreter.OLDEST <= sys.version_info[:2] <= interpreter.NEWEST
        other = interpreter.find_other() if is_curable else None  # nothing else that is wrong is better with another
        if other is None:
            print(reason, file=sys.stderr)
            return 1
        print(f"{reason.split(':')[0]}; going on with {other}.")
        return interpreter.restart_with(other)

    from scripts.installer.commands import run  # noqa: PLC0415  (written for Python >= 3.10)

    return run(ROOT, options, further)


def _parse(arguments: "list[str]") -> "tuple[argparse.Namespace, list[str]]":
    parser = argparse.ArgumentParser(
        prog="install.py",
        description=(__doc__ or "").partition("\n\n")[0],
        epilog=(__doc__ or "").partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=["install", "demo", "test"],
        default="install",
        metavar="install|demo|test",
        help="what to do; install if nothing is said",
    )
    parser.add_argument("--ui", action="store_true", help="install the web page of `impasto serve --ui` too")
    parser.add_argument("--uninstall", action="store_true", help="take away exactly what was made")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; change nothing")
    parser.add_argument("--gimp-dir", type=Path, metavar="DIR", help="the one GIMP profile to use, e.g. .../GIMP/3.0")
    parser.add_argument("--torch-index", metavar="URL", help="package index that pip takes torch from")
    options, further = parser.parse_known_args(arguments)
    if further and options.command != "test":
        parser.error(f"unknown argument: {further[0]}")
    return options, further


if __name__ == "__main__":
    sys.exit(main())
