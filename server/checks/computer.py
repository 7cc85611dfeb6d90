"""The computer: Python, memory, room on the disks, console, network to itself."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from server.checks.finding import Finding
from server.checks.folders import known_dir

FEW_DISK_BYTES = 600_000_000  # a job of the largest kind keeps its request and its result there
FEW_MEMORY_BYTES = 1_500_000_000
WAIT_S = 3.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def check_python() -> Iterator[Finding]:
    """The interpreter, and the machine it runs on."""
    is_old, home = sys.version_info < (3, 10), f"{sys.base_prefix} {sys.executable}".lower()
    if sys.platform == "win32" and ("windowsapps" in home or "pythonsoftwarefoundation" in home):
        yield Finding(
            False,
            "Python",
            f"{platform.python_version()} of the Microsoft Store",
            "Windows hides what it writes from GIMP.",
            "Install Python from python.org and run install.py with that one.",
        )
    else:
        advice = "Run install.py with a Python from 3.10 to 3.14." if is_old else ""
        matters = "PyTorch needs a newer one." if is_old else ""
        yield Finding(not is_old, "Python", f"{platform.python_version()} at {sys.executable}", matters, advice)
    foreign = [name for name in ("PYTHONPATH", "PYTHONHOME") if os.environ.get(name)]
    if foreign:
        yield Finding(
            None,
            "Python's settings",
            f"{' and '.join(foreign)} set: a Python of yours may load other modules than its own",
            "",
            "If something cannot be imported, unset them first.",
        )
    yield Finding(None, "Computer", f"{platform.platform()}, {os.cpu_count()} processors")


def check_memory() -> Iterator[Finding]:
    """How much memory is free."""
    free = _free_memory()
    if free is None:
        return
    is_enough = free >= FEW_MEMORY_BYTES
    yield Finding(
        is_enough,
        "Memory",
        f"{free / 1e9:.1f} GB free",
        "" if is_enough else "Large pictures are painted in small tiles, or not at all.",
        "" if is_enough else "Close other programs.",
    )


def _free_memory() -> int | None:
    """Bytes that are free, where the system says so (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):
        return None


def check_disks() -> Iterator[Finding]:
    """Room where the engine works, and for temporary files."""
    seen = set()
    for what, folder in (("Disk", known_dir()), ("Temporary files", Path(tempfile.gettempdir()))):
        if folder is None:
            continue
        place = next((path for path in (folder, *folder.parents) if path.exists()), folder)
        device = place.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(place).free
        is_enough = free >= FEW_DISK_BYTES
        yield Finding(
            is_enough,
            what,
            f"{free / 1e9:.1f} GB free at {place}",
            "" if is_enough else "The engine keeps requests and results there while it paints.",
            "" if is_enough else f"Make room there: {FEW_DISK_BYTES / 1e9:.1f} GB at least.",
        )


def check_console() -> Iterator[Finding]:
    """Whether this console can show every file name."""
    encoding = (getattr(sys.stdout, "encoding", None) or "unknown").lower()
    can_show = encoding.replace("-", "").replace("_", "") in ("utf8", "utf16", "utf32", "cp65001")
    advice = "" if can_show else "Set PYTHONIOENCODING=utf-8, or a UTF-8 locale, to see all names."
    text = encoding if can_show else f"{encoding}, which cannot show every file name"
    yield Finding(None, "Console", text, "", advice)


def check_network() -> Iterator[Finding]:
    """Whether a program here reaches another one on 127.0.0.1: GIMP reaches the engine so."""
    try:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(1)
            with socket.create_connection(server.getsockname(), WAIT_S) as client:
                server.settimeout(WAIT_S)
                taken, _ = server.accept()
                with taken:
                    client.sendall(b"!")
                    taken.settimeout(WAIT_S)
                    is_through = taken.recv(1) == b"!"
        reason = "" if is_through else "nothing came through"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        yield Finding(
            False,
            "127.0.0.1",
            f"cannot be used ({reason})",
            "GIMP and the web page reach the engine there, and nowhere else.",
            "Allow programs to connect to 127.0.0.1 in the firewall or sandbox.",
        )
    else:
        yield Finding(True, "127.0.0.1", "programs here reach each other")
    proxies = [name for name in os.environ if name.lower() in _PROXIES and os.environ[name]]
    if proxies:
        text = f"{', '.join(sorted(proxies))} set: only `impasto models get` and pip use it, GIMP and engine never do"
        yield Finding(None, "Proxy", text)
