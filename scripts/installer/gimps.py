"""The GIMPs of this computer: what is installed, where the profiles are, whether they know our filter."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from scripts.installer import places
from scripts.installer.programs import ask

PROCEDURE = "impasto-stylize"
START_TIMEOUT_S = 180
"""GIMP's first start looks at every plug-in and font of the system."""

_SCRIPT_FU = "plug-in-script-fu-eval"
_KNOWN, _UNKNOWN = "impasto procedure is known", "impasto procedure is unknown"


@dataclass(frozen=True)
class Gimp:
    """A GIMP 3 that can be started without a window.

    Args:
        command: starts it.
        version: names its profile: "3.0".
    """

    command: places.Command
    version: str

    @property
    def is_sandboxed(self) -> bool:
        """Whether it runs in Flatpak's sandbox, with an environment of its own."""
        return self.command[0] == "flatpak"

    def run_batch(
        self,
        code: str,
        env: Mapping[str, str] | None = None,
        timeout_s: float = START_TIMEOUT_S,
        interpreter: str = "python-fu-eval",
    ) -> str:
        """Run code inside GIMP, without a window, brushes or fonts: Python, unless another interpreter is named.

        Returns:
            All that was printed.

        Raises:
            OSError, subprocess.TimeoutExpired: GIMP does not start or does not end.
        """
        options = ("-i", "-d", "-f", "--batch-interpreter", interpreter, "-b", code, "--quit")
        answer = ask([*self.command, *options], env, timeout_s)
        return answer.stderr + answer.stdout


def find_gimps(commands: Iterable[places.Command]) -> list[Gimp]:
    """The GIMP 3 behind these commands, one per version and kind, newest first as the commands are."""
    found: dict[tuple[bool, str], Gimp] = {}
    for command in commands:
        version = _ask_version(command)
        if version is not None:
            gimp = Gimp(command, version)
            found.setdefault((gimp.is_sandboxed, version), gimp)
    return list(found.values())


def _ask_version(command: places.Command) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    try:
        answer = ask([*command, "--version"], timeout_s=60)
    except (OSError, subprocess.TimeoutExpired):
        return None  # a program that cannot be started is no GIMP for us
    return places.version_of(answer.stdout) if answer.returncode == 0 else None


def find_profiles(roots: Iterable[PurePath]) -> list[Path]:
    """The profiles of GIMP 3 that exist in these folders, each once (folders may be links to each other)."""
    found: dict[Path, Path] = {}
    for root in map(Path, roots):
        children = sorted(root.iterdir()) if root.is_dir() else []
        for folder in children:
            if places.is_profile_name(folder.name) and folder.is_dir():
                found.setdefault(folder.resolve(), folder)
    return list(found.values())


def start_once(gimp: Gimp) -> None:
    """Have a GIMP that was never started make its own profile.

    A folder made by us would pass for a profile: GIMP would then neither fill it nor take over an older
    version's settings.
    """
    try:
        gimp.run_batch("1", interpreter=_SCRIPT_FU)
    except (OSError, subprocess.TimeoutExpired):
        return  # the caller looks whether the profile is there now


def why_unregistered(gimp: Gimp, profile: Path) -> str | None:
    """Ask a GIMP, started for this with a profile, for our procedure.

    Returns:
        None if it knows the procedure, else one sentence about why not.
    """
    # Not in Python: where GIMP's own Python plug-ins do not work, ours may all the same.
    code = f'(gimp-message (if (defined? (quote {PROCEDURE})) "{_KNOWN}" "{_UNKNOWN}"))'
    env = {} if gimp.is_sandboxed else {"GIMP3_DIRECTORY": str(profile)}
    try:
        output = gimp.run_batch(code, env, interpreter=_SCRIPT_FU)
    except (OSError, subprocess.TimeoutExpired):
        return f"GIMP {gimp.version} did not start and end within {START_TIMEOUT_S} seconds."
    if _KNOWN in output:
        return None
    if _UNKNOWN in output:
        return f"GIMP {gimp.version} started, but did not take the plug-in up: {_last_complaint(output)}"
    return f"GIMP {gimp.version} started, but could not be asked for the plug-in: {_last_complaint(output)}"


def _last_complaint(output: str) -> str:
    """The line in which GIMP or the plug-in's Python says what went wrong, out of all that GIMP prints."""
    lines = [line.strip() for line in output.splitlines() if _UNKNOWN not in line]
    errors = [line for line in lines if re.match(r"\w+(Error|Exception)\b", line)]
    named = [line for line in lines if "impasto" in line.lower()]
    return (errors or named or ["it gave no reason; start it from a terminal to see more."])[-1]
