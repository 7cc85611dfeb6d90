"""Segment Anything's weights: where they lie, whether they are the published ones, the network that they fill.

Nothing is downloaded here. ``impasto models get sam`` (or the user, by hand) puts a published file into the folder; it
is recognized by its name and checked by its SHA-256. A file that the user names may be any network of this
family, such as one trained further: its shape is read off its tensors. Either is loaded as tensors only, never as code.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.compute.torchvision_compat import import_torchvision
from engine.core.errors import WeightsError
from engine.core.user_folders import torch_folder
from engine.models.shipped import read_state
from engine.models.user_models import file_sha256

PATCH_PX, INPUT_PX = 16, 1024
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # ImageNet's, on the scale of bytes
MLP_RATIO, WINDOW = 4, 14
MASK_CHANNELS, DECODER_DEPTH, DECODER_HEADS, DECODER_WIDTH = 16, 2, 8, 2048


@dataclass(frozen=True)
class Published:
    """A checkpoint of the authors (Kirillov et al. 2023; Apache 2.0)."""

    file: str
    url: str
    megabytes: int
    sha256: str


_HOST = "https://dl.fbaipublicfiles.com/segment_anything/"
PUBLISHED: Mapping[str, Published] = {
    name: Published(file, _HOST + file, megabytes, sha256)
    for name, file, megabytes, sha256 in (
        ("sam", "sam_vit_b_01ec64.pth", 375, "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"),
        ("sam-vit-l", "sam_vit_l_0b3195.pth", 1250, "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"),
        ("sam-vit-h", "sam_vit_h_4b8939.pth", 2565, "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"),
    )
}


def folder() -> Path:
    """Where published files are looked for: torch's own folder of checkpoints, in which VGG-19 lies too."""
    return torch_folder() / "checkpoints"


def path_of(name: str) -> Path:
    """Where the file of a published network belongs."""
    return folder() / PUBLISHED[name].file


def is_here(name: str) -> bool:
    """Whether a published network's file is in its place (not whether it is intact: loading checks that)."""
    return path_of(name).is_file()


def load(name: str) -> nn.Module:
    """A network, by the name of a published one or by the path of a file.

    Raises:
        WeightsError: not here, damaged, or no network of this family.
    """
    if name not in PUBLISHED:
        return _network_in(Path(name))
    entry, path = PUBLISHED[name], path_of(name)
    if not path.is_file():
        raise WeightsError(
            f"The weights of {name} are not here ({entry.megabytes} MB): run `impasto models get {name}`, or put "
            f"{entry.file} into {folder()} yourself, or choose the model grabcut, which needs none."
        )
    _check(name, path, path.stat().st_mtime_ns)
    return _network_in(path)


@cache
def _check(name: str, path: Path, _modified_ns: int) -> None:
    """Compare a file's checksum with the published one, once for each time the file was changed."""
    if file_sha256(path) != PUBLISHED[name].sha256:
        raise WeightsError(
            f"{path} is not the published file (its checksum differs): delete it and fetch {PUBLISHED[name].url} again."
        )


def _network_in(path: Path) -> nn.Module:
    return build(read_state(path, is_mapped=True), path.name)


@dataclass(frozen=True)
class Shape:
    """What tells the networks of this family apart: width, depth and heads of the image encoder, and which of its
    blocks look at the whole picture instead of at windows.
    """

    width: int
    depth: int
    n_heads: int
    whole: tuple[int, ...]
    prompt_width: int


def shape_of(state: Mapping[str, Tensor]) -> Shape:
    """The shape of the network that weights are of.

    Raises:
        KeyError, IndexError: of none of this family.
    """
    width = state["image_encoder.patch_embed.proj.weight"].shape[0]
    prompt_width = state["prompt_encoder.no_mask_embed.weight"].shape[1]
    spans: list[torch.Size] = []
    while f"image_encoder.blocks.{len(spans)}.attn.rel_pos_h" in state:
        spans.append(state[f"image_encoder.blocks.{len(spans)}.attn.rel_pos_h"].shape)  # (2 * side - 1, head width)
    whole = tuple(i for i, span in enumerate(spans) if span[0] != 2 * WINDOW - 1)
    return Shape(width, len(spans), width // spans[0][1], whole, prompt_width)


def build(state: Mapping[str, Tensor], name: str) -> nn.Module:
    """Segment Anything's network with given weights, which are used where they lie (a large file is not copied).

    Raises:
        WeightsError: they are of another network.
    """
    try:
        network = blank(shape_of(state))
        network.load_state_dict(state, assign=True)
    except (KeyError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise WeightsError(f"{name} holds weights of another network than Segment Anything's.") from error
    if any(not bool(torch.isfinite(value).all()) for value in state.values()):
        raise WeightsError(f"{name} holds values that are not numbers: the file is damaged.")
    return network.float().requires_grad_(False).eval()


def blank(shape: Shape) -> nn.Module:
    """A network without weights, on the device "meta"."""
    import_torchvision()
    modeling = _modeling()
    layer_norm = functools.partial(nn.LayerNorm, eps=1e-6)
    side = INPUT_PX // PATCH_PX
    with torch.device("meta"):
        encoder = modeling.ImageEncoderViT(
            depth=shape.depth, embed_dim=shape.width, img_size=INPUT_PX, mlp_ratio=MLP_RATIO, norm_layer=layer_norm,
            num_heads=shape.n_heads, patch_size=PATCH_PX, qkv_bias=True, use_rel_pos=True,
            global_attn_indexes=shape.whole, window_size=WINDOW, out_chans=shape.prompt_width,
        )  # fmt: skip
        prompts = modeling.PromptEncoder(shape.prompt_width, (side, side), (INPUT_PX, INPUT_PX), MASK_CHANNELS)
        transformer = modeling.TwoWayTransformer(DECODER_DEPTH, shape.prompt_width, DECODER_HEADS, DECODER_WIDTH)
        decoder = modeling.MaskDecoder(transformer_dim=shape.prompt_width, transformer=transformer)
        network: nn.Module = modeling.Sam(encoder, prompts, decoder)
    # These two are not among the weights, so nothing fills them.
    for buffer, values in (("pixel_mean", MEAN), ("pixel_std", STD)):
        network.register_buffer(buffer, torch.tensor(values).view(-1, 1, 1), persistent=False)
    return network


def _modeling() -> Any:
    from segment_anything import modeling  # noqa: PLC0415  (needs torchvision, which needs our import)

    return modeling
