"""CycleGAN and DiscoGAN: official files load, large pictures have no seams, and training without pairs translates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.unpaired import RECIPES, Shapes, draw, luma, train_classifier
from engine.core.errors import Cancelled, SettingsError, WeightsError
from engine.core.types import Picture, Settings, Style
from engine.networks.translators import (
    HourglassGenerator,
    PatchDiscriminator,
    ResnetGenerator,
    build,
    init_weights,
)
from engine.painters import translate
from engine.pipeline.stylize import stylize
from engine.train.recipes.train_unpaired import Pool, Recipe, Training, generator_of, main


def official_shapes(n_blocks: int, width: int = 64) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the generators at efrosgans.eecs.berkeley.edu (junyanz/pytorch-CycleGAN-and-pix2pix)."""
    w, last = width, 10 + n_blocks
    shapes: dict[str, tuple[int, ...]] = {
        "model.1.weight": (w, 3, 7, 7), "model.1.bias": (w,),
        "model.4.weight": (2 * w, w, 3, 3), "model.4.bias": (2 * w,),
        "model.7.weight": (4 * w, 2 * w, 3, 3), "model.7.bias": (4 * w,),
        f"model.{last}.weight": (4 * w, 2 * w, 3, 3), f"model.{last}.bias": (2 * w,),
        f"model.{last + 3}.weight": (2 * w, w, 3, 3), f"model.{last + 3}.bias": (w,),
        f"model.{last + 7}.weight": (3, w, 7, 7), f"model.{last + 7}.bias": (3,),
    }  # fmt: skip
    for block in range(10, last):
        for conv in (1, 5):
            shapes[f"model.{block}.conv_block.{conv}.weight"] = (4 * w, 4 * w, 3, 3)
            shapes[f"model.{block}.conv_block.{conv}.bias"] = (4 * w,)
    return shapes


def random_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: 0.05 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def published_network(n_blocks: int, width: int) -> nn.Sequential:
    """The paper's generator from PyTorch's own layers: c7s1-k, d2k, d4k, R4k..., u2k, uk, c7s1-3."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            c = 4 * width
            self.conv_block = nn.Sequential(
                nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c), nn.ReLU(),
                nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c),
            )  # fmt: skip

        def forward(self, x: Tensor) -> Tensor:
            return x + self.conv_block(x)

    def up(n: int) -> list[nn.Module]:
        return [nn.ConvTranspose2d(n, n // 2, 3, 2, 1, output_padding=1), nn.InstanceNorm2d(n // 2), nn.ReLU()]

    w = width
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), nn.InstanceNorm2d(w), nn.ReLU(),
        nn.Conv2d(w, 2 * w, 3, 2, 1), nn.InstanceNorm2d(2 * w), nn.ReLU(),
        nn.Conv2d(2 * w, 4 * w, 3, 2, 1), nn.InstanceNorm2d(4 * w), nn.ReLU(),
        *[Residual() for _ in range(n_blocks)], *up(4 * w), *up(2 * w),
        nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh(),
    )  # fmt: skip


@pytest.mark.parametrize("n_blocks", [6, 9])
def test_official_generators_load_by_their_names_and_shapes(n_blocks: int) -> None:
    network = build(random_state(official_shapes(n_blocks)))
    assert isinstance(network, ResnetGenerator)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == official_shapes(n_blocks)


def test_an_official_generator_computes_what_the_paper_says() -> None:
    state = random_state(official_shapes(6, 8))
    oracle = published_network(6, 8)
    oracle.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    rgb = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        assert torch.allclose(build(state)(rgb), (oracle(rgb * 2 - 1) + 1) / 2, atol=1e-5)


def test_files_of_parallel_training_and_of_old_releases_load_too(tmp_path: Path) -> None:
    state = random_state(official_shapes(6, 8))
    extra = {"model.2.running_mean": torch.zeros(8), "model.2.num_batches_tracked": torch.tensor(3)}
    old = {f"module.{name}": value for name, value in (state | extra).items()}
    torch.save(old, tmp_path / "horse2zebra.pth")
    network = translate.load(str(tmp_path / "horse2zebra.pth"), "cyclegan")
    assert torch.equal(network.state_dict()["model.1.weight"], state["model.1.weight"])


def test_discogan_generators_load_and_compute_what_their_layers_say() -> None:
    network = HourglassGenerator(8)
    init_weights(network)
    layers: list[nn.Module] = [nn.Conv2d(3, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for n in (8, 16, 32):
        layers += [nn.Conv2d(n, 2 * n, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * n), nn.LeakyReLU(0.2)]
    for n in (64, 32, 16):
        layers += [nn.ConvTranspose2d(n, n // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(n // 2), nn.ReLU()]
    oracle = nn.Sequential(*layers, nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False), nn.Sigmoid()).eval()
    state = {f"main.{name}": value for name, value in oracle.state_dict().items()}
    rgb = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        assert torch.allclose(build(state)(rgb), oracle(rgb), atol=1e-5)
    assert set(network.state_dict()) == set(state)


def test_wrong_files_are_told(tmp_path: Path) -> None:
    good = random_state(official_shapes(6, 8))
    for spoil, sentence in (
        ({"model.4.weight": torch.zeros(16, 8, 5, 5)}, r"model.4.weight has the shape \(16, 8, 5, 5\), not"),
        ({"model.1.bias": torch.full((8,), float("nan"))}, "not numbers"),
        ({"model.99.weight": torch.zeros(3)}, "belongs to no layer"),
        ({"model.1.weight": torch.zeros(3)}, "which no generator has"),
    ):
        with pytest.raises(WeightsError, match=sentence):
            build(good | spoil)
    with pytest.raises(WeightsError, match="model.1.weight or main.0.weight is missing"):
        build({"features.0.weight": torch.zeros(3)})
    with pytest.raises(WeightsError, match="model.7.bias is missing"):
        build({name: value for name, value in good.items() if name != "model.7.bias"})
    (tmp_path / "text.pth").write_text("no pickle")
    with pytest.raises(WeightsError, match="not a readable file"):
        translate.load(str(tmp_path / "text.pth"), "cyclegan")
    save_file(good, tmp_path / "cycle.safetensors")
    with pytest.raises(WeightsError, match="a network of cyclegan: choose that method"):
        translate.load(str(tmp_path / "cycle.safetensors"), "discogan")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with a network of each kind, untrained."""
    monkeypatch.setenv("IMPASTO_MODELS", str(tmp_path))
    torch.manual_seed(0)
    for kind in ("cyclegan", "discogan"):
        network = generator_of(Recipe(kind=kind, width=8, blocks=2))
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight)
        save_file(
            {name: value.contiguous() for name, value in network.state_dict().items()},
            tmp_path / f"{kind}1.safetensors",
        )
    return tmp_path


