"""Bayesian SegNet: its shape, its samples, its training; and the regions that come of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from engine.core.errors import InputError, SettingsError
from engine.core.types import Picture, Settings, Style
from engine.models import shipped
from engine.networks.segnet import CLASSES, STRIDE_PX, SegNet, take_over
from engine.pipeline.stylize import stylize
from engine.regions import semantics
from engine.train.recipes import train_segnet as training

TINY = training.Recipe(steps=40, batch=2, crop_h_px=64, crop_w_px=96, low=0.9, high=1.1, is_bf16=False)
SKY, BUILDING, ROAD, CAR = (CLASSES.index(name) for name in ("sky", "building", "road", "car"))


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn scenes, laid out as CamVid is: sky over buildings over a road with a car, and a frame without labels."""
    folder = tmp_path_factory.mktemp("streets")
    rng = np.random.default_rng(0)
    colors = {SKY: (150, 190, 240), BUILDING: (150, 110, 90), ROAD: (90, 90, 95), CAR: (200, 30, 40)}
    for split in ("train", "trainannot"):
        (folder / split).mkdir()
    for i in range(6):
        labels = np.full((96, 128), BUILDING, np.uint8)
        labels[: rng.integers(20, 40)] = SKY
        road = int(rng.integers(60, 75))
        labels[road:] = ROAD
        left = int(rng.integers(10, 80))
        labels[road - 5 : road + 15, left : left + 35] = CAR
        rgb = np.zeros((96, 128, 3))
        for label, color in colors.items():
            rgb[labels == label] = color
        rgb = np.clip(rgb + rng.normal(0, 12, rgb.shape), 0, 255).astype(np.uint8)
        labels[:, :4] = training.IGNORED
        Image.fromarray(rgb).save(folder / "train" / f"{i}.png")
        Image.fromarray(labels).save(folder / "trainannot" / f"{i}.png")
    return folder


def started(streets: Path, recipe: training.Recipe = TINY) -> training.Training:
    return training.Training(recipe, training.Scenes(streets, "train"), torch.device("cpu"))


# --- the network


def test_it_answers_at_the_pictures_size_with_probabilities() -> None:
    net = SegNet(channels=(4, 4, 6, 6, 6))
    rgb = torch.rand(2, 3, 2 * STRIDE_PX, 3 * STRIDE_PX)
    assert net(rgb).shape == (2, len(CLASSES), 64, 96)
    for n_samples in (0, 3):
        answer = net.answer(rgb, n_samples)
        assert answer.probability.shape == (2, len(CLASSES), 64, 96) and answer.variance.shape == (2, 64, 96)
        torch.testing.assert_close(answer.probability.sum(1), torch.ones(2, 64, 96))
        assert float(answer.variance.min()) >= 0
        assert bool(answer.variance.any()) == (n_samples > 0)


def test_encoder_and_decoder_mirror_each_other() -> None:
    """13 and 13 convolutions of VGG-16, fewer here; each pooling has its unpooling at the places that it chose."""
    net = SegNet()
    convs = [[unit.conv for stage in side for unit in stage] for side in (net.encoder, net.decoder)]  # type: ignore[union-attr]
    convs[1].append(net.classify)
    assert len(convs[0]) == len(convs[1])
    widths = [(conv.in_channels, conv.out_channels) for conv in convs[0]]
    mirrored = [(conv.out_channels, conv.in_channels) for conv in reversed(convs[1])]
    assert widths[1:] == mirrored[1:]
    net.eval()
    seen: list[torch.Tensor] = []
    net.decoder[-1][0].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))  # type: ignore[index]
    pooled: list[torch.Tensor] = []
    net.encoder[0].register_forward_hook(lambda _module, _inputs, output: pooled.append(output))
    with torch.no_grad():
        net(torch.rand(1, 3, 32, 32))
    best = F.max_unpool2d(*F.max_pool2d(pooled[0], 2, return_indices=True), 2) != 0
    assert bool((seen[0][~best] == 0).all())


