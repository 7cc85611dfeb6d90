"""Deep image analogy: fields come near the exact ones, and known analogies are solved."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.core.errors import InputError
from engine.core.types import Picture, Settings, Style
from engine.edges.wls import smooth_by_guide
from engine.features.backbones import load_backbone
from engine.files import write_picture
from engine.matching.correspondence import Comparison, aligned, correspond, enlarged, places, response, warped
from engine.matching.patchmatch import Search
from engine.pipeline.stylize import stylize


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def identity(height: int, width: int) -> Tensor:
    return torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))


@pytest.mark.slow
def test_a_fields_energy_is_within_three_percent_of_the_exact_one(cat: Picture, portrait: Picture) -> None:
    """64 x 64 features, a photo against another; the exact energy comes from all products."""
    pictures = [F.interpolate(p.rgb[None], (256, 256), mode="bilinear", antialias=True) for p in (cat, portrait)]
    with torch.inference_mode():
        query, source = (aligned(load_backbone("embedded")(p, ["relu3_1"])["relu3_1"][0]) for p in pictures)
        field = correspond(query, source, generator(), Comparison(3, 256, 0.0, Search()))
        ours, theirs = (F.unfold(F.pad(x[None], (1,) * 4, mode="replicate"), 3)[0] for x in (query, source))
        exact = 2 - 2 * (F.normalize(ours, dim=0).T @ F.normalize(theirs, dim=0)).amax(1).mean()
        found = 2 - 2 * F.cosine_similarity(ours, theirs[:, (field[0] * 64 + field[1]).flatten()], dim=0).mean()
    assert float(exact) - 1e-5 <= float(found) <= 1.03 * float(exact)


def test_a_field_keeps_its_meaning_when_it_is_enlarged() -> None:
    values = torch.rand(2, 24, 40, generator=generator())
    for size in ((12, 20), (24, 40), (7, 9)):
        fine = enlarged(identity(*size), size, (24, 40), (24, 40))
        assert torch.equal(fine, identity(24, 40))
    assert torch.allclose(warped(values, identity(24, 40), 5), values, atol=1e-6)
    shifted = identity(6, 10).clone()
    shifted[1] = (shifted[1] + 2).clamp_max(9)
    fine = enlarged(shifted, (6, 10), (24, 40), (24, 40))
    assert torch.equal(fine[1, :, :30], identity(24, 40)[1, :, :30] + 8)


def test_places_are_the_nearer_the_more_alike() -> None:
    at = places((8, 8), torch.device("cpu"))
    products = (at[:, 0, 0, None, None] * at).sum(0)
    assert abs(float(products[0, 0]) - 1) < 1e-6
    assert bool((products.diff(dim=0) < 0).all() and (products.diff(dim=1) < 0).all())
    assert float(products[7, 7]) < -0.9


def test_responses_are_near_one_where_features_are_strong_and_near_zero_where_not() -> None:
    features = torch.zeros(3, 4, 4)
    features[:, 1, 2] = 5.0
    assert float(response(features)[1, 2]) > 0.99
    assert float(response(features).sum()) < 1.01
    assert bool(
        torch.isfinite(response(torch.zeros(3, 4, 4))).all() and torch.isfinite(aligned(torch.ones(3, 4, 4))).all()
    )


def moved(portrait: Picture) -> tuple[Tensor, Tensor]:
    """Two views (3, 96, 96) of a scene, 24 pixels apart."""
    rgb = F.interpolate(portrait.rgb[None], (144, 144), mode="bilinear", antialias=True)[0]
    return rgb[:, :96, 12:108].clone(), rgb[:, 12:108, 36:132].clone()


def night(rgb: Tensor) -> Tensor:
    """Other colors and another light, in the same shapes."""
    return torch.stack([rgb[2] ** 2, 0.6 * rgb[0], 0.3 + 0.5 * rgb[1]])


def test_a_scene_seen_from_elsewhere_gives_its_looks(portrait: Picture) -> None:
    """A with B' alone: where both show the same things, A' is known."""
    ours, other = moved(portrait)
    painted = stylize(Picture(ours), [Style("night", Picture(night(other)))], Settings("analogy")).picture.rgb
    inner = (slice(None), slice(12, 96), slice(24, 96))  # what the other view shows as well
    error = (painted - night(ours))[inner].abs().mean()
    assert float(error) < 0.4 * float((ours - night(ours))[inner].abs().mean())


def test_a_pair_is_carried_over_to_another_picture(tmp_path: Path, portrait: Picture) -> None:
    """A : A' = B : B' with A, A' and B given."""
    ours, other = moved(portrait)
    write_picture(tmp_path / "plain.png", Picture(other))
    style = Style("night", Picture(night(other)))
    settings = Settings("analogy", options={"pair": str(tmp_path / "plain.png")})
    painted = stylize(Picture(ours), [style], settings).picture.rgb
    inner = (slice(None), slice(12, 96), slice(24, 96))
    error = (painted - night(ours))[inner].abs().mean()
    assert float(error) < 0.15 * float((ours - night(ours))[inner].abs().mean())
    with pytest.raises(InputError, match=r"nowhere\.png"):
        stylize(Picture(ours), [style], Settings("analogy", options={"pair": str(tmp_path / "nowhere.png")}))


def test_smoothing_finds_the_minimum_of_weighted_least_squares() -> None:
    """Against a dense system, put together pixel by pixel from the energy's definition."""
    guide, target = (torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(n)) for n in (0, 1))
    tone = (guide.double() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0).add(1e-4).log()
    system = torch.eye(30, dtype=torch.float64)
    for p, q in itertools.combinations(itertools.product(range(6), range(5)), 2):
        if abs(p[0] - q[0]) + abs(p[1] - q[1]) == 1:
            weight = 0.8 / (float((tone[p] - tone[q]).abs()) ** 1.2 + 1e-4)
            i, j = p[0] * 5 + p[1], q[0] * 5 + q[1]
            system[i, i] += weight
            system[j, j] += weight
            system[i, j] -= weight
            system[j, i] -= weight
    wanted = torch.linalg.solve(system, target.flatten(1).T.double()).T.view(3, 6, 5)
    assert torch.allclose(smooth_by_guide(target, guide).double(), wanted, atol=1e-5)
    for thin in (guide[:, :1], guide[:, :, :1], guide[:, :1, :1]):
        assert torch.allclose(smooth_by_guide(torch.ones_like(thin), thin), torch.ones_like(thin), atol=1e-4)


@pytest.mark.slow
def test_mode_photo_keeps_the_photos_details(cat: Picture, coffee: Picture) -> None:
    """Only what changes slowly comes from the style: the Laplacian of the result is the photo's."""

    def detail(rgb: Tensor) -> Tensor:
        return rgb - F.avg_pool2d(rgb[None], 3, 1, 1, count_include_pad=False)[0]

    photo = Picture(F.avg_pool2d(cat.rgb, 2))
    style = Style("coffee", Picture(F.avg_pool2d(coffee.rgb, 2)))
    errors = {}
    for mode in ("style", "photo"):
        painted = stylize(photo, [style], Settings("analogy", options={"iterations": 2, "mode": mode})).picture.rgb
        errors[mode] = float((detail(painted) - detail(photo.rgb)).abs().mean())
        assert float((painted - photo.rgb).abs().mean()) > 0.05
    assert errors["photo"] < 0.35 * errors["style"]
