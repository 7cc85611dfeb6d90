"""The engine's folder, and the engine that runs in it."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gimp_plugin import wire
from server.checks.finding import AGAIN, Finding

_TOKEN = "The engine's secret and your pictures pass through it."  # noqa: S105  (a sentence)
ELSEWHERE = "Set HOME, or IMPASTO_STATE_DIR, to a folder that you can write."


def known_dir() -> Path | None:
    """The state folder; None if it is somebody else's, which ``check_folder`` says."""
    try:
        return wire.state_dir()
    except wire.WireError:
        return None


def check_folder() -> Iterator[Finding]:
    """The state folder: can it be written, and by nobody else."""
    try:
        folder = wire.state_dir()
    except wire.WireError as error:
        yield Finding(False, "Engine's folder", error.message, _TOKEN, ELSEWHERE)
        return
    usual = wire.usual_dir()
    if usual is None:
        home = os.environ.get("HOME")
        text = f"HOME is {home!r}, which is no folder" if home else "HOME is not set, and nobody knows your home folder"
        yield Finding(False, "Home folder", f"{text}; {folder} serves", "Nothing is kept in it for long.", ELSEWHERE)
    elif wire.is_read_only(usual) and not os.environ.get("IMPASTO_STATE_DIR"):
        text = f"{usual} cannot be written; {folder} serves"
        yield Finding(False, "Home folder", text, "GIMP keeps no settings there either.", "Make it writable for you.")
    yield _state(folder)


def _state(folder: Path) -> Finding:
    what = "Engine's folder"
    try:
        info = folder.lstat()
    except FileNotFoundError:
        if wire.is_read_only(folder):
            return Finding(False, what, f"{folder} cannot be made", "No engine can start.", ELSEWHERE)
        return Finding(True, what, f"{folder}, which the first start makes")
    return (
        _of_wrong_kind(what, folder, info) or _with_wrong_rights(what, folder, info) or Finding(True, what, str(folder))
    )


def _of_wrong_kind(what: str, folder: Path, info: os.stat_result) -> Finding | None:
    if stat.S_ISLNK(info.st_mode):
        text = f"{folder} is a link to {os.path.realpath(folder)}"
        return Finding(False, what, text, _TOKEN, "Remove the link, or set IMPASTO_STATE_DIR to the folder itself.")
    if not stat.S_ISDIR(info.st_mode):
        return Finding(False, what, f"{folder} is no folder", "No engine can start.", f"Remove it. {AGAIN}")
    return None


def _with_wrong_rights(what: str, folder: Path, info: os.stat_result) -> Finding | None:
    if sys.platform != "win32" and info.st_uid != os.getuid():
        advice = f"Give it back: sudo chown -R $USER '{folder}'."
        text = f"{folder} belongs to another user (number {info.st_uid})"
        return Finding(False, what, text, "It may have been made with sudo; the engine cannot use it.", advice)
    reason = _why_not_writable(folder)
    if reason:
        return Finding(False, what, f"{folder} cannot be written ({reason})", "No engine can start.", ELSEWHERE)
    if sys.platform != "win32" and info.st_mode & 0o077 and (folder / "token").exists():
        return Finding(False, what, f"{folder} is open to other users", _TOKEN, f"Run: chmod 700 '{folder}'.")
    return None


def _why_not_writable(folder: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0" * 4096)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def check_engine() -> Iterator[Finding]:
    """Whether an engine runs. None is no fault: the plug-in starts it."""
    from gimp_plugin.client import Engine  # noqa: PLC0415  (http.client is slow to import)

    base = known_dir()
    if base is None:
        return
    folder = wire.engine_folder(base)
    owner = _read(base / "host")
    if wire.is_elsewhere(owner):
        name = owner.split(" ")[0]
        yield Finding(None, "Other host", f"{name} runs an engine in this home; ours lives in {wire.host_folder(base)}")
    engine = Engine.probe(base)
    if engine is not None:
        health = engine.health
        text = f"{health.status} on port {engine.port}, version {health.version or 'unknown'}"
        if health.protocol != wire.PROTOCOL:
            yield Finding(False, "Engine", f"{text}, which is another", "The plug-in cannot talk to it.", AGAIN)
        else:
            yield Finding(None, "Engine", text)
        return
    endpoint = wire.read_endpoint(folder)
    if endpoint is None or wire.is_elsewhere(endpoint.host):
        yield Finding(None, "Engine", f"not running; its folder is {folder}")
    elif _is_alive(endpoint.pid) and not wire.is_other_start(endpoint.host):
        yield Finding(
            False,
            "Engine",
            f"process {endpoint.pid} should answer on port {endpoint.port}, and does not",
            "No other engine can start while it hangs.",
            f"End process {endpoint.pid}, or restart the computer; {folder / 'engine.log'} may say why.",
        )
    else:
        text = f"not running; {folder / 'engine.json'} is left of one that was ended"
        yield Finding(None, "Engine", text, "", "The next start replaces it.")


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32" or pid <= 0:
        return False  # there, asking in this way would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's process: alive
    try:
        return b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"server.supervisor.main", b"serve")
    except OSError:
        return sys.platform != "linux"


def check_start_log() -> Iterator[Finding]:
    """What the last start wrote, if there is no engine: mostly nothing."""
    base = known_dir()
    if base is None:
        return
    path = base / "engine-start.log"
    lines = [line.strip() for line in _read(path).splitlines() if line.strip()]
    errors = [line for line in lines[-1:] if "rror" in line or "could not" in line]
    if errors:
        yield Finding(None, "Last start", f"it wrote: {errors[-1][:200]}", "", f"All of it is in {path}.")


def _read(path: Path) -> str:
    try:
        return path.read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError:
        return ""


def recorded_plugins() -> list[Path]:
    """The folders that install.py has put the plug-in into."""
    places = [known_dir()]
    if not os.environ.get("IMPASTO_STATE_DIR"):
        places.append(wire.usual_dir())  # it may have been written when the plug-in came
    for base in places:
        try:
            record = json.loads(((base or Path()) / "install.json").read_text("utf-8"))
            return [Path(entry["folder"]) for entry in record["plugins"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return []
