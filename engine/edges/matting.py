"""The closed-form smoothing of photorealistic style transfer, solved exactly.

Wanted are the colors V nearest to a painting B that are, in every 3 x 3 window, nearly an affine function of the
content's colors: the minimum of

    |V - B|^2 + beta / (9 (1 - beta)) V^T L V,    which is    (1 + weight L) V = B,

L the matting Laplacian of the content. Direct solvers need a gigabyte for half a megapixel. Conjugate gradients need
some 350 steps, because color moves through the system a pixel a step; but what they find so slowly is known: V is
almost a content whose affine coefficients change slowly from place to place. Hats on coarser and coarser grids, each
times 1, red, green and blue of the content, span just that, and as a preconditioner they leave some 50 steps.

Sources: Li et al. 2018, "A Closed-form Solution to Photorealistic Image Stylization", section 3.2; Levin, Lischinski &
Weiss 2008, "A Closed-Form Solution to Natural Image Matting" (the Laplacian); Bramble, Pasciak & Xu 1990, "Parallel
Multilevel Preconditioners".
Departs: Li divides by the number of windows at every pixel, which is 9 but for the two outermost rows; there the
division darkens the solution like a frame (his code pads the picture against it). We divide by 9 everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.progress import part
from engine.core.shapes import check_shapes
from engine.core.types import Progress, silent

BETA = 0.9999
EPS = 1e-7
WINDOW = [(dy, dx) for dy in range(3) for dx in range(3)]
OFFSETS = [(dy, dx) for dy in range(3) for dx in range(-2, 3) if (dy, dx) >= (0, 0)]  # the others are their mirrors
SPACINGS_PX = (4, 8, 16, 32)  # of the hats; beyond, the weight on B makes color stay where it is
COLOR_FLOOR = 1e-5  # of a hat's energy: less than this a function's may be rounding
JACOBI_SHARE = 2.0  # pixels against hats: twice what their diagonal says saves a tenth of the steps
TOLERANCE = 0.02 / 255  # of what is estimated to be left, at the worst pixel
MEAN_TOLERANCE = 0.0025 / 255  # and, in the system's own norm, on average
MAX_STEPS = 600
CACHED_PIXELS = 1 << 15  # of the system, that are multiplied at a time
USUAL_STEPS = 40
TINY = 1e-30


def smooth_exactly(
    painted: Tensor, content: Tensor, *, beta: float = BETA, eps: float = EPS, on_progress: Progress = silent
) -> Tensor:
    """Give a painting the content's edges by the exact closed form.

    Args:
        painted: (C, H, W), [0, 1].
        content: (3, H, W).
        beta: how much smoothness counts against nearness to the painting, below 1.
        eps: ridge of the affine functions, in squared color units.
        on_progress: told the share done; may raise ``Cancelled``.

    Returns:
        (C, H, W) float32, not clamped; within 0.5 / 255 of a direct solver's answer everywhere.
    """
    check_shapes(painted=(painted, "C H W"), content=(content, "3 H W"))
    if min(content.shape[1:]) < 3:
        return painted.float()
    system = System(content, beta / (9 * (1 - beta)), eps)
    on_progress(0.1, "")
    hats = Hats(system, content)
    return solve(system, painted.float(), hats, part(on_progress, 0.2, 1.0))


class System:
    """The matrix 1 + weight L, as a picture for each of its diagonals.

    Args:
        content: (3, H, W), both sides at least 3.
        weight: of the Laplacian.
        eps: see ``smooth_exactly``.
    """

    def __init__(self, content: Tensor, weight: float, eps: float = EPS) -> None:
        planes = laplacian(content, eps).mul_(weight)
        planes[0] += 1
        self.framed = F.pad(planes.float(), (2, 2, 2, 2))
        self.planes = self.framed[:, 2:-2, 2:-2]  # (13, H, W)
        self.diagonal = self.planes[0]
        height, width = self.diagonal.shape
        self.size = height, width

    def __call__(self, x: Tensor) -> Tensor:
        """The product with (C, H, W), some rows at a time: 25 terms of what then stays in the cache."""
        height, width = self.size
        framed = F.pad(x, (2, 2, 2, 2))
        result = torch.empty_like(x)
        n_rows = max(1, CACHED_PIXELS // width)
        for top in range(0, height, n_rows):
            bottom = min(height, top + n_rows)
            part_of = torch.mul(self.diagonal[top:bottom], x[:, top:bottom], out=result[:, top:bottom])
            for plane, own, (dy, dx) in zip(self.framed[1:], self.planes[1:], OFFSETS[1:], strict=True):
                after = slice(2 + top + dy, 2 + bottom + dy), slice(2 + dx, 2 + dx + width)
                before = slice(2 + top - dy, 2 + bottom - dy), slice(2 - dx, 2 - dx + width)
                part_of.addcmul_(own[top:bottom], framed[:, after[0], after[1]])
                part_of.addcmul_(plane[before], framed[:, before[0], before[1]])
        return result


def laplacian(content: Tensor, eps: float) -> Tensor:
    """The matting Laplacian: plane k at (y, x) is its entry for the pixels (y, x) and (y, x) + ``OFFSETS[k]``.

    A window's share is the projection that takes from 9 values what is affine in its 9 colors I_i: with mean m and
    covariance S of the colors, 1 - G, G_ij = (1 + (I_i - m)^T (S + eps / 9)^-1 (I_j - m)) / 9. float64, since
    eps is below the rounding of float32, and since what is nearly constant must give nearly 0.

    Args:
        content: (3, H, W).
        eps: above 0.

    Returns:
        (13, H, W) float64; 0 where the other pixel is outside.
    """
    content = content.double()
    height, width = content.shape[1] - 2, content.shape[2] - 2
    colors = torch.stack([content[:, y : y + height, x : x + width] for y, x in WINDOW])  # (9, 3, h, w)
    colors -= colors.mean(0)
    whitened = _whitened(colors, eps / 9).div_(3)
    planes = content.new_zeros(len(OFFSETS), *content.shape[1:])
    for i, (y, x) in enumerate(WINDOW):
        for j, (other_y, other_x) in enumerate(WINDOW):
            offset = other_y - y, other_x - x
            if offset in OFFSETS:
                plane = planes[OFFSETS.index(offset), y : y + height, x : x + width]
                plane += (i == j) - 1 / 9
                for one, two in zip(whitened[i], whitened[j], strict=True):
                    plane.addcmul_(one, two, value=-1)
    return planes


def _whitened(colors: Tensor, ridge: float) -> Tensor:
    """Centered colors (9, 3, h, w) by the inverse of the Cholesky factor of their covariance plus a ridge."""

    def cov(i: int, j: int) -> Tensor:
        return (colors[:, i] * colors[:, j]).mean(0)

    red = (cov(0, 0) + ridge).sqrt()
    green_red, blue_red = cov(1, 0) / red, cov(2, 0) / red
    green = (cov(1, 1) + ridge - green_red**2).clamp_min(ridge).sqrt()
    blue_green = (cov(2, 1) - blue_red * green_red) / green
    blue = (cov(2, 2) + ridge - blue_red**2 - blue_green**2).clamp_min(ridge).sqrt()
    result = torch.empty_like(colors)
    result[:, 0] = colors[:, 0] / red
    result[:, 1] = (colors[:, 1] - green_red * result[:, 0]) / green
    result[:, 2] = (colors[:, 2] - blue_red * result[:, 0] - blue_green * result[:, 1]) / blue
    return result


class Hats:
    """The preconditioner: Jacobi on pixels, and on every grid of hats Jacobi by blocks of a node's four functions.

    Args:
        system: what is to be solved.
        content: (3, H, W).
    """

    def __init__(self, system: System, content: Tensor) -> None:
        self.inverse_diagonal = JACOBI_SHARE / system.diagonal
        self.size = system.size
        self.step = SPACINGS_PX[0]
        self.nodes = [-(-(side - 1) // self.step) + 1 for side in self.size]
        self.basis = torch.cat((torch.ones_like(content[:1]), content - 0.5)).float()[:, None]  # (4, 1, H, W)
        self.hat, self.half_hat = _hat(self.step), _hat(2)
        self.inverses = _block_inverses(system, self.basis[:, 0])
        self.framed = torch.zeros(4, 0, 1, 1)  # see ``_restrict``

    def __call__(self, residual: Tensor) -> Tensor:
        """An estimate of the error that leaves this residual: (C, H, W) -> the same."""
        error = self._prolong(self._correct(self._restrict(residual), 0))
        return error.addcmul_(self.inverse_diagonal, residual)

    def _correct(self, seen: Tensor, level: int) -> Tensor:
        """Weights of the functions of one grid and all coarser ones, from scalar products (4, C, h, w) with them."""
        inverse = self.inverses[level]
        weights = inverse[:, 0, None] * seen[0]
        for i in range(1, 4):
            weights.addcmul_(inverse[:, i, None], seen[i])
        if level + 1 < len(self.inverses):
            frame = [(0, 1)[n % 2 == 0] for n in seen.shape[2:]]  # an even number of nodes gets one more
            coarse = self._correct(_sums(F.pad(seen, (1, 1 + frame[1], 1, 1 + frame[0])), self.half_hat, 2), level + 1)
            sides = [2 * n - 1 for n in coarse.shape[2:]]
            fine = F.interpolate(coarse, sides, mode="bilinear", align_corners=True)
            weights += fine[..., : seen.shape[2], : seen.shape[3]]
        return weights

    def _restrict(self, x: Tensor) -> Tensor:
        """Scalar products of (C, H, W) with every function of the finest grid: (4, C, h, w)."""
        margin, (height, width) = self.step - 1, self.size
        if self.framed.shape[1] != len(x):
            sides = [self.step * (n - 1) + 1 + 2 * margin for n in self.nodes]
            self.framed = x.new_zeros(4, len(x), *sides)
        torch.mul(self.basis, x, out=self.framed[..., margin : margin + height, margin : margin + width])
        return _sums(self.framed, self.hat, self.step)

    def _prolong(self, x: Tensor) -> Tensor:
        """The functions of the finest grid, summed with weights (4, C, h, w): (C, H, W)."""
        height, width = self.size
        between = torch.arange(self.step)[:, None] / self.step
        rows = torch.lerp(x[:, :, :-1, None], x[:, :, 1:, None], between).flatten(2, 3)  # (4, C, >= H - 1, w)
        rows = torch.cat((rows, x[:, :, -1:]), 2)[:, :, :height]
        length = self.step * (self.nodes[1] - 1) + 1
        result = x.new_zeros(x.shape[1], height, width)
        for function, weights in zip(self.basis, rows, strict=True):
            large = F.interpolate(weights, length, mode="linear", align_corners=True)  # (C, H, >= W)
            result.addcmul_(function, large[..., :width])
        return result


def _hat(spacing: int) -> Tensor:
    """(2 s - 1, 2 s - 1): 1 at the node, 0 at its neighbors."""
    ramp = 1 - torch.arange(1 - spacing, spacing).abs() / spacing
    return ramp[:, None] * ramp


def _sums(x: Tensor, weight: Tensor, step: int) -> Tensor:
    """Of (4, C, H, W), weighted (k, k), every ``step`` pixels: (4, C, h, w)."""
    n = x.shape[0] * x.shape[1]
    sums = F.conv2d(x.flatten(0, 1)[None], weight.expand(n, 1, -1, -1), stride=step, groups=n)
    return sums.view(*x.shape[:2], *sums.shape[2:])


def _block_inverses(system: System, basis: Tensor) -> list[Tensor]:
    """The inverse, for every hat of every spacing, of the system restricted to its four functions.

    With rows of L that give 0 for each basis function f, and p the hat,

        (p f)^T L (p g) = -1/2 sum_ij L_ij (p_i - p_j)^2 f_i g_j,

    in which nothing large cancels: a convolution for each pair of functions, with the steps of the hat as weights.

    Args:
        system: (1 + weight L).
        basis: (4, H, W).

    Returns:
        (4, 4, h, w) each.
    """
    height, width = system.size
    framed = F.pad(basis, (2, 2, 0, 2))
    shifted = [framed[:, dy : dy + height, 2 + dx : 2 + dx + width] for dy, dx in OFFSETS]
    steps = [_hat_steps(spacing) for spacing in SPACINGS_PX]
    nodes = [[-(-(side - 1) // spacing) + 1 for side in system.size] for spacing in SPACINGS_PX]
    blocks = [basis.new_empty(4, 4, *shape) for shape in nodes]
    planes = torch.empty_like(system.planes)
    for a in range(4):
        for b in range(a + 1):
            torch.mul(basis[a], basis[b], out=planes[0])
            for k in range(1, len(OFFSETS)):
                plane = torch.mul(basis[a], shifted[k][b], out=planes[k])
                plane.addcmul_(basis[b], shifted[k][a]).mul_(system.planes[k])
            for spacing, weight, block in zip(SPACINGS_PX, steps, blocks, strict=True):
                block[a, b] = block[b, a] = _sums_around_nodes(planes, weight, spacing, block.shape[2:])
    return [_inverse(block) for block in blocks]


def _sums_around_nodes(planes: Tensor, weight: Tensor, spacing: int, nodes: Sequence[int]) -> Tensor:
    """Of (K, H, W), weighted (1, K, k, k) as seen from each node: (h, w)."""
    margin = weight.shape[2] // 2
    rows, columns = (spacing * (n - 1) + 1 - side + margin for n, side in zip(nodes, planes.shape[1:], strict=True))
    return F.conv2d(F.pad(planes, (margin, columns, margin, rows))[None], weight, stride=spacing)[0, 0]


def _hat_steps(spacing: int) -> Tensor:
    """(1, 13, 2 s + 3, 2 s + 3): the hat squared, then for each offset -1/2 of its squared step."""
    ramp = (1 - torch.arange(-spacing - 3, spacing + 4).abs() / spacing).clamp_min(0)
    hat = ramp[:, None] * ramp
    side = 2 * spacing + 3
    here = hat[2 : 2 + side, 2 : 2 + side]
    steps = [(here - hat[2 + dy : 2 + dy + side, 2 + dx : 2 + dx + side]).square() / -2 for dy, dx in OFFSETS[1:]]
    return torch.stack((here.square(), *steps))[None]


def _inverse(blocks: Tensor) -> Tensor:
    """Of symmetric (4, 4, h, w), positive definite whatever rounding did to them.

    Where the content has one color, nothing tells its three functions from the first: the floor leaves all to that one.
    """
    matrices = blocks.permute(2, 3, 0, 1).double()  # (h, w, 4, 4)
    matrices += torch.diag_embed(matrices[..., :1, 0].expand(-1, -1, 4) * COLOR_FLOOR)
    is_bad = torch.linalg.cholesky_ex(matrices).info != 0
    matrices[is_bad] = torch.diag_embed(matrices[is_bad].diagonal(dim1=-2, dim2=-1))
    return torch.linalg.inv(matrices).permute(2, 3, 0, 1).float().contiguous()


def solve(system: System, target: Tensor, hats: Hats, on_progress: Progress = silent) -> Tensor:
    """Conjugate gradients, all channels at once.

    The preconditioner's answer to a residual is an estimate of the error; when that is small at every pixel, and in
    the mean much smaller, they stop.

    Args:
        system: (1 + weight L).
        target: (C, H, W).
        hats: the preconditioner.
        on_progress: told the share done.

    Returns:
        (C, H, W).
    """
    start = hats(target)
    x = start * (_dot(target, start) / _dot(start, system(start)).clamp_min(TINY))
    residual = target - system(x)
    estimate = hats(residual)
    step = estimate.clone()
    energy = _dot(residual, estimate)
    enough = MEAN_TOLERANCE**2 * target[0].numel()
    for i in range(MAX_STEPS):
        if float(energy.max()) <= enough and float(estimate.abs().max()) <= TOLERANCE:
            break
        on_progress(i / (i + USUAL_STEPS), "")
        product = system(step)
        length = energy / _dot(step, product).clamp_min(TINY)
        x.addcmul_(length, step)
        residual.addcmul_(-length, product)
        estimate = hats(residual)
        before, energy = energy, _dot(residual, estimate)
        step = step.mul_(energy / before.clamp_min(TINY)).add_(estimate)
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar products by channel: (C, 1, 1)."""
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))[:, None, None]
