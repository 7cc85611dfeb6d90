"""An object from a loose box or from points: it is found, to the same bits each time, or a sentence says why not."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
import torch

from benchmarks.objects import Scene, composites, iou, photos
from engine.core.errors import Cancelled, InputError, SettingsError, WeightsError
from engine.core.types import Picture
from engine.segmentation import grabcut, segment
from engine.segmentation.segment import Prompt, find_all, find_object

HELD_PHOTOS = ("rocket", "name tag", "patch", "left eye", "right eye")  # the quick ones; the benchmark has all
HELD_CUT_OUTS = ("saucer on a meadow", "horse of brick on gravel", "rocket at a wall", "eye on a beach")


def picture_of(scene: Scene) -> Picture:
    return Picture(torch.from_numpy(scene.rgb.copy()).permute(2, 0, 1).float() / 255)


def drawn(seed: int, side: int = 160) -> tuple[Picture, np.ndarray, tuple[int, int, int, int]]:
    """A star or a blob of two colors on a ground of two other colors, with noise; its mask; a box a tenth too large."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - side / 2 + rng.uniform(-8, 8, (2, 1, 1))
    angle, waves = np.arctan2(y, x), int(rng.integers(3, 7))
    edge = side * (0.27 + 0.07 * np.sin(waves * angle + rng.uniform(0, 6)))
    mask = np.hypot(y, x) < edge
    inside, outside = rng.uniform(0, 1, (2, 3)), rng.uniform(0, 1, (2, 3))
    while np.abs(inside[:, None] - outside).max(-1).min() < 0.3:  # colors that nobody could tell apart
        inside, outside = rng.uniform(0, 1, (2, 3)), rng.uniform(0, 1, (2, 3))
    stripes = (np.sin(x * rng.uniform(0.1, 0.5) + y * rng.uniform(0.1, 0.5)) > 0).astype(int)
    ramp = np.clip((y / side + 0.5), 0, 1)[..., None]
    rgb = np.where(mask[..., None], inside[stripes], outside[0] * ramp + outside[1] * (1 - ramp))
    rgb = np.clip(rgb + rng.normal(0, 0.03, rgb.shape), 0, 1)
    scene = Scene("drawn", (rgb * 255).astype(np.uint8), mask.astype(np.float32))
    return picture_of(scene), scene.mask, scene.loose_box()


@pytest.mark.slow
@pytest.mark.parametrize(("scenes", "names"), [(photos, HELD_PHOTOS), (composites, HELD_CUT_OUTS)])
def test_from_a_tenth_too_large_a_box_objects_are_found(scenes: object, names: tuple[str, ...]) -> None:
    overlaps = {
        scene.name: iou(find_object(picture_of(scene), Prompt(scene.loose_box()), "grabcut").mask.numpy(), scene.mask)
        for scene in scenes()  # type: ignore[operator]
        if scene.name in names
    }
    assert len(overlaps) == len(names)
    assert np.mean(list(overlaps.values())) >= 0.85, overlaps
    assert min(overlaps.values()) >= 0.7, overlaps


def test_drawn_objects_are_found() -> None:
    overlaps = []
    for seed in range(6):
        picture, mask, box = drawn(seed)
        overlaps.append(iou(find_object(picture, Prompt(box), "grabcut").mask.numpy(), mask))
    assert np.mean(overlaps) >= 0.9, overlaps


def test_a_point_on_it_will_do() -> None:
    overlaps = []
    for seed in range(4):
        picture, mask, _box = drawn(seed)
        y, x = (int(np.flatnonzero(mask.any(axis)).mean()) for axis in (1, 0))
        overlaps.append(iou(find_object(picture, Prompt(points=((x, y),)), "grabcut").mask.numpy(), mask))
    assert np.median(overlaps) >= 0.85, overlaps


def test_points_correct_a_box() -> None:
    """What they lie on is theirs, whatever the colors say."""
    picture, mask, box = drawn(1)
    y, x = (int(np.flatnonzero(mask.any(axis)).mean()) for axis in (1, 0))
    for points, others, expected in ((((x, y),), (), 1), ((), ((x, y),), 0)):
        found = find_object(picture, Prompt(box, points, others), "grabcut", "hard")
        assert float(found.mask[y, x]) == expected


