"""Color mode "luminance": the painting's lightness under the content's chroma, fast enough to try on 12 megapixels.

A picture is worked on in chunks that stay in the cache, by steps that write into memory kept for them: fresh memory
costs more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.color import LAB_EPSILON, LAB_SLOPE, WHITE_TO_XYZ, XYZ_TO_RGB, spread, usable
from engine.shapes import check_shapes

CHUNK_PIXELS = 1 << 17  # smaller ones wait for the threads to meet, larger ones for memory
FLAT_LIGHTNESS = 0.5  # a standard deviation of L* below this is noise on a flat picture: it is not stretched
ENOUGH_PIXELS = 1_000_000  # to know the mean and the spread of lightness
BISECTIONS = 7  # of a way of 30 L*, which is long, 0.2 are left: half of the finest step that 8 bits can show
DARK_CODE, DARK_LIGHT, DARK_ROOT = 0.04045, 0.0031308, 6 / 29  # below these sRGB and CIELAB go straight
ROUNDING = 1e-6  # of linear light
TO_XYZ, TO_RGB = WHITE_TO_XYZ.float(), XYZ_TO_RGB.float()


def keep_chroma(painted: Tensor, content: Tensor, weight: Tensor | None = None) -> Tensor:
    """Paint lightness only: the painting's L*, with the content's mean and contrast, under the content's a*, b*.

    Where L* with that chroma is no color that a screen can show, L* gives way toward the content's, never the chroma.

    Args:
        painted: (3, H, W) sRGB-encoded, [0, 1].
        content: (3, H, W).
        weight: (H, W), what counts in the statistics of lightness; None = everything.

    Returns:
        (3, H, W) in [0, 1].

    Departs: Gatys matches luminance before painting and in YIQ, whose chroma is not that of the eye; we match it after,
    in CIELAB, so that the promise holds for what the user sees.
    """
    check_shapes(painted=(painted, "3 H W"), content=(content, "3 H W"), weight=(weight, "H W"))
    weight = usable(weight)
    gain, offset = lightness_map(painted, content, weight)
    theirs, ours = (x.float().cpu().reshape(3, -1) for x in (painted, content))  # (3, H*W)
    result = torch.empty_like(ours)
    room, gamut_room = (Room(min(CHUNK_PIXELS, ours.shape[1])) for _ in range(2))
    shifts, roots = torch.empty(gamut_room.n_pixels), torch.empty(3 * gamut_room.n_pixels)
    # With a*, b* fixed, L* = 116 fy - 16 moves the cube roots of X, Y and Z alike: everything is done in units of fy.
    for part in parts_of(ours.shape[1]):
        room.load(theirs[:, part])
        room.look(TO_XYZ[1:2])
        shift = torch.mul(room.x[0], gain, out=shifts[: room.x.shape[1]])
        room.load(ours[:, part])
        room.look(TO_XYZ)
        shift.add_(offset).clamp_(16 / 116, 1).sub_(room.x[1])
        own = roots[: room.x.numel()].view_as(room.x).copy_(room.x)
        room.x += shift
        room.show()
        bring_into_gamut(room.x, own, shift, gamut_room)
        room.encode()
        result[:, part] = room.x
    return result.view(content.shape).to(content)


def lightness_map(painted: Tensor, content: Tensor, weight: Tensor | None) -> tuple[float, float]:
    """Gain and offset that give the painting's lightness (in cube roots of Y) the content's mean and deviation.

    Of a large picture evenly spread pixels are enough: a million tell both to a thousandth.

    Args:
        painted, content: (3, H, W).
        weight: (H, W), somewhere above 0, or None.
    """
    step = max(1, int((painted[0].numel() / ENOUGH_PIXELS) ** 0.5))
    if weight is not None and not bool((weight[::step, ::step] > 0).any()):  # a selection of a few pixels
        step = 1
    share = None if weight is None else weight[::step, ::step].float().cpu()
    spreads = []
    for picture in (painted, content):
        seen = picture[:, ::step, ::step].float().cpu()
        spreads.append(spread(lightness_of(seen), share))
    (mean_s, std_s), (mean_c, std_c) = spreads
    gain = std_c / max(std_s, FLAT_LIGHTNESS / 116)
    return gain, mean_c - mean_s * gain


def lightness_of(rgb: Tensor) -> Tensor:
    """CIELAB's cube roots of Y of sRGB-encoded pixels: (3, H, W) -> (H, W)."""
    flat = rgb.reshape(3, -1)
    room, lightness = Room(min(CHUNK_PIXELS, flat.shape[1])), torch.empty_like(flat[0])
    for part in parts_of(flat.shape[1]):
        room.load(flat[:, part])
        room.look(TO_XYZ[1:2])
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
        self._shape(3, n_pixels)

    def _shape(self, n_channels: int, n: int) -> None:
        """Views of the memory as (n_channels, n)."""
        self.x, self.y = (rows[: n_channels * n].view(n_channels, n) for rows in self._rows)

    def load(self, source: Tensor) -> None:
        """Begin with a copy of (3, n)."""
        self._shape(*source.shape)
        self.x.copy_(source)

    def look(self, to_xyz: Tensor) -> None:
        """sRGB-encoded, clipped to [0, 1] -> CIELAB's cube roots of X, Y and Z, those that the matrix has rows for."""
        self.x.clamp_(0, 1)
        self._split(DARK_CODE)
        self.x.add_(0.055).mul_(1 / 1.055)
        self._raise_to(2.4)
        self.x.add_(self.y, alpha=1 / 12.92)
        self._mix(to_xyz)
        self._split(LAB_EPSILON)
        self._raise_to(1 / 3)
        self.x.add_(self.y, alpha=LAB_SLOPE)

    def show(self) -> None:
        """CIELAB's cube roots -> linear light."""
        self._split(DARK_ROOT)
        self.y.mul_(1 / LAB_SLOPE).addcmul_(self.x, self.x * self.x)
        self._rows.reverse()
        self.x, self.y = self.y, self.x
        self._mix(TO_RGB)

    def encode(self) -> None:
        """Linear light, clipped to [0, 1] -> sRGB-encoded."""
        self.x.clamp_(0, 1)
        self._split(DARK_LIGHT)
        self._raise_to(1 / 2.4)
        self.x.mul_(1.055).sub_(0.055).add_(self.y, alpha=12.92).clamp_(0, 1)  # rounding leaves it, too

    def _mix(self, matrix: Tensor) -> None:
        """A matrix (M, 3) times every pixel's channels."""
        source = self.x
        self._rows.reverse()
        self._shape(matrix.shape[0], source.shape[1])
        torch.mm(matrix, source, out=self.x)

    def _split(self, beginning: float) -> None:
        """x -> what lies above the beginning of a curve, at least that; y -> how far it lies below, at most 0."""
        torch.clamp_max(self.x, beginning, out=self.y)
        self.y -= beginning
        self.x.clamp_min_(beginning)

    def _raise_to(self, power: float) -> None:
        """x above 0 -> its power: torch's own power takes four times as long."""
        self.x.log_().mul_(power).exp_()


