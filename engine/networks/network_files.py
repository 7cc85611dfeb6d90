"""Files of feed-forward networks, ours and others', as users have them: read, recognized, renamed, checked.

| whose | names | what is done |
|---|---|---|
| ours | ``stem.weight``, ``mix_half.weight`` ... | as they are |
| PyTorch's examples (``.pth``) | ``conv1.conv2d.weight``, ``in1.weight`` ... | old running statistics left out |
| the ONNX zoo's fast_neural_style | the same, or only an order | by name, else by order |
| Johnson's Torch files, converted | ``1.weight``, ``10.0.0.0.weight`` ... | by order |
| MSG-Net's ``21styles.model`` | ``model1.0.conv2d.weight``, ``ins.weight`` ... | doubles and statistics left out |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from engine.core.errors import WeightsError
from engine.models.shipped import read_state
from engine.models.state_dicts import fill
from engine.networks.feedforward import (
    MAX_BLOCKS,
    MAX_WIDTH,
    Painter,
    are_possible,
    build_painter,
    count_blocks,
)
from engine.networks.msgnet_network import MsgNet
from engine.networks.onnx import read_initializers
from engine.networks.others_networks import Layout, PublishedMsgNet, PublishedPainter

SUFFIXES = (".safetensors", ".pth", ".model", ".onnx")
STATISTICS = re.compile(r"\.(running_mean|running_var|num_batches_tracked)$")
NUMBERED = re.compile(r"\d+(\.\d+)*\.(weight|bias|running_mean|running_var|num_batches_tracked)")

State = Mapping[str, Tensor]


def read_file(path: Path) -> dict[str, Tensor]:
    """The weights in a file: safetensors, ONNX, or a pickle that may hold nothing but tensors.

    Raises:
        WeightsError: no such file, not readable, or not weights.
    """
    state = read_initializers(path) if path.suffix == ".onnx" else read_state(path)
    return {key.removeprefix("module."): value for key, value in state.items()}


def build_one_style(state: State, name: str) -> Painter | PublishedPainter:
    """The network of one style that weights belong to.

    Raises:
        WeightsError: of another network, or not numbers.
    """
    if "mix_half.weight" in state:
        return build_painter(state, name)
    if "conv1.conv2d.weight" in state:
        kept = {key: value for key, value in state.items() if not STATISTICS.search(key)}
        n_blocks = count(kept, r"res\d+\.conv1\.conv2d\.weight")
        return filled(layout_of(kept, kept["conv1.conv2d.weight"], n_blocks, name), kept, name)
    if state and all(NUMBERED.fullmatch(key) for key in state):
        return build_from_torch(state, name)
    if state and name.endswith(".onnx"):
        layers = [value for value in state.values() if value.dim() in (1, 4) and value.numel() > 2]
        n_blocks = (sum(value.dim() == 4 for value in layers) - 6) // 2
        first = next((value for value in layers if value.dim() == 4), layers[0] if layers else None)
        if first is not None:
            layout = layout_of(state, first, n_blocks, name)
            return filled(layout, in_order(PublishedPainter(layout), layers, name), name)
    raise WeightsError(
        f"{name} holds no network of one style that Impasto knows: neither its own, nor PyTorch's fast_neural_style, "
        "nor Johnson's."
    )


def layout_of(state: State, first: Tensor, n_blocks: int, name: str) -> Layout:
    """The layout of PyTorch's examples, with width and blocks as found."""
    width = first.shape[0] if first.dim() == 4 and first.shape[1:] == (3, 9, 9) else 0
    if not (1 <= width <= MAX_WIDTH and 1 <= n_blocks <= MAX_BLOCKS):
        raise WeightsError(
            f"{name} does not begin with a 9x9 convolution of colors, or has {n_blocks} residual blocks."
        )
    up = state.get("deconv1.conv2d.weight")
    return Layout(width, n_blocks, is_transposed=up is not None and up.shape[:2] == (4 * width, 2 * width))


def filled(layout: Layout, state: State, name: str) -> PublishedPainter:
    """A published network with its weights."""
    network = PublishedPainter(layout)
    fill(network, state, name)
    return network


