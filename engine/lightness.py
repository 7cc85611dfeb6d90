"""Color mode "luminance": the painting's lightness under the content's chroma, fast enough to try on 12 megapixels.

A picture is worked on in chunks that stay in the cache, several at a time, with NumPy and OpenCV: their functions set
the GIL free and start no threads for so little, and OpenCV's powers are three times as fast as torch's. Every step
writes into arrays that its thread keeps, because fresh memory costs more than the arithmetic.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.color import LAB_EPSILON, LAB_SLOPE, WHITE_TO_XYZ, XYZ_TO_RGB, spread, srgb_to_linear, usable
from engine.shapes import check_shapes

CHUNK_PIXELS = 1 << 16  # smaller ones wait for the GIL, larger ones for memory
FLAT_LIGHTNESS = 0.5  # a standard deviation of L* below this is noise on a flat picture: it is not stretched
BISECTIONS = 7  # of a way of 30 L*, which is long, 0.2 are left: half of the finest step that 8 bits can show
BYTE_ROUNDING = 0.01  # values so near to k / 255 came from 8 bits

Array = NDArray[np.float32]
TO_XYZ, TO_RGB = WHITE_TO_XYZ.float().numpy(), XYZ_TO_RGB.float().numpy()


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
    theirs, ours = (x.float().cpu().numpy().reshape(3, -1) for x in (painted, content))  # (3, H*W)
    # With a*, b* fixed, L* = 116 fy - 16 moves the cube roots of X, Y and Z alike: everything is done in units of fy.
    roots, lightness = np.empty_like(ours), np.empty_like(ours[:1])  # of the content; of the painting, (1, H*W)

    def look(part: slice, chunk: Chunk) -> None:
        for source, matrix, found in ((ours, TO_XYZ, roots), (theirs, TO_XYZ[1:2], lightness)):
            chunk.load(source[:, part])
            chunk.linearize()
            chunk.mix(matrix)
            chunk.take_roots()
            found[:, part] = chunk.x

    in_chunks(look, lightness.size)
    mean_s, std_s = spread(torch.from_numpy(lightness).view(painted[0].shape), weight)
    mean_c, std_c = spread(torch.from_numpy(roots[1]).view(painted[0].shape), weight)
    gain = std_c / max(std_s, FLAT_LIGHTNESS / 116)

    def paint(part: slice, chunk: Chunk) -> None:
        own, shift = roots[:, part], lightness[0, part]
        shift -= mean_s
        shift *= gain
        shift += mean_c
        np.clip(shift, 16 / 116, 1, out=shift)
        shift -= own[1]
        chunk.load(own)
        chunk.x += shift
        chunk.cube_roots()
        chunk.mix(TO_RGB)
        bring_into_gamut(chunk.x, own, shift)
        chunk.encode()
        own[:] = chunk.x

    in_chunks(paint, lightness.size)
    return torch.from_numpy(roots).view(content.shape).to(content)


def in_chunks(work: Callable[[slice, Chunk], None], n_pixels: int) -> None:
    """Do some work on all pixels, a chunk at a time, on as many threads as torch may use."""
    local = threading.local()

    def on_chunk(start: int) -> None:
        if not hasattr(local, "chunk"):
            local.chunk = Chunk()
        work(slice(start, min(n_pixels, start + CHUNK_PIXELS)), local.chunk)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(on_chunk, range(0, n_pixels, CHUNK_PIXELS)))  # the list raises what a thread raised


class Chunk:
    """Values (M, n) on their way through color spaces, and room to work.

    Attributes:
        x: the values.
    """

    def __init__(self) -> None:
        self._room = [np.empty(3 * CHUNK_PIXELS, np.float32) for _ in range(3)]
        self._is_low = np.empty(3 * CHUNK_PIXELS, np.bool_)
        self._levels = np.empty(3 * CHUNK_PIXELS, np.uint8)
        self._shape(3, 0)

    def _shape(self, n_channels: int, n: int) -> None:
        """Views of the room as (n_channels, n)."""
        self.x, self.y, self.z = (array[: n_channels * n].reshape(n_channels, n) for array in self._room)
        self.is_low = self._is_low[: n_channels * n].reshape(n_channels, n)
        self.levels = self._levels[: n_channels * n].reshape(n_channels, n)

    def load(self, source: Array) -> None:
        """Begin with a copy of (3, n)."""
        self._shape(*source.shape)
        np.copyto(self.x, source)

    def linearize(self) -> None:
        """sRGB-encoded, clipped to [0, 1] -> linear light; from a table, where the values are those of 8 bits."""
        np.clip(self.x, 0, 1, out=self.x)
        np.multiply(self.x, 255, out=self.y)
        np.rint(self.y, out=self.z)
        self.y -= self.z
        np.abs(self.y, out=self.y)
        if self.y.max(initial=0) < BYTE_ROUNDING:
            np.copyto(self.levels, self.z, casting="unsafe")
            cv2.LUT(self.levels, light_of_bytes(), dst=self.x)
            return
        np.multiply(self.x, 1 / 12.92, out=self.y)
        np.less_equal(self.x, 0.04045, out=self.is_low)
        self.x += 0.055
        self.x *= 1 / 1.055
        cv2.pow(self.x, 2.4, dst=self.x)
        np.copyto(self.x, self.y, where=self.is_low)

    def encode(self) -> None:
        """Linear light, clipped to [0, 1] -> sRGB-encoded."""
        np.clip(self.x, 0, 1, out=self.x)
        np.multiply(self.x, 12.92, out=self.y)
        np.less_equal(self.x, 0.0031308, out=self.is_low)
        cv2.pow(self.x, 1 / 2.4, dst=self.x)
        self.x *= 1.055
        self.x -= 0.055
        np.copyto(self.x, self.y, where=self.is_low)

    def take_roots(self) -> None:
        """X, Y, Z, at least 0 -> CIELAB's cube roots."""
        np.multiply(self.x, LAB_SLOPE, out=self.y)
        self.y += 4 / 29
        np.less_equal(self.x, LAB_EPSILON, out=self.is_low)
        cv2.pow(self.x, 1 / 3, dst=self.x)
        np.copyto(self.x, self.y, where=self.is_low)

    def cube_roots(self) -> None:
        """CIELAB's cube roots -> X, Y, Z."""
        np.subtract(self.x, 4 / 29, out=self.y)
        self.y *= 1 / LAB_SLOPE
        np.less_equal(self.x, 6 / 29, out=self.is_low)
        np.multiply(self.x, self.x, out=self.z)
        self.x *= self.z
        np.copyto(self.x, self.y, where=self.is_low)

    def mix(self, matrix: Array) -> None:
        """A matrix (M, 3) times every pixel's channels."""
        mixed = self._room[1][: matrix.shape[0] * self.x.shape[1]].reshape(matrix.shape[0], -1)
        np.matmul(matrix, self.x, out=mixed)
        self._room[0], self._room[1] = self._room[1], self._room[0]
        self._shape(*mixed.shape)


