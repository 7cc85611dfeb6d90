"""What the private pip gets of the user's settings: how an index is reached, and nothing that leads it elsewhere.

PIP_USER, PIP_TARGET or `user = true` in a pip.conf would put the engine where it does not belong; PYTHONPATH and
PYTHONHOME would have the private Python load the modules of another.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
from collections.abc import Callable, Mapping

REACHING = (
    *("INDEX_URL", "EXTRA_INDEX_URL", "NO_INDEX", "FIND_LINKS", "TRUSTED_HOST", "PROXY", "CERT", "CLIENT_CERT"),
    *("TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES", "RESUME_RETRIES", "CACHE_DIR", "NO_CACHE_DIR", "KEYRING_PROVIDER"),
    *("USE_FEATURE", "USE_DEPRECATED"),  # which certificates are trusted, mostly
)
"""Options of pip that may stay, named as their environment variables without PIP_."""
_OF_FILES = (*REACHING, "CONSTRAINT")  # in a pip.conf a constraint is mostly an administrator's: what the index holds
_OTHERS = ("PYTHON", "PIP_", "_PIP_", "VIRTUALENV_", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_NO_FILE = os.devnull  # as PIP_CONFIG_FILE it keeps pip from reading any


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a Python of our own: the user's, without what is meant for other Pythons and pips."""
    return {name: value for name, value in environ.items() if not name.upper().startswith(_OTHERS)}


def environment(environ: Mapping[str, str], listed: Callable[[Mapping[str, str]], str]) -> dict[str, str]:
    """The environment for the private pip.

    Args:
        environ: the user's.
        listed: what `pip config list` prints in an environment; empty if it fails.
    """
    asking = clean(environ) | {"_PIP_RUNNING_IN_SUBPROCESS": "1"}  # else a `python =` in a file is obeyed even here
    if "PIP_CONFIG_FILE" in environ:
        asking["PIP_CONFIG_FILE"] = environ["PIP_CONFIG_FILE"]
    found = read_list(told_by_file(environ.get("PIP_CONFIG_FILE"))) | read_list(listed(asking))
    kept = {f"PIP_{option}": value for option, value in found.items()}
    kept |= {f"PIP_{option}": environ[f"PIP_{option}"] for option in REACHING if environ.get(f"PIP_{option}")}
    ours = {"PIP_CONFIG_FILE": _NO_FILE, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUTF8": "1"}
    return clean(environ) | kept | ours


def told_by_file(name: str | None) -> str:
    """The lines that `pip config list` should print of PIP_CONFIG_FILE: pip 23 obeys that file and lists none of it."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(name or (), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return ""  # pip refuses it, too
    return "\n".join(f"{part}.{key}={value!r}" for part in parser.sections() for key, value in parser.items(part))


def read_list(text: str) -> dict[str, str]:
    """What of pip's settings is about reaching an index, from what `pip config list` prints.

    What is said of `pip install` wins over what is said of all commands, as in pip itself.
    """
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for line in text.splitlines():
        entry = re.fullmatch(r"(global|install)\.([\w-]+)=(.*)", line.strip())
        option = entry[2].replace("-", "_").upper() if entry else ""
        if entry and option in _OF_FILES:
            found[entry[1]][option] = " ".join(_text(entry[3]).strip().split("\n"))
    return {name: value for name, value in (found["global"] | found["install"]).items() if value.strip()}


def _text(quoted: str) -> str:
    try:
        return str(ast.literal_eval(quoted))
    except (ValueError, SyntaxError):
        return quoted
