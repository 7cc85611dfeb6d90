"""The table of how light and how dark a chroma can be on a screen, beside a search for each color."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.color.lightness import gamut_of_a_screen, keep_chroma
from engine.color.recolor import lab_to_rgb, rgb_to_lab

N_COLORS = 2000


def colors() -> Tensor:
    """Of the cube, of its faces and its corners: (3, N_COLORS)."""
    rgb = torch.rand(3, N_COLORS, generator=torch.Generator().manual_seed(0))
    rgb[0, ::2] = (rgb[0, ::2] > 0.5).float()
    rgb[:, :80] = (rgb[:, :80] > 0.5).float()
    return rgb


def searched(lab: Tensor, wanted: Tensor, steps: int = 400) -> Tensor:
    """The L* nearest to the wanted one that can be shown, on the way from the color's own: (N,)."""
    found, is_shown = lab[0].clone(), torch.ones(lab.shape[1], dtype=torch.bool)
    for share in torch.linspace(0, 1, steps + 1)[1:]:
        lightness = torch.lerp(lab[0], wanted, float(share))
        rgb = lab_to_rgb(torch.stack([lightness, lab[1], lab[2]]))
        is_shown &= ((rgb >= -1e-4) & (rgb <= 1 + 1e-4)).all(0)
        found = torch.where(is_shown, lightness, found)
    return found


def brought(lab: Tensor, wanted: Tensor) -> Tensor:
    """The same by the table."""
    fy = (lab[0] + 16) / 116
    roots = torch.stack([fy + lab[1] / 500, fy, fy - lab[2] / 200]).float()
    target = ((wanted + 16) / 116).float()
    gamut_of_a_screen().bring_into(target, roots)
    return target * 116 - 16


def test_lightness_goes_as_far_as_a_screen_can_show_it() -> None:
    lab = rgb_to_lab(colors().double())
    for wanted in (torch.full_like(lab[0], 95), torch.full_like(lab[0], 5), 100 - lab[0]):
        off = (brought(lab, wanted) - searched(lab, wanted)).abs()
        assert float(off.mean()) < 0.3 and float(off.quantile(0.99)) < 2


def test_a_lightness_that_can_be_shown_stays_to_the_bit() -> None:
    lab = rgb_to_lab(colors().double())
    fy = ((lab[0] + 16) / 116).float()
    roots = torch.stack([fy + lab[1].float() / 500, fy, fy - lab[2].float() / 200])
    target = fy.clone()
    gamut_of_a_screen().bring_into(target, roots)
    assert torch.equal(target, fy)


def test_grays_can_have_every_lightness() -> None:
    gray = torch.linspace(0, 1, 200).expand(3, 200)
    for end in (0.0, 100.0):
        lab = rgb_to_lab(gray.double())
        torch.testing.assert_close(
            brought(lab, torch.full_like(lab[0], end)), torch.full((200,), end), atol=0.5, rtol=0
        )


def test_no_color_loses_its_chroma_visibly() -> None:
    content = colors().view(3, 40, 50)
    painted = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(1))
    off = (rgb_to_lab(keep_chroma(painted, content)) - rgb_to_lab(content))[1:].square().sum(0).sqrt()
    assert float(off.mean()) < 0.1 and float(off.max()) < 3