def test_the_same_question_has_the_same_answer_whatever_was_asked_before() -> None:
    picture, _mask, box = drawn(2)
    first = find_object(picture, Prompt(box), "grabcut")
    find_object(drawn(3)[0], Prompt((20, 20, 140, 140)), "grabcut")
    np.random.seed(7)
    torch.manual_seed(7)
    again = find_object(picture, Prompt(box), "grabcut")
    assert torch.equal(first.mask, again.mask) and first.box == again.box


def test_box_and_area_are_those_of_the_mask() -> None:
    picture, _mask, box = drawn(4)
    found = find_object(picture, Prompt(box), "grabcut", "hard")
    inside = found.mask.numpy() == 1
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    assert found.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert found.area == pytest.approx(inside.mean()) and set(np.unique(found.mask)) == {0, 1}


def test_what_is_transparent_belongs_to_no_object() -> None:
    picture, mask, box = drawn(5)
    alpha = torch.ones(picture.size)
    alpha[:, : picture.size[1] // 2] = 0
    found = find_object(Picture(picture.rgb, alpha), Prompt(box), "grabcut").mask
    assert float(found[alpha == 0].max()) == 0
    assert iou(found.numpy(), mask * alpha.numpy()) > 0.8


def test_all_that_stands_out_is_listed_largest_first() -> None:
    size = (120, 200)
    y, x = np.mgrid[: size[0], : size[1]]
    things = [np.hypot(y - 60, x - 50) < 32, (abs(y - 60) < 20) & (abs(x - 150) < 20)]
    rgb = np.full((*size, 3), (60, 90, 120), np.uint8)
    for thing, color in zip(things, ((220, 60, 40), (240, 220, 60)), strict=True):
        rgb[thing] = color
    rgb += np.random.default_rng(0).integers(0, 6, rgb.shape, dtype=np.uint8)
    found = find_all(picture_of(Scene("two", rgb, things[0])), "grabcut")
    assert len(found) == 2
    for one, thing in zip(found, things, strict=True):
        assert iou(one.mask.numpy(), thing) > 0.9


def test_in_a_flat_picture_nothing_stands_out() -> None:
    gray = Picture(torch.full((3, 60, 80), 0.5))
    with pytest.raises(InputError, match="No object stands out in this picture: draw a box"):
        find_all(gray, "grabcut")


SIZE = (100, 120)
REFUSED = {
    "too small": (Prompt((10, 10, 15, 60)), "less than 8 x 8 pixels"),
    "outside": (Prompt((300, 10, 400, 60)), "less than 8 x 8 pixels of the picture of 120 x 100"),
    "reversed": (Prompt((60, 60, 20, 20)), "as left, top, right, bottom"),
    "point outside": (Prompt(points=((120, 5),)), "The point 120,5 lies outside the picture of 120 x 100"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_prompt_that_does_not_fit_the_picture_is_one_sentence(case: str) -> None:
    prompt, sentence = REFUSED[case]
    with pytest.raises(InputError, match=sentence):
        find_object(Picture(torch.rand(3, *SIZE)), prompt, "grabcut")


def test_said_nothing_grabcut_takes_what_stands_out() -> None:
    picture, mask, _box = drawn(4)
    assert iou(find_object(picture, Prompt(), "grabcut").mask.numpy(), mask) > 0.8


def test_unknown_names_are_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Picture(torch.rand(3, *SIZE))
    with pytest.raises(SettingsError, match="grabcut, sam, sam-vit-l, sam-vit-h"):
        find_object(picture, Prompt((10, 10, 60, 60)), "snake")
    with pytest.raises(SettingsError, match="auto, soft, hard"):
        find_object(picture, Prompt((10, 10, 60, 60)), "grabcut", "wavy")  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match="There is no file"):
        find_object(picture, Prompt((10, 10, 60, 60)), "nowhere.pth")


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("prompt", [Prompt((0, 0, 120, 100)), Prompt((10, 10, 60, 60)), Prompt(points=((60, 50),))])
def test_in_a_flat_picture_it_answers_or_refuses_but_never_fails(level: float, prompt: Prompt) -> None:
    try:
        found = find_object(Picture(torch.full((3, *SIZE), level)), prompt, "grabcut")
    except InputError as error:
        assert "No object stands out there" in str(error)
    else:
        assert bool(found.mask.isfinite().all())


def test_looking_can_be_cancelled() -> None:
    picture, _mask, box = drawn(6)
    shares: list[float] = []

    def stop(share: float, _message: str) -> None:
        shares.append(share)
        if share > 0.3:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        find_object(picture, Prompt(box), "grabcut", on_progress=stop)
    assert shares == sorted(shares)


def test_a_large_picture_costs_little_more_than_a_small_one() -> None:
    """The search is made at a bounded size; only the edge is drawn at full size, in its band."""
    picture, mask, box = drawn(0)
    large = torch.nn.functional.interpolate(picture.rgb[None], scale_factor=8, mode="bicubic")[0].clamp(0, 1)
    seconds = []
    for rgb, factor in ((picture.rgb, 1), (large, 8)):
        began = time.process_time()
        found = find_object(Picture(rgb), Prompt(tuple(factor * side for side in box)), "grabcut")  # type: ignore[arg-type]
        seconds.append(time.process_time() - began)
    assert iou(found.mask.numpy(), np.kron(mask, np.ones((8, 8)))) > 0.9
    assert seconds[1] < 8 * seconds[0] + 1.0  # 64 times the pixels


# --- the energy


def test_the_labeling_found_is_the_one_of_least_energy() -> None:
    """Against every labeling of the free pixels of a small scene."""
    rng = np.random.default_rng(3)
    rgb = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
    place = np.full((12, 12), -grabcut.SURE)
    place[2:6, 2:5] = grabcut.SURE
    place[6:9, 3:6] = rng.normal(0, 2, (3, 3))  # nine pixels are free
    place[9:, :] = -grabcut.SURE
    place[2:6, 5:9] = grabcut.SURE
    start = place > 0
    scene = grabcut.Scene(rgb, place, start)
    energy = grabcut.Energy(rgb, scene)
    assert energy.learn(start)
    found = energy.minimize()
    clipped = np.clip(energy.inside - energy.outside, -grabcut.MAX_COLOR, grabcut.MAX_COLOR).reshape(12, 12)
    free = np.argwhere(scene.is_free)

    def cost(labels: np.ndarray) -> float:
        total = -(clipped + place)[scene.is_free & labels].sum()
        flat = labels.ravel()
        return float(total + energy.costs[flat[energy.heads] != flat[energy.tails]].sum())

    best = np.inf
    for bits in itertools.product((False, True), repeat=len(free)):
        labels = place > 0
        labels[tuple(free.T)] = bits
        best = min(best, cost(labels))
    assert len(free) == 9
    assert cost(found) == pytest.approx(best, abs=0.02)  # costs are cut in thousandths


def test_the_likelihood_is_that_of_a_mixture_of_gaussians() -> None:
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(0)
    weights = np.array([0.5, 0.3, 0.2, 0.0, 0.0])
    means = rng.uniform(0, 255, (5, 3))
    roots = rng.normal(0, 8, (5, 3, 3))
    covariances = roots @ roots.transpose(0, 2, 1)
    colors = rng.uniform(0, 255, (40, 3))
    found = grabcut.log_likelihood(colors, np.concatenate((weights, means.ravel(), covariances.ravel())))
    noise = grabcut.SENSOR_VARIANCE * np.eye(3)
    expected = sum(
        w * multivariate_normal(m, c + noise).pdf(colors) for w, m, c in zip(weights, means, covariances, strict=True)
    )
    near = expected * (2 * np.pi) ** 1.5 > 1e-9  # beneath it is the floor that keeps the logarithm finite
    assert near.any()
    np.testing.assert_allclose(found[near], np.log(expected[near] * (2 * np.pi) ** 1.5), rtol=0, atol=2e-3)


def test_auto_takes_grabcut_where_no_weights_are(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(segment.shipped, "is_here", lambda _name: False)
    assert segment.resolve("auto") == "grabcut"