@cache
def light_of_bytes() -> Array:
    """Linear light of the 256 levels of 8 bits."""
    table: Array = srgb_to_linear(torch.arange(256, dtype=torch.float64) / 255).float().numpy()
    return table


def bring_into_gamut(light: Array, own: Array, shift: Array) -> None:
    """Where moving the lightness has left the gamut, move it only as far as is possible; in place.

    The color itself is in gamut, so bisection between it and what was wanted always ends in gamut.

    Args:
        light: (3, n) linear RGB of the colors moved.
        own: (3, n) cube roots of X, Y, Z of the colors themselves.
        shift: (n,), what was added to each.
    """
    outside = np.flatnonzero((light.min(0) < 0) | (light.max(0) > 1))
    if len(outside) == 0:
        return
    own, step = own[:, outside], shift[outside]
    good = np.zeros_like(step)
    for _ in range(BISECTIONS):
        step = step * np.float32(0.5)
        found = _light_of_roots(own + (good + step))
        is_inside = (found.min(0) >= 0) & (found.max(0) <= 1)
        np.add(good, step, out=good, where=is_inside)
    light[:, outside] = _light_of_roots(own + good)


def _light_of_roots(f: Array) -> Array:
    """Linear RGB of cube roots of X, Y, Z: (3, n) -> (3, n)."""
    xyz = np.where(f > 6 / 29, f * f * f, (f - np.float32(4 / 29)) * np.float32(1 / LAB_SLOPE))
    light: Array = TO_RGB @ xyz
    return light
