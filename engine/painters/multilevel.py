"""From the coarsest level to the finest: encode a picture, recolor its features, decode; what WCT and PhotoWCT share.

At each level the whole recoloring is one affine map a part of the picture. So a large picture can be measured in
tiles (sums add up) and painted in tiles (the map is the same for all), with the same result as in one piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.compute.resize import resize
from engine.compute.tiles import Tile, halving, lay_tiles
from engine.core.method import Job
from engine.core.progress import part, watched
from engine.core.types import Style
from engine.features.whitening import Affine, Moments, Sums, at_size, blend, measure, recoloring, spread
from engine.networks.decoders import Encoded
from engine.networks.pairs import Pair, stride_px
from engine.regions.parts import Accepts, Part, parts_of

FRAME_PX = 16  # border pixels repeated beyond the picture, because the networks see black there
STRIDE_PX = 16  # of the deepest level that any pair has
WHOLE_PX = 1152 * 1152  # up to this many pixels a picture is painted in one piece
TILE_PX = 1024
MIN_SIDE_PX = 32
MAX_STYLE_PX = 1024  # the statistics of a larger style are no better


def transfer(pair: Pair, job: Job, depth: int = 5, accepts: Accepts | None = None) -> Tensor:
    """Give a picture the statistics of the styles' features, level by level: (3, H, W) in [0, 1].

    Args:
        pair: goes to features and back.
        job: content, styles, regions; the strength is the share of the features that is recolored.
        depth: levels beyond it are left out.
        accepts: regions that it refuses stay as they are; None = it refuses none.
    """
    pair = pair.to(job.device)
    parts = parts_of(job, accepts)
    seen = [style_input(style, job) for style in job.styles]
    parts = [replace(p, styles=[framed(at_look(w, job, n), 0) for n, w in enumerate(p.styles)]) for p in parts]
    parts = [replace(p, weight=framed(p.weight), counted=framed(p.counted, 0)) for p in parts]
    rgb = framed(job.content.rgb.clamp(0, 1))[None]  # (1, 3, H', W')
    levels = [level for level in pair.levels if level <= depth]
    for n, level in enumerate(levels):
        step = replace(job, on_progress=part(job.on_progress, n / len(levels), (n + 1) / len(levels)))
        rgb = Level(pair, level, step, parts).paint(rgb, seen)
    height, width = job.content.size
    painted = rgb[0, :, FRAME_PX : FRAME_PX + height, FRAME_PX : FRAME_PX + width]
    return job.content.rgb.lerp(painted, fade(job.settings.strength))


def fade(strength: float) -> float:
    """Share of the painting in the result: below one half the content's own pixels come in, because decoders give
    back no picture exactly and strength 0 must."""
    return min(1.0, 2 * strength)


def look_size(job: Job, style: Style) -> list[int]:
    """(h, w) at which a style is looked at."""
    size = style.require_picture().size
    longest = job.settings.style_size_px or min(MAX_STYLE_PX, max(job.content.size))
    return [max(MIN_SIDE_PX, round(side * longest / max(size))) for side in size]


def style_input(style: Style, job: Job) -> Tensor:
    """A style as it is looked at: (1, 3, h, w), framed."""
    rgb = style.require_picture().rgb[None].clamp(0, 1)
    size = look_size(job, style)
    small = resize(rgb, size)
    return framed(small[0])[None].to(job.device)


def at_look(weight: Tensor, job: Job, n: int) -> Tensor:
    """What counts of the n-th style, at the size at which it is looked at."""
    return at_size(weight, look_size(job, job.styles[n]))


def framed(x: Tensor, value: float | None = None) -> Tensor:
    """(..., H, W) with a frame, and a rest that makes sides multiples of the stride: repeated pixels, or one value."""
    height, width = x.shape[-2:]
    down, right = (FRAME_PX + -(side + 2 * FRAME_PX) % STRIDE_PX for side in (height, width))
    padding = (FRAME_PX, right, FRAME_PX, down)
    if value is not None:
        return F.pad(x, padding, value=value)
    return F.pad(x[None] if x.dim() == 3 else x[None, None], padding, mode="replicate").reshape(
        *x.shape[:-2], height + FRAME_PX + down, width + FRAME_PX + right
    )


@dataclass(frozen=True, eq=False)
class Level:
    """One level's work on a picture.

    Args:
        pair: goes to features and back.
        level: of the pair.
        job: for styles, strength, device and progress.
        parts: framed.
    """

    pair: Pair
    level: int
    job: Job
    parts: Sequence[Part]

    def paint(self, rgb: Tensor, seen: Sequence[Tensor]) -> Tensor:
        """Recolor (1, 3, H, W), measuring it first; sides are multiples of the stride."""
        height, width = rgb.shape[2:]
        tile_px = max(height, width) if height * width <= WHOLE_PX else TILE_PX
        wanted = self.wanted(seen)
        return halving(tile_px, STRIDE_PX, lambda side_px: self.paint_tiles(rgb, wanted, side_px))

    def paint_tiles(self, rgb: Tensor, wanted: Sequence[Sequence[Moments]], tile_px: int) -> Tensor:
        """The same, in tiles of a side: measured in all of them, then painted in each."""
        height, width = rgb.shape[2:]
        tiles = lay_tiles(height, width, tile_px, self.pair.margin_px(self.level), STRIDE_PX)
        n_steps = 2 * len(tiles)
        sums: list[Sums] = []
        for n, tile in enumerate(tiles):
            encoded = self.encode(outer(rgb, tile), n / n_steps)
            found = self.measured(encoded.features[0], tile)
            sums = found if not sums else [old + new for old, new in zip(sums, found, strict=True)]
        maps = [self.map_of(own, styles) for own, styles in zip(sums, wanted, strict=True)]
        result = torch.empty_like(rgb)
        for n, tile in enumerate(tiles):
            if len(tiles) > 1:
                encoded = self.encode(outer(rgb, tile), 0.5 + n / n_steps)
            weights = [outer(p.weight, tile) for p in self.parts]
            features = spread(maps, weights, encoded.features[0])[None]  # (1, C, h, w)
            with watched(self.pair, lambda _share, _text, n=n: self.report(0.5 + (n + 0.5) / n_steps)):  # type: ignore[misc]
                painted = self.pair.decode(replace(encoded, features=features), self.level).float().clamp_(0, 1)
            kept = painted[..., tile.top - tile.outer_top :, tile.left - tile.outer_left :]
            kept = kept[..., : tile.bottom - tile.top, : tile.right - tile.left]
            result[..., tile.top : tile.bottom, tile.left : tile.right] = kept.cpu()
        return result

    def encode(self, rgb: Tensor, share: float) -> Encoded:
        """Features of (1, 3, h, w)."""
        with watched(self.pair, lambda _share, _text: self.report(share)):
            return self.pair.encode(rgb.to(self.job.device), self.level)

    def report(self, share: float) -> None:
        """Tell the progress; the listener may raise ``Cancelled``."""
        self.job.on_progress(share, f"Level {self.level}")

    def wanted(self, seen: Sequence[Tensor]) -> list[list[Moments]]:
        """Per part the moments of each style."""
        features = [self.encode(rgb, 0.0).features[0] for rgb in seen]
        return [
            [measure(f, at_size(w, f.shape[1:]).to(f)).moments() for f, w in zip(features, p.styles, strict=False)]
            for p in self.parts
        ]

    def measured(self, features: Tensor, tile: Tile) -> list[Sums]:
        """Per part the sums over what a tile keeps of its features (C, h, w)."""
        step = stride_px(self.level)
        top, left = (tile.top - tile.outer_top) // step, (tile.left - tile.outer_left) // step
        height, width = (tile.bottom - tile.top) // step, (tile.right - tile.left) // step
        kept = features[:, top : top + height, left : left + width]
        counted = [p.counted[tile.top : tile.bottom, tile.left : tile.right] for p in self.parts]
        return [measure(kept, at_size(w, kept.shape[1:]).to(kept)) for w in counted]

    def map_of(self, own: Sums, styles: Sequence[Moments]) -> Affine:
        """The map of one part: of its styles' blend, as far as the strength goes."""
        if not styles:
            return identity(own)
        content = own.moments()
        maps = [recoloring(content, style) for style in styles]
        return blend(maps, [style.weight for style in self.job.styles]).faded(self.job.settings.strength)


def identity(own: Sums) -> Affine:
    """The map that changes nothing."""
    return Affine(torch.eye(len(own.first), dtype=torch.float64, device=own.first.device), torch.zeros_like(own.first))


def outer(x: Tensor, tile: Tile) -> Tensor:
    """What a tile computes, of (..., H, W)."""
    return x[..., tile.outer_top : tile.outer_bottom, tile.outer_left : tile.outer_right]