@pytest.mark.parametrize("kind", ["cyclegan", "discogan"])
def test_a_network_is_found_by_its_name_and_paints_any_size(kind: str, models: Path, cat: Picture) -> None:
    del models
    settings = Settings(method=kind, options={"model": f"{kind}1"})
    style = [Style("not looked at", cat)]
    for rgb in (cat.rgb, cat.rgb[:, :37, :51], cat.rgb[:, :3, :5]):
        picture = Picture(rgb.contiguous())
        painted = stylize(picture, style, settings).picture.rgb
        assert painted.shape == rgb.shape
        assert torch.isfinite(painted).all()
        assert (painted - rgb).abs().mean() > 0.01
    half = stylize(cat, style, replace(settings, strength=0.5)).picture.rgb
    full = stylize(cat, style, settings).picture.rgb
    assert torch.allclose(half, (cat.rgb + full) / 2, atol=1e-5)
    assert torch.equal(stylize(cat, style, replace(settings, strength=0)).picture.rgb, cat.rgb)


def test_a_missing_network_is_told_with_what_there_is(models: Path, cat: Picture) -> None:
    with pytest.raises(SettingsError, match=r"no network 'zebra'.*it has cyclegan1, discogan1"):
        stylize(cat, [Style("c", cat)], Settings(method="cyclegan", options={"model": "zebra"}))
    (models / "discogan1.safetensors").unlink()
    with pytest.raises(SettingsError, match="needs a trained network.*impasto train unpaired"):
        stylize(cat, [Style("c", cat)], Settings(method="discogan"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cyclegan", "discogan"])
def test_tiles_of_a_measured_picture_have_no_seams(
    kind: str, models: Path, cat: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    del models
    settings = Settings(method=kind, options={"model": f"{kind}1"})
    monkeypatch.setattr(translate, "WHOLE_PX", 0)  # measured in crops, painted in tiles
    found = []
    for tile_px in (1024, 64):
        monkeypatch.setattr(translate, "TILE_PX", tile_px)
        found.append(stylize(cat, [Style("c", cat)], settings).picture.rgb)
    assert float((found[0] - found[1]).abs().max()) <= 2 / 255


def test_it_can_be_stopped_between_two_layers(models: Path, cat: Picture) -> None:
    del models

    def stop(share: float, _message: str) -> None:
        if share > 0.2:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        stylize(cat, [Style("c", cat)], Settings(method="cyclegan", options={"model": "cyclegan1"}), on_progress=stop)


def test_a_patch_judge_sees_seventy_pixels() -> None:
    judge = PatchDiscriminator(4, 3)
    for module in judge.modules():  # linear, so that gradients show the field of view
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.01)
    linear = nn.Sequential(*[m for m in judge.model if isinstance(m, nn.Conv2d)])
    rgb = torch.zeros(1, 3, 160, 160, requires_grad=True)
    scores = linear(rgb)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert rgb.grad is not None
    seen = rgb.grad[0, 0].abs().sum(0).nonzero().flatten()
    assert int(seen[-1] - seen[0]) + 1 == 70


def test_the_pool_shows_older_results_half_of_the_time() -> None:
    pool, rng = Pool(5), np.random.default_rng(0)
    shown = [float(pool.shown(torch.full((1, 3, 1, 1), float(i)), rng)[0, 0, 0, 0]) for i in range(400)]
    assert shown[:5] == [0, 1, 2, 3, 4]
    n_old = sum(value < i for i, value in enumerate(shown))
    assert 150 < n_old < 250
    assert len(pool.kept) == 5
    newest = Pool(0)
    assert float(newest.shown(torch.ones(1, 3, 1, 1), rng).mean()) == 1 and newest.kept == []


def test_the_losses_are_the_papers() -> None:
    training = Training(
        Recipe(width=4, blocks=1, judge_width=4, size_px=32, pool=0), Shapes(is_b=False), Shapes(is_b=True)
    )
    a, b = training.batch()
    with torch.no_grad():
        fake_b, fake_a = training.to_b(a), training.to_a(b)
        terms = training.painting_terms(a, b, fake_a, fake_b)
        wide = {  # in the paper's range of [-1, 1]
            "cycle": 10
            * ((2 * training.to_a(fake_b) - 2 * a).abs().mean() + (2 * training.to_b(fake_a) - 2 * b).abs().mean()),
            "identity": 5 * ((2 * training.to_b(b) - 2 * b).abs().mean() + (2 * training.to_a(a) - 2 * a).abs().mean()),
            "fooling": nn.functional.mse_loss(training.judge_b(fake_b), torch.ones_like(training.judge_b(b)))
            + nn.functional.mse_loss(training.judge_a(fake_a), torch.ones_like(training.judge_a(a))),
        }
    assert terms.keys() == wide.keys()
    for name, value in wide.items():
        assert float(terms[name]) == pytest.approx(float(value), rel=1e-5)


@pytest.mark.parametrize("kind", ["cyclegan", "discogan"])
def test_a_run_goes_on_bit_for_bit(kind: str, tmp_path: Path) -> None:
    recipe = Recipe(kind=kind, steps=8, batch=2, width=4, blocks=1, judge_width=4, judge_layers=2, size_px=32, pool=3)
    a, b = Shapes(is_b=False), Shapes(is_b=True)
    whole = Training(recipe, a, b)
    for _ in range(4):
        whole.advance()
    whole.save(tmp_path)
    continued = Training(recipe, a, b)
    continued.restore(tmp_path / "checkpoint.pt")
    assert [whole.advance() for _ in range(3)] == [continued.advance() for _ in range(3)]
    for one, other in zip(whole.to_b.state_dict().values(), continued.to_b.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_a_shortened_run_translates_colors_and_keeps_the_picture() -> None:
    recipe = replace(RECIPES["cyclegan"], steps=120, size_px=32, width=8, blocks=1, judge_width=8, batch=4)
    training = Training(recipe, Shapes(is_b=False), Shapes(is_b=True))
    losses = [training.advance() for _ in range(recipe.steps)]
    assert np.mean([step["cycle"] for step in losses[-20:]]) < 0.6 * losses[0]["cycle"]
    rng = np.random.default_rng(3)
    judge = train_classifier(1, is_gray=False, n_steps=60)
    with torch.no_grad():
        a, b = draw(Shapes(is_b=False), rng, 32), draw(Shapes(is_b=True), rng, 32)
        fake_b, fake_a = training.to_b(a), training.to_a(b)
        told = (judge(b) > 0).float().mean() + (judge(a) < 0).float().mean()
        called = (judge(fake_b) > 0).float().mean() + (judge(fake_a) < 0).float().mean()
        cycle = (training.to_a(fake_b) - a).abs().mean()
    assert float(told) / 2 > 0.95
    assert float(called) / 2 > 0.8
    assert float(cycle) <= 0.1


def test_classifiers_of_texture_do_not_see_color() -> None:
    rgb = draw(Shapes(is_b=False), np.random.default_rng(0), 2)
    gray = (rgb * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.allclose(luma(rgb), luma(gray), atol=1e-3)


def test_the_command_trains_from_folders_and_writes_what_the_method_reads(tmp_path: Path, cat: Picture) -> None:
    from PIL import Image

    for name, is_b in (("a", False), ("b", True)):
        (tmp_path / name).mkdir()
        for i, rgb in enumerate(draw(Shapes(is_b=is_b), np.random.default_rng(0), 3)):
            pixels = (rgb * 255).byte().permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "run"), "--device", "cpu"]
    words += ["--steps", "3", "--size-px", "48", "--width", "4", "--blocks", "1"]
    words += ["--judge-width", "4", "--judge-layers", "2"]
    assert main(words) == 0
    card = (tmp_path / "run" / "card.md").read_text("utf-8")
    assert "Trained on" in card and "python -m engine.train.recipes.train_unpaired" in card
    model = tmp_path / "run" / "a_to_b.safetensors"
    painted = stylize(cat, [Style("c", cat)], Settings(method="cyclegan", options={"model": str(model)})).picture
    assert painted.size == cat.size
