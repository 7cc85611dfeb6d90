"""Networks that know several styles: finding the file, the codes of its styles and of any picture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor

from engine.compute.precision import USUAL, fastest
from engine.compute.resize import pad_sides, resize, scaled_size
from engine.compute.tiles import pad_to_multiple
from engine.core.errors import InputError, SettingsError, WeightsError
from engine.core.method import Job
from engine.core.types import Picture, Style
from engine.files.presets import STYLE_SIZE_PX, presets
from engine.models import shipped
from engine.models.user_models import find_model
from engine.networks.measured import Measured
from engine.networks.moments import rgb_moments, transport_colors
from engine.networks.msgnet_network import MsgNet, StyleCode
from engine.networks.network_files import SUFFIXES, build_many_styles, read_file
from engine.networks.others_networks import PublishedMsgNet
from engine.painters.translate import MIN_SIDE_PX, paint_measured
from engine.regions.parts import counted_in

MAX_STYLE_PX = 1024  # strokes do not grow beyond: the network does not see that far


@dataclass(frozen=True, eq=False)
class ManyStyles:
    """A network and what it knows.

    Args:
        network: paints.
        codes: name -> longest side of the style in pixels -> its code.
    """

    network: MsgNet | PublishedMsgNet
    codes: Mapping[str, Mapping[int, StyleCode]]


def load_many_styles(name: str) -> ManyStyles:
    """The network that an option names; "" = the one that ships.

    Raises:
        SettingsError: there is no such network.
        WeightsError: it is not readable, or of another kind.
    """
    if not name and shipped.is_here("msgnet"):
        return _shipped()
    path = find_model(name, "msgnet", "impasto train msgnet PHOTOS ART...", SUFFIXES).resolve()
    return _of_file(path, shipped.stamp_of(path))


@cache
def _shipped() -> ManyStyles:
    return of_state(shipped.load_shipped("msgnet"), "msgnet")


@cache
def shipped_styles() -> tuple[str, ...]:
    """The presets that the network that ships was trained in; read from the file's header, without its weights."""
    if not shipped.is_here("msgnet"):
        return ()
    keys = shipped.names_in("msgnet")
    return tuple(sorted({key.split(".")[1] for key in keys if key.startswith("styles.")}))


@lru_cache(maxsize=2)
def _of_file(path: Path, _stamp: object) -> ManyStyles:
    return of_state(read_file(path), path.name)


def of_state(state: Mapping[str, Tensor], name: str) -> ManyStyles:
    """Network and codes from a file's weights: ``styles.NAME.PX.colors`` and ``.gram`` beside the network's own.

    Raises:
        WeightsError: of another network, or codes that do not fit it.
    """
    network = build_many_styles(state, name)
    with torch.no_grad():
        usual = network.encode_style(torch.zeros(1, 3, MIN_SIDE_PX, MIN_SIDE_PX))
    codes: dict[str, dict[int, StyleCode]] = {}
    for place in dict.fromkeys(key.rpartition(".")[0] for key in state if key.startswith("styles.")):
        named = re.fullmatch(r"styles\.(.+)\.(\d{1,5})", place)
        colors, gram = (state.get(f"{place}.{part}") for part in ("colors", "gram"))
        if named is None or not (_is_like(colors, usual.colors) and _is_like(gram, usual.gram)):
            raise WeightsError(f"{name}: {place} is no code of a style of this network, or the file is damaged.")
        codes.setdefault(named[1], {})[int(named[2])] = StyleCode(colors.float()[None], gram.float()[None])
    return ManyStyles(network, codes)


def _is_like(part: Tensor | None, usual: Tensor) -> TypeGuard[Tensor]:
    """Whether a part of a code can stand where the usual one (1, ...) does."""
    return part is not None and part.shape == usual.shape[1:] and bool(torch.isfinite(part).all())


class Coded(Measured):
    """A network with a style chosen: pictures in, pictures out."""

    def __init__(self, network: MsgNet | PublishedMsgNet, code: StyleCode) -> None:
        super().__init__()
        self.network, self.code = network, code
        self.stride_px, self.margin_px = network.stride_px, network.margin_px

    def forward(self, rgb: Tensor) -> Tensor:
        painted: Tensor = self.network(rgb, self.code)
        return painted


