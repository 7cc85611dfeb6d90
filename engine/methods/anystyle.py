"""Any style in one forward pass of our own network; the default method.

Source: first-order modulation after Huang & Belongie 2017 (AdaIN), whitening and coloring after Li 2017 (WCT), low-rank
linear transformation after Li 2019 (LST). Departs: colors are transported in closed form before the network sees them.
"""

from __future__ import annotations

import hashlib
from functools import cache
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.color.grain import grained
from engine.compute.device import memory_errors
from engine.compute.precision import USUAL, Arithmetic, fastest
from engine.compute.resize import rescale, resize, resize_weight, scaled_size
from engine.compute.tiles import Tile, crops_of, pad_to_multiple, paint_tiles, spread_crops
from engine.core.method import Job, register
from engine.core.progress import part, watched
from engine.core.types import Mask, Picture, Region, Series, Style
from engine.files.presets import STYLE_SIZE_PX
from engine.models import shipped
from engine.networks.anystyle_network import BEYOND_PX, MARGIN_PX, STRIDE_PX, AnyStyle, load_anystyle
from engine.networks.moments import Statistics, rgb_moments
from engine.regions.parts import counted_in

WHOLE_PX = 1152 * 1152  # up to this many pixels a picture is painted whole and measured on the way
CROP_PX, N_CROPS = 256, 16
ENOUGH_PIXELS = 1 << 20  # to know the moments of a picture's colors
TILE_PX = 1024
BAND_PX = 256
COARSE_PX = 1024  # a larger picture also gets brush strokes that are seen when all of it is
FINE_ENOUGH = 1.5  # times that: below it one painting does
N_CODES = 32
_CODES: WeakKeyDictionary[AnyStyle, dict[bytes, Tensor]] = WeakKeyDictionary()
MIN_SIDE_PX = 64  # smaller pictures are mirrored up to this, because the coarsest layers need room


@cache
def network(device: torch.device) -> AnyStyle:
    """The shipped network on a device, ready to paint."""
    return load_anystyle().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


@cache
def arithmetic(device: torch.device) -> Arithmetic:
    """How the network computes on a device; on a processor, what is fastest there."""
    if device.type != "cpu":
        return USUAL
    net = network(device)
    with torch.inference_mode():
        code = net.encode_style(torch.rand(1, 3, MIN_SIDE_PX, MIN_SIDE_PX, generator=torch.Generator().manual_seed(0)))
        return fastest(net, lambda rgb: net(rgb, code))


@register(
    "anystyle",
    title="Any style",
    paper="",
    kind="feed-forward",
    takes=("blend", "pictures", "presets", "regions", "size", "quality", "series"),
    ready=lambda: shipped.is_here("anystyle"),
    fades=True,
)
def paint(job: Job) -> Tensor:
    """Paint the content in one pass per region."""
    with torch.inference_mode(), memory_errors("this picture"):
        net = network(job.device)
        content = job.content.rgb[None]  # (1, 3, H, W)
        if job.regions:
            return _paint_regions(net, content, job)
        return _paint_part(net, content, blend_codes(net, job, None), job.mask, job, (0.0, 1.0))[0]


def _paint_regions(net: AnyStyle, content: Tensor, job: Job) -> Tensor:
    """Each region in the code of its own part of the style, blended by the regions' weights."""
    total = torch.zeros_like(content[0, 0])  # (H, W)
    result = torch.zeros_like(content[0])  # (3, H, W)
    n = len(job.regions)
    for i, region in enumerate(job.regions):
        code = blend_codes(net, job, region)
        painted = _paint_part(net, content, code, region.content, job, (i / n, (i + 1) / n))[0]
        result += painted * region.content.weight
        total += region.content.weight
    if bool((total < 1e-3).any()):  # what no region covers is painted in the whole style
        rest = _paint_part(net, content, blend_codes(net, job, None), job.mask, job, (1.0, 1.0))[0]
        uncovered = (1 - total).clamp_min(0)
        return (result + rest * uncovered) / (total + uncovered)
    return result / total


