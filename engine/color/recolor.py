"""Color: whose is it, the style's or the content's; and the spaces in which that is answered.

Of the three color modes "style" needs nothing, "luminance" is ``engine.color.lightness``, "match" is ``recolor``.

Source: Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from engine.core.errors import SettingsError
from engine.core.shapes import check_shapes
from engine.core.types import ColorMap

CHUNK_PIXELS = 1 << 16  # rows are worked on in chunks of about this many pixels, so that they stay in the cache
ROUNDING_VARIANCE = 1 / 255**2 / 12  # variance that rounding to 8 bits makes: less than this is no color
HISTOGRAM_BINS = 1 << 14  # finer than any picture of 8 bits, and than what 16 bits show

RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)  # linear sRGB, D65 (ITU-R BT.709)
WHITE_TO_XYZ = torch.tensor([[share / sum(row) for share in row] for row in RGB_TO_XYZ], dtype=torch.float64)
XYZ_TO_RGB = torch.linalg.inv(WHITE_TO_XYZ)  # both for an XYZ in which white is 1, 1, 1
LAB_EPSILON, LAB_SLOPE = (6 / 29) ** 3, (29 / 6) ** 2 / 3


def srgb_to_linear(rgb: Tensor) -> Tensor:
    """Light of sRGB-encoded values, any shape; values below 0 stay on the straight part."""
    return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0.04045) + 0.055) / 1.055).pow(2.4))


def linear_to_srgb(light: Tensor) -> Tensor:
    """The inverse of ``srgb_to_linear``."""
    curved = light.clamp_min(0.0031308).pow(1 / 2.4) * 1.055 - 0.055
    return torch.where(light <= 0.0031308, light * 12.92, curved)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """CIELAB (D65) of sRGB-encoded pixels.

    Args:
        rgb: (3, ...) in [0, 1].

    Returns:
        (3, ...): L* in [0, 100], a*, b*. Grays have a* = b* = 0 exactly: the white point is the matrix's own.
    """
    return _light_to_lab(srgb_to_linear(rgb))


def lab_to_rgb(lab: Tensor) -> Tensor:
    """sRGB-encoded pixels (3, ...) of CIELAB ones; out of gamut they leave [0, 1]."""
    return linear_to_srgb(_lab_to_light(lab))


def color_moments(rgb: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a picture's colors.

    Args:
        rgb: (3, H, W).
        weight: (H, W), how much each pixel counts; None or nowhere above 0 = all alike.

    Returns:
        (3,) and (3, 3), float64.
    """
    check_shapes(rgb=(rgb, "3 H W"), weight=(weight, "H W"))
    weight = usable(weight)
    total, first, second = 0.0, _zeros(3), _zeros(3, 3)
    middle = _rough_mean(rgb, weight)  # so that squares do not drown the variance
    for rows in _row_chunks(rgb):
        x, w = _columns(rgb, weight, rows)
        off = x - middle[:, None]  # (3, n)
        weighted = off if w is None else off * w
        total += float(w.sum(dtype=torch.float64)) if w is not None else x.shape[1]
        first += weighted.sum(1).double()
        second += (weighted @ off.T).double()
    away = first / total
    return middle.double() + away, second / total - torch.outer(away, away)


def _rough_mean(rgb: Tensor, weight: Tensor | None) -> Tensor:
    """About the mean color (3,), from spread-out pixels; where none of them counts, from the one that counts most."""
    if weight is None:
        return rgb[:, ::16, ::16].flatten(1).mean(1)
    seen, shares = rgb[:, ::16, ::16].flatten(1), weight[::16, ::16].flatten().to(rgb)
    if float(shares.sum()) <= 0:
        return rgb.flatten(1)[:, int(weight.argmax())]
    return (seen * shares).sum(1) / shares.sum()


