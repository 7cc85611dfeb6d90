"""Terms for what is even: ripples cost unless the style ripples, halos cost wherever they are, strokes everywhere do
not."""

from __future__ import annotations

import pytest
import torch

from engine.core.types import Picture
from engine.train.losses.artifact_losses import LEAST_ROUGH, color_detail, halo, is_plain, roughness, speckle, unrest


def ripples(size_px: int = 256, period_px: float = 18) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size_px), torch.arange(size_px), indexing="ij")
    return 0.1 * torch.sin(2 * torch.pi * (x + 0.3 * y) / period_px)


def test_ripples_in_a_sky_are_unrest_unless_the_style_ripples_everywhere(portrait: Picture) -> None:
    is_sky = (torch.arange(256)[:, None] < 128).float()
    photo = portrait.rgb[None] * (1 - is_sky) + 0.6 * is_sky
    painted = photo + ripples() * is_sky
    calm = photo.flip(3)  # a style whose upper half is as even
    assert float(unrest(photo, photo, calm)) == 0
    assert float(unrest(painted, photo, calm)) > 0.5
    assert float(unrest(painted, photo, calm + ripples())) < 0.05
    assert float(unrest(painted, painted, calm)) == 0  # what the photo has may stay


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, -0.3, -1.0)], ids=["light", "color"])
def test_places_that_are_alike_have_the_rank_of_the_calmest(tint: tuple[float, float, float]) -> None:
    """A style that is calm in a third of its places allows none of an even background to be rough."""
    plain = torch.full((1, 3, 256, 256), 0.5)
    waves = ripples() * torch.tensor(tint)[:, None, None]
    is_rough = (torch.arange(256)[:, None] > 96).float()
    style = plain + waves * is_rough
    half = plain + waves * (torch.arange(256) < 128).float()
    assert float(unrest(plain, plain, style)) == 0
    assert float(unrest(half, plain, style)) > 0.5


def speckles(amount: float) -> torch.Tensor:
    """Grains of yellow and blue, of a pixel each, in all of a picture."""
    grains = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    return amount * grains * torch.tensor([0.5, 0.5, -1.0])[:, None, None]


def test_speckles_cost_unless_the_style_or_the_photo_has_them(portrait: Picture) -> None:
    photo = portrait.rgb[None]
    painted = photo + speckles(0.03)
    assert float(speckle(photo, photo, photo)) == 0
    assert float(speckle(painted, photo, photo)) > 0.3
    assert float(speckle(painted, photo, photo.flip(3) + speckles(0.03))) < 0.01
    assert float(speckle(painted, painted, photo)) == 0
    gray = photo + speckles(0.03)[:, 2:] + ripples()  # of light alone, and broad waves
    assert float(speckle(gray, photo, photo)) < 0.01


def test_speckles_of_one_and_of_two_pixels_are_seen_and_a_sky_has_none() -> None:
    sky = torch.linspace(0, 1, 256).expand(1, 3, 256, 256) * torch.tensor([0.5, 0.7, 1.0])[:, None, None]
    coarse = speckles(0.03)[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3)
    for cell_px in (1, 2):
        assert float(color_detail(sky, cell_px).max()) < 1 / 255
    assert float(color_detail(sky + speckles(0.03), 1).min()) > 3 / 255
    assert float(color_detail(sky + coarse, 2).min()) > 3 / 255


def test_roughness_is_that_of_a_sine_and_of_nothing_finer_or_coarser() -> None:
    x = torch.arange(512.0).expand(1, 3, 512, 512)

    def of(period_px: float) -> float:
        waves = 0.5 + 0.1 * torch.sin(2 * torch.pi * x / period_px)
        return float(roughness(waves).square().mean().sqrt())

    assert of(24) == pytest.approx(0.1 / 2**0.5, rel=0.25)
    assert of(4) == pytest.approx(LEAST_ROUGH, rel=0.05)
    assert of(400) < 0.015


def before_black() -> torch.Tensor:
    """A square of noise before black: (1, 3, 256, 256)."""
    photo = torch.full((1, 3, 256, 256), 0.02)
    photo[..., 96:160, 96:160] = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return photo


def far_px() -> torch.Tensor:
    """How far each pixel is from the square: (256, 256)."""
    from_middle = (torch.arange(256) - 127.5).abs() - 32
    return torch.maximum(from_middle[:, None], from_middle[None]).clamp_min(0)


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.4, -0.6)], ids=["light", "color"])
@pytest.mark.parametrize("reach_px", [20, 36])
def test_a_glow_around_a_thing_is_a_halo(tint: tuple[float, float, float], reach_px: int) -> None:
    photo, glow = before_black(), (1 - far_px() / reach_px).clamp_min(0) * 0.2
    assert float(halo(photo, photo)) == 0
    assert float(halo(photo * 0.5 + 0.3, photo)) == 0  # another black is none
    assert float(halo(photo + glow * torch.tensor(tint)[:, None, None], photo)) > 1


def test_rings_are_a_halo_and_strokes_everywhere_are_none() -> None:
    photo, waves = before_black(), torch.sin(2 * torch.pi * far_px() / 20) * 0.1
    rings = photo + waves * (far_px() < 36)
    assert float(halo(rings, photo)) > 1
    assert float(halo(photo + waves, photo)) < 0.3


def test_a_contour_is_no_halo_if_so_asked() -> None:
    photo = before_black()
    outlined = photo + 0.3 * ((far_px() > 8) & (far_px() < 12))
    assert float(halo(outlined, photo)) > 1
    assert float(halo(outlined, photo, contour_cells=1)) == 0
    assert float(halo(photo + 0.2 * (far_px() < 28), photo, contour_cells=1)) > 1


def test_a_sky_may_shade_as_the_photo_does() -> None:
    slope = torch.linspace(0, 0.4, 256)[:, None]
    assert float(halo(before_black() + slope, before_black() + slope)) == 0


def test_sides_need_no_multiple_of_anything() -> None:
    photo = before_black()[..., :251, :245]
    assert float(halo(photo, photo)) == 0
    assert float(halo(photo + 0.2 * (far_px()[:251, :245] < 20), photo)) > 1


def test_a_photo_without_anything_even_has_no_halo() -> None:
    photo = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    assert not is_plain(photo).any()
    assert float(halo(1 - photo, photo)) == 0


def test_the_gradient_takes_a_halo_away() -> None:
    photo = before_black()
    painted = (photo + (1 - far_px() / 30).clamp_min(0) * 0.2).requires_grad_(True)
    before = halo(painted, photo)
    before.sum().backward()
    assert painted.grad is not None and torch.isfinite(painted.grad).all()
    with torch.no_grad():
        after = halo(painted - 0.01 * painted.grad / painted.grad.abs().amax(), photo)
    assert float(after) < float(before.detach())
