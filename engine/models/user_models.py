"""The folder of networks that a user trained or fetched, and how a file in it is found."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from engine.core.errors import SettingsError
from engine.core.user_folders import home

SUFFIXES = (".safetensors", ".pth")


def models_folder() -> Path:
    """Where users keep trained networks: IMPASTO_MODELS, or a folder of their account."""
    if os.environ.get("IMPASTO_MODELS"):
        return Path(os.environ["IMPASTO_MODELS"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home() / "AppData" / "Local")) / "impasto" / "models"
    if sys.platform == "darwin":
        return home() / "Library" / "Application Support" / "impasto" / "models"
    return Path(os.environ.get("XDG_DATA_HOME") or home() / ".local" / "share") / "impasto" / "models"


def find_model(name: str, kind: str, training: str = "", suffixes: tuple[str, ...] = SUFFIXES) -> Path:
    """The file of a trained network.

    Args:
        name: its path, or its name in the models folder with or without suffix.
        kind: of the method, for messages.
        training: the command that makes one, for messages.
        suffixes: of the files that the method reads.

    Raises:
        SettingsError: no name, or no such file; the message says what there is.
    """
    folder = models_folder()
    if not name:
        raise SettingsError(
            f"{kind} needs a trained network: give the option model a file ({', '.join(suffixes)}) or its name in "
            f"{folder}; `{training or f'impasto train unpaired A_DIR B_DIR --kind {kind}'}` makes one."
        )
    candidates = [Path(name), folder / name, *(folder / f"{name}{suffix}" for suffix in suffixes)]
    for path in candidates:
        if path.is_file():
            return path
    have = sorted(path.stem for path in folder.glob("*") if path.suffix in suffixes) if folder.is_dir() else []
    there = f"it has {', '.join(have)}" if have else "it is empty"
    raise SettingsError(f"There is no network {name!r}, neither as a file nor in {folder} ({there}).")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