def color_transport(
    mean_s: Tensor, cov_s: Tensor, mean_c: Tensor, cov_c: Tensor, color_map: ColorMap = "transport"
) -> tuple[Tensor, Tensor]:
    """The affine map x -> A x + b that gives colors of one mean and covariance those of another.

    All three maps do; they differ by a rotation. "transport" moves colors least (Monge's map between Gaussians),
    "symmetric" is that of Image Analogies, "cholesky" that of Gatys 2016 section 4.

    Directions in which the source has less variance than rounding to 8 bits makes are not stretched into color: a
    gray picture stays gray around the new mean, a flat one becomes flat.

    Args:
        mean_s, cov_s: (3,) and (3, 3) of the colors to be moved.
        mean_c, cov_c: those they are to have.
        color_map: which of the three.

    Returns:
        A (3, 3) and b (3,), float64.

    Raises:
        SettingsError: an unknown map.
    """
    mean_s, cov_s, mean_c, cov_c = (x.double() for x in (mean_s, cov_s, mean_c, cov_c))
    root_s, inverse_s = _root(cov_s), _root(cov_s, is_inverse=True)
    if color_map == "transport":
        A = inverse_s @ _root(root_s @ cov_c @ root_s) @ inverse_s
    elif color_map == "symmetric":
        A = _root(cov_c) @ inverse_s
    elif color_map == "cholesky":
        A = _triangle(cov_c) @ torch.linalg.inv(_triangle(cov_s)) @ (inverse_s @ root_s)
    else:
        raise SettingsError(f"The color map is transport, cholesky, symmetric or histogram, not {color_map!r}.")
    return A, mean_c - A @ mean_s


def recolor(
    style: Tensor,
    content: Tensor,
    style_weight: Tensor | None = None,
    content_weight: Tensor | None = None,
    map: ColorMap = "transport",  # noqa: A002  (the term of the papers)
) -> Tensor:
    """The style picture in the content's colors: its mean and covariance become the content's.

    Args:
        style: (3, H, W) sRGB-encoded.
        content: (3, H', W').
        style_weight, content_weight: what counts in the statistics; None = everything.
        map: "transport", "cholesky" or "symmetric": see ``color_transport``; "histogram": the first, then
            ``match_histograms``, which gives each channel all of its distribution and in return lets the covariance
            go a little.

    Returns:
        (3, H, W), not clamped.
    """
    affine: ColorMap = "transport" if map == "histogram" else map
    A, b = color_transport(*color_moments(style, style_weight), *color_moments(content, content_weight), affine)
    A, b = A.to(style), b.to(style)
    result = torch.empty_like(style)
    for rows in _row_chunks(style):
        torch.add(_mix(A, style[:, rows]), b[:, None, None], out=result[:, rows])
    if map == "histogram":
        return match_histograms(result, content, style_weight, content_weight)
    return result


def match_histograms(
    style: Tensor, content: Tensor, style_weight: Tensor | None = None, content_weight: Tensor | None = None
) -> Tensor:
    """Give each channel of a picture the distribution of values that it has in another, in the same order of values.

    A channel without contrast stays as it is: there is no order that could be kept.

    Args:
        style: (3, H, W).
        content: (3, H', W').
        style_weight, content_weight: what counts; None = everything.

    Returns:
        (3, H, W).
    """
    check_shapes(style=(style, "3 H W"), style_weight=(style_weight, "H W"))
    check_shapes(content=(content, "3 H W"), content_weight=(content_weight, "H W"))
    style_weight, content_weight = usable(style_weight), usable(content_weight)
    result = torch.empty_like(style)
    for ours, theirs, matched in zip(style, content, result, strict=True):
        low, step, ranks, _shares = _ranks(ours, style_weight)
        their_low, their_step, their_ranks, their_shares = _ranks(theirs, content_weight)
        is_taken = their_shares > 0
        values = their_low + their_step * (np.arange(HISTOGRAM_BINS)[is_taken] + 0.5)
        curve = torch.from_numpy(np.interp(ranks, their_ranks[is_taken], values)).to(style)  # (bins,)
        is_flat = spread(ours, style_weight)[1] ** 2 < ROUNDING_VARIANCE
        for rows in _row_chunks(style):
            matched[rows] = ours[rows] if is_flat else curve[_bins(ours[rows], low, step)]
    return result