def test_samples_are_those_of_the_seed_and_leave_other_randomness_alone() -> None:
    torch.manual_seed(1)
    net = SegNet(channels=(4, 4, 6, 6, 6))
    rgb = torch.rand(1, 3, 32, 32)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (net.answer(rgb, 4, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.probability, again.probability) and torch.equal(first.variance, again.variance)
    assert not torch.equal(first.probability, other.probability)
    assert torch.equal(net.answer(rgb, 0).probability, net.answer(rgb, 0, 9).probability)
    assert not net.drops


@pytest.mark.parametrize("mirrors", [False, True])
def test_mean_and_variance_are_those_of_the_samples(mirrors: bool) -> None:
    """Against samples drawn one by one, by torch's own mean and variance."""
    torch.manual_seed(2)
    net = SegNet(channels=(4, 4, 6, 6, 6)).eval()
    rgb = torch.rand(1, 3, 32, 64)
    answer = net.answer(rgb, 6, 3, mirrors=mirrors)
    torch.manual_seed(3)
    net.drops = True
    samples = []
    for i in range(6):
        flips = [3] if mirrors and i % 2 else []
        with torch.no_grad():
            samples.append(net(rgb.flip(flips)).softmax(1).flip(flips))
    samples = torch.stack(samples)
    torch.testing.assert_close(answer.probability, samples.mean(0))
    torch.testing.assert_close(answer.variance, samples.var(0, unbiased=False).mean(1), rtol=1e-3, atol=1e-7)
    assert float(answer.variance.max()) > 0


def test_the_first_stages_begin_as_the_embedded_network() -> None:
    net, embedded = SegNet(), shipped.load_shipped("embedded")
    n_copied = take_over(net, embedded)
    found = [unit.conv.weight for stage in net.encoder for unit in stage][:n_copied]  # type: ignore[union-attr]
    names = sorted(name for name in embedded if name.startswith("convs.") and name.endswith(".weight"))
    assert n_copied == min(len(names), 7) > 4  # of its eight, as many as the first three stages have
    assert all(any(torch.equal(weight, embedded[name]) for name in names) for weight in found)


# --- the training


@pytest.mark.slow
def test_a_shortened_training_learns_what_is_where(streets: Path) -> None:
    run = started(streets)
    losses = [run.advance()["loss"] for _ in range(TINY.steps)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    rgb, labels = run.scenes.item(0)
    answer = run.net.answer(rgb[None], 8)
    is_labeled = labels != training.IGNORED
    right = (answer.probability[0].argmax(0) == labels)[is_labeled]
    most_common = labels[is_labeled].bincount().max() / is_labeled.sum()
    assert right.float().mean() > most_common + 0.1


def test_it_resumes_to_the_bit(streets: Path, tmp_path: Path) -> None:
    recipe = training.Recipe(steps=4, batch=1, crop_h_px=64, crop_w_px=64, low=0.9, high=1.1, is_bf16=False)
    whole = started(streets, recipe)
    losses = [whole.advance() for _ in range(4)]
    half = started(streets, recipe)
    assert [half.advance(), half.advance()] == losses[:2]
    half.save(tmp_path)
    torch.manual_seed(99)  # another process has another state
    again = started(streets, recipe)
    again.restore(tmp_path / "checkpoint.pt")
    assert [again.advance(), again.advance()] == losses[2:]
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, again.net.state_dict()[name]), name


@pytest.mark.slow
def test_the_command_trains_and_leaves_weights_and_a_card(streets: Path, tmp_path: Path) -> None:
    from server.cli import main

    words = ["--steps", "2", "--batch", "1", "--crop-h-px", "64", "--crop-w-px", "64", "--low", "0.9", "--high", "1.1"]
    assert main(["train", "segnet", str(streets), "-o", str(tmp_path / "run"), *words, "--device", "cpu"]) == 0
    card = (tmp_path / "run" / "card.md").read_text()
    assert "6 labeled street scenes" in card and "steps 2" in card
    net = SegNet()
    from safetensors.torch import load_file

    net.load_state_dict({name: value.float() for name, value in load_file(tmp_path / "run/segnet.safetensors").items()})
    assert (tmp_path / "run" / "preview-000002.png").is_file()


def test_classes_are_weighed_by_their_median_frequency(streets: Path) -> None:
    """Eigen & Fergus 2015: a class's pixels over those of the pictures that show it; what is not labeled is none."""
    scenes = training.Scenes(streets, "train")
    labels = np.stack(scenes.labels)
    known = labels[labels != training.IGNORED]
    expected = [(known == i).mean() for i in range(len(CLASSES))]  # every picture shows the same four
    torch.testing.assert_close(scenes.frequencies(), torch.tensor(expected).float())


def test_a_picture_without_labels_is_one_sentence(streets: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There are no pictures in"):
        training.Scenes(streets, "val")
    (tmp_path / "train").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "train" / "a.png")
    with pytest.raises(InputError, match=r"a\.png is missing: every picture needs a label map"):
        training.Scenes(tmp_path, "train")


def test_broken_pictures_are_left_out_with_a_line(
    streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(streets, tmp_path / "set")
    for broken in ("train/1.png", "trainannot/2.png"):
        whole = (tmp_path / "set" / broken).read_bytes()
        (tmp_path / "set" / broken).write_bytes(whole[: len(whole) // 2])
    scenes = training.Scenes(tmp_path / "set", "train")
    assert scenes.names == ["0", "3", "4", "5"]
    assert torch.equal(scenes.item(1)[0], training.Scenes(streets, "train").item(3)[0])
    said = capsys.readouterr().out
    assert [line.count("is left out") for line in said.splitlines()] == [1, 1]


def test_labels_of_another_size_and_a_folder_of_broken_pictures_are_one_sentence(tmp_path: Path) -> None:
    for name in ("train", "trainannot"):
        (tmp_path / name).mkdir()
        Image.new("L", (64, 48 if name == "train" else 64)).save(tmp_path / name / "a.png")
    with pytest.raises(InputError, match="one value a pixel, please"):
        training.Scenes(tmp_path, "train")
    (tmp_path / "train" / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="None of the pictures in"):
        training.Scenes(tmp_path, "train")


# --- the regions


class Painted(nn.Module):
    """A network that takes red for sky, green for trees, everything else for road; unsure where blue is high."""

    def answer(self, rgb: torch.Tensor, n_samples: int, seed: int, on_progress: object) -> object:
        from engine.networks.segnet import Answer

        probability = torch.full((1, len(CLASSES), *rgb.shape[2:]), 0.01)
        index = torch.where(rgb[0, 0] > 0.5, SKY, torch.where(rgb[0, 1] > 0.5, CLASSES.index("tree"), ROAD))
        probability.scatter_(1, index[None, None], 1.0)
        return Answer(probability / probability.sum(1, keepdim=True), (rgb[:, 2] > 0.5).float() * 0.05)


def flag(*stripes: tuple[float, float, float], size: int = 96) -> Picture:
    """Horizontal stripes of equal height."""
    rgb = torch.zeros(3, size, size)
    edges = [round(i * size / len(stripes)) for i in range(len(stripes) + 1)]
    for color, top, bottom in zip(stripes, edges, edges[1:], strict=False):
        rgb[:, top:bottom] = torch.tensor(color)[:, None, None]
    return Picture(rgb)


RED, GREEN, BLACK, GRAY_BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semantics, "network", Painted)
    monkeypatch.setattr(semantics, "in_daylight", lambda rgb: rgb)


@pytest.mark.usefixtures("painted")
def test_sky_goes_with_sky_and_what_only_one_picture_has_stays_alone() -> None:
    regions = semantics.find_regions(flag(RED, RED, GREEN, BLACK), flag(BLACK, RED))
    assert [region.content.label for region in regions] == ["sky", "ground"]
    sky, ground = regions
    assert sky.content.weight[:40].mean() > 0.95 and sky.content.weight[56:].mean() < 0.05
    assert sky.style.weight[56:].mean() > 0.95 and ground.style.weight[:40].mean() > 0.95
    assert sum(float(region.content.weight[52:68].mean()) for region in regions) < 0.1  # the trees are nobody's
    assert semantics.describe(regions) == "regions found: sky 50% from 50%, ground 25% from 50% of the style"


@pytest.mark.usefixtures("painted")
def test_pictures_with_nothing_in_common_have_no_regions() -> None:
    assert semantics.find_regions(flag(RED), flag(GREEN)) == []
    assert "no regions in common" in semantics.describe([])


@pytest.mark.usefixtures("painted")
def test_a_region_that_it_only_guesses_is_not_paired() -> None:
    sky_alone = semantics.find_regions(flag(RED, BLACK), flag(RED, GRAY_BLUE))
    assert [region.content.label for region in sky_alone] == ["sky"]


@pytest.mark.usefixtures("painted")
def test_where_it_is_not_sure_regions_melt() -> None:
    sure, unsure = semantics.look(flag(RED, BLACK).rgb), semantics.look(flag(RED, GRAY_BLUE).rgb)
    ground = sure.names.index("ground")
    assert float(sure.weight[ground, 80:].min()) > 0.99
    assert float(unsure.weight[ground, 80:].max()) < 0.97
    for seen in (sure, unsure):
        torch.testing.assert_close(seen.weight.sum(0), torch.ones(96, 96), atol=1e-4, rtol=0)


@pytest.mark.usefixtures("painted")
def test_the_pipeline_finds_the_regions_and_says_so() -> None:
    content, style = flag(RED, BLACK), Style("flag", flag(GREEN, RED))
    done = stylize(content, [style], Settings(method="photoreal", auto_regions=True))
    assert any(note.startswith("regions found: sky 50%") for note in done.report["notes"])
    assert "regions" in done.report["seconds"]
    with pytest.raises(SettingsError, match="exactly one style, and that a picture"):
        stylize(content, [style, style], Settings(auto_regions=True))


def test_light_of_another_color_is_no_other_thing() -> None:
    """A photo by day stays what it is; under red light, and at a fraction of the exposure, it becomes nearly that."""
    day = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0)) * 0.95
    assert torch.equal(semantics.in_daylight(day), day)
    for light in ([0.9, 0.3, 0.2], [0.2, 0.2, 0.2]):
        dusk = day * torch.tensor(light)[:, None, None]
        seen = semantics.in_daylight(dusk)
        assert (seen - day).abs().mean() < 0.09 < (dusk - day).abs().mean()


@pytest.mark.slow
@pytest.mark.parametrize("light", [(1.0, 1.0, 1.0), (0.8, 0.25, 0.15)], ids=["day", "red dusk"])
def test_the_network_that_ships_sees_sky_above_ground(light: tuple[float, float, float]) -> None:
    """A drawn street is far from its photos; what is above and what is below it must tell all the same."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.linspace(0, 1, 240)[:, None].expand(240, 320), torch.linspace(0, 1, 320).expand(240, 320)
    road, walls = (torch.rand(240, 320, generator=generator) * depth for depth in (0.08, 0.15))
    rgb = torch.where(y < 0.5, torch.stack((0.85 - 0.2 * y, 0.87 - 0.2 * y, 0.9 - 0.2 * y)), 0.32 + road)
    is_house = (y > 0.3) & (y < 0.55) & ((x < 0.35) | (x > 0.7))
    rgb = torch.where(is_house, torch.stack((0.5 + walls, 0.38 + walls, 0.3 + walls)), rgb)
    rgb = rgb * torch.tensor(light)[:, None, None]
    scenery = semantics.look(rgb)
    of = {name: scenery.weight[scenery.names.index(name)] for name in ("sky", "ground")}
    assert of["sky"][:70].mean() > 0.9 and of["sky"][-60:].mean() < 0.05
    assert of["ground"][-60:].mean() > 0.3 and of["ground"][:70].mean() < 0.05
    assert scenery.is_there("sky")
    assert torch.equal(scenery.weight, semantics.look(rgb).weight)
