"""The private Python environment that carries the engine: made, filled, checked, kept up to date."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.installer import pip_output, pip_settings, places
from scripts.installer.changes import Changes
from scripts.installer.programs import ask, succeeds
from scripts.installer.voice import SetupError

NEEDED_BYTES = 2_000_000_000
_NO_PIP_FILES = {"PIP_CONFIG_FILE": os.devnull}  # a damaged pip.conf keeps pip from saying even its version


class Environment:
    """``.venv`` in the checkout.

    Args:
        root: the checkout.
        changes: does, or in a dry run only says, what changes.
        torch_index: where pip takes torch from; None = pip's own configuration.
    """

    def __init__(self, root: Path, changes: Changes, torch_index: str | None = None) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.log = self.folder / "install.log"
        self._stamp = self.folder / "impasto.json"
        self._changes = changes
        self._voice = changes.voice
        self._torch_index = torch_index

    def program(self, name: str) -> Path:
        return places.venv_program(sys.platform, self.folder, name)

    def is_ours(self) -> bool:
        """Whether the set-up made the folder (and so may take it away)."""
        return bool(self._read_stamp().get("is_made_here"))

    def ensure(self, extras: Sequence[str] = ()) -> None:
        """Have the environment hold the engine with these extras; nothing is done where it does already.

        Raises:
            SetupError: something is missing or failed; the message says what to do.
        """
        stamp = self._read_stamp()
        wanted = sorted({*stamp.get("extras", []), *extras})
        if self._is_current(stamp, wanted):
            self._voice.say(f"  The engine's environment is complete: {self.folder}")
            return
        if self._changes.is_dry:
            self._voice.say(
                f"  would make or update {self.folder} with pip: torch, then the engine {_brackets(wanted)}"
            )
            return
        self._check_folder()
        self._check_disk()
        if not self._works():
            self._make()
            stamp = {"is_made_here": True}
        self._write_stamp({**stamp, "is_complete": False})
        if not self._has_new_pip():
            self._install("pip", ["--upgrade", "pip"])
        self._install("PyTorch", [_pinned_torch(self.root), *self._index_options()])
        self._install("the engine", ["--editable", f".{_brackets(wanted)}"])
        self._check_torch()
        self._write_stamp({**stamp, **self._fingerprint(), "extras": wanted, "is_complete": True})

    def _index_options(self) -> list[str]:
        return ["--index-url", self._torch_index] if self._torch_index else []

    def _fingerprint(self) -> dict[str, str]:
        """What the environment was made from; another one means that pip has to look again."""
        settings = (self.root / "pyproject.toml").read_bytes()
        return {"pyproject": hashlib.sha256(settings).hexdigest(), "root": str(self.root)}

    def _is_current(self, stamp: dict[str, Any], extras: list[str]) -> bool:
        return (
            bool(stamp.get("is_complete"))
            and stamp.get("extras") == extras
            and self._fingerprint().items() <= stamp.items()
            and self._works()
            and self.program("impasto").exists()
        )

    def _read_stamp(self) -> dict[str, Any]:
        try:
            stamp = json.loads(self._stamp.read_text("utf-8"))
        except (OSError, ValueError):
            return {}  # none yet, or cut off by a full disk: then pip looks again
        return stamp if isinstance(stamp, dict) else {}

    def _write_stamp(self, stamp: dict[str, Any]) -> None:
        self._changes.write(self._stamp, json.dumps(stamp, indent=2).encode())

    def _works(self) -> bool:
        """Whether the environment's Python starts and belongs to this folder (a moved checkout breaks it)."""
        if not (self.folder / "pyvenv.cfg").is_file():
            return False
        stamp = self._read_stamp()
        if stamp.get("root", str(self.root)) != str(self.root):
            return False
        return succeeds([self.program("python"), "-m", "pip", "--version"], _NO_PIP_FILES)

    def _check_folder(self) -> None:
        place = self.folder if self.folder.exists() else self.root
        if not os.access(place, os.W_OK):
            raise SetupError(f"{place} cannot be written: put Impasto into a folder of yours and run this again there.")

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.root).free
        if free < NEEDED_BYTES and not self._read_stamp().get("is_complete"):
            raise SetupError(
                f"Impasto needs about {NEEDED_BYTES / 1e9:.0f} GB of disk space, and {self.root} has "
                f"{free / 1e9:.1f} GB free: make room and run this again."
            )

    def _make(self) -> None:
        if self.folder.exists():
            if not self.is_ours():
                raise SetupError(
                    f"{self.folder} exists, was not made by this set-up and has no working pip: "
                    "remove it or give it pip, and run this again."
                )
            shutil.rmtree(self.folder)
        with self._voice.step("making the environment", f"made the environment {self.folder}"):
            for attempt in (self._make_with_ensurepip, self._make_with_our_pip, self._make_with_virtualenv):
                if attempt():
                    return
                shutil.rmtree(self.folder, ignore_errors=True)
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            raise SetupError(
                "This Python can make no environment, for it has neither ensurepip nor pip nor virtualenv: "
                f"install them (Debian and Ubuntu: sudo apt install python{version}-venv) and run this again."
            )

    def _make_with_ensurepip(self) -> bool:
        has_parts = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
        return has_parts and succeeds([sys.executable, "-m", "venv", self.folder])

    def _make_with_our_pip(self) -> bool:
        """Debian ships venv without ensurepip; the pip of this Python can then fill the new environment."""
        has_parts = all(importlib.util.find_spec(name) for name in ("venv", "pip"))
        return (
            has_parts
            and succeeds([sys.executable, "-m", "venv", "--without-pip", self.folder])
            and succeeds(
                [sys.executable, "-m", "pip", "--python", self.program("python"), "install", "pip"], self._pip_env()
            )
        )

    def _make_with_virtualenv(self) -> bool:
        program = shutil.which("virtualenv")
        return program is not None and succeeds([program, "-p", sys.executable, self.folder])

    def _install(self, title: str, arguments: list[str]) -> None:
        """One pip run: its state on a live line, all of it in the log.

        Raises:
            SetupError: pip failed; the message tells why and where the log is.
        """
        bar = "raw" if self._has_new_pip() else "off"
        options = ["install", "--no-input", "--progress-bar", bar]
        command = [str(self.program("python")), "-u", "-m", "pip", *options, *arguments]
        with (
            self._voice.step(f"installing {title}", f"installed {title}"),
            subprocess.Popen(
                command, cwd=self.root, env=self._pip_env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
            ) as pip,
        ):  # fmt: skip
            output = self._follow(title, pip.stdout or ())
            if pip.wait() != 0:
                reason = pip_output.explain_failure(output)
                raise SetupError(f"Installing {title} failed. {reason} The whole log: {self.log}")

    def _pip_env(self) -> dict[str, str]:
        """What pip gets of our environment; see ``pip_settings``."""
        program = self.program("python") if self._works() else Path(sys.executable)

        def list_settings(env: Mapping[str, str]) -> str:
            command = [str(program), "-m", "pip", "config", "list"]
            answer = subprocess.run(
                command, check=False, env=env, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
                errors="replace",
            )  # fmt: skip
            if answer.returncode == 0:
                return answer.stdout
            self._voice.say("    pip cannot read its own settings, so they are left out: see `pip config debug`.")
            return ""

        return pip_settings.environment(os.environ, list_settings)

    def _follow(self, title: str, lines: Iterable[str]) -> str:
        """Show what pip does while it does it, and keep a log.

        Returns:
            All that pip said.
        """
        task, said = "", []
        with self.log.open("a", encoding="utf-8") as log:
            for line in lines:
                state = pip_output.describe(line) or ""
                if pip_output.is_share(state):
                    self._voice.show(f"{title}: {task} {state}")
                    continue
                log.write(line)
                said.append(line)
                task = state or task
                if pip_output.is_large_download(state):
                    self._voice.say(f"    {state}")
                self._voice.show(f"{title}: {task}" if task else f"installing {title}")
        return "".join(said)

    def _has_new_pip(self) -> bool:
        """Whether pip tells other programs how far a download is (from 24.1 on)."""
        answer = ask([self.program("python"), "-m", "pip", "--version"], _NO_PIP_FILES, is_python=True)
        found = re.match(r"pip (\d+)\.(\d+)", answer.stdout)
        return found is not None and (int(found[1]), int(found[2])) >= (24, 1)

    def _check_torch(self) -> None:
        with self._voice.step("starting torch", "torch starts"):
            code = "import torch; torch.ones(2, 2) @ torch.ones(2, 2)"
            answer = ask([self.program("python"), "-c", code], is_python=True)
            if answer.returncode == 0:
                return
            with self.log.open("a", encoding="utf-8") as log:
                log.write(answer.stderr)
            advice = (
                "install the Microsoft Visual C++ Redistributable (x64) and run this again"
                if sys.platform == "win32"
                else "remove the folder .venv and run this again"
            )
            last = (answer.stderr.strip().splitlines() or ["it was ended by the system"])[-1]
            raise SetupError(f"PyTorch is installed but does not start ({last}): {advice}. The whole log: {self.log}")


def _pinned_torch(root: Path) -> str:
    """The torch requirement of pyproject.toml. It goes in first, so that nothing else pulls another."""
    found = re.search(r'"(torch==[^"]+)"', (root / "pyproject.toml").read_text("utf-8"))
    if found is None:
        raise SetupError("pyproject.toml pins no torch: this checkout is damaged; fetch it again.")
    return found[1]


def _brackets(extras: Sequence[str]) -> str:
    return f"[{','.join(extras)}]" if extras else ""
