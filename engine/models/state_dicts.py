"""State dicts that must fit the network they are for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.core.errors import WeightsError


def fill(network: nn.Module, state: Mapping[str, Tensor], name: str, what: str = "this network") -> None:
    """Load weights that must fit, and be numbers; the network is to be used then, not trained.

    Args:
        network: gets them, in float32.
        state: its weights, by their names.
        name: of the file or layer, for a complaint.
        what: the network is, for a complaint.

    Raises:
        WeightsError: a name is missing or too many, a shape differs, or a value is not a number.
    """
    wanted = network.state_dict()
    missing, odd = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    if missing or odd:
        problem = f"{missing[0]} is missing" if missing else f"{odd[0]} belongs to no layer"
        raise WeightsError(f"{name} does not fit {what}: {problem}.")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            raise WeightsError(f"{name}: {key} has the shape {tuple(state[key].shape)}, not {tuple(value.shape)}.")
        if not bool(torch.isfinite(state[key]).all()):
            raise WeightsError(f"{name} holds values that are not numbers: the file is damaged.")
    network.load_state_dict({key: v.float() if v.is_floating_point() else v for key, v in state.items()})
    network.requires_grad_(False).eval()


def layer_of(state: Mapping[str, Tensor], place: str) -> dict[str, Tensor]:
    """Weight and bias of one layer, without its place before their names; what is not there is left out."""
    return {part: state[key] for part in ("weight", "bias") if (key := f"{place}.{part}") in state}
