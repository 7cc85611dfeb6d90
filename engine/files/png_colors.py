"""Colors that a PNG tells without a profile, in its cICP, gAMA and cHRM chunks: the profile that says the same."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

CHUNKS = (b"cICP", b"sRGB", b"gAMA", b"cHRM")
WHITE = (0.3127, 0.3290)  # D65
SRGB = (*WHITE, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # x and y of white, red, green and blue
SPACES = {  # of cICP, by the numbers of ITU-T H.273
    1: SRGB,
    9: (*WHITE, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (*WHITE, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
GAMMAS = {1: 0.0, 6: 0.0, 8: 1.0, 13: 0.0}  # transfers of cICP; 0 = as sRGB. The two of HDR have no place in 0 to 1
USUAL = (0.44, 0.47)  # gAMA of programs that mean sRGB
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
# Light under D65 as eyes that are used to D50 see it, by their cones (Bradford).
CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D50 = np.array([0.9642, 1.0, 0.8249])


def profile_of(found: Mapping[bytes, bytes], *, is_gray: bool) -> bytes | None:
    """An ICC profile of what the chunks say.

    Args:
        found: the bodies of those of ``CHUNKS`` that the file has.
        is_gray: the file has no colors.

    Returns:
        None if they say sRGB, nothing, or what no picture has.
    """
    try:
        if b"cICP" in found:
            space, transfer, matrix, is_full = found[b"cICP"]
            is_known = space in SPACES and transfer in GAMMAS and not matrix and is_full
            return _profile(SPACES[space], GAMMAS[transfer], is_gray) if is_known else None
        if b"sRGB" in found:
            return None
        stored = struct.unpack(">I", found[b"gAMA"])[0] / 100_000 if b"gAMA" in found else 0.0
        places = struct.unpack(">8I", found[b"cHRM"]) if b"cHRM" in found else None
        gamma = 0.0 if not stored or USUAL[0] < stored < USUAL[1] else 1 / stored
        return _profile(SRGB if places is None else tuple(xy / 100_000 for xy in places), gamma, is_gray)
    except (struct.error, ValueError, ZeroDivisionError, np.linalg.LinAlgError):
        return None


def _profile(space: tuple[float, ...], gamma: float, is_gray: bool) -> bytes | None:
    if not gamma and (is_gray or np.allclose(space, SRGB, atol=0.002)):
        return None
    curve = _parametric(0, gamma) if gamma else _parametric(3, *SRGB_CURVE)
    tags = {b"desc": _text("Colors of a PNG file"), b"cprt": _text("None"), b"wtpt": _xyz(D50)}
    if is_gray:
        tags[b"kTRC"] = curve
    else:
        for letter, column in zip((b"r", b"g", b"b"), _primaries(space).T, strict=True):
            tags |= {letter + b"XYZ": _xyz(column), letter + b"TRC": curve}
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    kind = b"mntrGRAY" if is_gray else b"mntrRGB "
    head = struct.pack(">8xI8s4s12x4s28x12s48x", 0x04200000, kind, b"XYZ ", b"acsp", _xyz(D50)[8:])
    return struct.pack(">I", len(head) + len(table) + len(body)) + head[4:] + table + body


def _primaries(space: tuple[float, ...]) -> NDArray[np.float64]:
    """Columns: red, green and blue as XYZ under D50."""
    white, *colors = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in zip(space[::2], space[1::2], strict=True))
    columns = np.array(colors).T
    adapt = np.linalg.inv(CONES) @ np.diag((CONES @ D50) / (CONES @ white)) @ CONES
    return np.asarray(adapt @ (columns * np.linalg.solve(columns, white)))


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _parametric(kind: int, *numbers: float) -> bytes:
    return struct.pack(">4s4xHxx", b"para", kind) + _fixed(*numbers)


def _text(text: str) -> bytes:
    coded = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(coded), 28) + coded
