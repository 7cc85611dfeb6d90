"""Color mode "luminance": the painting's lightness under the content's chroma, fast enough to try on 12 megapixels.

A picture is worked on in chunks that stay in the cache, by steps that write into memory kept for them: fresh memory
costs more than the arithmetic. How light and how dark a chroma can be on a screen is looked up in a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.color.recolor import LAB_EPSILON, LAB_SLOPE, WHITE_TO_XYZ, XYZ_TO_RGB, spread, usable
from engine.core.shapes import check_shapes

CHUNK_PIXELS = 1 << 17  # smaller ones wait for the threads to meet, larger ones for memory
FLAT_LIGHTNESS = 0.5  # a standard deviation of L* below this is noise on a flat picture: it is not stretched
ENOUGH_PIXELS = 300_000  # to know the mean of lightness to a twentieth of L*, and its spread to two thousandths
DARK_CODE, DARK_LIGHT, DARK_ROOT = 0.04045, 0.0031308, 6 / 29  # below these sRGB and CIELAB go straight
STEEPNESS = 1.055**2.4  # of sRGB's curve: light = (code + 0.055) ** 2.4 / STEEPNESS
TO_XYZ, TO_RGB = WHITE_TO_XYZ.float(), XYZ_TO_RGB.float()


def keep_chroma(
    painted: Tensor,
    content: Tensor,
    weight: Tensor | None = None,
    lightness: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Paint lightness only: the painting's L*, with the content's mean and contrast, under the content's a*, b*.

    Where L* with that chroma is no color that a screen can show, L* gives way toward the content's, never the chroma.

    Args:
        painted: (3, H, W) sRGB-encoded; clipped to [0, 1].
        content: (3, H, W), in [0, 1].
        weight: (H, W), what counts in the statistics of lightness; None = everything.
        lightness: (H, W), the painting's (``lightness_of``), if it is known.
        out: (3, H, W) to write to, which may be the painting; used where its layout allows.

    Returns:
        (3, H, W) in [0, 1].

    Departs: Gatys matches luminance before painting and in YIQ, whose chroma is not that of the eye; we match it after,
    in CIELAB, so that the promise holds for what the user sees.
    """
    check_shapes(painted=(painted, "3 H W"), content=(content, "3 H W"))
    check_shapes(painted=(painted, "3 H W"), weight=(weight, "H W"), lightness=(lightness, "H W"))
    lightness = lightness_of(painted) if lightness is None else lightness
    gain, offset = lightness_map(lightness, content, usable(weight))
    theirs, ours = lightness.flatten(), content.float().cpu().reshape(3, -1)  # (H*W,), (3, H*W)
    can_write = out is not None and out.is_contiguous() and out.dtype == ours.dtype and out.device == ours.device
    result = out.view(3, -1) if out is not None and can_write else torch.empty_like(ours)
    room, gamut = Room(min(CHUNK_PIXELS, ours.shape[1])), gamut_of_a_screen()
    wanted = torch.empty(room.n_pixels)
    # With a*, b* fixed, L* = 116 fy - 16 moves the cube roots of X, Y and Z alike: everything is done in units of fy.
    for part in parts_of(ours.shape[1]):
        room.look(ours[:, part], TO_XYZ)
        target = torch.mul(theirs[part], gain, out=wanted[: room.x.shape[1]]).add_(offset)
        gamut.bring_into(target, room.x, room.y)
        room.x += target.sub_(room.x[1])
        room.show(result[:, part])
    return result.view(content.shape).to(content)


def lightness_map(lightness: Tensor, content: Tensor, weight: Tensor | None) -> tuple[float, float]:
    """Gain and offset that give the painting's lightness (in cube roots of Y) the content's mean and deviation.

    Of a large picture evenly spread pixels are enough.

    Args:
        lightness: (H, W), the painting's.
        content: (3, H, W).
        weight: (H, W), somewhere above 0, or None.
    """
    step = max(1, int((lightness.numel() / ENOUGH_PIXELS) ** 0.5))
    if weight is not None and not bool((weight[::step, ::step] > 0).any()):  # a selection of a few pixels
        step = 1
    share = None if weight is None else weight[::step, ::step].float().cpu()
    mean_s, std_s = spread(lightness[::step, ::step], share)
    mean_c, std_c = spread(lightness_of(content[:, ::step, ::step]), share)
    gain = std_c / max(std_s, FLAT_LIGHTNESS / 116)
    return gain, mean_c - mean_s * gain


