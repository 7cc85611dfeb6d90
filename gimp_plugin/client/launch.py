"""Finds the engine, or starts it so that it outlives this run of the filter."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gimp_plugin import FOLDER, wire
from gimp_plugin.client import Engine
from gimp_plugin.language import _, mark

POLL_S = 0.1
LOOK_S = 1.0  # while ours starts, a stranger on a dead engine's port may hold us no longer: we look again and again
RELAUNCH_S = 3.0  # one that ended well has met another engine; if that one is gone too, start again
LOG_NAME = "engine-start.log"
MAX_LOG_BYTES = 1 << 20
FLATPAK_INFO = Path("/.flatpak-info")
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

NOT_INSTALLED = mark("The engine is not installed: run `python3 install.py` in Impasto's folder.")
OTHER_VERSION = mark(
    "The plug-in and the engine are of different versions: run `python3 install.py` in Impasto's folder."
)

# GIMP sets these for its own Python, GTK and GEGL (AppImage and macOS bundles most of all); the engine's Python
# would load GIMP's modules and libraries with them.
_GIMP_PREFIXES = (
    *("PYTHON", "GIMP", "GEGL_", "BABL_", "GTK_", "GDK_PIXBUF_", "GIO_", "GSETTINGS_", "GST_", "FONTCONFIG_"),
    *("DYLD_", "__PYVENV_LAUNCHER__", "_PYI_", "VIRTUAL_ENV"),
)
_GIMP_NAMES = frozenset(
    {"LD_LIBRARY_PATH", "LD_PRELOAD", "GI_TYPELIB_PATH", "APPDIR", "APPIMAGE", "ARGV0", "OWD", "SSL_CERT_FILE"}
)

Report = Callable[[float, str], None]


def _silent(_share: float, _message: str) -> None:
    """Nobody wants to know how far it is."""


@dataclass(frozen=True)
class Installation:
    """How the engine is started on this computer.

    Args:
        command: program and arguments; empty = not installed.
        state_dir: where the engine keeps token, endpoint file and log.
    """

    command: tuple[str, ...]
    state_dir: Path


def ensure_engine(on_progress: Report = _silent, timeout_s: float = 60.0, folder: Path = FOLDER) -> Engine:
    """The running engine; started if none runs. It is detached: it outlives GIMP's plug-in process.

    Args:
        on_progress: called with a share, 0 to 1, and a message while the engine starts.
        timeout_s: how long the engine may take.
        folder: where ``engine.json`` lies.

    Returns:
        An engine that has proven itself and takes jobs (it may still be loading its weights).

    Raises:
        WireError: "no_engine", with a sentence that says what to do.
    """
    installation = read_installation(folder)
    engine = _usable(installation.state_dir)
    if engine is None and wire.is_read_only(installation.state_dir):
        installation = replace(installation, state_dir=wire.spare_dir())
        engine = _usable(installation.state_dir)
    if engine is not None:
        return engine
    if not installation.command:
        raise wire.WireError("no_engine", _(NOT_INSTALLED))
    _refuse_in_a_sandbox(installation)
    return _start(installation, on_progress, timeout_s)


def read_installation(folder: Path) -> Installation:
    """Read ``engine.json``; IMPASTO_ENGINE_COMMAND and IMPASTO_STATE_DIR override it.

    Raises:
        WireError: it is damaged.
    """
    values = _read_launcher(folder / "engine.json")
    command, state_dir = values.get("command", []), values.get("state_dir")
    override = os.environ.get("IMPASTO_ENGINE_COMMAND")
    try:
        if override:
            command = _split(override)
        is_command = isinstance(command, list) and all(isinstance(word, str) and word for word in command)
        if not is_command or not isinstance(state_dir, str | None):
            raise ValueError("wrong types")
    except ValueError as error:
        raise wire.WireError("no_engine", _damaged(bool(override))) from error
    if os.environ.get("IMPASTO_STATE_DIR") or not state_dir:
        return Installation(tuple(command), wire.state_dir())
    return Installation(tuple(command), Path(state_dir))


def clean_environment(environ: Mapping[str, str], state_dir: Path) -> dict[str, str]:
    """The environment for the engine: the user's, without what GIMP added for itself."""
    env = {
        name: value
        for name, value in environ.items()
        if name.upper() not in _GIMP_NAMES and not name.upper().startswith(_GIMP_PREFIXES)
    }
    bundle = environ.get("APPDIR") or (str(Path(sys.executable).parent) if sys.platform == "win32" else None)
    if bundle:
        paths = env.get("PATH", os.defpath).split(os.pathsep)
        env["PATH"] = os.pathsep.join(path for path in paths if path and not Path(path).is_relative_to(bundle))
    env["IMPASTO_STATE_DIR"] = str(state_dir)
    return env


