"""Color profiles (ICC): what their curves and primaries say, whatever their names are.

A profile of three primaries and three tone curves is computed here, in floats and without clipping, so that colors
outside of sRGB survive. Profiles that are tables (CMYK, some scanners) are littleCMS's work: see ``source``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Columns: red, green and blue of sRGB as XYZ under D50, as every ICC profile of it holds them.
SRGB_PRIMARIES = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
SAME_PRIMARY = 0.003  # profiles of sRGB round differently
SAME_CURVE = 0.002  # half a step of 8 bits
MAX_PROFILE_BYTES = 16 << 20
N_SAMPLES = 257
MAX_LIGHT = 8.0  # what a primary of a real space can be in sRGB's light


@dataclass(frozen=True, eq=False)
class Curve:
    """A tone curve from stored values to light.

    Args:
        shape: (g, a, b, c, d, e, f) of ICC's parametric curve: (a x + b)^g + e from d on, c x + f below.
        table: (N,) light at evenly spread stored values, where the curve is a table; else None.
    """

    shape: tuple[float, ...] = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    table: NDArray[np.float64] | None = None

    def light(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Stored values as light. Below 0 it is mirrored; above 1 it goes on, but a table ends there."""
        if self.table is not None:
            places = np.linspace(0, 1, len(self.table))
            return np.copysign(np.interp(np.abs(stored), places, self.table), stored)
        g, a, b, c, d, e, f = self.shape
        size = np.abs(stored)
        power = np.maximum(a * size + b, 0) ** g + e
        return np.copysign(np.where(size >= d, power, c * size + f), stored)

    def stored(self, light: NDArray[Any]) -> NDArray[Any]:
        """Light as stored values: the inverse of ``light``."""
        size = np.abs(light)
        if self.table is not None:
            rising = np.maximum.accumulate(self.table)
            return np.copysign(np.interp(size, rising, np.linspace(0, 1, len(rising))), light)
        g, a, b, c, d, e, f = self.shape
        power = (np.maximum(size - e, 0) ** (1 / g) - b) / a
        knee = max(a * d + b, 0) ** g + e
        straight = (size - f) / c if c else np.zeros_like(size)
        return np.copysign(np.where(size >= knee, power, straight), light)


SRGB_CURVE = Curve((2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0.0, 0.0))


@dataclass(frozen=True, eq=False)
class Profile:
    """The profile of an RGB or gray picture.

    Args:
        data: the profile's own bytes.
        curves: three, or one of gray.
        matrix: (3, 3) from its linear light to sRGB's; None = the same primaries, or gray.
        is_srgb: its colors are sRGB's: nothing is to be converted.
    """

    data: bytes
    curves: tuple[Curve, ...]
    matrix: NDArray[np.float64] | None
    is_srgb: bool

    def decode(self, values: NDArray[Any]) -> Floats:
        """Stored pixels (H, W, C), integers over their range or floats, as sRGB-encoded (C, H, W), not clipped."""
        if self.is_srgb:
            return unit_planes(values)
        planes = [self._light(curve, values[:, :, i]) for i, curve in enumerate(self.curves)]
        light = np.stack(planes)
        if self.matrix is not None:
            light = np.tensordot(self.matrix.astype(np.float32), light, 1)
        return srgb_encoded(light)

    def encode(self, rgb: Floats) -> Floats:
        """sRGB-encoded (3, H, W) as this RGB profile's values (H, W, 3), not clipped."""
        if self.is_srgb:
            return rgb.transpose(1, 2, 0)
        light = srgb_light(rgb)
        if self.matrix is not None:
            light = np.tensordot(np.linalg.inv(self.matrix).astype(np.float32), light, 1)
        planes = [curve.stored(light[i]).astype(np.float32) for i, curve in enumerate(self.curves)]
        return np.stack(planes, 2)

    def _light(self, curve: Curve, plane: NDArray[Any]) -> Floats:
        if plane.dtype.kind == "f":
            return curve.light(plane).astype(np.float32)
        top = np.iinfo(plane.dtype).max
        return np.take(curve.light(np.arange(top + 1) / top).astype(np.float32), plane)


def unit_planes(values: NDArray[Any]) -> Floats:
    """(H, W, C) as (C, H, W) floats: integers over their range, floats as they are."""
    height, width, channels = values.shape
    planes = np.empty((channels, height, width), np.float32)
    for i in range(channels):
        planes[i] = values[:, :, i]
    if values.dtype.kind != "f":
        planes /= np.float32(np.iinfo(values.dtype).max)
    return planes


def srgb_encoded(light: Floats) -> Floats:
    """Linear light as sRGB codes it (IEC 61966-2-1), mirrored below 0 and going on above 1."""
    size = np.abs(light)
    power = np.float32(1.055) * size ** np.float32(1 / 2.4) - np.float32(0.055)
    coded = np.where(size <= np.float32(0.0031308), np.float32(12.92) * size, power)
    return np.copysign(coded, light)


