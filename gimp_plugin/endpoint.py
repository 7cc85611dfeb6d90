"""Where a running engine is to be found, and how it proves that it is ours. Standard library only.

Both sides read it through ``wire``.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from .private import read_ours
else:
    from private import read_ours


@dataclass(frozen=True)
class Endpoint:
    """What a running engine writes to ``engine.json`` in the state folder.

    Args:
        port: on 127.0.0.1, chosen by the operating system.
        pid: the supervisor's process; information only, never proof that it lives.
        nonce: 32 hex digits, new at every start; ``/healthz`` proves that it holds the token with it.
        version: the engine's version.
    """

    port: int
    pid: int
    nonce: str
    version: str


def state_dir() -> Path:
    """The private folder of token, endpoint file, lock, log and jobs (``IMPASTO_STATE_DIR`` overrides).

    Computed from the home folder and not from XDG_DATA_HOME or XDG_RUNTIME_DIR, which a Flatpak GIMP sees
    differently from the engine outside it.
    """
    override = os.environ.get("IMPASTO_STATE_DIR")
    if override:
        return Path(override)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "Impasto"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Impasto"
    return Path.home() / ".local" / "share" / "impasto"


def read_endpoint(folder: Path) -> Endpoint | None:
    """The endpoint that the last engine wrote, or None. It may be stale: check ``proof`` before any token is sent."""
    try:
        values = json.loads(read_ours(folder / "engine.json"))
        return Endpoint(int(values["port"]), int(values["pid"]), str(values["nonce"]), str(values["version"]))
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
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
