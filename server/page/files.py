"""Which files the web page may touch: regular ones inside its own folder, and nothing else on this computer.

Clients name files by their paths. A path is judged by its text first, so that a foreign one is not even looked for.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

from gimp_plugin.wire import WireError


class PageFiles:
    """The page's own folder.

    Args:
        folder: of uploads and results; nobody else may enter it.
    """

    def __init__(self, folder: Path) -> None:
        self.real = os.path.realpath(folder)
        self._roots = tuple({_plain(self.real), _plain(os.path.abspath(folder))})

    def owns(self, path: Any) -> bool:
        """Whether a client may name this path: it lies in the folder, no link leads out, and no special file is there.

        A file that is gone counts as well: whoever opens it says so.
        """
        if not isinstance(path, str) or "\0" in path or not self._is_below(path):
            return False
        try:
            if not self._is_below(os.path.realpath(path)):
                return False
            return stat.S_ISREG(os.lstat(path).st_mode)
        except FileNotFoundError:
            return True
        except (OSError, ValueError):
            return False

    def find(self, path: str, what: str) -> Path:
        """A file that a client named.

        Args:
            path: as the client gave it.
            what: how the page calls it ("photo"), for the error's sentence.

        Raises:
            WireError: it was never the page's. The sentence is that for a file which is gone.
        """
        if not self.owns(path):
            raise gone(what)
        return Path(path)

    def _is_below(self, path: str) -> bool:
        plain = _plain(path)
        return any(plain.startswith(root + os.sep) for root in self._roots)


def gone(what: str) -> WireError:
    """The refusal of a file that is not there, or that nobody may ask for."""
    return WireError("unprocessable", f"The {what} is no longer here: choose it again.")


def open_regular(path: Path) -> int:
    """A descriptor to read a regular file with.

    It neither waits for the writer of a FIFO nor follows a link.

    Raises:
        FileNotFoundError: there is none, or something else stands there.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise FileNotFoundError(errno.ENOENT, "no regular file") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "no regular file")
    return descriptor


def _plain(path: str) -> str:
    return os.path.normcase(os.path.normpath(path))