def code_of(known: ManyStyles, style: Style, job: Job, weight: Tensor | None) -> StyleCode:
    """What the network must know of a style: of a picture seen now, or one that it was trained in.

    Args:
        known: the network.
        style: a picture, or a preset that the network was trained in.
        job: for the size of the brush.
        weight: (h, w) what of the picture counts; None = all.

    Raises:
        InputError: a preset that the network was not trained in.
    """
    size_px = job.settings.style_size_px or STYLE_SIZE_PX
    trained = str(job.options.get("trained", ""))
    if trained or style.picture is None:
        return trained_code(known, trained or preset_name(style), size_px)
    rgb = seen(style.picture, weight, min(size_px, MAX_STYLE_PX))
    return known.network.encode_style(rgb)


def trained_code(known: ManyStyles, name: str, size_px: int) -> StyleCode:
    """The code of a trained style, at the nearest of the sizes that are known."""
    if name not in known.codes:
        have = ", ".join(sorted(known.codes)) or "none, give a picture"
        raise InputError(f"This network was not trained in the style {name!r}; its own styles are: {have}.")
    sizes = known.codes[name]
    return sizes[min(sizes, key=lambda px: abs(px - size_px))]


def preset_name(style: Style) -> str:
    """The short name of a preset."""
    names = {f"{preset.title} ({preset.artist})": preset.name for preset in presets()}
    return names.get(style.name, style.name)


def seen(picture: Picture, weight: Tensor | None, size_px: int) -> Tensor:
    """A style picture as it is looked at: (1, 3, h, w), sides divisible by 8; what does not count is left out.

    Statistics have no room for weights here, so the picture is cut to what counts, and the rest of the cut filled with
    the mean color of what counts.
    """
    rgb = picture.rgb[None].clamp(0, 1)
    weight = counted_in(picture, weight)
    if weight is not None and bool((weight < 1).any()):
        rgb = cut_to(rgb, weight)
    factor = size_px / max(rgb.shape[2:])
    size = scaled_size(rgb.shape[2:], factor, 8)
    rgb = resize(rgb, size)
    return pad_to_multiple(pad_sides(rgb, MIN_SIDE_PX), 8)


def cut_to(rgb: Tensor, weight: Tensor) -> Tensor:
    """(1, 3, H, W) cut to where the weight is, the rest of it in the mean color."""
    counted = weight > 0.5 * float(weight.max())
    rows, columns = counted.any(1).nonzero()[:, 0], counted.any(0).nonzero()[:, 0]
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    share = weight[top:bottom, left:right] / weight.max()
    part = rgb[:, :, top:bottom, left:right]
    mean = (part * share).sum((2, 3), keepdim=True) / share.sum()
    return mean.lerp(part, share)


def paint_in(known: ManyStyles, code: StyleCode, job: Job, mask: Tensor | None) -> Tensor:
    """The content in one code: (3, H, W) in [0, 1].

    Args:
        known: the network.
        code: of the style.
        job: the content and where to report.
        mask: (H, W) whose colors count; None = all.
    """
    rgb, network, how = job.content.rgb[None].clamp(0, 1), known.network, USUAL
    if isinstance(network, MsgNet):
        own = rgb_moments(rgb, None if mask is None or not bool((mask > 0).any()) else mask[None, None])
        rgb = transport_colors(rgb, own, code.colors)
        how = fastest(network, lambda x: network(x, code)) if job.device.type == "cpu" else USUAL
    on_device = StyleCode(code.colors.to(job.device), code.gram.to(job.device))
    return paint_measured(rgb, Coded(network, on_device), job.device, job.on_progress, how)[0]


def blended(codes: list[StyleCode], shares: list[float]) -> StyleCode:
    """The weighted mean of codes."""
    weight = torch.tensor(shares) / sum(shares)
    colors, grams = (torch.cat([getattr(code, part) for code in codes]) for part in ("colors", "gram"))  # (N, ...)
    return StyleCode(torch.tensordot(weight, colors, 1)[None], torch.tensordot(weight, grams, 1)[None])


def check_trained(known: ManyStyles, name: str) -> None:
    """Refuse a name that is none of the network's styles.

    Raises:
        SettingsError: the message lists those there are.
    """
    if name and name not in known.codes:
        raise SettingsError(f"trained must be one of {', '.join(sorted(known.codes)) or '(none)'}, not {name!r}.")