def blend_codes(net: AnyStyle, job: Job, region: Region | None) -> Tensor:
    """The weighted mean of the styles' codes: (1, CODE_SIZE).

    Codes live in a space of means, matrix roots and a latent in which straight lines stay meaningful. With a region
    given, only its part of each style counts.
    """
    shares = torch.tensor([style.weight for style in job.styles])
    codes = torch.stack([_code(net, style, job, region) for style in job.styles])  # (N, CODE_SIZE)
    code = (codes * (shares / shares.sum())[:, None]).sum(0)
    return code[None].to(job.device)


def _code(net: AnyStyle, style: Style, job: Job, region: Region | None) -> Tensor:
    size_px = min(STYLE_SIZE_PX, job.settings.style_size_px or STYLE_SIZE_PX)  # larger: see ``brush_scale``
    is_of_all = region is None and size_px == STYLE_SIZE_PX  # as codes are that were kept
    if style.code is not None and (style.picture is None or is_of_all):
        return style.code
    weight = None if region is None else region.style.weight
    return encode_picture(net, style.require_picture(), weight, size_px, job.device)


def encode_picture(
    net: AnyStyle, picture: Picture, weight: Tensor | None, size_px: int, device: torch.device
) -> Tensor:
    """A style picture's code, (CODE_SIZE,), on the CPU; those of the last pictures are kept.

    Args:
        net: the network, on ``device``.
        picture: the style.
        weight: (H, W) how much each of its pixels counts; None = all alike.
        size_px: longest side at which it is looked at.
        device: where to compute.

    Raises:
        InputError: picture and weight differ in size, or nothing of the style counts.
    """
    rgb, weight = _style_input(picture, weight, size_px)
    seen = hashlib.blake2b(repr(rgb.shape).encode(), digest_size=32)
    for plane in (rgb, weight):
        seen.update(b"all" if plane is None else plane.permute(0, 2, 3, 1).numpy().tobytes())
    codes = _CODES.setdefault(net, {})
    code = codes.pop(seen.digest(), None)
    if code is None:
        code = net.encode_style(rgb.to(device), None if weight is None else weight.to(device))[0].cpu()
    while len(codes) >= N_CODES:
        del codes[next(iter(codes))]  # the one that was asked for longest ago
    codes[seen.digest()] = code
    return code


def _style_input(picture: Picture, weight: Tensor | None, size_px: int) -> tuple[Tensor, Tensor | None]:
    """A style picture at the size at which it is looked at, (1, 3, h, w), and its weights, (1, 1, h, w)."""
    rgb = picture.rgb[None].clamp(0, 1)
    weight = counted_in(picture, weight)
    weight = None if weight is None else weight[None, None]
    factor = size_px / max(rgb.shape[2:])
    if factor < 1 or max(rgb.shape[2:]) < MIN_SIDE_PX:
        size = scaled_size(rgb.shape[2:], factor, STRIDE_PX)
        rgb = resize(rgb, size)
        weight = None if weight is None else F.interpolate(weight, size, mode="area")
    if min(rgb.shape[2:]) < MIN_SIDE_PX:
        rgb, weight = _enlarge(rgb), None if weight is None else _enlarge(weight)
    rgb = pad_to_multiple(rgb, STRIDE_PX).contiguous(memory_format=torch.channels_last)
    return rgb, None if weight is None else pad_to_multiple(weight, STRIDE_PX)


def _enlarge(x: Tensor) -> Tensor:
    """Repeat the last row and column until no side is below ``MIN_SIDE_PX``."""
    down, right = (max(0, MIN_SIDE_PX - side) for side in x.shape[2:])
    return F.pad(x, (0, right, 0, down), mode="replicate")


def brush_scale(job: Job) -> float:
    """How many times wider than the network's own the broadest strokes are to be, at least 1."""
    longest = max(job.content.size)
    if job.settings.style_size_px is not None:
        wanted = job.settings.style_size_px / STYLE_SIZE_PX
    else:
        wanted = longest / COARSE_PX if longest > FINE_ENOUGH * COARSE_PX else 1.0
    return max(1.0, min(wanted, longest / MIN_SIDE_PX))