def lightness_of(rgb: Tensor) -> Tensor:
    """CIELAB's cube roots of Y of sRGB-encoded pixels, which are clipped to [0, 1]: (3, H, W) -> (H, W), on the CPU."""
    flat = rgb.float().cpu().reshape(3, -1)
    room, lightness = Room(min(CHUNK_PIXELS, flat.shape[1])), torch.empty_like(flat[0])
    for part in parts_of(flat.shape[1]):
        room.look(flat[:, part], TO_XYZ[1:2])
        lightness[part] = room.x[0]
    return lightness.view(rgb.shape[1:])


def parts_of(n_pixels: int) -> Iterator[slice]:
    """Chunks of a picture."""
    return (slice(start, min(n_pixels, start + CHUNK_PIXELS)) for start in range(0, n_pixels, CHUNK_PIXELS))


class Room:
    """Memory for the values (M, n) of a chunk on their way through color spaces.

    A curve with a straight part is computed as the curve of what lies above its beginning plus the line of what lies
    below: choosing between the two, value by value, costs more than all of the arithmetic.

    Args:
        n_pixels: of the largest chunk.

    Attributes:
        x: the values.
    """

    def __init__(self, n_pixels: int) -> None:
        self.n_pixels = n_pixels
        self._rows = [torch.empty(3 * n_pixels) for _ in range(2)]
        self.take_shape(3, n_pixels)

    def take_shape(self, n_channels: int, n: int) -> None:
        """Views of the memory as (n_channels, n)."""
        self.x, self.y = (rows[: n_channels * n].view(n_channels, n) for rows in self._rows)

    def look(self, rgb: Tensor, to_xyz: Tensor) -> None:
        """sRGB-encoded (3, n), clipped to [0, 1] -> CIELAB's cube roots of X, Y, Z, as many as the matrix has rows."""
        self.take_shape(*rgb.shape)
        torch.clamp(rgb, DARK_CODE, 1, out=self.x)
        torch.clamp(rgb, 0, DARK_CODE, out=self.y)
        self.x.add_(0.055)
        self._raise_to(2.4)
        self.x.add_(self.y.sub_(DARK_CODE), alpha=STEEPNESS / 12.92)
        self._mix(to_xyz / STEEPNESS)
        self._split(LAB_EPSILON)
        self._raise_to(1 / 3)
        self.x.add_(self.y, alpha=LAB_SLOPE)

    def light(self, unit: float = 1.0) -> None:
        """CIELAB's cube roots -> linear light, in which white is ``unit``."""
        self._split(DARK_ROOT)
        self.y.mul_(1 / LAB_SLOPE).addcmul_(self.x, self.x.square())
        self._rows.reverse()
        self.x, self.y = self.y, self.x
        self._mix(TO_RGB * unit)

    def show(self, rgb: Tensor) -> None:
        """CIELAB's cube roots -> sRGB-encoded, clipped to [0, 1], which is written to (3, n)."""
        self.light(STEEPNESS)
        torch.clamp(self.x, 0, STEEPNESS * DARK_LIGHT, out=self.y)
        self.x.clamp_(STEEPNESS * DARK_LIGHT, STEEPNESS)
        self._raise_to(1 / 2.4)
        self.x.add_(self.y, alpha=12.92 / STEEPNESS).sub_(0.055 + 12.92 * DARK_LIGHT)
        torch.clamp(self.x, 0, 1, out=rgb)  # rounding leaves it, too

    def _mix(self, matrix: Tensor) -> None:
        """A matrix (M, 3) times every pixel's channels."""
        source = self.x
        self._rows.reverse()
        self.take_shape(matrix.shape[0], source.shape[1])
        torch.mm(matrix, source, out=self.x)

    def _split(self, beginning: float) -> None:
        """x -> what lies above the beginning of a curve, at least that; y -> how far it lies below, at most 0."""
        torch.clamp_max(self.x, beginning, out=self.y)
        self.y -= beginning
        self.x.clamp_min_(beginning)

    def _raise_to(self, power: float) -> None:
        """x above 0 -> its power: torch's own power takes four times as long."""
        self.x.log_().mul_(power).exp_()


