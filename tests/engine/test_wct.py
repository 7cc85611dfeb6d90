"""WCT: decoders give pictures back, features get the style's covariance, regions and files do what they should."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from engine.core.errors import InputError, SettingsError, WeightsError
from engine.core.types import Mask, Picture, Region, Settings, Style
from engine.features.whitening import measure, recoloring
from engine.files.presets import load_preset, presets
from engine.models import shipped
from engine.networks.decoders import CHANNELS, LEVELS, Encoded
from engine.networks.pairs import Embedded, NormalizedVgg, load_embedded, load_folder, stride_px
from engine.painters import multilevel
from engine.pipeline.stylize import stylize
from tests.engine.crosswise import crosswise

# Names and shapes of the published files (deep-transfer, models/autoencoder_vgg19), levels 1 to 3 read from the
# files, 4 and 5 by the same rule; biases have the length of their weight's first side.
ENCODERS = {
    1: {0: (3, 3, 1, 1), 2: (64, 3, 3, 3)},
    2: {0: (3, 3, 1, 1), 2: (64, 3, 3, 3), 5: (64, 64, 3, 3), 9: (128, 64, 3, 3)},
    3: {
        0: (3, 3, 1, 1), 2: (64, 3, 3, 3), 5: (64, 64, 3, 3), 9: (128, 64, 3, 3), 12: (128, 128, 3, 3),
        16: (256, 128, 3, 3),
    },
}  # fmt: skip
DECODERS = {
    1: {1: (3, 64, 3, 3)},
    2: {1: (64, 128, 3, 3), 5: (64, 64, 3, 3), 8: (3, 64, 3, 3)},
    3: {1: (128, 256, 3, 3), 5: (128, 128, 3, 3), 8: (64, 128, 3, 3), 12: (64, 64, 3, 3), 15: (3, 64, 3, 3)},
}
NAMES = {level: (f"vgg_normalised_conv{level}_1", f"feature_invertor_conv{level}_1") for level in ENCODERS}


def state_of(shapes: dict[int, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """A state dict of given names and shapes, random, of a scale that neither explodes nor dies."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for place, shape in shapes.items():
        fan_in = shape[1] * shape[2] * shape[3]
        state[f"{place}.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        state[f"{place}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)
    return state


@pytest.fixture
def pair_folder(tmp_path: Path) -> Path:
    """A folder with a pair of the published names and shapes, in both formats."""
    for level, (encoder, decoder) in NAMES.items():
        save_file(state_of(ENCODERS[level], level), tmp_path / f"{encoder}.safetensors")
        torch.save(state_of(DECODERS[level], 10 + level), tmp_path / f"{decoder}.pth")
    return tmp_path


def wct(**options: str | int) -> Settings:
    return Settings(method="wct", options=options)


def psnr(found: Tensor, wanted: Tensor) -> float:
    return float(-10 * (found.clamp(0, 1) - wanted).square().mean().log10())


def cropped(picture: Picture) -> Tensor:
    """(1, 3, 160, 240): sides that every level divides."""
    return picture.rgb[None, :, :160, :240]


@pytest.mark.parametrize("level", LEVELS)
def test_our_decoders_give_the_picture_back(level: int, cat: Picture, portrait: Picture) -> None:
    wanted_db = {1: 30, 2: 24, 3: 20, 4: 16}[level]
    pair = load_embedded(is_unpooling=False)
    with torch.inference_mode():
        for rgb in (cropped(cat), cropped(portrait)):
            assert psnr(pair.decode(pair.encode(rgb, level), level), rgb) > wanted_db


