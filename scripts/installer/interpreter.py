"""Which Python can carry the engine: version, word size, system."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence

from scripts.installer.programs import succeeds

OLDEST = (3, 10)
NEWEST = (3, 14)
"""The Pythons that the pinned torch and torchvision are built for."""


def reason_against(platform: str, machine: str, version: tuple[int, int], is_64bit: bool, home: str = "") -> str | None:
    """Why such a Python cannot carry the engine, in one sentence that says what to do; None if it can.

    Args:
        home: where it is installed; the Microsoft Store's Pythons are among its apps.
    """
    if platform == "win32" and re.search(r"WindowsApps|PythonSoftwareFoundation\.Python", home, re.IGNORECASE):
        return (
            "This Python is the Microsoft Store's, and Windows hides what it writes from GIMP: install Python from "
            "python.org and run this again with that one."
        )
    if platform == "darwin" and machine == "x86_64":
        return "PyTorch is no longer made for Macs with an Intel processor: use another computer, or Linux."
    if not is_64bit:
        return "This Python is of 32 bits, and PyTorch needs 64: install such a one and run this again with it."
    if not OLDEST <= version <= NEWEST:
        wrong = "old" if version < OLDEST else "new"
        return (
            f"Python {version[0]}.{version[1]} is too {wrong} for PyTorch: install a Python from "
            f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} and run this again with it."
        )
    return None


def find_other(
    which: Callable[[str], str | None] = shutil.which,
    works: Callable[[Sequence[str]], bool] = succeeds,
) -> str | None:
    """Another Python on the PATH that is neither too old nor too new, newest first.

    Args:
        which: finds a program by name.
        works: whether a command succeeds; some Pythons on a PATH only say that they are not set up.
    """
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    found = (which(name) for name in names)
    return next((path for path in found if path and works([path, "-c", "import venv"])), None)


def restart_with(python: str) -> int:
    """Run the same command line with another Python.

    Returns:
        Its exit status.
    """
    arguments = [python, *sys.argv]
    if os.name != "nt":
        os.execv(python, arguments)  # noqa: S606  (no shell wanted)
    import subprocess  # noqa: PLC0415  (Windows has no exec that keeps the console)

    return subprocess.call(arguments)