def srgb_light(rgb: Floats) -> Floats:
    """The inverse of ``srgb_encoded``."""
    size = np.abs(rgb)
    power = ((size + np.float32(0.055)) * np.float32(1 / 1.055)) ** np.float32(2.4)
    light = np.where(size <= np.float32(0.04045), size * np.float32(1 / 12.92), power)
    return np.copysign(light, rgb)


@lru_cache(maxsize=4)
def parse(data: bytes) -> Profile | None:
    """The profile in these bytes, if it is of RGB or gray and made of curves and primaries; else None.

    Bytes behind its end are cut off, and a damaged profile counts as none.
    """
    try:
        return _parse(data)
    except (struct.error, ValueError, IndexError, KeyError, ZeroDivisionError, np.linalg.LinAlgError):
        return None


def _parse(data: bytes) -> Profile | None:
    size = struct.unpack_from(">I", data)[0]
    if data[36:40] != b"acsp" or not 128 < size <= len(data) or data[20:24] != b"XYZ ":
        return None
    data = data[:size]
    tags = _tags(data)
    if data[16:20] == b"GRAY":
        curve = _checked(_curve(tags["kTRC"]))
        return Profile(data, (curve,), None, _is_srgb(curve))
    if data[16:20] != b"RGB " or "A2B0" in tags:
        return None
    curves = tuple(_checked(_curve(tags[name])) for name in ("rTRC", "gTRC", "bTRC"))
    primaries = np.array([_xyz(tags[name]) for name in ("rXYZ", "gXYZ", "bXYZ")]).T  # columns
    is_usual = bool(np.abs(primaries - SRGB_PRIMARIES).max() < SAME_PRIMARY)
    matrix = None if is_usual else np.linalg.inv(SRGB_PRIMARIES) @ primaries
    if matrix is not None and not (abs(np.linalg.det(matrix)) > 1e-3 and np.abs(matrix).max() < MAX_LIGHT):
        return None
    return Profile(data, curves, matrix, is_usual and all(map(_is_srgb, curves)))


def _tags(data: bytes) -> dict[str, bytes]:
    count = struct.unpack_from(">I", data, 128)[0]
    entries = [struct.unpack_from(">4sII", data, 132 + 12 * i) for i in range(min(count, 100))]
    return {name.decode("latin-1"): data[start : start + length] for name, start, length in entries}


def _xyz(tag: bytes) -> list[float]:
    if tag[:4] != b"XYZ ":
        raise ValueError("no color")
    return [value / 65536 for value in struct.unpack_from(">3i", tag, 8)]


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"para":
        return _parametric(tag)
    if tag[:4] != b"curv":
        raise ValueError("no curve")
    count = struct.unpack_from(">I", tag, 8)[0]
    if count == 0:
        return Curve()
    if count == 1:
        return Curve((_positive(struct.unpack_from(">H", tag, 12)[0] / 256), 1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    table = np.frombuffer(tag, ">u2", count, 12).astype(np.float64) / 65535
    if table[-1] <= table[0]:
        raise ValueError("a curve that does not rise")
    return Curve(table=table)


def _parametric(tag: bytes) -> Curve:
    """ICC.1:2022, table 68: five forms, each the general one with fewer numbers."""
    kind = struct.unpack_from(">H", tag, 8)[0]
    numbers = [value / 65536 for value in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    g = _positive(numbers[0])
    a, b = ([*numbers[1:3], 1.0, 0.0])[:2] if kind else (1.0, 0.0)
    _positive(a)
    if kind == 0:
        shape = (g, a, b, 0.0, 0.0, 0.0, 0.0)
    elif kind == 1:
        shape = (g, a, b, 0.0, -b / a, 0.0, 0.0)
    elif kind == 2:
        shape = (g, a, b, 0.0, -b / a, numbers[3], numbers[3])
    elif kind == 3:
        shape = (g, a, b, numbers[3], numbers[4], 0.0, 0.0)
    else:
        shape = (g, a, b, *numbers[3:7])
    return Curve(shape)


def _positive(value: float) -> float:
    if not value > 0:
        raise ValueError("a curve that does not rise")
    return value


def _checked(curve: Curve) -> Curve:
    """A curve that rises from dark to light; a damaged profile can have any other."""
    with np.errstate(all="ignore"):
        seen = curve.light(np.linspace(0, 1, N_SAMPLES))
        back = curve.stored(seen)
    is_sound = bool(np.isfinite(seen).all() and np.isfinite(back).all())
    if not is_sound or seen.min() < -0.1 or not 0.5 < seen[-1] < 2 or (np.diff(seen) < -1e-6).any():
        raise ValueError("a curve that does not rise")
    return curve


def _is_srgb(curve: Curve) -> bool:
    """Whether a curve is sRGB's, by how it would look."""
    stored = np.linspace(0, 1, N_SAMPLES, dtype=np.float32)
    seen = srgb_encoded(curve.light(stored).astype(np.float32))
    return bool(np.abs(seen - stored).max() < SAME_CURVE)
