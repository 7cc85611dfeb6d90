"""Networks of one style and of several: layers against closed forms, starts against what they start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.core.errors import InputError, SettingsError, WeightsError
from engine.core.types import Mask, Picture, Region, Settings, Style
from engine.files.presets import load_preset
from engine.models import shipped
from engine.networks.anystyle_network import AnyStyle
from engine.networks.feedforward import ClippedNorm, Painter, build_painter
from engine.networks.measured import InstanceNorm
from engine.networks.moments import rgb_moments, transport_colors
from engine.networks.msgnet_network import CoMatch, MsgNet, StyleCode, gram
from engine.painters import multi_style, single_style
from engine.pipeline.stylize import stylize
from engine.train.folding import fold, fold_many


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def anystyle() -> AnyStyle:
    network = AnyStyle()
    shipped.fill(network, "anystyle")
    return network.eval()


def test_instance_normalization_is_torchs() -> None:
    x = rand(2, 5, 7, 9) * 3 + 1
    ours, theirs = InstanceNorm(5), nn.InstanceNorm2d(5, affine=True)
    with torch.no_grad():
        for parameter, seed in ((ours.weight, 1), (ours.bias, 2)):
            assert parameter is not None
            parameter.copy_(rand(5, seed=seed))
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    plain = InstanceNorm(5, is_affine=False)
    assert not plain.state_dict()
    torch.testing.assert_close(plain(x), nn.InstanceNorm2d(5)(x), rtol=1e-5, atol=1e-5)


def test_a_measured_norm_uses_the_moments_of_all_crops_together() -> None:
    norm, crops, tile = InstanceNorm(3, is_affine=False), rand(4, 3, 6, 6), rand(1, 3, 4, 5, seed=1)
    norm.is_measuring = True
    norm(crops)
    norm.is_measuring = False
    values = crops.transpose(0, 1).flatten(1)  # (3, 4 * 36)
    mean, std = values.mean(1)[:, None, None], (values.var(1, correction=0) + 1e-5).sqrt()[:, None, None]
    torch.testing.assert_close(norm(tile)[0], (tile[0] - mean) / std, rtol=1e-4, atol=1e-5)


def test_comatch_is_its_closed_form() -> None:
    """Y = Phi^-1 [(Phi(X)^T W G)^T], position by position."""
    layer, x, style = CoMatch(4), rand(2, 4, 3, 5) - 0.5, rand(2, 4, 6, 7, seed=1) - 0.5
    with torch.no_grad():
        layer.weight.copy_(rand(4, 4, seed=2))
    target = gram(style)
    for b in range(2):
        flat = style[b].reshape(4, 42)
        torch.testing.assert_close(target[b], sum(torch.outer(v, v) for v in flat.T) / (4 * 42), rtol=1e-5, atol=1e-6)
    matched = layer(x, target)
    for b in range(2):
        for i in range(3):
            for j in range(5):
                expected = x[b, :, i, j] @ layer.weight @ target[b]
                torch.testing.assert_close(matched[b, :, i, j], expected, rtol=1e-4, atol=1e-6)


def test_comatch_has_the_gradient_of_its_form() -> None:
    layer, x, target = CoMatch(3).double(), rand(1, 3, 2, 2).double(), rand(1, 3, 3, seed=1).double()
    assert torch.autograd.gradcheck(layer, (x.requires_grad_(True), target.requires_grad_(True)))


@pytest.mark.parametrize("kind", ["johnson", "ulyanov"])
def test_a_folded_network_paints_what_the_any_style_network_paints(
    kind: str, anystyle: AnyStyle, portrait: Picture, coffee: Picture, cat: Picture
) -> None:
    style = coffee.rgb[None, :, :160, :256]
    photos = [picture.rgb[None, :, :160, :160] for picture in (portrait, cat)]
    network = Painter(kind)
    with torch.no_grad():
        code = anystyle.encode_style(style)
        fold(anystyle, code, network, photos)
        network.eval()
        wanted = anystyle(photos[0], code)
        painted = network(transport_colors(photos[0], rgb_moments(photos[0]), network.colors[None]))
    assert (painted - wanted).abs().mean() < 0.35 * (wanted - photos[0]).abs().mean()


def test_a_folded_network_of_many_styles_tells_them_apart(
    anystyle: AnyStyle, portrait: Picture, coffee: Picture, cat: Picture
) -> None:
    styles = [picture.rgb[None, :, :160, :160] for picture in (coffee, cat)]
    photo, network = portrait.rgb[None, :, :160, :160], MsgNet()
    with torch.no_grad():
        fold_many(anystyle, network, [photo], styles, [])
        for style in styles:
            wanted = anystyle(photo, anystyle.encode_style(style))
            code = network.encode_style(style)
            painted = network(transport_colors(photo, rgb_moments(photo), code.colors), code)
            assert (painted - wanted).abs().mean() < 0.35 * (wanted - photo).abs().mean()


def test_a_network_is_read_off_its_weights() -> None:
    network = Painter("ulyanov", 16, 24, 2)
    read = build_painter(network.state_dict(), "it")
    assert (read.kind, len(read.blocks), read.eighth.out_channels) == ("ulyanov", 2, 24)
    assert build_painter(Painter("johnson", 16, 24, 1).state_dict(), "it").kind == "johnson"
    state = dict(network.state_dict())
    state["paint.bias"] = torch.full_like(state["paint.bias"], float("nan"))
    with pytest.raises(WeightsError, match="not numbers"):
        build_painter(state, "it")
    with pytest.raises(WeightsError, match=r"paint\.weight is missing"):
        build_painter({k: v for k, v in network.state_dict().items() if k != "paint.weight"}, "it")
    with pytest.raises(SettingsError, match="kind must be one of"):
        Painter("picasso")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["johnson", "ulyanov", "msgnet"])
def test_tiles_show_no_seam(name: str, monkeypatch: pytest.MonkeyPatch, cat: Picture, coffee: Picture) -> None:
    """Measured on crops and painted in tiles: where tiles meet, nothing jumps more than inside them."""
    from engine.painters import translate

    large = Picture(torch.nn.functional.interpolate(cat.rgb[None], (408, 616), mode="bicubic")[0].clamp(0, 1))
    monkeypatch.setattr(translate, "WHOLE_PX", 0)
    monkeypatch.setattr(translate, "TILE_PX", 256)
    settings, style = Settings(method=name), [Style("coffee", coffee)]
    tiled = stylize(large, style, settings).picture.rgb
    monkeypatch.setattr(translate, "TILE_PX", 1024)
    one = stylize(large, style, settings).picture.rgb
    assert (tiled - one).abs().max() <= 2 / 255


def test_each_region_is_painted_in_its_own_style(cat: Picture, coffee: Picture) -> None:
    left = torch.zeros(cat.size)
    left[:, :128] = 1
    half = torch.zeros(coffee.size)
    half[:, :100] = 1
    regions = [Region(Mask(left), Mask(half)), Region(Mask(1 - left), Mask(1 - half))]
    settings = Settings(method="msgnet")
    both = stylize(cat, [Style("coffee", coffee)], settings, regions=regions).picture.rgb
    swapped = [Region(Mask(left), Mask(1 - half)), Region(Mask(1 - left), Mask(half))]
    other = stylize(cat, [Style("coffee", coffee)], settings, regions=swapped).picture.rgb
    assert (both - other).abs()[:, :, :100].mean() > 0.02


def test_trained_styles_are_found_by_preset_and_by_name_and_others_refused(cat: Picture, coffee: Picture) -> None:
    names = sorted(multi_style.load_many_styles("").codes)
    assert len(names) >= 8
    by_preset = stylize(cat, [load_preset(names[0])], Settings(method="msgnet")).picture.rgb
    options = {"trained": names[0]}
    by_name = stylize(cat, [Style("coffee", coffee)], Settings(method="msgnet", options=options)).picture.rgb
    assert torch.equal(by_preset, by_name)
    with pytest.raises(InputError, match=names[0]):
        stylize(cat, [load_preset("ninth-wave")], Settings(method="msgnet"))
    with pytest.raises(SettingsError, match="trained must be one of"):
        stylize(cat, [Style("coffee", coffee)], Settings(method="msgnet", options={"trained": "nothing"}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("styles.senecio.512.gram", None),
        ("styles.senecio.512.colors", torch.zeros(3)),
        ("styles.senecio.512.gram", torch.full((2, 32, 33), torch.nan)),
        ("styles.senecio.large.gram", torch.zeros(2, 32, 33)),
        ("styles.gram", torch.zeros(2, 32, 33)),
    ],
)
def test_codes_that_do_not_fit_are_told(key: str, value: Tensor | None) -> None:
    state = shipped.load_shipped("msgnet") | ({} if value is None else {key: value})
    if value is None:
        del state[key]
    with pytest.raises(WeightsError, match="is no code of a style"):
        multi_style.of_state(state, "msgnet.safetensors")


def test_the_brush_follows_the_styles_size(cat: Picture, coffee: Picture) -> None:
    paintings = [
        stylize(cat, [Style("coffee", coffee)], Settings(method="msgnet", style_size_px=px)).picture.rgb
        for px in (128, 512)
    ]
    assert (paintings[0] - paintings[1]).abs().mean() > 0.005


def test_a_blend_lies_between_its_styles() -> None:
    first, second = (StyleCode(rand(1, 12, seed=s), rand(1, 2, 32, 33, seed=s)) for s in (1, 2))
    mixed = multi_style.blended([first, second], [3.0, 1.0])
    torch.testing.assert_close(mixed.colors, 0.75 * first.colors + 0.25 * second.colors)
    torch.testing.assert_close(mixed.gram, 0.75 * first.gram + 0.25 * second.gram)


def test_a_gray_and_a_tiny_style_are_painted(cat: Picture) -> None:
    for style in (Picture(torch.full((3, 90, 70), 0.5)), Picture(torch.rand(3, 2, 3))):
        painted = stylize(cat, [Style("odd", style)], Settings(method="msgnet")).picture.rgb
        assert torch.isfinite(painted).all()


def test_a_network_of_the_other_kind_is_told(tmp_path: Path, cat: Picture) -> None:
    state = {name: value.contiguous() for name, value in Painter("johnson", 16, 24, 1).state_dict().items()}
    save_file(state, tmp_path / "mine.safetensors")
    settings = Settings(method="ulyanov", options={"model": str(tmp_path / "mine.safetensors")})
    with pytest.raises(WeightsError, match="is a network of johnson"):
        stylize(cat, [Style("cat", cat)], settings)
    with pytest.raises(SettingsError, match="There is no network 'nothing'"):
        single_style.load_one_style("nothing", "johnson")


def test_clipped_normalization_is_torchs_but_for_outliers() -> None:
    ours, theirs = ClippedNorm(4).eval(), nn.BatchNorm2d(4).eval()
    with torch.no_grad():
        ours.weight.copy_(torch.tensor([1.0, -2.0, 0.5, 0.0]))
        ours.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 3.0]))
    theirs.load_state_dict(ours.state_dict())
    x = rand(2, 4, 5, 6) * 2 - 1
    torch.testing.assert_close(ours(x), theirs(x))
    far = ours(1e6 * x)
    reach = 3 * torch.tensor([1.0, 2.0, 0.5, 0.0])[:, None, None]
    assert bool(((far - ours.bias[:, None, None]).abs() <= reach + 1e-6).all())


@pytest.mark.parametrize("counts", [(1, 1), (3, 2), (4, 4)])
def test_a_pixel_reaches_no_farther_than_the_margin(counts: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = Painter("johnson", 8, 8, *counts).eval()
    side = 400
    rgb = torch.rand(1, 3, side, side, requires_grad=True)
    network(rgb)[0, :, side // 2, side // 2].sum().backward()
    assert rgb.grad is not None
    rows, columns = rgb.grad[0].abs().sum(0).nonzero(as_tuple=True)
    for places in (rows, columns):
        assert side // 2 - int(places.min()) <= network.margin_px
        assert int(places.max()) - side // 2 <= network.margin_px
    assert int(rows.max() - rows.min()) > network.margin_px  # the margin is not far too wide
