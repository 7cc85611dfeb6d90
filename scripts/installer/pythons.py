"""Which Python GIMP starts the plug-in with on Linux, and whether that one can talk to GIMP.

GIMP starts `#!/usr/bin/env python3` with the PATH that it was started with: where conda or pyenv stands first in it,
none of GIMP's Python plug-ins works. Ours then goes on in another Python (``gimp_plugin/interpreter.py``).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from scripts.installer.programs import ask

_PACKAGES = "on Debian and Ubuntu: sudo apt install gir1.2-gimp-3.0 python3-gi"


def has_gimp(python: str) -> bool:
    """Whether a Python, in the environment that GIMP would start it in, can talk to GIMP 3."""
    try:
        return ask([python, "-c", "import gi; gi.require_version('Gimp', '3.0')"], timeout_s=60).returncode == 0
    except OSError:
        return False


def taken(folder: Path) -> str | None:
    """The Python in which the plug-in ends up; None if there is none for it.

    Args:
        folder: of the plug-in's package.
    """
    first = shutil.which("python3")
    if first is None:
        return None
    answer = ask([first, folder / "interpreter.py"], timeout_s=60)
    return answer.stdout.strip() if answer.returncode == 0 else None


def why_none(folder: Path) -> str | None:
    """Why the plug-in finds no Python, in one sentence that says what to do; None if it finds one."""
    first = shutil.which("python3")
    if first is None:
        return f"GIMP starts Python plug-ins with `python3`, and the PATH has none: install it ({_PACKAGES})."
    if taken(folder) is None:
        return (
            f"GIMP starts Python plug-ins with `python3`, which is {first} here and has no gi with GIMP 3's bindings, "
            f"and no other python3 has: install GIMP's Python support ({_PACKAGES}) and run this again."
        )
    return None


def note(folder: Path) -> str | None:
    """A sentence about GIMP's own Python plug-ins where only ours finds its Python."""
    first = shutil.which("python3")
    if first is None or has_gimp(first) or not (other := taken(folder)):
        return None
    return (
        f"`python3` is {first} here, which has no gi: GIMP's own Python plug-ins are missing when it is started with "
        f"this PATH. Neural Style takes {other}."
    )
