"""The colors of a result: styles recolored before they are painted, paintings afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from engine.color.lightness import keep_chroma
from engine.color.recolor import recolor
from engine.core.types import Picture, Settings, Style
from engine.pipeline.cache import PaintingCache
from engine.pipeline.crop import Work, in_range, is_apart


def recolored(styles: Sequence[Style], work: Work, settings: Settings) -> list[Style]:
    """In "match" mode the style pictures with the content's colors (Gatys 2016); else the styles as they are."""
    if settings.color != "match":
        return list(styles)
    return [
        style
        if style.picture is None
        else replace(style, code=None, picture=_recolored_picture(style.picture, work, settings))
        for style in styles
    ]


def _recolored_picture(style: Picture, work: Work, settings: Settings) -> Picture:
    weight = None if work.mask is None else work.mask.weight
    rgb = recolor(style.rgb, work.content.rgb, style_weight=style.alpha, content_weight=weight, map=settings.color_map)
    return Picture(rgb.clamp(0, 1), style.alpha)


def restore_colors(
    painted: Tensor, work: Work, styles: Sequence[Style], settings: Settings, cache: PaintingCache
) -> Tensor:
    """Give the painting the colors that the color mode asks for.

    A style code has its colors baked in: in "match" mode the painting itself is recolored where there is no picture
    to recolor before.
    """
    content = work.content.rgb
    weight = None if work.mask is None else work.mask.weight
    if settings.color == "luminance":
        can_write = not cache.keeps(painted) and is_apart(painted, content)
        out = painted if can_write else None
        return keep_chroma(painted, content, weight, cache.lightness(painted), out=out)  # it clips, too
    painted = in_range(painted)
    if settings.color == "match" and any(style.picture is None for style in styles):
        moved = recolor(painted, content, style_weight=weight, content_weight=weight, map=settings.color_map)
        return moved.clamp_(0, 1)
    return painted
