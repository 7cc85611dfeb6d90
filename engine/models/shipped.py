"""Weights that ship with the package, checked before they are used, and those a user fetched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file
from torch import Tensor, nn

from engine.compute.memory import is_out_of_memory
from engine.core.errors import Cancelled, WeightsError

FOLDER = Path(__file__).parents[1] / "weights"
# Tables around a table of weights, the one that is preferred first.
WRAPPERS = (
    *("params_ema", "ema_state_dict", "state_dict_ema", "model_ema", "ema", "params"),
    *("state_dict", "model_state_dict", "model_state", "model_dict", "weights", "net_state_dict"),
    *("netG", "netG_A", "netG_A2B", "G", "G_ema", "generator", "generator_state_dict", "gen", "transformer"),
    *("decoder", "model", "network", "net", "module"),
)
MAX_WRAPPERS = 3
PREFIXES = ("module.", "_orig_mod.", "network.", "net.")  # of several cards, of a compiled network, of a program's own
PAINTERS = ("generator.", "netG.", "G.")  # of a program that holds it beside other networks
PARAMETERS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
STEP = ".step"  # after the name of a matrix in 8 bits: what one of its levels is worth, row by row


@dataclass(frozen=True)
class Shipped:
    """An entry of ``weights/manifest.json``: file name, length, hash, and the card that says how it was made."""

    file: str
    n_bytes: int
    sha256: str
    card: str


@cache
def manifest() -> dict[str, Shipped]:
    """What ships, by name."""
    entries = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
    return {name: Shipped(e["file"], e["bytes"], e["sha256"], e["card"]) for name, e in entries.items()}


def is_here(name: str) -> bool:
    """Whether shipped weights are in their place (not whether they are intact: loading checks that)."""
    return name in manifest() and (FOLDER / manifest()[name].file).is_file()


def load_shipped(name: str) -> dict[str, Tensor]:
    """A shipped state dict, float32, after its length and hash were checked.

    Raises:
        WeightsError: missing or damaged.
    """
    entry = manifest().get(name)
    if entry is None:
        raise WeightsError(f"No weights called {name!r} ship with Impasto.")
    try:
        data = (FOLDER / entry.file).read_bytes()
    except OSError as error:
        raise WeightsError(f"The weights {entry.file} are missing: run install.py again.") from error
    if len(data) != entry.n_bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise WeightsError(f"The weights {entry.file} are damaged: run install.py again.")
    try:
        return unpacked(load(data))
    except SafetensorError as error:
        raise WeightsError(f"The weights {entry.file} are not safetensors: run install.py again.") from error


def names_in(name: str) -> list[str]:
    """The names of the tensors in shipped weights, as its header tells them.

    Raises:
        WeightsError: damaged.
    """
    file = FOLDER / manifest()[name].file
    try:
        with safe_open(file, framework="pt") as tensors:
            return list(tensors.keys())
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"The weights {file.name} are damaged: run install.py again.") from error


def fill(network: nn.Module, name: str) -> None:
    """Load shipped weights into a network.

    Raises:
        WeightsError: missing, damaged, or of another version of the network.
    """
    try:
        network.load_state_dict(load_shipped(name))
    except RuntimeError as error:
        raise WeightsError(f"The weights {name!r} are of another version of Impasto: run install.py again.") from error


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What tells a user's file from another that takes its place: size, time of change, number; None = there is none.

    Caches of what was read from files have it in their keys.
    """
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns, state.st_ino


def read_state(path: Path, *, is_mapped: bool = False) -> dict[str, Tensor]:
    """A state dict out of a user's file: safetensors, or a pickle that may hold nothing but tensors.

    Args:
        path: of the file.
        is_mapped: leave a pickle's values on the disk until they are used; it must be of PyTorch 1.6 or later.

    Raises:
        WeightsError: no such file, damaged, or not a state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return without_prefix(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped)
    except FileNotFoundError as error:
        raise WeightsError(f"There is no file {path}.") from error
    except Exception as error:  # what the two libraries raise at damaged files is not documented
        if isinstance(error, Cancelled) or is_out_of_memory(error):
            raise
        raise WeightsError(
            f"{path.name} is not a readable file of weights: it is damaged, or of another kind."
        ) from error
    found = unwrapped(state)
    if found is None:
        raise WeightsError(f"{path.name} holds no state dict: it must be a table of names and tensors.")
    return found


def unwrapped(stored: object) -> dict[str, Tensor] | None:
    """The table of names and tensors in what a training program saved, which is often a table around it.

    Beside the network there may be numbers, names of settings and an optimizer's tables; of several networks the one
    that paints is taken, and of a network and its running average the average. ``module.`` before all names, which
    training on several cards leaves, is dropped.

    Args:
        stored: what the file holds.

    Returns:
        None if there is no such table, or none can be told to be the one.
    """
    for _ in range(MAX_WRAPPERS + 1):
        if not isinstance(stored, Mapping):
            return None
        table = {name: value for name, value in stored.items() if isinstance(name, str) and isinstance(value, Tensor)}
        inner = {str(name): value for name, value in stored.items() if isinstance(value, Mapping) and value}
        if table and (len(table) == len(stored) or not inner):
            return without_prefix(table) if len(table) == len(stored) or _is_network(table) else None
        known = [name for name in WRAPPERS if name in inner]
        if not known and len(inner) != 1:
            return None
        stored = inner[known[0]] if known else next(iter(inner.values()))
    return None


def _is_network(table: Mapping[str, Tensor]) -> bool:
    """Whether tensors beside other values are weights: their names are those of parameters."""
    return all(name.rpartition(".")[2] in PARAMETERS for name in table)


def without_prefix(table: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A table whose names all begin with the same of ``PREFIXES`` without it, as often as they do; of one that holds
    several networks, that of ``PAINTERS``."""
    result = dict(table)
    while result:
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in result)), None)
        prefix = prefix or next((p for p in PAINTERS if any(name.startswith(p) for name in result)), None)
        if prefix is None:
            break
        result = {name.removeprefix(prefix): x for name, x in result.items() if name.startswith(prefix)}
    return result


def packed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in 8 bits: each row of a matrix (filter of a convolution) in 255 levels of a step of its own.

    What rounding adds is below a hundredth of a row's deviation; vectors stay in half precision.
    """
    result = {}
    for name, value in state.items():
        if value.ndim < 2 or not value.is_floating_point():
            result[name] = value.half() if value.is_floating_point() else value
            continue
        step = value.float().flatten(1).abs().amax(1).clamp_min(1e-12) / 127  # (rows,)
        rows = step.view(-1, *[1] * (value.ndim - 1))
        result[name] = (value.float() / rows).round().to(torch.int8).contiguous()
        result[name + STEP] = step
    return result


def unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in float32, from what ``packed`` or half precision made of it."""
    result = {}
    for name, value in stored.items():
        if name.endswith(STEP):
            continue
        step = stored.get(name + STEP)
        result[name] = value.float() if step is None else value.float() * step.view(-1, *[1] * (value.ndim - 1))
    return result