def _ranks(values: Tensor, weight: Tensor | None) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Start and width of bins over the values of (H, W); per bin the share below its middle, and its own."""
    low, high = (float(extreme) for extreme in torch.aminmax(values))
    step = max(high - low, 1e-6) / HISTOGRAM_BINS
    shares = torch.zeros(HISTOGRAM_BINS, dtype=torch.float64)
    for rows in _row_chunks(values):
        weights = None if weight is None else weight[rows].flatten().double()
        shares += torch.bincount(_bins(values[rows], low, step).flatten(), weights, HISTOGRAM_BINS)
    shares /= shares.sum()
    return low, step, (shares.cumsum(0) - shares / 2).numpy(), shares.numpy()


def _bins(values: Tensor, low: float, step: float) -> Tensor:
    return ((values - low) / step).long().clamp_(0, HISTOGRAM_BINS - 1)


def _light_to_lab(light: Tensor) -> Tensor:
    f = _roots_of_light(light)
    return torch.stack((116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])))


def _lab_to_light(lab: Tensor) -> Tensor:
    fy = (lab[0] + 16) / 116
    return _light_of_roots(torch.stack((fy + lab[1] / 500, fy, fy - lab[2] / 200)))


def _roots_of_light(light: Tensor) -> Tensor:
    """CIELAB's cube roots of X, Y, Z, which is 1 for white, of linear RGB: (3, ...) -> (3, ...)."""
    t = _mix(WHITE_TO_XYZ.to(light), light)
    return torch.where(t > LAB_EPSILON, t.pow(1 / 3), t * LAB_SLOPE + 4 / 29)


def _light_of_roots(f: Tensor) -> Tensor:
    """The inverse of ``_roots_of_light``: (3, ...) -> (3, ...)."""
    return _mix(XYZ_TO_RGB.to(f), torch.where(f > 6 / 29, f * f * f, (f - 4 / 29) / LAB_SLOPE))


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    """A matrix times every pixel's channels: (M, 3), (3, ...) -> (M, ...)."""
    mixed: Tensor = matrix @ x.reshape(x.shape[0], -1)  # (M, n)
    return mixed.view(-1, *x.shape[1:])


def _root(matrix: Tensor, *, is_inverse: bool = False) -> Tensor:
    """Symmetric square root, or its pseudo-inverse without the directions that rounding alone fills."""
    values, vectors = torch.linalg.eigh(matrix)
    values = values.clamp_min(0)
    if is_inverse:
        roots = torch.where(values > ROUNDING_VARIANCE, values.clamp_min(1e-30).rsqrt(), 0.0)
    else:
        roots = values.sqrt()
    root: Tensor = (vectors * roots) @ vectors.T
    return root


def _triangle(matrix: Tensor) -> Tensor:
    """Cholesky factor; directions without variance get a little, so that it exists."""
    values, vectors = torch.linalg.eigh(matrix)
    factor: Tensor = torch.linalg.cholesky((vectors * values.clamp_min(1e-12)) @ vectors.T)
    return factor


def usable(weight: Tensor | None) -> Tensor | None:
    """A weight (H, W), or None where it is nowhere above 0: then all counts alike."""
    return weight if weight is not None and float(weight.max()) > 0 else None


def spread(values: Tensor, weight: Tensor | None) -> tuple[float, float]:
    """Mean and standard deviation of (H, W), weighted with (H, W)."""
    total, first, second = 0.0, 0.0, 0.0
    middle = float(values[::16, ::16].mean())  # near the mean, so that squares do not drown the variance
    for rows in _row_chunks(values[None]):
        x = values[rows] - middle
        w = None if weight is None else weight[rows]
        total += x.numel() if w is None else float(w.sum(dtype=torch.float64))
        first += float((x if w is None else x * w).sum())
        second += float((x * x if w is None else x * x * w).sum())
    away = first / total
    return middle + away, max(0.0, second / total - away * away) ** 0.5


def _row_chunks(picture: Tensor) -> Iterator[slice]:
    height, width = picture.shape[-2:]
    n_rows = max(1, CHUNK_PIXELS // width)
    for top in range(0, height, n_rows):
        yield slice(top, min(height, top + n_rows))


def _columns(rgb: Tensor, weight: Tensor | None, rows: slice) -> tuple[Tensor, Tensor | None]:
    """Colors (3, n) and weights (1, n) of some rows."""
    return rgb[:, rows].flatten(1), None if weight is None else weight[rows].reshape(1, -1).to(rgb)


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float64)