@pytest.mark.parametrize("level", LEVELS)
def test_features_get_the_covariance_of_the_style(level: int, cat: Picture, coffee: Picture) -> None:
    pair = load_embedded(is_unpooling=False)
    with torch.inference_mode():
        own, wanted = (pair.encode(cropped(p), level).features[0] for p in (cat, coffee))
        assert own.shape == (CHANNELS[level], 160 // 2 ** (level - 1), 240 // 2 ** (level - 1))
        found = recoloring(measure(own).moments(), measure(wanted).moments())(own).flatten(1).double()
        target = torch.cov(wanted.flatten(1).double(), correction=0)
        assert float((torch.cov(found, correction=0) - target).norm() / target.norm()) < 1e-3


def test_the_painting_has_the_colors_of_the_style(cat: Picture, coffee: Picture) -> None:
    painted = stylize(cat, [Style("coffee", coffee)], wct()).picture.rgb.flatten(1)
    wanted, before = coffee.rgb.flatten(1), cat.rgb.flatten(1)
    assert (painted.mean(1) - wanted.mean(1)).norm() < 0.35 * (before.mean(1) - wanted.mean(1)).norm()


def test_tiles_change_nothing(cat: Picture, coffee: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stylize(cat, [Style("coffee", coffee)], wct()).picture.rgb
    monkeypatch.setattr(multilevel, "WHOLE_PX", 0)
    monkeypatch.setattr(multilevel, "TILE_PX", 96)
    tiled = stylize(cat, [Style("coffee", coffee)], wct()).picture.rgb
    assert float((tiled - whole).abs().max()) <= 2 / 255


@pytest.mark.slow
@pytest.mark.parametrize("method", ["wct", "photowct"])
def test_tiles_are_halved_when_memory_runs_out(
    method: str, cat: Picture, coffee: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the midst of a picture, whose colors were measured in tiles that are not painted."""
    content, style = Picture(F.interpolate(cat.rgb[None], (500, 700))[0]), Style("coffee", coffee)
    whole = stylize(content, [style], Settings(method)).picture.rgb
    too_wide: list[int] = []
    decode = Embedded.decode

    def too_large(self: Embedded, encoded: Encoded, level: int) -> Tensor:
        features = encoded.features
        width_px = features.shape[3] * stride_px(level)
        if width_px > 600:
            too_wide.append(width_px)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return decode(self, encoded, level)

    monkeypatch.setattr(Embedded, "decode", too_large)
    halved = stylize(content, [style], Settings(method)).picture.rgb
    assert len(too_wide) == {"wct": 3, "photowct": 4}[method]  # once a level
    assert float((halved - whole).abs().max()) <= 2 / 255


def test_each_region_takes_its_own_part_of_the_style(cat: Picture) -> None:
    style, regions = crosswise(cat.size, noise=0.1)
    painted = stylize(cat, [Style("halves", style)], wct(), regions=regions).picture.rgb
    red_minus_blue = painted[0] - painted[2]
    assert float(red_minus_blue[:, :110].mean()) < -0.3
    assert float(red_minus_blue[:, 146:].mean()) > 0.3


def test_a_blend_lies_between_its_styles(cat: Picture, coffee: Picture, portrait: Picture) -> None:
    both = [Style("coffee", coffee), Style("portrait", portrait)]
    means = [stylize(cat, styles, wct(depth=2)).picture.rgb.mean((1, 2)) for styles in ([both[0]], [both[1]], both)]
    middle = (means[0] + means[1]) / 2
    assert (means[2] - middle).norm() < 0.35 * (means[0] - means[1]).norm()


def test_less_strength_stays_nearer_to_the_photo(cat: Picture, coffee: Picture) -> None:
    moved = [
        float(
            (stylize(cat, [Style("c", coffee)], Settings(method="wct", strength=s)).picture.rgb - cat.rgb).abs().mean()
        )
        for s in (0.02, 0.3, 0.6, 1.0)
    ]
    assert moved == sorted(moved)
    assert moved[0] < 2 / 255


def test_odd_styles_and_regions_are_painted_or_refused_in_a_sentence(cat: Picture, coffee: Picture) -> None:
    gray, tiny = Picture(torch.full((3, 40, 40), 0.5)), Picture(torch.rand(3, 2, 3))
    dot = torch.zeros(cat.size)
    dot[60, 70] = 1
    dots = [Region(Mask(dot), Mask(torch.ones(coffee.size)))]
    for styles, regions in (([Style("gray", gray)], ()), ([Style("tiny", tiny)], ()), ([Style("c", coffee)], dots)):
        painted = stylize(cat, styles, wct(), regions=regions).picture.rgb
        assert torch.isfinite(painted).all()
    nothing = [Region(Mask(torch.ones(cat.size)), Mask(torch.zeros(coffee.size)))]
    with pytest.raises(InputError, match="Nothing of the style 'c' is visible"):
        stylize(cat, [Style("c", coffee)], wct(), regions=nothing)
    with pytest.raises(InputError, match="they must have the same size"):
        stylize(cat, [Style("c", coffee)], wct(), regions=[Region(Mask(dot), Mask(torch.ones(9, 9)))])
    with pytest.raises(InputError, match="needs a style picture"):
        stylize(cat, [load_preset(presets()[0].name)], wct())
    with pytest.raises(SettingsError, match="no folder 'nowhere'"):
        stylize(cat, [Style("c", coffee)], wct(model="nowhere"))


def test_a_gray_style_takes_the_color_away(cat: Picture) -> None:
    gray = Picture(torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(1)).expand(3, -1, -1).contiguous())
    painted = stylize(cat, [Style("gray", gray)], wct()).picture.rgb
    spread = (painted.amax(0) - painted.amin(0)).mean()
    assert float(spread) < 0.35 * float((cat.rgb.amax(0) - cat.rgb.amin(0)).mean())


def test_the_published_pair_loads_by_its_names_and_shapes(pair_folder: Path, cat: Picture) -> None:
    pair = load_folder(pair_folder)
    assert pair.levels == (3, 2, 1)
    painted = stylize(cat, [Style("cat", cat)], wct(model=str(pair_folder))).picture.rgb
    assert torch.isfinite(painted).all()


def test_a_pair_whose_file_changed_is_read_anew(pair_folder: Path) -> None:
    first, kept = load_folder(pair_folder), NAMES[1][1]
    assert load_folder(pair_folder) is first
    torch.save(state_of(DECODERS[1], 99), pair_folder / f"{kept}.pth")
    x = Encoded(torch.rand(1, 64, 8, 8))
    assert not torch.equal(load_folder(pair_folder).decode(x, 1), first.decode(x, 1))


def test_the_published_pair_computes_what_its_layers_say(pair_folder: Path) -> None:
    pair = load_folder(pair_folder)
    pad, relu = nn.ReflectionPad2d(1), nn.ReLU()
    plan = [
        nn.Conv2d(3, 3, 1), pad, nn.Conv2d(3, 64, 3), relu, pad, nn.Conv2d(64, 64, 3), relu, nn.MaxPool2d(2), pad,
        nn.Conv2d(64, 128, 3), relu, pad, nn.Conv2d(128, 128, 3), relu, nn.MaxPool2d(2), pad,
        nn.Conv2d(128, 256, 3), relu,
    ]  # fmt: skip
    back = [
        pad, nn.Conv2d(256, 128, 3), relu, nn.Upsample(scale_factor=2), pad, nn.Conv2d(128, 128, 3), relu, pad,
        nn.Conv2d(128, 64, 3), relu, nn.Upsample(scale_factor=2), pad, nn.Conv2d(64, 64, 3), relu, pad,
        nn.Conv2d(64, 3, 3),
    ]  # fmt: skip
    encoder, decoder = nn.Sequential(*plan), nn.Sequential(*back)
    encoder.load_state_dict(state_of(ENCODERS[3], 3))
    decoder.load_state_dict(state_of(DECODERS[3], 13))
    rgb = torch.rand(1, 3, 24, 32)
    with torch.inference_mode():
        features = pair.encode(rgb, 3)
        assert torch.allclose(features.features, encoder(rgb), atol=1e-5)
        assert torch.allclose(pair.decode(features, 3), decoder(encoder(rgb)), atol=1e-5)


def test_deeper_published_levels_fit_by_the_same_rule() -> None:
    channels = [3, 3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512]
    places = [0, 2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42]
    encoder = {p: (channels[i + 1], channels[i], *((1, 1) if i == 0 else (3, 3))) for i, p in enumerate(places)}
    back = list(reversed(channels[1:]))
    places_back = [1, 5, 8, 11, 14, 18, 21, 24, 27, 31, 34, 38, 41]
    decoder = {p: (back[i + 1], back[i], 3, 3) for i, p in enumerate(places_back)}
    pair = NormalizedVgg({5: (state_of(encoder), state_of(decoder))}).requires_grad_(False)
    rgb = torch.rand(1, 3, 32, 48)
    features = pair.encode(rgb, 5)
    assert features.features.shape == (1, 512, 2, 3)
    assert pair.decode(features, 5).shape == rgb.shape


def test_wrong_files_are_told(tmp_path: Path, pair_folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="no WCT pair"):
        load_folder(tmp_path / "empty")
    shapes = ENCODERS[1] | {2: (32, 3, 3, 3)}
    with pytest.raises(WeightsError, match=r"layer 2: weight has the shape \(32, 3, 3, 3\), not \(64, 3, 3, 3\)"):
        NormalizedVgg({1: (state_of(shapes), state_of(DECODERS[1]))})
    broken = state_of(DECODERS[1])
    broken["1.bias"][0] = float("nan")
    with pytest.raises(WeightsError, match="not numbers"):
        NormalizedVgg({1: (state_of(ENCODERS[1]), broken)})
    with pytest.raises(WeightsError, match="convolutions; this level has"):
        NormalizedVgg({2: (state_of(ENCODERS[1]), state_of(DECODERS[2]))})


def test_a_pickle_that_holds_more_than_tensors_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    folder = tmp_path / "evil"
    folder.mkdir()
    save_file(state_of(ENCODERS[1]), folder / f"{NAMES[1][0]}.safetensors")
    torch.save({"1.weight": Evil()}, folder / f"{NAMES[1][1]}.pth")
    with pytest.raises(WeightsError, match="not a readable file of weights"):
        load_folder(folder)
    assert not (tmp_path / "ran").exists()


def test_the_published_weights_give_pictures_back(shared_data: Path, cat: Picture) -> None:
    pair = load_folder(shared_data / "features" / "wct_vgg19_levels_1_3")
    with torch.inference_mode():
        for level, wanted_db in ((1, 27), (2, 32), (3, 27)):  # the published decoder of level 1 paints a little dark
            assert psnr(pair.decode(pair.encode(cropped(cat), level), level), cropped(cat)) > wanted_db


def test_what_ships_is_small_and_has_a_card() -> None:
    entry = shipped.manifest()["decoders"]
    assert entry.n_bytes <= 3_000_000
    card = (shipped.FOLDER / entry.card).read_text("utf-8")
    assert "Trained on" in card and "python -m engine.train.recipes.train_decoder" in card
