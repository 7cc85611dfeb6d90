"""The only hands of the set-up that change files, so that --dry-run holds by construction.

Each function of ``Changes`` says what it does, or what it would do; in a dry run it stops there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from scripts.installer.voice import Voice


class Changes:
    """Writes and removes files, or only says so.

    Args:
        voice: told of each change.
        is_dry: nothing is changed.
    """

    def __init__(self, voice: Voice, is_dry: bool = False) -> None:
        self.voice = voice
        self.is_dry = is_dry

    def announce(self, deed: str, plan: str) -> bool:
        """Say a deed, or its plan in a dry run; True if it is to be done."""
        self.voice.say(f"  would {plan}" if self.is_dry else f"  {deed}")
        return not self.is_dry

    def write(self, path: Path, data: bytes, *, is_program: bool = False) -> bool:
        """Write a file whole or not at all; a file that already is as it should be stays untouched.

        Returns:
            Whether the file was (or in a dry run would be) changed.
        """
        mode = 0o755 if is_program else 0o644
        if _is_same(path, data, mode):
            return False
        if not self.is_dry:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.chmod(temporary, mode)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        return True

    def touch(self, path: Path) -> None:
        """Make a file look new."""
        if not self.is_dry:
            path.touch()

    def make_folders(self, folder: Path) -> list[Path]:
        """Make a folder and the missing ones above it.

        Returns:
            Those that were missing, outermost first: what an uninstall takes away again where they are empty.
        """
        missing = [path for path in (folder, *folder.parents) if not path.exists()][::-1]
        if not self.is_dry:
            folder.mkdir(parents=True, exist_ok=True)
        return missing

    def remove_file(self, path: Path) -> bool:
        """Remove a file or link, if it is there."""
        if not (path.is_symlink() or path.is_file()):
            return False
        if not self.is_dry:
            path.unlink()
        return True

    def remove_folder_if_empty(self, path: Path) -> bool:
        """Remove a folder that holds nothing (any more); one with something of the user's stays."""
        if path.is_symlink() or not path.is_dir() or any(path.iterdir()):
            return False
        if not self.is_dry:
            path.rmdir()
        return True

    def remove_tree(self, path: Path, what: str) -> bool:
        """Remove a folder with all that is in it: only for folders that are ours as a whole."""
        if path.is_symlink() or not path.is_dir():
            return False
        if self.announce(f"removed {what}: {path}", f"remove {what}: {path}"):
            shutil.rmtree(path)
        return True


def _is_same(path: Path, data: bytes, mode: int) -> bool:
    try:
        is_mode_right = os.name == "nt" or (path.stat().st_mode & 0o777) == mode
        return is_mode_right and path.read_bytes() == data
    except OSError:
        return False