# Chroma in units of cube roots: across fx - fy = a* / 500, along fz - fy = -b* / 200. The table holds all of sRGB.
ACROSS, ALONG = (-0.175, 0.2), (-0.48, 0.545)
COARSE, FINE = 512, 2  # entries a side that are computed; entries of the table for each of them: 0.2 of a*, b* apart
PLACES_ACROSS, PLACES_ALONG = ((FINE * COARSE - 1) / (last - first) for first, last in (ACROSS, ALONG))
TO_PLACE = torch.tensor([[PLACES_ACROSS, -PLACES_ACROSS, 0], [0, -PLACES_ALONG, PLACES_ALONG]])  # of cube roots
FIRST_PLACE = torch.tensor([[0.5 - ACROSS[0] * PLACES_ACROSS], [0.5 - ALONG[0] * PLACES_ALONG]])  # cut off: rounded
LEVELS = 33  # of lightness that are tried first
BISECTIONS = 8


@dataclass(frozen=True, eq=False)
class Gamut:
    """Within which lightness colors of a chroma can be shown.

    Args:
        ends: (2 * (FINE * COARSE)**2,), cube roots of Y by chroma, across first: the darkest of all, then the lightest.
    """

    ends: Tensor

    def bring_into(self, target: Tensor, own: Tensor, spare: Tensor | None = None) -> None:
        """Move lightnesses into the gamut, toward what the colors had; in place.

        Args:
            target: (n,) cube roots of Y.
            own: (3, n) cube roots of X, Y, Z of colors that can be shown, whose chroma counts.
            spare: (3, n) memory to be written over; None = takes some.
        """
        n = FINE * COARSE
        spare = torch.empty_like(own) if spare is None else spare
        index, end, is_up = spare
        torch.mm(TO_PLACE, own, out=spare[:2])
        spare[:2].add_(FIRST_PLACE).trunc_()
        torch.sub(target, own[1], out=is_up).sign_().clamp_min_(0)  # only the end that it moves toward can be passed
        index.mul_(n).add_(end).add_(is_up, alpha=n * n).clamp_(0, 2 * n * n - 1)  # only what is no number leaves it
        whole = is_up.view(torch.int32).copy_(index)
        torch.index_select(self.ends, 0, whole, out=end)
        torch.minimum(end, own[1], out=index)
        torch.maximum(end, own[1], out=end)
        torch.clamp(target, index, end, out=target)


@cache
def gamut_of_a_screen() -> Gamut:
    """That of sRGB, found once in a process.

    Lightness is tried at some levels; where a color can be shown at one, bisection goes on from there to both ends.
    Where it can at none, the level that comes nearest stands for both.
    """
    n = COARSE
    a, b = (torch.linspace(first, last, n) for first, last in (ACROSS, ALONG))
    chroma = torch.stack([a[:, None].expand(n, n), torch.zeros(n, n), b[None].expand(n, n)]).reshape(3, -1)  # (3, n*n)
    room = Room(n * n)

    def excess(lightness: Tensor) -> Tensor:
        room.take_shape(3, n * n)
        torch.add(chroma, lightness, out=room.x)
        room.light()
        low, high = torch.aminmax(room.x, dim=0)
        return torch.maximum(high - 1, -low)

    levels = torch.linspace(16 / 116, 1, LEVELS)
    tried = torch.stack([excess(level) for level in levels])  # (LEVELS, n*n)
    inside = levels[tried.argmin(0)]
    ends = []
    for end in (levels[0], levels[-1]):
        good, bad = inside.clone(), torch.full_like(inside, float(end))
        good = torch.where(excess(bad) <= 0, bad, good)
        for _ in range(BISECTIONS):
            middle = (good + bad) / 2
            is_shown = excess(middle) <= 0
            good, bad = torch.where(is_shown, middle, good), torch.where(is_shown, bad, middle)
        ends.append(_finer(good.view(1, 1, n, n)))
    return Gamut(torch.cat(ends))


def _finer(table: Tensor) -> Tensor:
    """(1, 1, N, N) -> (FINE * FINE * N * N,), between its entries."""
    return F.interpolate(table, scale_factor=FINE, mode="bilinear", align_corners=True).flatten()
