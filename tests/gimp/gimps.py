"""The real GIMPs that tests can drive: of this system, or in the throw-away Debians of scripts/gimp-sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = ROOT / "scripts" / "gimp-sandbox"
SUITES = {"3.0": "trixie", "3.2": "forky"}
X_PROGRAMS = ("Xvfb", "openbox", "xdotool", "import", "dbus-run-session")


@dataclass(frozen=True)
class Gimp:
    """One GIMP, and how a command is run where it is.

    Args:
        version: "3.0" or "3.2".
        prefix: what stands before a command: nothing, or the sandbox.
    """

    version: str
    prefix: tuple[str, ...]

    @property
    def console(self) -> str:
        return f"gimp-console-{self.version}"

    @property
    def window(self) -> str:
        return f"gimp-{self.version}"

    def run(
        self, command: list[str], env: Mapping[str, str], timeout_s: float, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where this GIMP is, with some variables more.

        Raises:
            subprocess.TimeoutExpired: it did not end; in a sandbox all its processes are gone.
        """
        return subprocess.run(
            [*self.prefix, *command],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=check,
        )

    def run_script(self, script: Path, env: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a Python file inside this GIMP, without a window."""
        code = f"import runpy; runpy.run_path({str(script)!r})"
        options = ["-i", "--batch-interpreter", "python-fu-eval", "-b", code, "--quit"]
        return self.run([self.console, *options], env, timeout_s)

    def missing_for_windows(self) -> list[str]:
        """Programs that a run with a window needs and that are not there."""
        if self.prefix:
            return []
        return [name for name in (self.window, *X_PROGRAMS) if shutil.which(name) is None]


def find(version: str) -> Gimp | str:
    """The GIMP of this version, or the reason why there is none."""
    if shutil.which(f"gimp-console-{version}"):
        return Gimp(version, ())
    suite = SUITES[version]
    wanted = os.environ.get("IMPASTO_GIMP_SUITES", ",".join(SUITES.values())).split(",")
    if suite not in wanted:
        return f"IMPASTO_GIMP_SUITES leaves out {suite} (GIMP {version})"
    if os.geteuid() != 0:
        return f"GIMP {version} is not installed, and scripts/gimp-sandbox needs root"
    if not _is_made(suite):
        if os.environ.get("IMPASTO_GIMP_SANDBOX") != "1":
            return (
                f"GIMP {version} is not installed, and no sandbox is made: `scripts/gimp-sandbox --suite {suite} "
                "--prepare` makes one, IMPASTO_GIMP_SANDBOX=1 lets the tests do it"
            )
        made = subprocess.run([SANDBOX, "--suite", suite, "--prepare"], capture_output=True, text=True, check=False)
        if made.returncode:
            return f"scripts/gimp-sandbox could not make {suite}: {made.stderr.strip()}"
    return Gimp(version, (str(SANDBOX), "--suite", suite, "--bind", str(ROOT), "--"))


def _is_made(suite: str) -> bool:
    override = os.environ.get("IMPASTO_SANDBOX_CACHE")
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(override) if override else user_cache / "impasto" / "gimp-sandbox"
    return (cache / suite / "recipe.json").exists()


FEW = {  # the default method is not the first, and yet what a run without a method gets
    "methods": [
        {"name": "analogy", "title": "Deep image analogy", "is_ready": True},
        {"name": "anystyle", "title": "Any style", "is_ready": True},
    ],
    "styles": [
        {"name": "starry-night", "title": "The Starry Night", "artist": "Vincent van Gogh", "year": "1889"},
        {"name": "great-wave", "title": "The Great Wave", "artist": "Katsushika Hokusai", "year": "1831"},
    ],
}


def make_profile(folder: Path, version: str, catalog: Mapping[str, Any] = FEW) -> Path:
    """A GIMP profile of its own with the plug-in in it, as install.py would put it there.

    Args:
        folder: of the profile.
        version: of GIMP.
        catalog: what the dialog offers.

    Returns:
        What GIMP3_DIRECTORY must be.
    """
    plugin = folder / "plug-ins" / "impasto"
    shutil.copytree(ROOT / "gimp_plugin", plugin / "gimp_plugin", ignore=shutil.ignore_patterns("__pycache__"))
    (plugin / "gimp_plugin" / "impasto.py").rename(plugin / "impasto.py")
    (plugin / "impasto.py").chmod(0o755)
    (plugin / "catalog.json").write_text(json.dumps(catalog), "utf-8")
    # Else the first start welcomes the user with a window of its own.
    settings = f'(show-welcome-dialog no)\n(check-updates no)\n(config-version "{version}.99")\n'
    (folder / "gimprc").write_text(settings, "utf-8")
    return folder
