"""Training: the loss falls, and a resumed run is the uninterrupted one to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from safetensors.torch import save_file
from skimage import data

from engine.core.errors import InputError, SettingsError, WeightsError
from engine.features.vgg import Vgg19
from engine.networks.anystyle_network import N_BLOCKS, N_QUARTER_BLOCKS
from engine.train.anystyle_recipe import Recipe
from engine.train.loop import run
from engine.train.pictures.batches import Batches
from engine.train.pictures.folders import PictureFolder, is_held_out, portraits, preset_works
from engine.train.recipes.train_anystyle import Training

RECIPE = Recipe(looked_at=200, steps=6, batch=2, size_px=64, style_px=64, is_bf16=False, seed=5)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> PictureFolder:
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.png")
    return PictureFolder(folder)


@pytest.fixture(scope="module")
def backbone() -> Vgg19:
    generator = torch.Generator().manual_seed(0)
    sizes = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256),
             16: (256, 256)}  # fmt: skip
    state = {}
    for index, (n_in, n_out) in sizes.items():
        state[f"features.{index}.weight"] = (
            torch.randn(n_out, n_in, 3, 3, generator=generator) * (2 / (9 * n_in)) ** 0.5
        )
        state[f"features.{index}.bias"] = torch.zeros(n_out)
    return Vgg19(state)


@pytest.mark.slow
def test_a_resumed_run_equals_the_uninterrupted_one_to_the_bit(
    pictures: PictureFolder, backbone: Vgg19, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, copy_steps=2)  # so that both halves have steps with a style
    whole = Training(recipe, backbone, pictures, pictures)
    run(whole, tmp_path / "whole", save_every=3, preview_every=99)
    first = Training(recipe, backbone, pictures, pictures)
    for _ in range(3):
        first.advance()
    (tmp_path / "halves").mkdir()
    first.save(tmp_path / "halves")
    second = Training(recipe, backbone, pictures, pictures)
    second.restore(tmp_path / "halves" / "checkpoint.pt")
    run(second, tmp_path / "halves", save_every=99, preview_every=99)
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name]), name
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, second.average.state_dict()[name]), name
    card = next(tmp_path.rglob("card.md")).read_text("utf-8")
    assert f"{len(pictures)} content pictures" in card and "seed 5" in card and "**Commit**" in card


def test_a_run_can_begin_with_the_weights_of_another(pictures: PictureFolder, backbone: Vgg19, tmp_path: Path) -> None:
    first = Training(RECIPE, backbone, pictures, pictures)
    first.advance()
    first.save(tmp_path)
    second = Training(replace(RECIPE, seed=6), backbone, pictures, pictures)
    second.start_from(tmp_path / "anystyle.safetensors")
    for name, value in first.average.state_dict().items():
        assert torch.equal(value.half(), second.net.state_dict()[name].half()), name
        assert torch.equal(second.average.state_dict()[name], second.net.state_dict()[name]), name
    save_file({"paint.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="another network: give it those of an any-style network"):
        second.start_from(tmp_path / "other.safetensors")


def test_a_deeper_network_begins_as_the_shallower_one_that_it_grew_from(
    pictures: PictureFolder, backbone: Vgg19, tmp_path: Path
) -> None:
    training = Training(RECIPE, backbone, pictures, pictures)
    training.advance()
    state = training.net.state_dict()
    last = [f"{part}.{n - 1}." for part, n in (("blocks", N_BLOCKS), ("quarter_blocks", N_QUARTER_BLOCKS))]
    shallower = {name: value for name, value in state.items() if not name.startswith(tuple(last))}
    save_file({name: value.contiguous() for name, value in shallower.items()}, tmp_path / "shallower.safetensors")
    deeper = Training(replace(RECIPE, seed=6), backbone, pictures, pictures)
    deeper.start_from(tmp_path / "shallower.safetensors")
    training.net.blocks, training.net.quarter_blocks = training.net.blocks[:-1], training.net.quarter_blocks[:-1]
    contents, _, styles = training.batch()
    with torch.no_grad():
        expected, found = (net(contents, net.encode_style(styles)) for net in (training.net, deeper.net))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    torn = {name: value for name, value in state.items() if name != f"{last[0]}conv1.bias"}
    save_file({name: value.contiguous() for name, value in torn.items()}, tmp_path / "torn.safetensors")
    with pytest.raises(WeightsError, match="another network"):
        deeper.start_from(tmp_path / "torn.safetensors")


@pytest.mark.slow
def test_a_portrait_counts_more_than_other_contents(pictures: PictureFolder, backbone: Vgg19) -> None:
    training = Training(replace(RECIPE, identity=0.0, copy_steps=0, care=3.0), backbone, pictures, pictures)
    training.advance()
    contents, _, styles = training.batch()
    with torch.no_grad():
        usual, cared = (training.losses(contents, torch.full((2,), share), styles) for share in (0.0, 1.0))
    for name, value in usual.items():
        factor = 3.0 if name in {"content", "layout", "tone"} else 1.0
        if name not in {"stain", "spikes"}:
            torch.testing.assert_close(cared[name], factor * value, msg=name)
    assert not usual["stain"].any() and (cared["stain"] > 0).all()


@pytest.mark.slow
def test_the_components_of_the_latent_are_found_after_the_copying_and_stay(
    tmp_path: Path, pictures: PictureFolder, backbone: Vgg19
) -> None:
    training = Training(replace(RECIPE, copy_steps=1), backbone, pictures, pictures)
    training.advance()
    assert not training.net.style.basis.any()  # what the encoder sees at first is worth nothing
    training.advance()
    found = {name: value.clone() for name, value in training.net.style.state_dict().items()}
    assert found["basis"].any()
    training.save(tmp_path)
    resumed = Training(replace(RECIPE, copy_steps=1, seed=6), backbone, pictures, pictures)
    assert resumed.resume(tmp_path)
    resumed.advance()
    for net in (resumed.net, resumed.average):
        assert all(torch.equal(value, found[name]) for name, value in net.style.state_dict().items())


def test_too_few_styles_for_the_components_are_refused() -> None:
    with pytest.raises(SettingsError, match="looked_at must be above 192"):
        Recipe(looked_at=192)


@pytest.mark.slow
def test_the_loss_falls_for_copies_and_for_paintings(pictures: PictureFolder, backbone: Vgg19) -> None:
    recipe = replace(RECIPE, steps=82, decay=0.5, identity=0.0, copy_steps=40)
    training = Training(recipe, backbone, pictures, pictures)

    @torch.no_grad()
    def loss_now() -> float:
        """On the same batches each time: some pictures are harder than others."""
        batches = [training.batches[9000 + i] for i in range(6)]
        return float(np.mean([float(training.weighed(training.losses(*batch))) for batch in batches]))

    copies = loss_now()
    for _ in range(39):
        training.advance()
    assert loss_now() < 0.9 * copies
    training.advance()
    training.advance()  # the first with a style, which finds the components of the latent
    paintings = loss_now()
    for _ in range(40):  # the rate falls: so short a training swings about
        training.advance()
    assert loss_now() < 0.85 * paintings


def test_crops_depend_on_the_seed_alone(pictures: PictureFolder) -> None:
    a, b = (pictures.crop(np.random.default_rng(4), 96, (0.5, 1.0)) for _ in range(2))
    assert torch.equal(a, b)
    assert a.shape == (3, 96, 96)
    assert not torch.equal(a, pictures.crop(np.random.default_rng(5), 96, (0.5, 1.0)))


def test_the_same_pictures_are_held_out_everywhere(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(300)]
    held = [name for name in names if is_held_out(name, 12)]
    assert 12 < len(held) < 40 and not any(is_held_out(name, 0) for name in names)
    for name in (held[0], next(name for name in names if name not in held)):
        Image.fromarray(data.coffee()).save(tmp_path / name)
    assert len(PictureFolder(tmp_path)) == 2
    assert held[0] not in PictureFolder(tmp_path, held_out=12).names
    assert preset_works() and not any(is_held_out(name, 1) for name in preset_works())  # they are to be learned


def test_works_of_the_presets_are_drawn_for_their_share_of_the_styles(tmp_path: Path) -> None:
    work = sorted(preset_works())[0]
    for name, gray in ((work, 255), *((f"{i}.png", 0) for i in range(9))):
        Image.new("L", (256, 256), gray).save(tmp_path / name)
    art = PictureFolder(tmp_path)

    def share_of_the_work(presets: float) -> float:
        batches, rng = Batches(replace(RECIPE, made_up=0.0, presets=presets), art, art), np.random.default_rng(1)
        return float(np.mean([float(batches.style_crop(rng).mean()) > 0.5 for _ in range(400)]))

    assert share_of_the_work(0.0) == pytest.approx(0.1, abs=0.06)  # one of ten
    assert share_of_the_work(0.5) == pytest.approx(0.55, abs=0.08)
    assert share_of_the_work(1.0) == 1


def test_a_batch_is_the_same_whoever_draws_it_and_after_whatever(pictures: PictureFolder) -> None:
    batches = Batches(RECIPE, pictures, pictures)
    ahead = list(batches.from_step(3, n_workers=2))
    assert len(ahead) == RECIPE.steps - 3
    for step, batch in enumerate(ahead, 3):
        assert all(torch.equal(part, expected) for part, expected in zip(batch, batches[step], strict=True))
    assert not torch.equal(ahead[0][0], ahead[1][0])
    other = Batches(replace(RECIPE, seed=6), pictures, pictures)
    assert not torch.equal(other[3][0], ahead[0][0])


def test_a_share_of_the_other_works_is_seen_in_swapped_colors(tmp_path: Path) -> None:
    Image.new("RGB", (256, 256), (200, 40, 40)).save(tmp_path / "red.png")
    art, rng = PictureFolder(tmp_path), np.random.default_rng(1)

    def share_of_red(swapped: float) -> float:
        batches = Batches(replace(RECIPE, made_up=0.0, swapped=swapped), art, art)
        return float(np.mean([float(batches.style_crop(rng)[0, 0, 0]) > 0.5 for _ in range(300)]))

    assert share_of_red(0.0) == 1
    assert share_of_red(1.0) == pytest.approx(1 / 3, abs=0.1)


def test_portraits_are_drawn_for_their_share_of_the_contents(tmp_path: Path) -> None:
    portrait = sorted(portraits())[0]
    for name, gray in ((portrait, 255), *((f"{i}.png", 0) for i in range(9))):
        Image.new("L", (256, 256), gray).save(tmp_path / name)
    photos = PictureFolder(tmp_path)

    def share_of_the_portrait(share: float) -> float:
        batches, rng = Batches(replace(RECIPE, plain=0.0, portraits=share), photos, photos), np.random.default_rng(1)
        crops = [batches.content_crop(rng) for _ in range(400)]
        assert all((float(crop.mean()) > 0.5) == is_portrait for crop, is_portrait in crops)
        return float(np.mean([is_portrait for _, is_portrait in crops]))

    assert share_of_the_portrait(0.0) == pytest.approx(0.1, abs=0.06)  # one of ten
    assert share_of_the_portrait(0.5) == pytest.approx(0.55, abs=0.08)


def test_photos_are_upright_and_broken_ones_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cat = Image.fromarray(data.chelsea())
    cat.save(tmp_path / "a.png")
    before = PictureFolder(tmp_path)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6  # the file's top is the picture's right
    cat.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "b.png", exif=turned)
    cat.save(tmp_path / "c.jpg")
    (tmp_path / "c.jpg").write_bytes((tmp_path / "c.jpg").read_bytes()[:9000])
    (tmp_path / "d.png").write_text("no picture")
    (tmp_path / "e.webp").mkdir()
    photos = PictureFolder(tmp_path)
    assert photos.names == ["a.png", "b.png"]
    assert torch.equal(photos.pictures[0], before.pictures[0])
    assert torch.equal(photos.pictures[1], before.pictures[0])
    said = capsys.readouterr().out.splitlines()
    assert ["c.jpg" in said[0], "d.png" in said[1], "e.webp" in said[2], len(said)] == [True, True, True, 3]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No picture of at least"):
        PictureFolder(tmp_path)
