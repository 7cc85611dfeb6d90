"""The private folder of token, endpoint file, lock, log and jobs. Standard library only.

Both sides read it through ``wire``.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from gimp_plugin.language import _
from gimp_plugin.wire.frames import WireError


def home() -> Path | None:
    """The user's home folder, which need not exist; None if nobody knows it (HOME is unset or no full path)."""
    try:
        folder = Path.home()
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None


def state_dir() -> Path:
    """The state folder (``IMPASTO_STATE_DIR`` overrides).

    Computed from the home folder and not from XDG_DATA_HOME or XDG_RUNTIME_DIR, which a Flatpak GIMP sees
    differently from the engine outside it. Without a home that can be written it is ``spare_dir``.

    Raises:
        WireError: that one belongs to somebody else.
    """
    override = os.environ.get("IMPASTO_STATE_DIR")
    if override:
        return Path(override)
    usual = usual_dir()
    return spare_dir() if usual is None or is_read_only(usual) else usual


def usual_dir() -> Path | None:
    """The state folder of a user whose home is as it should be; None without a home."""
    folder = home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or (folder and folder / "AppData" / "Local")
        return Path(base) / "Impasto" if base else None
    if folder is None:
        return None
    if sys.platform == "darwin":
        return folder / "Library" / "Application Support" / "Impasto"
    return folder / ".local" / "share" / "impasto"


def spare_dir() -> Path:
    """The state folder where the home cannot be written: in XDG_STATE_HOME if that is set, else among temporary files.

    Raises:
        WireError: somebody else has made it, or others may write in it: an engine found there could be anybody's.
    """
    chosen = os.environ.get("XDG_STATE_HOME", "")
    if os.name != "nt" and os.path.isabs(chosen) and not is_read_only(Path(chosen)):
        return Path(chosen) / "impasto"
    folder = _temporary() / (f"impasto-{os.getuid()}" if sys.platform != "win32" else "impasto")
    if not _is_private(folder):
        raise WireError(
            "no_engine",
            _(
                "{folder} is not yours alone: remove it, or set IMPASTO_STATE_DIR to a folder that only you can write."
            ).format(folder=folder),
        )
    return folder


def is_read_only(folder: Path) -> bool:
    """Whether a folder cannot be written, or not be made because the one above it cannot."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK)


def _temporary() -> Path:
    """The temporary folder. ``tempfile`` would take the working folder where there is none."""
    names = ("TMPDIR",) if os.name != "nt" else ("TEMP", "TMP")
    chosen = next((value for name in names if (value := os.environ.get(name)) and os.path.isdir(value)), None)
    if chosen and os.path.isabs(chosen) and not is_read_only(Path(chosen)):
        return Path(chosen)
    return Path("/tmp") if os.name != "nt" else Path(os.environ.get("SYSTEMROOT", "C:\\Windows")) / "Temp"  # noqa: S108


def _is_private(folder: Path) -> bool:
    """Whether a folder in a place that everybody can write is ours alone, or not there yet."""
    if sys.platform == "win32":
        return True  # its temporary folder is the user's own
    try:
        info = folder.lstat()
    except OSError:
        return True
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077
