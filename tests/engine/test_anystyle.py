"""The any-style network: its closed forms against oracles, and tiles that leave no seam."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.methods import Job, anystyle
from engine.networks.anystyle import (
    STRIDE_PX,
    AnyStyle,
    Statistics,
    covariance,
    inverse_root,
    mean_std,
    rgb_moments,
    transport_colors,
)
from engine.styles import load_preset
from engine.types import Picture


@pytest.fixture(scope="module")
def net() -> AnyStyle:
    return anystyle.network(torch.device("cpu"))


def test_inverse_root_inverts_a_well_conditioned_covariance() -> None:
    a = torch.randn(2, 8, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cov = a @ a.transpose(1, 2) / 200
    root, inverse = inverse_root(cov, n_steps=15)
    loaded = cov + (1e-2 / 8 * cov.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] + 1e-5) * torch.eye(8)
    values, vectors = np.linalg.eigh(loaded.numpy())
    expected = vectors * np.sqrt(values)[:, None] @ vectors.transpose(0, 2, 1)
    np.testing.assert_allclose(root.numpy(), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose((root @ inverse).numpy(), np.broadcast_to(np.eye(8), (2, 8, 8)), atol=1e-6)


def test_transported_colors_have_the_moments_of_the_target(cat: Picture, coffee: Picture) -> None:
    source, target = rgb_moments(cat.rgb[None]), rgb_moments(coffee.rgb[None])
    moved = transport_colors(cat.rgb[None], source, target)[0].flatten(1).numpy()
    wanted = coffee.rgb.flatten(1).numpy()
    np.testing.assert_allclose(moved.mean(1), wanted.mean(1), atol=1e-4)
    np.testing.assert_allclose(
        np.cov(moved, bias=True), np.cov(wanted, bias=True), atol=1e-3
    )  # both are loaded by 1e-4


def test_weighted_moments_equal_those_of_the_part(cat: Picture) -> None:
    weight = torch.zeros(1, 1, *cat.size)
    weight[..., 40:120] = 1
    part = cat.rgb[None, :, :, 40:120]
    for found, expected in zip(mean_std(cat.rgb[None], weight), mean_std(part), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
    for found, expected in zip(covariance(cat.rgb[None], weight), covariance(part), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_tiles_of_a_large_picture_differ_from_the_whole_by_nothing_one_could_see(net: AnyStyle) -> None:
    from skimage import data  # a photo with its own pixels at 1024 px: the astronaut, mirrored to four

    quarter = torch.from_numpy(data.astronaut().copy()).permute(2, 0, 1).float() / 255
    wide = torch.cat([quarter, quarter.flip(2)], 2)
    photo = torch.cat([wide, wide.flip(1)], 1)[None, :, :1000, :1016]
    code = load_preset("composition-vi").code
    assert code is not None
    with torch.inference_mode():
        statistics = Statistics()
        whole = net(photo, code[None], statistics)
        from engine.tiles import paint_tiles

        tiled = paint_tiles(
            photo,
            lambda rgb: net(rgb, code[None], statistics),
            tile_px=384,
            margin_px=anystyle.MARGIN_PX,
            stride_px=STRIDE_PX,
        )
    assert (whole.clamp(0, 1) - tiled.clamp(0, 1)).abs().max() <= 2 / 255


def test_statistics_from_crops_are_near_those_of_the_whole(net: AnyStyle, monkeypatch: pytest.MonkeyPatch) -> None:
    from skimage import data

    photo = torch.from_numpy(data.astronaut().copy()).permute(2, 0, 1).float() / 255
    code = load_preset("great-wave").code
    assert code is not None
    job = Job(Picture(photo), [load_preset("great-wave")], __import__("engine.types").types.Settings())
    with torch.inference_mode():
        exact = net(photo[None], code[None])
        monkeypatch.setattr(anystyle, "WHOLE_PX", 0)
        statistics = anystyle.measure_statistics(net, photo[None], code[None], None, job)
        measured = net(photo[None], code[None], statistics)
    assert len(statistics.table) > 10
    assert (exact - measured).abs().mean() < 0.03


def test_codes_of_a_style_do_not_depend_on_unseen_parts(net: AnyStyle, coffee: Picture) -> None:
    alpha = torch.ones(coffee.size)
    alpha[:, :128] = 0
    loud = coffee.rgb.clone()
    loud[:, :, :88] = 1  # farther from what is seen than the encoder's receptive field reaches
    device = torch.device("cpu")
    with torch.inference_mode():
        calm = anystyle.encode_picture(net, Picture(coffee.rgb, alpha), None, 256, device)
        other = anystyle.encode_picture(net, Picture(loud, alpha), None, 256, device)
        visible = anystyle.encode_picture(net, Picture(loud), None, 256, device)
    assert (calm - other).norm() < 0.02 * (calm - visible).norm()