def build_from_torch(state: State, name: str) -> PublishedPainter:
    """One of Johnson's networks from names that are only places, as converters of Torch files leave them.

    Raises:
        WeightsError: of another network.
    """
    places = sorted({place_of(key) for key in state if join(place_of(key), "weight") in state})
    convs = [place for place in places if state[join(place, "weight")].dim() == 4]
    blocks = [place for place in convs if len(place) > 1]
    first, n_blocks = state[join(convs[0], "weight")] if convs else None, len(blocks) // 2
    if first is None or not blocks or first.shape[1:] != (3, 9, 9):
        raise WeightsError(f"{name} holds no network of Johnson's: it has no 9x9 convolution of colors first.")
    width = first.shape[0]
    ups = [state[join(place, "weight")] for place in convs if len(place) == 1][3:5]
    norms = [place for place in places if place not in convs]
    layout = Layout(
        width,
        n_blocks,
        is_transposed=bool(ups) and ups[0].shape[:2] == (4 * width, 2 * width),
        is_batch=any(join(place, "running_mean") in state for place in norms),
        is_torch=True,
        starts_padded=blocks[0][-1] == 0,
    )
    parts = ("weight", "bias", "running_mean", "running_var")
    values = [state[join(place, part)] for place in places for part in parts if join(place, part) in state]
    return filled(layout, in_order(PublishedPainter(layout), values, name), name)


def place_of(key: str) -> tuple[int, ...]:
    """ "10.0.3.weight" -> (10, 0, 3)."""
    return tuple(int(part) for part in key.split(".")[:-1])


def join(place: tuple[int, ...], part: str) -> str:
    """The reverse."""
    return ".".join([*map(str, place), part])


def in_order(network: PublishedPainter, values: list[Tensor], name: str) -> dict[str, Tensor]:
    """Values that come in the order in which the network uses them, under its names.

    Raises:
        WeightsError: more or fewer than it has, or of other shapes.
    """
    wanted: list[str] = []
    for layer in used_in_order(network):
        module = network.get_submodule(layer)
        wanted += [f"{layer}.{part}" for part, value in module.state_dict().items() if value.dim() > 0]
    if len(values) != len(wanted):
        raise WeightsError(f"{name} has {len(values)} tensors of weights; this kind of network has {len(wanted)}.")
    counters = {key: value for key, value in network.state_dict().items() if value.dim() == 0}
    return dict(zip(wanted, values, strict=True)) | counters


def used_in_order(network: PublishedPainter) -> list[str]:
    """Layers with weights, as a picture meets them."""
    layers = [name for i in (1, 2, 3) for name in (f"conv{i}.conv2d", f"in{i}")]
    for i in range(network.layout.n_blocks):
        layers += [f"res{i + 1}.{part}" for part in ("conv1.conv2d", "in1", "conv2.conv2d", "in2")]
    return [*layers, *(name for i in (1, 2) for name in (f"deconv{i}.conv2d", f"in{i + 3}")), "deconv3.conv2d"]


def build_many_styles(state: State, name: str) -> MsgNet | PublishedMsgNet:
    """The network of many styles that weights belong to; the codes of its styles are left aside.

    Raises:
        WeightsError: of another network, or not numbers.
    """
    state = {key: value for key, value in state.items() if not key.startswith("styles.")}
    if "color_eighth.match.weight" in state:
        widths = [len(state[f"{part}.bias"]) if f"{part}.bias" in state else 0 for part in ("quarter", "eighth")]
        counts = [count_blocks(state, part) for part in ("blocks", "quarter_blocks")]
        check_sizes(widths, counts, name)
        return with_weights(MsgNet(*widths, *counts), state, name)
    if "model1.0.conv2d.weight" in state and "ins.weight" in state:
        doubles = ("model.0.", "model.1.")
        kept = {k: v for k, v in state.items() if not STATISTICS.search(k) and not k.startswith(doubles)}
        kept = {k: v for k, v in kept.items() if k != "ins.G"}
        ngf = kept["ins.weight"].shape[-1] // 4
        n_blocks = count(kept, r"model\.\d+\.conv_block\.2\.weight") - 2
        check_sizes([ngf], [n_blocks], name)
        return with_weights(PublishedMsgNet(ngf, n_blocks), kept, name)
    raise WeightsError(f"{name} holds no MSG-Net, neither Impasto's own nor its authors'.")


def check_sizes(widths: list[int], counts: list[int], name: str) -> None:
    """Refuse sizes that no such network has, before one is built.

    Raises:
        WeightsError: they are that.
    """
    if not (all(1 <= width <= MAX_WIDTH for width in widths) and are_possible(counts)):
        raise WeightsError(f"{name} has layers of {widths} channels and {sum(counts)} blocks, which no MSG-Net has.")


Many = TypeVar("Many", MsgNet, PublishedMsgNet)


def with_weights(network: Many, state: State, name: str) -> Many:
    """The network, filled."""
    fill(network, state, name)
    return network


def count(state: State, pattern: str) -> int:
    """How many names match."""
    return sum(bool(re.fullmatch(pattern, key)) for key in state)
