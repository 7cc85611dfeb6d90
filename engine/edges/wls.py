"""Edge-preserving smoothing by weighted least squares: smooth wherever the guide is, with steps where it has edges.

The smoothed picture u of a target g minimizes sum (u - g)^2 + amount * sum over neighbors w (u_p - u_q)^2, with
w = 1 / (|l_p - l_q|^alpha + eps) and l the logarithm of the guide's luma: one sparse system for all channels.

Source: Farbman 2008, "Edge-Preserving Decompositions for Multi-Scale Tone and Detail Manipulation". Departs: the guide
may be another picture than the target; then what is smoothed away is linear in the target.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from engine.color.tone import luma
from engine.core.shapes import check_shapes
from engine.edges.smoothing import apply_affine, fit_affine, shrunk

AMOUNT, ALPHA, EPS = 0.8, 1.2, 1e-4  # the published ones; the amount is Liao's (2017)
FIT_RADIUS_PX, FIT_EPS = 2, 1e-5  # of the coefficients that a larger picture is smoothed by


def smooth_by_guide(target: Tensor, guide: Tensor, amount: float = AMOUNT) -> Tensor:
    """Smooth a picture up to the edges of another.

    Above ``smoothing.SOLVE_PX`` the system is solved for a small copy, and enlarged by its affine coefficients.

    Args:
        target: (C, H, W).
        guide: (3, H, W), [0, 1].
        amount: of smoothness.

    Returns:
        (C, H, W) float32.
    """
    check_shapes(target=(target, "C H W"), guide=(guide, "3 H W"))
    small = shrunk(guide)
    solved = solve(shrunk(target), small, amount)
    if small.shape == guide.shape:
        return solved
    return apply_affine(fit_affine(small, solved, FIT_RADIUS_PX, FIT_EPS), guide)


def solve(target: Tensor, guide: Tensor, amount: float) -> Tensor:
    """The minimum itself, by a sparse factorization: (C, H, W)."""
    height, width = guide.shape[1:]
    tone = np.log(luma(guide.double())[0].numpy().clip(min=0) + EPS)
    down = _weights(np.diff(tone, axis=0), amount, ((0, 1), (0, 0)))  # of each pixel to the one below; none at the end
    right = _weights(np.diff(tone, axis=1), amount, ((0, 0), (0, 1)))
    n = height * width
    diagonal = 1 + down + right
    diagonal[width:] += down[:-width]
    diagonal[1:] += right[:-1]
    bands = [diagonal, -down[:-width], -down[:-width], -right[:-1], -right[:-1]]
    system = sparse.diags(bands, [0, width, -width, 1, -1], shape=(n, n), format="csc") if width > 1 else None
    if system is None:  # a single column: the bands of both directions fall together
        system = sparse.diags([diagonal, -down[:-1], -down[:-1]], [0, 1, -1], shape=(n, n), format="csc")
    factors = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    solved = factors.solve(target.flatten(1).T.double().numpy())  # (H W, C)
    return torch.from_numpy(solved.T.astype(np.float32)).reshape(target.shape)


def _weights(difference: np.ndarray, amount: float, padding: tuple[tuple[int, int], tuple[int, int]]) -> np.ndarray:
    """(H W,), 0 where there is no neighbor."""
    weights = amount / (np.abs(difference) ** ALPHA + EPS)
    return np.pad(weights, padding).ravel()
