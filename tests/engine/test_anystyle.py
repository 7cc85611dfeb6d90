"""The any-style network: its closed forms against oracles, and tiles that leave no seam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine.color.tone import luma, tone_distance
from engine.core.errors import InputError
from engine.core.method import Job
from engine.core.types import Picture, Settings
from engine.files.presets import load_preset, presets
from engine.methods import anystyle
from engine.networks.anystyle_network import LATENT_SIZE, LATENT_UNIT, STRIDE_PX, AnyStyle, StyleEncoder
from engine.networks.moments import Statistics, covariance, inverse_root, mean_std, rgb_moments, transport_colors
from engine.pipeline.stylize import stylize
from engine.train.losses.objective import weave, worst_stripes
from engine.train.pictures.textures import texture
from tests.engine.conftest import as_picture


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


def test_moments_of_parts_together_are_those_of_the_whole(cat: Picture) -> None:
    whole = cat.rgb[None, :, :, :160]
    parts = torch.cat(whole.chunk(2, 3))  # (2, 3, H, 80)
    for found, expected in zip(mean_std(parts, is_joint=True), mean_std(whole), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "kept",
    [(slice(80, 304), slice(96, 320)), (slice(0, 200), slice(248, 384)), (slice(376, 384), slice(0, 8))],
    ids=["middle", "corner", "least"],
)
def test_what_is_kept_is_painted_as_if_all_were(kept: tuple[slice, slice], net: AnyStyle, portrait: Picture) -> None:
    photo = F.interpolate(portrait.rgb[None], (384, 384), mode="bicubic").clamp(0, 1)
    code = load_preset("starry-night").code
    assert code is not None
    with torch.inference_mode():
        statistics = Statistics()
        whole = net(photo, code[None], statistics)
        part = net(photo, code[None], statistics, kept)
    rows, columns = kept
    torch.testing.assert_close(part, whole[:, :, rows, columns], atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["composition-vi", "great-wave", "calanque", "starry-night", "tarot-sun"])
def test_tiles_of_a_large_picture_differ_from_the_whole_by_nothing_one_could_see(preset: str, net: AnyStyle) -> None:
    from skimage import data  # a photo with its own pixels at 1024 px: the astronaut, mirrored to four

    quarter = torch.from_numpy(data.astronaut().copy()).permute(2, 0, 1).float() / 255
    wide = torch.cat([quarter, quarter.flip(2)], 2)
    photo = torch.cat([wide, wide.flip(1)], 1)[None, :, :1000, :1016]
    code = load_preset(preset).code
    assert code is not None
    with torch.inference_mode():
        statistics = Statistics()
        whole = net(photo, code[None], statistics)
        from engine.compute.tiles import paint_tiles

        tiled = paint_tiles(
            photo,
            lambda rgb, tile: net(rgb, code[None], statistics, tile.kept),
            tile_px=384,
            margin_px=anystyle.MARGIN_PX,
            stride_px=STRIDE_PX,
        )
    assert (whole.clamp(0, 1) - tiled.clamp(0, 1)).abs().max() <= 2 / 255


@pytest.mark.slow
def test_statistics_from_crops_are_near_those_of_the_whole(net: AnyStyle, monkeypatch: pytest.MonkeyPatch) -> None:
    from skimage import data

    photo = torch.from_numpy(data.astronaut().copy()).permute(2, 0, 1).float() / 255
    code = load_preset("great-wave").code
    assert code is not None
    job = Job(Picture(photo), [load_preset("great-wave")], Settings())
    with torch.inference_mode():
        exact = net(photo[None], code[None])
        monkeypatch.setattr(anystyle, "WHOLE_PX", 0)
        statistics = anystyle.measure_statistics(net, photo[None], code[None], None, job, is_whole=False)
        measured = net(photo[None], code[None], statistics)
    assert len(statistics.table) > 10
    assert (exact - measured).abs().mean() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("method", ["anystyle", "johnson", "ulyanov", "msgnet"])
def test_what_does_not_fit_into_memory_whole_is_painted_in_tiles_that_know_the_whole(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory runs out in the midst of the network, when half of what it measures is measured. If the first tile said
    the rest, which is darker than the others, the painting would be off by 0.11."""
    from skimage import data

    photo = torch.from_numpy(data.astronaut().copy()).permute(2, 0, 1).float() / 255
    content = Picture(F.interpolate(photo[None] * torch.linspace(0.1, 1, 512)[:, None], (900, 900))[0].clamp(0, 1))
    whole = stylize(content, [load_preset("great-wave")], Settings(method)).picture.rgb
    n_failed = 0
    run = torch.nn.Conv2d.forward

    def forward(self: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        nonlocal n_failed
        if x.shape[1] == self.out_channels == 96 and x[:, 0].numel() > 8000:  # of 900 x 900 pixels: 13689 positions
            n_failed += 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return run(self, x)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", forward)
    tiled = stylize(content, [load_preset("great-wave")], Settings(method)).picture.rgb
    assert n_failed == 1
    assert float((tiled - whole).abs().mean()) < 0.04


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


def test_a_part_of_a_style_that_is_not_visible_is_one_sentence(net: AnyStyle, coffee: Picture) -> None:
    """As in the methods that look for strokes: silently another style would be painted."""
    alpha = torch.ones(coffee.size)
    alpha[:, :128] = 0
    part = torch.zeros(coffee.size)
    part[:, :64] = 1
    with pytest.raises(InputError, match="Nothing of the style is visible in a region"):
        anystyle.encode_picture(net, Picture(coffee.rgb, alpha), part, 256, torch.device("cpu"))


def test_a_style_picture_is_looked_at_once(coffee: Picture, cat: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    net, device = AnyStyle().requires_grad_(False), torch.device("cpu")
    calls = []
    encode = net.encode_style
    monkeypatch.setattr(net, "encode_style", lambda rgb, weight: calls.append(rgb) or encode(rgb, weight))
    monkeypatch.setattr(anystyle, "N_CODES", 3)

    def code(picture: Picture, weight: torch.Tensor | None = None, size_px: int = 256) -> torch.Tensor:
        return anystyle.encode_picture(net, picture, weight, size_px, device)

    half = torch.ones(coffee.size)
    half[:, :90] = 0
    first = code(coffee)
    assert torch.equal(code(Picture(coffee.rgb.clone())), first) and len(calls) == 1
    others = [code(coffee, half), code(coffee, size_px=128), code(cat)]
    assert len(calls) == 4 and not any(torch.equal(other, first) for other in others)
    assert torch.equal(code(coffee), first) and len(calls) == 5  # three others were asked for since
    assert torch.equal(code(cat), others[2]) and len(calls) == 5
    assert not torch.equal(anystyle.encode_picture(anystyle.network(device), coffee, None, 256, device), first)


def test_the_shipped_latent_tells_every_style_from_every_other() -> None:
    """A latent that is the same for all is a network of half its abilities, and no figure of a single picture tells."""
    codes = [load_preset(preset.name).code for preset in presets()]
    latents = torch.stack([code for code in codes if code is not None])[:, -LATENT_SIZE:]
    assert float(latents.std(0).mean()) > 0.5 * LATENT_UNIT
    distances = torch.cdist(latents, latents) + 1e9 * torch.eye(len(latents))
    assert float(distances.min()) > 0.1 * LATENT_UNIT * LATENT_SIZE**0.5


def test_what_the_latent_says_is_seen(net: AnyStyle, portrait: Picture) -> None:
    """The same content in the same colors and correlations, but with another style's latent."""
    great_wave, starry_night = (load_preset(name).code for name in ("great-wave", "starry-night"))
    assert great_wave is not None and starry_night is not None
    mixed = torch.cat([great_wave[:-LATENT_SIZE], starry_night[-LATENT_SIZE:]])
    rgb = portrait.rgb[None]
    with torch.inference_mode():
        difference = net(rgb, great_wave[None]) - net(rgb, mixed[None])
    assert float(difference.abs().mean()) > 2 / 255


@pytest.fixture(scope="module")
def seeing() -> StyleEncoder:
    """Eyes that have looked at textures of every kind."""
    torch.manual_seed(0)
    net, rng = AnyStyle(), np.random.default_rng(0)
    crops = [texture(rng, 64, (0.65, 1.0))[None] for _ in range(2 * LATENT_SIZE)]
    net.style.learn(net, lambda eyes: torch.cat([eyes(crop) for crop in crops]))
    return net.style


@pytest.mark.slow
def test_components_of_the_latent_are_uncorrelated_and_the_first_the_loudest(seeing: StyleEncoder) -> None:
    rng = np.random.default_rng(0)
    latents = torch.cat([seeing.latent(seeing(texture(rng, 64, (0.65, 1.0))[None])) for _ in range(2 * LATENT_SIZE)])
    size = latents.std(0)
    assert float((size.square().mean().sqrt() / LATENT_UNIT - 1).abs()) < 0.2
    assert float(size[:8].mean()) > 2 * float(size[96:].mean())
    correlation = torch.corrcoef(latents[:, :16].T) - torch.eye(16)  # but for what saturates
    assert float(correlation.abs().mean()) < 0.05


def test_nothing_that_is_learned_moves_the_latent(seeing: StyleEncoder) -> None:
    assert not any(weight.requires_grad for weight in seeing.parameters())
    torch.manual_seed(1)
    net = AnyStyle()
    net.style.load_state_dict(seeing.state_dict())
    rgb = torch.rand(1, 3, 64, 64)
    before = net.encode_style(rgb)
    (net(rgb, before) ** 2).sum().backward()
    torch.optim.SGD(net.parameters(), 0.1).step()
    after = net.encode_style(rgb)
    assert torch.equal(before[:, -LATENT_SIZE:], after[:, -LATENT_SIZE:]) and not torch.equal(before, after)


def test_a_style_like_no_other_is_off_by_a_few_deviations_and_no_more(seeing: StyleEncoder) -> None:
    for moments in (seeing.mean, seeing.mean + 1e6, seeing.mean - 1e30):
        latent = seeing.latent(moments[None])
        assert torch.isfinite(latent).all() and float(latent.abs().max()) <= 4 * LATENT_UNIT + 1e-6


@pytest.mark.parametrize(
    "preset", ["starry-night", "great-wave", "calanque", "tarot-sun", "composition-vi", "four-trees"]
)
def test_no_spot_of_colored_stripes_is_painted(preset: str, coffee: Picture, portrait: Picture) -> None:
    """Networks hide them where they move statistics: weights of ours had one of 3.5 in nearly every picture."""
    for content in (coffee, portrait):
        painted = stylize(content, [load_preset(preset)], Settings(strength=1.0)).picture.rgb[None]
        assert float(worst_stripes(painted)) < max(0.6, 1.5 * float(worst_stripes(content.rgb[None])))


@pytest.mark.parametrize("style", ["flat", "paper", "dots"])
def test_a_style_of_next_to_nothing_explodes_nothing(style: str, net: AnyStyle, portrait: Picture) -> None:
    """A pencil drawing is nearly white paper; what is read of it is relative, and could be anything."""
    paper = torch.full((1, 3, 256, 256), 0.93)
    if style != "flat":
        paper += 0.004 * torch.randn(paper.shape, generator=torch.Generator().manual_seed(0))
    if style == "dots":
        paper[:, :, ::64, ::64] = 0
    with torch.inference_mode():
        code = net.encode_style(paper)
        painted = net(portrait.rgb[None], code)
    assert torch.isfinite(code).all()
    assert float(painted.min()) > -0.6 and float(painted.max()) < 1.6


@pytest.mark.parametrize("size", [(600, 500), (256, 64), (515, 301)])
def test_an_enlargement_in_bands_is_the_whole_one(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    rgb, small = torch.rand(1, 3, *size, generator=generator), torch.rand(1, 3, 97, 41, generator=generator)
    whole = torch.nn.functional.interpolate(small, size, mode="bicubic", antialias=True, align_corners=False)
    expected = rgb + whole
    anystyle.add_enlarged(rgb, small)
    torch.testing.assert_close(rgb, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("preset", [preset.name for preset in presets()])
def test_light_stays_where_it_is_in_a_face_and_nothing_is_woven_over_it(preset: str) -> None:
    """At the strength that is chosen by itself. Weights of ours laid dark bands over eyes and chins, and a weave.

    Later ones a hatching of yellow and blue: 1.0 in the median. What strokes of a work's own have is 0.5 at most, but
    for Hiroshige's rain, fine lines all over his print: 0.84 in the painting, 1.7 in the print.
    """
    from skimage import data

    face = as_picture(data.astronaut()[:256, 96:352], 384)
    painted = stylize(face, [load_preset(preset)], Settings(auto_strength=True)).picture.rgb[None]
    assert float(tone_distance(painted, face.rgb[None])) < 0.2
    assert float(weave(painted, face.rgb[None])) < (1.2 if preset == "shin-ohashi-bridge" else 0.6)


@pytest.mark.parametrize("preset", ["composition-vi", "great-wave", "calanque", "starry-night", "tarot-sun"])
def test_no_frame_is_painted_along_the_right_border(preset: str) -> None:
    """What the network mirrors there by itself does not fit: the last columns were three times as rough as others."""
    noise = 0.008 * torch.randn(3, 320, 320, generator=torch.Generator().manual_seed(0))
    tint = torch.tensor([-0.1, 0.0, 0.1])[:, None, None]
    sky = torch.linspace(0.75, 0.45, 320)[:, None] + tint + noise
    painted = stylize(Picture(sky), [load_preset(preset)], Settings()).picture.rgb
    smooth = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(painted, (16,) * 4, mode="replicate"), 33, 1)
    rough = (painted - smooth).square().mean(0)[40:-40]  # by rows and columns
    assert float(rough[:, -16:].mean()) < 1.7 * float(rough[:, 40:-40].mean())


@pytest.mark.slow
@pytest.mark.parametrize("preset", [preset.name for preset in presets()])
@pytest.mark.parametrize("light", [0.02, 0.97], ids=["black", "white"])
def test_a_thing_before_black_or_white_gets_neither_glow_nor_rings(preset: str, light: float, coffee: Picture) -> None:
    """Weights of ours made what is around it up to 0.3 lighter or darker, later ones laid rings of strokes there."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 256), torch.linspace(-1, 1, 256), indexing="ij")
    far = (x.square() + y.square()).sqrt()
    thing = torch.nn.functional.interpolate(coffee.rgb[None, :, :, 40:211], (256, 256))[0]
    photo = torch.where(far < 0.5, thing, torch.tensor(light))
    painted = stylize(Picture(photo), [load_preset(preset)], Settings()).picture.rgb
    cells = torch.nn.functional.avg_pool2d(torch.cat([painted, far[None]]), 8)  # of 8 px, (4, 32, 32)
    around, away = (cells[:3, (cells[3] > low) & (cells[3] < high)] for low, high in ((0.6, 0.8), (0.85, 1.5)))
    usual = away.mean(1, keepdim=True)
    assert float((around.mean(1, keepdim=True) - usual).abs().max()) < 0.06
    uneven = [float((colors - usual).square().mean().sqrt()) for colors in (around, away)]
    assert uneven[0] - uneven[1] < 0.02  # with the weights before 0.04 in the median, 0.13 at worst


def test_an_even_picture_is_painted_in_strokes_all_over() -> None:
    """Without grain it would be one even color, in which only what is near something else is painted."""
    even = torch.full((3, 320, 320), 0.4)
    painted = stylize(Picture(even), [load_preset("starry-night")], Settings()).picture.rgb
    windows = luma(painted).unfold(1, 64, 64).unfold(2, 64, 64).flatten(3).std(3)  # (1, 5, 5)
    assert float(windows.min()) > 4 / 255


@pytest.mark.slow
def test_grain_belongs_to_the_picture_not_to_the_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    even = Picture(torch.full((3, 640, 640), 0.4))
    whole = stylize(even, [load_preset("starry-night")], Settings()).picture.rgb
    monkeypatch.setattr(anystyle, "WHOLE_PX", 0)
    monkeypatch.setattr(anystyle, "TILE_PX", 256)
    monkeypatch.setattr(anystyle, "N_CROPS", 9)
    tiled = stylize(even, [load_preset("starry-night")], Settings()).picture.rgb
    together = torch.stack([luma(whole).flatten(), luma(tiled).flatten()])
    assert float(torch.corrcoef(together)[0, 1]) > 0.97  # statistics of crops are not quite those of the whole
