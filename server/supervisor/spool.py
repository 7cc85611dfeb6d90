"""The private folder through which requests and results pass between supervisor and worker."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from gimp_plugin.wire import MAX_HEADER_BYTES, Buffer, WireError, check_header, is_ours

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
TOO_MANY_OPEN = frozenset({errno.EMFILE, errno.ENFILE})
CHUNK_BYTES = 1 << 20
# What we open in the state folder. A link among them would lead us, or what we write, to any file of the user.
LOGS = ("engine.log", "engine.log.1", "engine.log.2", "worker.log", "engine-start.log")
OURS = ("token", "engine.json", "lock", "host", "hosts", "jobs", "kept", "page", *LOGS)
TEMPORARY = ".tmp"  # suffix of a result that is not whole yet
log = logging.getLogger("impasto")


def make_private(folder: Path) -> Path:
    """Make a folder that only its owner can enter (0700), and free it of what others may have planted before.

    Raises:
        WireError: it is another user's, or holds what cannot be removed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A link to it may be ours (the folder lies on another disk) or the system's.
    owners = {folder.stat().st_uid} | ({folder.lstat().st_uid} - {0})
    if sys.platform != "win32" and owners != {os.geteuid()}:
        raise WireError("failed", f"{folder} belongs to another user: remove it, or set IMPASTO_STATE_DIR to another.")
    folder.chmod(0o700)  # it may have been there before
    for name in OURS:
        path = folder / name
        if os.path.lexists(path) and not is_ours(path.lstat(), is_written=name in LOGS):
            log.warning("%s was a link or of another user: removed", name)
            wipe(path)
            if os.path.lexists(path):
                raise WireError("failed", f"{path} belongs to another user and cannot be removed: remove it.")
    return folder


def wipe(path: Path) -> None:
    """Remove a folder and all in it, or a link or file in its place; a missing one is fine. No link is followed."""
    with suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def discard(path: Path) -> None:
    """Remove a file. One that is gone is fine; one that is still open elsewhere (Windows) stays for ``wipe``."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s stays until the next start: %s", path.name, error)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read (0600), all at once or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    os.replace(temporary, path)


def disk_error(error: OSError) -> WireError:
    """What the user is told of a failed write; the log is told all of it."""
    log.error("a working file could not be written: %s", error)
    if error.errno in DISK_FULL:
        return WireError(
            "disk_full", "There is no room left on the disk for the engine's working files. Free some and try again."
        )
    if error.errno in TOO_MANY_OPEN:
        return WireError("busy", "The engine has too many files and connections open. Try again in a moment.")
    return WireError("failed", "The engine could not write its working files. Its log says why.")


async def receive(
    chunks: AsyncIterator[bytes],
    total_bytes: int,
    path: Path,
    check_head: Callable[[Buffer, int], object] = check_header,
) -> str:
    """Write a request's body to a file as it comes, its header checked before the planes are taken.

    Args:
        chunks: the body.
        total_bytes: what Content-Length says.
        path: file to write; removed again if anything fails.
        check_head: gets the first bytes, the header complete among them, and ``total_bytes``; refuses by ``WireError``.

    Returns:
        What tells the body from another one: its length and CRC-32 (SHA-256 takes as long as all the rest here).

    Raises:
        WireError: not a frame, another length than declared, or no room on the disk.
        asyncio.TimeoutError: passed on from the chunks.
    """
    head = bytearray()
    is_checked = False
    n_received, checksum = 0, 0
    try:
        with path.open("xb") as file:
            async for chunk in chunks:
                n_received += len(chunk)
                if n_received > total_bytes:
                    raise WireError("bad_request", "The body is longer than its Content-Length.")
                if not is_checked:
                    head += chunk
                    is_checked = _is_header_whole(head, total_bytes)
                    if is_checked:
                        check_head(head, total_bytes)
                        head.clear()
                checksum = zlib.crc32(chunk, checksum)
                file.write(chunk)
    except BaseException as error:
        discard(path)
        if isinstance(error, asyncio.TimeoutError) or not isinstance(error, OSError):
            raise  # a timeout is an OSError too since Python 3.11, but the disk's least of all
        raise disk_error(error) from error
    if n_received != total_bytes or not is_checked:
        discard(path)
        raise WireError("bad_request", f"The body has {n_received} bytes, its Content-Length says {total_bytes}.")
    return f"{n_received}-{checksum:08x}"


def _is_header_whole(head: bytearray, total_bytes: int) -> bool:
    """Whether the frame's header has arrived, or is of a length that no header has."""
    if len(head) < 8:
        return False
    length = int.from_bytes(head[:8], "little")
    return len(head) >= 8 + length or not 2 <= length <= MAX_HEADER_BYTES


def put_result(path: Path, buffers: list[Buffer]) -> None:
    """Write a frame so that it appears whole or not at all.

    No fsync: a result is worth nothing after a power cut, and a killed process cannot undo a rename.

    Raises:
        WireError: no room on the disk.
    """
    temporary = path.with_suffix(TEMPORARY)
    try:
        with temporary.open("wb") as file:
            for buffer in buffers:
                file.write(buffer)
        os.replace(temporary, path)
    except OSError as error:
        discard(temporary)
        raise disk_error(error) from error


async def send(path: Path) -> AsyncIterator[bytes]:
    """A file in large pieces (it was just written, so it comes from memory)."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
