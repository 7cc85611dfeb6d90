"""``impasto doctor``: is everything here that Impasto needs, and where is it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine import __version__
from engine.errors import WeightsError
from gimp_plugin import wire
from server.commands.command import Command


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Args:
        is_good: False = Impasto does not work like this; None = for information.
        what: in a word or two.
        text: what was found, and what to do if it is bad.
    """

    is_good: bool | None
    what: str
    text: str


def check_python() -> Iterator[Finding]:
    """The interpreter, and the machine it runs on."""
    yield Finding(sys.version_info >= (3, 10), "Python", f"{platform.python_version()} at {sys.executable}")
    yield Finding(None, "Computer", f"{platform.platform()}, {os.cpu_count()} processors")


def check_torch() -> Iterator[Finding]:
    """PyTorch, torchvision, and the device that "auto" means."""
    try:
        import torch  # noqa: PLC0415  (only when it is needed)
    except (ImportError, OSError) as error:
        yield Finding(False, "PyTorch", f"cannot be loaded ({error}): run install.py again.")
        return
    yield Finding(True, "PyTorch", f"{torch.__version__}, {torch.get_num_threads()} threads")
    from engine.device import choose_device  # noqa: PLC0415

    device = choose_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor (no CUDA device)"
    yield Finding(None, "Device", name)
    from engine.vision import import_torchvision  # noqa: PLC0415

    try:
        yield Finding(True, "torchvision", str(import_torchvision().__version__))
    except (ImportError, RuntimeError, OSError) as error:
        yield Finding(False, "torchvision", f"cannot be loaded ({error}): run install.py again.")


def check_weights() -> Iterator[Finding]:
    """Shipped weights by their hashes; presets; which methods are ready."""
    from engine import methods, styles, weights  # noqa: PLC0415

    for name, entry in sorted(weights.manifest().items()):
        try:
            weights.load_shipped(name)
            yield Finding(True, f"Weights {name}", f"{entry.n_bytes / 1e6:.1f} MB, intact")
        except WeightsError as error:
            yield Finding(False, f"Weights {name}", str(error))
    ready = [info.name for info in methods.catalog() if info.is_ready]
    yield Finding(bool(ready), "Methods", ", ".join(ready) or "none is ready: run install.py again.")
    yield Finding(bool(styles.presets()), "Style presets", str(len(styles.presets())))


def check_plugin() -> Iterator[Finding]:
    """Where install.py has put the plug-in, and whether it is still there and finds its engine."""
    record = wire.state_dir() / "install.json"
    try:
        folders = [Path(entry["folder"]) for entry in json.loads(record.read_text("utf-8"))["plugins"]]
    except (OSError, ValueError, KeyError, TypeError):
        folders = []
    if not folders:
        yield Finding(None, "Plug-in", "in no GIMP yet: python3 install.py puts it there.")
    for folder in folders:
        yield _plugin_in(folder)


def _plugin_in(folder: Path) -> Finding:
    entry = folder / "impasto.py"
    if not entry.is_file():
        return Finding(False, "Plug-in", f"{folder} has lost it: run install.py again.")
    if sys.platform != "win32" and not os.access(entry, os.X_OK):
        return Finding(False, "Plug-in", f"{entry} may not be run, so GIMP leaves it out: run install.py again.")
    try:
        program = Path(json.loads((folder / "engine.json").read_text("utf-8"))["command"][0])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return Finding(False, "Plug-in", f"{folder} does not say how to start the engine: run install.py again.")
    if not program.is_file():
        return Finding(False, "Plug-in", f"{folder} starts {program}, which is gone: run install.py again.")
    return Finding(True, "Plug-in", str(folder))


def check_engine() -> Iterator[Finding]:
    """Whether an engine runs. None is no fault: the plug-in starts it."""
    from gimp_plugin.client import Engine  # noqa: PLC0415  (http.client is slow to import)

    folder = wire.state_dir()
    engine = Engine.probe(folder)
    if engine is None:
        yield Finding(None, "Engine", f"not running; its folder is {folder}")
    else:
        health = engine.health
        yield Finding(None, "Engine", f"{health.status} on port {engine.port}, version {health.version or 'unknown'}")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_torch,
    check_weights,
    check_plugin,
    check_engine,
)
MARKS = {True: "ok ", False: "BAD", None: "   "}


def run(_options: argparse.Namespace) -> int:
    """Print what every check finds.

    Returns:
        1 if something is bad.
    """
    print(f"Impasto {__version__}")
    is_good = True
    for check in CHECKS:
        for finding in check():
            print(f"{MARKS[finding.is_good]} {finding.what:18} {finding.text}")
            is_good = is_good and finding.is_good is not False
    print("All is well." if is_good else "Something is wrong: see the lines marked BAD.")
    return 0 if is_good else 1


def _add_nothing(_parser: argparse.ArgumentParser) -> None:
    """It has no options."""


COMMAND = Command("doctor", "check that everything that Impasto needs is here", run, _add_nothing)