def _paint_part(
    net: AnyStyle, content: Tensor, code: Tensor, mask: Mask | None, job: Job, stretch: tuple[float, float]
) -> Tensor:
    """Paint (1, 3, H, W) with one code; broad strokes come from a painting of the picture made smaller.

    The network sees 184 pixels around it, so in a large picture its strokes are fine. All that the small painting
    can hold is taken from it, what is finer from the painting at full size: a Laplacian pyramid of two levels
    (Burt & Adelson 1983).
    """
    scale = brush_scale(job)
    start, end = stretch
    fine = _paint_at_size(net, content, code, mask, job, (start, end if scale == 1 else start + 0.85 * (end - start)))
    if scale == 1:
        return fine
    size = [max(1, round(side / scale)) for side in content.shape[2:]]
    small = resize(content, size).clamp(0, 1)
    weight = None if mask is None else resize_weight(mask.weight, size)
    small_mask = None if mask is None or weight is None else Mask(weight, mask.label)
    coarse = _paint_at_size(net, small, code, small_mask, job, (start + 0.85 * (end - start), end))
    coarse -= resize(fine, size)
    add_enlarged(fine, coarse)
    return fine.clamp_(0, 1)


def add_enlarged(rgb: Tensor, small: Tensor) -> None:
    """Add a smaller picture, enlarged bicubically, band by band: a whole enlargement would be the peak of memory.

    Args:
        rgb: (1, 3, H, W), changed.
        small: (1, 3, h, w).
    """
    height, width = rgb.shape[2:]
    n_rows = small.shape[2]
    wide = _bicubic(small, (n_rows, width))
    shares = _bicubic(torch.eye(n_rows)[None, None], (height, n_rows))[0, 0]  # (H, h): of each row in each
    for top in range(0, height, BAND_PX):
        band = shares[top : top + BAND_PX]
        used = band.any(0).nonzero()[:, 0].tolist()
        rows = slice(used[0], used[-1] + 1)
        rgb[:, :, top : top + BAND_PX] += band[:, rows] @ wide[:, :, rows]


