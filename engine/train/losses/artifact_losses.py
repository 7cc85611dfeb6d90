"""Where a painting must be calm: places that are even in the photo, and those next to something.

Distances of statistics ask for as much contrast as the style has, wherever it can be had; these terms say where not.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.color.tone import luma

CELL_PX, AROUND_CELLS, WINDOW, STEP = 4, 9, 8, 4  # of roughness: cells of 4 px; all else in cells
LEAST_ROUGH = 0.008  # 2/255: nobody sees less
SAME_ROUGH = 1.2  # places whose roughness differs by less are alike
CALMEST = 0.2  # of the style's places: an even corner is not yet its way to paint a sky

SPECKLE_CELLS_PX = (1, 2)  # of color that changes from one cell to the next
LEAST_SPECKLED = 0.6 / 255

PLAIN_CELL_PX = 8
PLAIN = 3 / 255  # deviation within a cell, at most
FAR_CELLS, NEAR_CELLS = 4, 10  # how far nothing is, and how far to look for places that are
LEAST_HALO = 3 / 255


def unrest(rgb: Tensor, content: Tensor, style: Tensor) -> Tensor:
    """How far places are rougher than the style would have them, per picture: (B,). 0 = nowhere.

    Ripples in an even sky are cheap contrast. Here places are compared by rank: the tenth of the painting that is
    calmest in the photo may be as rough as the calmest tenth of the style (which is rough enough where brush strokes
    are everywhere), or as the photo. Places that are alike have the rank of the calmest of them.

    Args:
        rgb: (B, 3, H, W) the painting.
        content: (B, 3, H, W) the photo in the style's colors.
        style: (B, 3, h, w).
    """
    return _excess(*(roughness(x) for x in (rgb, content, style)))


def speckle(rgb: Tensor, content: Tensor, style: Tensor) -> Tensor:
    """How far places are more speckled with color than the style and the photo would have them, per picture: (B,).

    Grains of yellow and blue of a pixel or two raise every layer's statistics and are seen as noise; paintings and
    photos have hardly any. Places are compared as in ``unrest``.

    Args:
        rgb: (B, 3, H, W) the painting.
        content: (B, 3, H, W) the photo in the style's colors.
        style: (B, 3, h, w).
    """
    sizes = [_excess(*(color_detail(x, cell_px) for x in (rgb, content, style))) for cell_px in SPECKLE_CELLS_PX]
    return torch.stack(sizes).mean(0)


def _excess(ours: Tensor, own: Tensor, theirs: Tensor) -> Tensor:
    """Mean square of how far (B, N) places exceed (logarithm) those of the same rank, or the photo's, per picture."""
    rank = (own[:, None] < own[:, :, None] / SAME_ROUGH).float().mean(2)  # (B, N), 0 = the calmest places
    same_rank = (rank.clamp_min(CALMEST) * (theirs.shape[1] - 1)).round().long()
    allowed = torch.maximum(theirs.sort(1).values.gather(1, same_rank), own)
    return (ours / allowed).log().clamp_min(0).square().mean(1)


def color_detail(rgb: Tensor, cell_px: int) -> Tensor:
    """Deviation of colors, whatever the light does, from those of the cells next to them: (B, 3, H, W) -> (B, N).

    In windows of 32 px, N of them; at least ``LEAST_SPECKLED``, so that nothing is not compared with nothing.
    """
    cells = F.avg_pool2d(rgb.float(), cell_px)
    color = cells - luma(cells)
    off = color - F.avg_pool2d(F.pad(color, (1,) * 4, mode="replicate"), 3, 1)
    window = WINDOW * CELL_PX // cell_px
    fine = F.avg_pool2d(off.square().mean(1, keepdim=True), window, window // 2)
    return (fine[:, 0].flatten(1) + LEAST_SPECKLED**2).sqrt()


def roughness(rgb: Tensor) -> Tensor:
    """Deviation of colors from those of some 36 px around, in windows of 32 px: (B, 3, H, W) -> (B, N)."""
    cells = F.avg_pool2d(rgb.float(), CELL_PX)  # (B, 3, H/4, W/4)
    around = F.pad(cells, (AROUND_CELLS // 2,) * 4, mode="replicate")
    rough = (cells - F.avg_pool2d(around, AROUND_CELLS, 1)).square().mean(1, keepdim=True)
    return (F.avg_pool2d(rough, WINDOW, STEP)[:, 0].flatten(1) + LEAST_ROUGH**2).sqrt()


def halo(rgb: Tensor, content: Tensor, contour_cells: int = 0) -> Tensor:
    """How far plain places next to something are painted unlike those far from it, per picture: (B,). 0 = alike.

    A rim, a glow, a ring of strokes. What is subtracted is the photo, so that a sky may shade as it does; what is
    compared is the deviation, near and far, from the mean of the far places around: strokes that are everywhere are
    no halo.

    Args:
        rgb: (B, 3, H, W) the painting.
        content: (B, 3, H, W) the photo, best in the style's colors. What is beyond the last whole cell does not count.
        contour_cells: so many cells of 8 px next to something do not count: contours are drawn there.
    """
    rgb, content = (_whole_cells(x) for x in (rgb, content))
    plain = is_plain(content)  # (B, 1, H/8, W/8)
    far = _away(plain, FAR_CELLS)
    near = _away(plain, contour_cells) - far
    error = F.avg_pool2d((rgb - content).float(), PLAIN_CELL_PX)  # (B, 3, H/8, W/8)
    share = _around(far)
    usual = _around(error * far) / share.clamp_min(1e-6)
    off = (error - usual).square().mean(1, keepdim=True)
    is_known = (share > 0.02).float()

    def mean_over(places: Tensor) -> Tensor:
        return (off * places * is_known).sum((1, 2, 3)) / (places * is_known).sum((1, 2, 3)).clamp_min(1)

    at_rest = mean_over(far).detach() + LEAST_HALO**2  # else a rougher background would do
    return ((mean_over(near) + LEAST_HALO**2) / at_rest).log().clamp_min(0)


def is_plain(rgb: Tensor) -> Tensor:
    """Cells of 8 px in which nothing is to be seen: (B, 3, H, W) -> (B, 1, H/8, W/8), 0 or 1."""
    wide = rgb.float()
    mean = F.avg_pool2d(wide, PLAIN_CELL_PX)
    off = (wide - F.interpolate(mean, scale_factor=float(PLAIN_CELL_PX), mode="bilinear")).square()
    return (F.avg_pool2d(off, PLAIN_CELL_PX).mean(1, keepdim=True) < PLAIN**2).float()


def _away(plain: Tensor, n_cells: int) -> Tensor:
    """Those of the cells that are farther than ``n_cells`` from any that is not plain."""
    wide = F.pad(plain, (n_cells,) * 4, mode="replicate")
    return 1 - F.max_pool2d(1 - wide, 2 * n_cells + 1, 1)


def _whole_cells(rgb: Tensor) -> Tensor:
    height, width = (side // PLAIN_CELL_PX * PLAIN_CELL_PX for side in rgb.shape[2:])
    return rgb[:, :, :height, :width]


def _around(plane: Tensor) -> Tensor:
    """Means over 21x21 cells, of which those beyond the border are 0."""
    return F.avg_pool2d(plane, 2 * NEAR_CELLS + 1, 1, NEAR_CELLS)
