"""The Python that the plug-in runs in: one that has gi and knows GIMP, whatever `python3` is on this PATH.

GIMP starts `#!/usr/bin/env python3` with its own PATH. Where conda or pyenv stands first in it, that Python has no gi,
and the filter would be missing from the menu without a word. Run as a program it prints the Python that it ends in:
install.py and `impasto doctor` ask it. Its syntax is that of old Pythons too, for one of them may be first.
"""

import os
import sys

TRIED = "IMPASTO_TRIED_PYTHONS"
USUAL = ("/usr/bin/python3", "/usr/local/bin/python3", "/bin/python3")
NONE = (
    "No Python here has gi with GIMP 3's bindings, so GIMP cannot run the Neural Style filter: install GIMP's Python "
    "support (on Debian and Ubuntu: sudo apt install gir1.2-gimp-3.0 python3-gi)."
)


def has_gimp() -> bool:
    """Whether this Python can talk to GIMP."""
    try:
        import gi  # noqa: PLC0415  (what is asked)

        gi.require_version("Gimp", "3.0")
    except (ImportError, ValueError, AttributeError):  # no gi; one that knows no GIMP; another package of that name
        return False
    return sys.version_info >= (3, 10)


def take_over() -> None:
    """Go on in another Python if this one cannot talk to GIMP; return only if it can, or if no other one can."""
    if has_gimp():
        os.environ.pop(TRIED, None)
        return
    # Not sys.executable: what is first on the PATH may be a wrapper around one that serves.
    tried = [path for path in os.environ.get(TRIED, "").split(os.pathsep) if path]
    for python in candidates(os.environ.get("PATH", os.defpath)):
        if python in tried:
            continue
        tried.append(python)
        env = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}  # of another Python
        env[TRIED] = os.pathsep.join(tried)
        try:
            os.execve(python, [python, *sys.argv], env)  # noqa: S606  (GIMP's pipes are inherited)
        except OSError:
            continue  # not for this computer: the next one
    sys.stderr.write("impasto: " + NONE + "\n")


def candidates(path: str) -> "list[str]":
    """Each `python3` of a PATH, in order, and those of the system. On Windows GIMP has a Python of its own."""
    if os.name == "nt":
        return []
    names = [os.path.join(folder, "python3") for folder in path.split(os.pathsep) if os.path.isabs(folder)]
    found = [name for name in [*names, *USUAL] if os.access(name, os.X_OK) and os.path.isfile(name)]
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    take_over()
    if not has_gimp():
        sys.exit(1)
    print(sys.executable)
