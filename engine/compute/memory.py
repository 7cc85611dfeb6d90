"""Memory that ran out, whatever it is called, and memory that is free. Without torch: the web page's process reads it.

PyTorch, its libraries, numpy and the system each have words of their own for it, and most come as a plain
``RuntimeError``. There is one list of them, here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from engine.compute import malloc
from engine.core.errors import ImpastoError

NAMES = ("OutOfMemoryError", "_ArrayMemoryError")  # torch's, numpy's
NUMBERS = (errno.ENOMEM, errno.EAGAIN)  # EAGAIN: what a system that has no room for a thread says
WORDS = (
    "out of memory",
    "out_of_memory",
    "allocate memory",  # DefaultCPUAllocator, the C library
    "not enough memory",
    "insufficient memory",
    "alloc_failed",  # of cuBLAS, cuDNN, cuSPARSE
    "cublas_status_not_initialized",  # what these two say when their own workspace does not fit
    "cudnn_status_not_initialized",
    "cudaerrormemoryallocation",
    "enforce fail at alloc_cpu",
    "could not create a primitive",  # of oneDNN, as the next two
    "could not create a memory",
    "could not execute a primitive",
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "unable to allocate",
    "unable to mmap",
    "mmap failed",
    "failed to map segment",  # a library that is loaded late
    "can't start new thread",
    "thread creation failed",
    "resource temporarily unavailable",
    "paging file is too small",
)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
CGROUP = Path("/sys/fs/cgroup")
MEMINFO, STATUS = Path("/proc/meminfo"), Path("/proc/self/status")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, says that memory ran out."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if _says_so(cause):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return False


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ in NAMES:
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in NUMBERS or getattr(error, "winerror", None) in (8, 14, 1455)
    if isinstance(error, ImpastoError):  # our own sentence: what it was raised from decides
        return False
    text = QUOTED.sub("", str(error)).lower()  # less the names of files
    return any(words in text for words in WORDS)


@dataclass(frozen=True)
class Room:
    """Memory that this process can still have, in bytes.

    Args:
        n_free: without pushing anything else out.
        n_possible: with what the system can push out to its disk; more than this is refused.
    """

    n_free: int
    n_possible: int


def free_room() -> Room | None:
    """What is free now, within every limit that is set on this process; None where the system does not tell."""
    room = _of_windows() if sys.platform == "win32" else _of_linux() or _of_posix()
    if room is None:
        return None
    limits = [n + malloc.kept_bytes() for n in (_left_of_limits(), _left_of_group()) if n is not None]
    return Room(min([room.n_free, *limits]), min([room.n_possible, *limits]))


def _of_linux() -> Room | None:
    sizes = _kilobytes(MEMINFO)
    if "MemAvailable" not in sizes:
        return None
    return Room(sizes["MemAvailable"], sizes["MemAvailable"] + sizes.get("SwapFree", 0))


def _of_posix() -> Room | None:
    """macOS tells how much there is, not how much is free; it compresses what others do not use."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    return Room(total // 2, total) if total > 0 else None


def _of_windows() -> Room | None:
    class Status(ctypes.Structure):
        """MEMORYSTATUSEX."""

        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "total_page", "free_page")),
            *((name, ctypes.c_ulonglong) for name in ("total_virtual", "free_virtual", "extended")),
        )

    status = Status(length=ctypes.sizeof(Status))
    library = getattr(ctypes, "windll", None)
    if library is None or not library.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return Room(int(status.free), int(status.free_page))


def _left_of_limits() -> int | None:
    """What the limits of this process (``ulimit``) leave."""
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return None
    used = _kilobytes(STATUS)
    left = []
    for kind, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        soft, _hard = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY and name in used:
            left.append(max(0, soft - used[name]))
    return min(left, default=None)


def _left_of_group() -> int | None:
    """What the control group of this process (a container's) leaves; of a group within another, its own limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
        folder = CGROUP / next(line for line in lines if line.startswith("0::"))[3:].lstrip("/")
        limit, used = (folder / "memory.max").read_text("utf-8").strip(), int((folder / "memory.current").read_text())
        cached = next(
            int(line.split()[1])
            for line in (folder / "memory.stat").read_text("utf-8").splitlines()
            if line.startswith("inactive_file ")
        )
    except (OSError, ValueError, StopIteration):
        return None
    return None if limit == "max" else max(0, int(limit) - used + cached)


def _kilobytes(path: Path) -> dict[str, int]:
    """The lines "Name: 123 kB" of one of Linux's files, in bytes; none where there is no such file."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    words = [line.split() for line in lines if line.endswith(" kB")]
    return {name.rstrip(":"): int(value) * 1024 for name, value, _unit in words}
