"""Files that only their owner may have written: anybody may have planted others in a folder that once was open to all.

A link would lead us, or what we write, to another file of the user; a planted token and port to a stranger's engine.
Standard library only.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

MAX_BYTES = 1 << 16
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)  # Windows has none


def is_ours(info: os.stat_result, *, is_written: bool = False) -> bool:
    """Whether what ``lstat`` told is a file or folder of this user, and no link.

    Args:
        info: of ``lstat`` or ``fstat``.
        is_written: we write to it: then it may have no second name either, under which it may be another file of the
            user. (To read, a second name does no harm: backups give files one.)
    """
    if sys.platform == "win32":
        return not stat.S_ISLNK(info.st_mode)
    is_file = stat.S_ISREG(info.st_mode) and (info.st_nlink == 1 or not is_written)
    return (is_file or stat.S_ISDIR(info.st_mode)) and info.st_uid == os.geteuid()


def open_ours(path: str, flags: int) -> int:
    """An opener for ``open``: a regular file of this user, made with mode 0600 where there is none.

    Raises:
        OSError: it is a link, another user's, or no file.
    """
    handle = os.open(path, flags | _SAFE, 0o600)
    try:
        info = os.fstat(handle)
        is_written = bool(flags & (os.O_WRONLY | os.O_RDWR))
        if not (stat.S_ISREG(info.st_mode) and is_ours(info, is_written=is_written)):
            raise PermissionError(f"{path} is not a file of this user alone")
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_ours(path: Path) -> str:
    """The text of a small file that nobody but this user may have written.

    Raises:
        OSError, ValueError: there is none, another user owns it or may write to it, it is a link, large or not UTF-8.
    """
    with open(path, "rb", opener=open_ours) as file:
        if sys.platform != "win32" and os.fstat(file.fileno()).st_mode & 0o022:
            raise PermissionError(f"others may write {path}")
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(f"{path} is too large")
    return text.decode("utf-8")