def _bicubic(planes: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(planes, size, mode="bicubic", antialias=True, align_corners=False)  # thrice as fast so


def _paint_at_size(
    net: AnyStyle, content: Tensor, code: Tensor, mask: Mask | None, job: Job, stretch: tuple[float, float]
) -> Tensor:
    """Paint (1, 3, H, W) whole, in tiles if it is large, with one code."""
    height, width = content.shape[2:]
    on_progress = part(job.on_progress, *stretch, "Painting")
    large = _enlarge(content) if min(height, width) < MIN_SIDE_PX else content
    how = arithmetic(job.device)
    statistics: Statistics | None = None
    n_tiles_done = n_tiles = 0

    def measure(tile_px: int) -> None:
        nonlocal statistics
        is_whole = is_small(large) and tile_px >= max(large.shape[2:])
        statistics = measure_statistics(net, large, code, mask, job, is_whole=is_whole)

    def on_tile(done: int, total: int) -> None:
        nonlocal n_tiles_done, n_tiles
        n_tiles_done, n_tiles = done, total

    def on_layer(share: float, message: str) -> None:
        on_progress((n_tiles_done + share % 1.0) / max(1, n_tiles), message)

    def paint_tile(rgb: Tensor, tile: Tile) -> Tensor:
        with watched(net, on_layer):
            rgb = grained(rgb.to(job.device), tile.outer_top, tile.outer_left)
            with how.active():
                painted = net(how.lay_out(rgb), code, statistics, tile.kept)
            return painted.float().clamp_(0, 1).cpu()

    tile_px, beyond_px = (pad_length(max(large.shape[2:])), BEYOND_PX) if is_small(large) else (TILE_PX, MARGIN_PX)
    return paint_tiles(
        large,
        paint_tile,
        tile_px=tile_px,
        margin_px=MARGIN_PX,
        stride_px=STRIDE_PX,
        beyond_px=beyond_px,  # the whole margin: tiles of fewer shapes leave less memory behind
        prepare=measure,
        on_tile=on_tile,
    )[:, :, :height, :width]


def is_small(content: Tensor) -> bool:
    """Whether (1, 3, H, W) is painted whole."""
    return content.shape[2] * content.shape[3] <= WHOLE_PX


def pad_length(length: int) -> int:
    """The next multiple of the network's stride."""
    return -(-length // STRIDE_PX) * STRIDE_PX


def measure_statistics(
    net: AnyStyle, content: Tensor, code: Tensor, mask: Mask | None, job: Job, *, is_whole: bool
) -> Statistics:
    """What the network must know of the whole picture before it sees a tile.

    A picture that is painted whole is measured while it is; of any other, crops are (a thumbnail would be sharper than
    the picture, and its statistics not those of the picture's own pixels).
    """
    if job.series is not None:
        return measure_series(net, job.series, code, max(content.shape[2:]) / max(job.content.size), job)
    weight = None
    if mask is not None and bool((mask.weight > 0).any()):
        weight = F.pad(mask.weight, _missing(mask.weight, content))[None, None]
    step = max(1, int((content.shape[2] * content.shape[3] / ENOUGH_PIXELS) ** 0.5))  # evenly spread ones
    seen = content[:, :, ::step, ::step].clamp(0, 1)
    statistics = Statistics(table={"rgb": (rgb_moments(seen, weight).to(job.device),)})
    if is_whole:
        return statistics
    crop_px = min(CROP_PX, *(side // STRIDE_PX * STRIDE_PX for side in content.shape[2:]))
    n_pixels = content[0, 0].numel() // 2 if is_small(content) else N_CROPS * CROP_PX**2  # half of what did not fit
    crops = spread_crops(content, crop_px, n_pixels // crop_px**2).to(job.device)
    return measure_crops(net, crops, code, statistics, job)


def measure_series(net: AnyStyle, series: Series, code: Tensor, factor: float, job: Job) -> Statistics:
    """The same of a whole series, once for each code and size: the same for all of its pictures."""
    key = (str(job.device), round(factor, 3), code.cpu().numpy().tobytes())
    if key not in series.known:
        rgbs = [_enlarge(rgb) if min(rgb.shape[2:]) < MIN_SIDE_PX else rgb for rgb in at_factor(series, factor)]
        moments = torch.stack([rgb_moments(rgb)[0] for rgb in rgbs])  # (N, 12)
        statistics = Statistics(table={"rgb": (pooled(moments)[None].to(job.device),)})
        crops = crops_of(rgbs, CROP_PX, STRIDE_PX, max(N_CROPS, len(rgbs))).to(job.device)
        series.known[key] = measure_crops(net, crops, code, statistics, job)
    return Statistics(table=dict(series.known[key].table))


def at_factor(series: Series, factor: float) -> list[Tensor]:
    """(1, 3, h, w) of each picture of a series, at a factor of its size."""
    return [rescale(picture.rgb[None].clamp(0, 1), factor) for picture in series.pictures]


def pooled(moments: Tensor) -> Tensor:
    """Mean and covariance (12,) of the colors of pictures that count alike, from those of each (N, 12)."""
    means, covariances = moments[:, :3], moments[:, 3:]
    mean = means.mean(0)
    off = means - mean
    return torch.cat([mean, covariances.mean(0) + (off.T @ off / len(means)).flatten()])


def measure_crops(net: AnyStyle, crops: Tensor, code: Tensor, known: Statistics, job: Job) -> Statistics:
    """What the network measures on the way, over all crops (K, 3, h, w) together, beside what is known."""
    joint = Statistics(is_joint=True, table=dict(known.table))
    how = arithmetic(job.device)
    with watched(net, lambda _share, _message: job.on_progress(0.0, "Looking at the picture")), how.active():
        net(how.lay_out(grained(crops)), code, joint)
    return Statistics(table=joint.table)


def _missing(weight: Tensor, content: Tensor) -> tuple[int, int, int, int]:
    """The padding that a mask needs where a small content was enlarged."""
    return 0, content.shape[3] - weight.shape[1], 0, content.shape[2] - weight.shape[0]
