"""Where a running engine is to be found, and how it proves that it is ours. Standard library only.

Both sides read it through ``wire``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from gimp_plugin.wire.private import read_ours

HOSTS = "hosts"  # a home may be shared: in the state folder, one folder for each further host that runs an engine


@dataclass(frozen=True)
class Endpoint:
    """What a running engine writes to ``engine.json`` in its folder.

    Args:
        port: on 127.0.0.1, chosen by the operating system.
        pid: the supervisor's process; information only, never proof that it lives.
        nonce: 32 hex digits, new at every start; ``/healthz`` proves that it holds the token with it.
        version: the engine's version.
        host: whose 127.0.0.1 it is (``this_host``); "" = not said.
    """

    port: int
    pid: int
    nonce: str
    version: str
    host: str = ""


def this_host() -> str:
    """Whose 127.0.0.1 ours is: the host's name, its start, and its network (a container may have one of its own).

    "-" stands for what a sandbox hides. Empty on Windows and macOS: there the state folder is on the computer itself,
    and names change with the network.
    """
    if sys.platform in ("win32", "darwin"):
        return ""
    name = "_".join(socket.gethostname().split()) or "-"
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip() or "-"
    except (OSError, ValueError):
        boot = "-"
    try:
        network = str(os.stat("/proc/self/ns/net").st_ino)
    except OSError:
        network = "-"
    return f"{name} {boot} {network}"


def is_elsewhere(host: str) -> bool:
    """Whether what ``host`` says was written on another host, whose 127.0.0.1 is not ours. False where it is unsaid."""
    (name, boot, network), (our_name, our_boot, our_network) = _parts(host), _parts(this_host())
    if "-" in (name, our_name):
        return False
    if name != our_name:
        return True
    is_one_start = boot == our_boot != "-"
    return is_one_start and "-" not in (network, our_network) and network != our_network


def is_other_start(host: str) -> bool:
    """Whether ``host`` was written before this host was started; or by another of the same name."""
    boot, our_boot = _parts(host)[1], _parts(this_host())[1]
    return "-" not in (boot, our_boot) and boot != our_boot


def _parts(host: str) -> tuple[str, str, str]:
    words = host.split()
    return (words[0], words[1], words[2]) if len(words) == 3 else ("-", "-", "-")


def host_folder(folder: Path) -> Path:
    """Where this host's engine lives if the state folder itself is another host's."""
    name, _, network = _parts(this_host())
    letters = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in name).lstrip(".")
    return folder / HOSTS / f"{letters}-{network}"


def engine_folder(folder: Path) -> Path:
    """Where the files of this host's engine are: the state folder, or one of its own in it."""
    for place in (folder, *_further(folder)):
        endpoint = read_endpoint(place)
        if endpoint is not None and not is_elsewhere(endpoint.host):
            return place
    return folder


def _further(folder: Path) -> list[Path]:
    try:
        return sorted((folder / HOSTS).iterdir())
    except OSError:
        return []


def read_endpoint(folder: Path) -> Endpoint | None:
    """The endpoint that the last engine wrote, or None. It may be stale: check ``proof`` before any token is sent."""
    try:
        values = json.loads(read_ours(folder / "engine.json"))
        port, pid, nonce, version = (values[name] for name in ("port", "pid", "nonce", "version"))
        return Endpoint(int(port), int(pid), str(nonce), str(version), str(values.get("host", "")))
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError, AttributeError):
        return None


def read_token(folder: Path) -> str | None:
    """The engine's secret (64 hex digits), or None where no engine ever ran."""
    try:
        token = read_ours(folder / "token").strip()
    except (OSError, ValueError):
        return None
    return token if token.isascii() and token else None


def proof(token: str, nonce: str, challenge: str) -> str:
    """What ``GET /healthz?challenge=...`` must answer: only the holder of the token can compute it."""
    return hmac.new(token.encode(), f"{nonce}:{challenge}".encode(), hashlib.sha256).hexdigest()