class _Child:
    """An engine that we started, and what it wrote since.

    Raises:
        WireError: its program cannot be started, or its log cannot be written.
    """

    def __init__(self, installation: Installation) -> None:
        log_path = installation.state_dir / LOG_NAME
        try:
            installation.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.path.lexists(log_path) and not wire.is_ours(log_path.lstat(), is_written=True):
                log_path.unlink()  # planted, while the folder was open to others
            is_long = log_path.exists() and log_path.stat().st_size > MAX_LOG_BYTES
            with open(log_path, "wb" if is_long else "ab", opener=wire.open_ours) as log:
                self._log_start = log.tell()
                self._process = self._popen(installation, log)
        except (OSError, ValueError) as error:
            raise wire.WireError("no_engine", _why_not_started(installation, error)) from error
        self._log_path = log_path
        self.started_at = time.monotonic()
        # Waited for at once, so that it never becomes a zombie of this process, however long that lives.
        threading.Thread(target=self._process.wait, name="impasto-engine", daemon=True).start()

    @staticmethod
    def _popen(installation: Installation, log: Any) -> subprocess.Popen[bytes]:
        detached: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            # An invisible console and not none at all: the engine's worker would open a visible one.
            detached = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
        return subprocess.Popen(
            installation.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=installation.state_dir,  # and not GIMP's, which may be on a stick that is to be taken out
            env=clean_environment(os.environ, installation.state_dir),
            **detached,
        )

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode  # set by the thread that waits

    def last_words(self) -> str:
        """The last line that it wrote."""
        with open(self._log_path, "rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode("utf-8", "replace").strip().splitlines()
        nothing = _("it ended with status {status} and said nothing").format(status=self.exit_code)
        return lines[-1].strip()[:300] if lines else nothing


def _start(installation: Installation, on_progress: Report, timeout_s: float) -> Engine:
    """Start the engine and wait until it answers.

    Two GIMPs may do so at once: the engine's lock lets one of the two live, the other ends with status 0, and
    both plug-ins find the one.
    """
    started_at = time.monotonic()
    child = _Child(installation)
    while (waited_s := time.monotonic() - started_at) < timeout_s:
        on_progress(1 - math.exp(-waited_s / 5), _waiting_message(waited_s))
        code = child.exit_code  # before looking: what it left behind is then seen
        engine = _usable(installation.state_dir, LOOK_S)
        if engine is not None:
            return engine
        if code:
            raise wire.WireError("no_engine", _why_ended(_read_last_words(child)))
        if code == 0 and time.monotonic() - child.started_at > RELAUNCH_S:
            child = _Child(installation)
        time.sleep(POLL_S)
    if child.exit_code == 0:
        raise wire.WireError("no_engine", _hanging(installation.state_dir))
    says = _("The engine did not answer within {seconds:.0f} seconds (its log is {file}): run the filter again.")
    raise wire.WireError("no_engine", says.format(seconds=timeout_s, file=installation.state_dir / LOG_NAME))


def _usable(state_dir: Path, timeout_s: float | None = None) -> Engine | None:
    """The running engine, if it takes jobs. One of another version is asked to make room for ours."""
    engine = Engine.probe(state_dir, timeout_s)
    if engine is None or engine.health.status == "draining":
        return None
    if engine.health.protocol == wire.PROTOCOL:
        return engine
    if engine.health.protocol > wire.PROTOCOL:
        raise wire.WireError("no_engine", _(OTHER_VERSION))  # ours is the old one: starting it again changes nothing
    try:
        engine.shutdown()
    except wire.WireError as error:
        raise wire.WireError("no_engine", _(OTHER_VERSION)) from error
    return None


def _refuse_in_a_sandbox(installation: Installation) -> None:
    command, state_dir = installation.command, installation.state_dir
    # A snap's variables leak into whatever is started from it: only GIMP's own snap counts.
    is_snap = bool(os.environ.get("SNAP")) and "gimp" in os.environ.get("SNAP_NAME", "gimp")
    if not (is_snap or FLATPAK_INFO.exists()):
        return
    if is_snap and any(part.startswith(".") for part in state_dir.parts):
        says = _(
            "This GIMP is a snap, which may not read {folder}: run `python3 install.py` in Impasto's folder again; it "
            "chooses a folder that a snap can read."
        )
        raise wire.WireError("no_engine", says.format(folder=state_dir))
    if sys.platform.startswith("linux") and command[-1:] == ("serve",):  # install.py made the menu entry for it
        says = _(
            'This GIMP is a {kind} and cannot start the engine itself: start "Impasto Engine" from the applications '
            "menu (or run `{command}` in a terminal), then run the filter again."
        )
    else:
        says = _(
            "This GIMP is a {kind} and cannot start the engine itself: run `{command}` in a terminal, then run the "
            "filter again."
        )
    kind = "snap" if is_snap else "Flatpak"
    raise wire.WireError("no_engine", says.format(kind=kind, command=shlex.join(command)))


def _read_launcher(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise wire.WireError("no_engine", _damaged(False)) from error
    if not isinstance(values, dict):
        raise wire.WireError("no_engine", _damaged(False))
    return values


def _split(command: str) -> list[str]:
    if sys.platform == "win32":  # backslashes are part of its paths
        return [word.strip('"') for word in shlex.split(command, posix=False)]
    return shlex.split(command)


def _damaged(is_override: bool) -> str:
    if is_override:
        return _("IMPASTO_ENGINE_COMMAND is not a command line: correct or unset it.")
    return _("The plug-in's engine.json is damaged: run `python3 install.py` in Impasto's folder again.")


def _why_not_started(installation: Installation, error: Exception) -> str:
    program = Path(installation.command[0])
    if program.is_absolute() and not program.exists():
        says = _("The engine's program {program} is missing: run `python3 install.py` in Impasto's folder again.")
        return says.format(program=program)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        says = _("The disk is full, so the engine cannot be started: make room at {folder}.")
        return says.format(folder=installation.state_dir)
    named = error.filename if isinstance(error, OSError) else None
    if isinstance(named, str | os.PathLike) and _is_on_the_way(Path(named), installation.state_dir):
        says = _(
            "The engine cannot be started, for its folder {folder} cannot be used ({reason}): correct that, or set "
            "IMPASTO_STATE_DIR to a folder that you can write."
        )
        return says.format(folder=installation.state_dir, reason=reason)
    says = _("The engine ({program}) cannot be started ({reason}): run `python3 install.py` in Impasto's folder again.")
    return says.format(program=program, reason=reason)


def _is_on_the_way(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder) or folder.is_relative_to(path)


def _why_ended(words: str) -> str:
    """What an engine that ended says itself, where that says what to do; else the advice is to install it again."""
    is_crash = re.match(r"[\w.]*(Error|Exception|Interrupt|Exit)\b", words) is not None
    if ": " in words and not is_crash:
        is_said = words.startswith("The engine")  # whose own words are English
        return words if is_said else _("The engine could not start. {words}").format(words=words)
    return _("The engine could not start ({words}): run install.py again.").format(words=words.rstrip("."))


def _hanging(state_dir: Path) -> str:
    endpoint = wire.read_endpoint(wire.engine_folder(state_dir))
    if endpoint is None:
        return _("Another Impasto engine runs but does not answer: end it or restart the computer.")
    says = _("Another Impasto engine (process {pid}) runs but does not answer: end it or restart the computer.")
    return says.format(pid=endpoint.pid)


def _read_last_words(child: _Child) -> str:
    try:
        return child.last_words()
    except OSError:
        return _("it ended with status {status}").format(status=child.exit_code)


def _waiting_message(waited_s: float) -> str:
    if waited_s < 5:
        return _("Starting the engine")
    return _("Starting the engine (the first start takes longest): {seconds:.0f} s").format(seconds=waited_s)
