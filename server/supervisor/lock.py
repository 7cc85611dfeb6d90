"""One engine for each folder, and a folder for each host: the lock that the operating system opens again at the end."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gimp_plugin import wire
from server.supervisor import spool

OWNER = "host"  # names the host whose engine has the folder; gone with the engine
Held = BinaryIO | socket.socket
# What says "another holds it"; all else says that there is no locking here, as on some network file systems.
_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, *((errno.EACCES, errno.EDEADLK) if sys.platform == "win32" else ())}


class Claim(NamedTuple):
    """The folder in which this host's engine lives.

    Args:
        folder: the state folder, or one in it.
        held: its lock, ours until it is closed; None if another engine of this host has it.
    """

    folder: Path
    held: Held | None


def claim(base: Path) -> Claim:
    """Take the state folder, or one of our own in it while it is another host's: a home may be shared.

    An engine of another host cannot be reached from here, and its token, port and jobs must not be touched.

    Raises:
        WireError: both are taken by others.
        OSError: a folder cannot be made or locked.
    """
    for folder in (base, wire.host_folder(base)):
        if folder != base:
            spool.make_private(folder.parent)
        spool.make_private(folder)
        if wire.is_elsewhere(_owner(folder)):
            continue
        held = lock(folder)
        if held is None:
            owner = _owner(folder)
            if wire.is_elsewhere(owner) or wire.is_other_start(owner):  # it lives, and was not started here
                continue
            return Claim(folder, None)
        if _sign(folder):
            return Claim(folder, held)
        held.close()
    raise wire.WireError(
        "unreachable", f"Engines of other hosts use {base}: set IMPASTO_STATE_DIR to a folder of this host."
    )


def take(folder: Path) -> Held | None:
    """The lock of a folder that is this host's, with our name in it; None if another engine holds it."""
    held = lock(folder)
    if held is None or _sign(folder):
        return held
    held.close()
    return None


def lock(folder: Path) -> Held | None:
    """The folder's one engine: what the operating system unlocks when its process ends, however it ends.

    Returns:
        The lock, or None if another engine holds it.

    Raises:
        OSError: the folder cannot be written, or nothing here can be locked.
    """
    file = (folder / "lock").open("a+b")
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        with file:
            if error.errno in _TAKEN:
                return None
            if sys.platform == "win32":
                raise
            return _lock_beside(folder, os.fstat(file.fileno()))
    return file


def _lock_beside(folder: Path, info: os.stat_result) -> Held | None:
    """The same lock where the folder's file system has none: by a name of this computer's."""
    # The file's number is in the name, which others cannot see: they cannot take it beforehand.
    secret = f"{folder.resolve()} {info.st_dev} {info.st_ino}"
    name = f"impasto-{os.getuid()}-{hashlib.sha256(secret.encode()).hexdigest()[:32]}"
    if sys.platform.startswith("linux"):
        named = socket.socket(socket.AF_UNIX)
        try:
            named.bind(f"\0{name}")
        except OSError as error:
            named.close()
            if error.errno == errno.EADDRINUSE:
                return None
            raise
        return named
    import fcntl  # noqa: PLC0415

    file = (spool.make_private(wire.spare_dir()) / f"{name}.lock").open("a+b")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return None
        raise
    return file


def _owner(folder: Path) -> str:
    with suppress(OSError, ValueError):
        return (folder / OWNER).read_text("utf-8")
    return ""


def _sign(folder: Path) -> bool:
    """Write our host into a folder that we have locked; False if another host was quicker.

    The locks of some network file systems hold on one host only: there it is this that decides.
    """
    if not wire.this_host():
        return True
    with suppress(FileExistsError):
        handle = os.open(folder / OWNER, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(wire.this_host())
        return True
    if wire.is_elsewhere(_owner(folder)):
        return False
    spool.write_private(folder / OWNER, wire.this_host())
    return True