def bring_into_gamut(light: Tensor, own: Tensor, shift: Tensor, room: Room) -> None:
    """Where moving the lightness has left the gamut, move it only as far as is possible; in place.

    The color itself is in gamut, so bisection between it and what was wanted always ends in gamut.

    Args:
        light: (3, n) linear RGB of the colors moved.
        own: (3, n) cube roots of X, Y, Z of the colors themselves.
        shift: (n,), what was added to each.
        room: to work in.
    """
    outside = (~is_shown(light)).nonzero()[:, 0]
    if len(outside) == 0:
        return
    own, step = own.index_select(1, outside), shift.index_select(0, outside)
    good = torch.zeros_like(step)
    for _ in range(BISECTIONS):
        step *= 0.5
        room.load(own)
        room.x += good + step
        room.show()
        good.addcmul_(step, is_shown(room.x).float())
    room.load(own)
    room.x += good
    room.show()
    light.index_copy_(1, outside, room.x)


def is_shown(light: Tensor) -> Tensor:
    """Whether linear RGB (3, n) lies in [0, 1], up to what rounding adds: (n,)."""
    low, high = (
        torch.minimum(torch.minimum(light[0], light[1]), light[2]),
        torch.maximum(torch.maximum(light[0], light[1]), light[2]),
    )
    return (low >= -ROUNDING) & (high <= 1 + ROUNDING)
