"""The network that finds objects: what a hint means, what is kept between clicks, and what happens when it fails."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from benchmarks.objects import Scene, composites, iou, photos
from engine.core.errors import Cancelled, InputError
from engine.core.types import Picture
from engine.networks.object_network import HINTS, Hint, ObjectNet, hint_planes
from engine.segmentation import object_finder, object_outline, object_view, segment
from engine.segmentation.segment import Prompt, find_all, find_object

Place = tuple[int, int]


def picture_of(rgb: np.ndarray) -> Picture:
    return Picture(torch.from_numpy(rgb.copy()).permute(2, 0, 1).float() / 255)


def middle(mask: np.ndarray) -> Place:
    """The (x, y) of a mask that lies farthest from its edge."""
    from scipy import ndimage

    y, x = np.unravel_index(ndimage.distance_transform_edt(np.pad(mask > 0.5, 1))[1:-1, 1:-1].argmax(), mask.shape)
    return int(x), int(y)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    object_view._kept.clear()
    yield
    object_view._kept.clear()


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    return {scene.name: scene for scene in (*photos(), *composites())}


def two_things(scenes: dict[str, Scene]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cut-out astronaut at the left and the saucer at the right of a wall: picture and both masks."""
    left, right = scenes["astronaut at a wall"], scenes["saucer on a meadow"]
    height = min(left.rgb.shape[0], right.rgb.shape[0])
    rgb = np.concatenate((left.rgb[:height], right.rgb[:height]), 1)
    masks = [np.zeros(rgb.shape[:2], np.float32) for _ in range(2)]
    masks[0][:, : left.rgb.shape[1]], masks[1][:, left.rgb.shape[1] :] = left.mask[:height], right.mask[:height]
    return rgb, masks[0], masks[1]


# --- what is found


def test_objects_are_found_from_a_loose_box_and_from_a_click(scenes: dict[str, Scene]) -> None:
    boxed, clicked = [], []
    for name in ("saucer", "astronaut at night", "saucer on a beach"):
        scene = scenes[name]
        picture = picture_of(scene.rgb)
        boxed.append(iou(find_object(picture, Prompt(scene.loose_box()), "object").mask.numpy(), scene.mask))
        clicked.append(
            iou(find_object(picture, Prompt(points=(middle(scene.mask),)), "object").mask.numpy(), scene.mask)
        )
    assert np.mean(boxed) >= 0.9 and min(boxed) >= 0.8, boxed
    assert np.mean(clicked) >= 0.9, clicked


def test_the_hint_decides_which_of_two_things_is_meant(scenes: dict[str, Scene]) -> None:
    rgb, *masks = two_things(scenes)
    picture = picture_of(rgb)
    for mask, other in (masks, masks[::-1]):
        found = find_object(picture, Prompt(Scene("", rgb, mask).loose_box()), "object").mask.numpy()
        assert iou(found, mask) > 0.75 and iou(found, other) < 0.1


def test_said_nothing_it_finds_what_stands_out(scenes: dict[str, Scene]) -> None:
    scene = scenes["saucer on a meadow"]
    assert iou(find_object(picture_of(scene.rgb), Prompt(), "object").mask.numpy(), scene.mask) > 0.8


def test_a_rough_outline_is_a_hint(scenes: dict[str, Scene]) -> None:
    from scipy import ndimage

    scene = scenes["astronaut at a wall"]
    outline = torch.from_numpy(ndimage.binary_dilation(scene.mask > 0.5, iterations=12))
    assert iou(find_object(picture_of(scene.rgb), Prompt(region=outline), "object").mask.numpy(), scene.mask) > 0.85
    with pytest.raises(InputError, match="The outline has 5 x 4 pixels, the picture"):
        find_object(picture_of(scene.rgb), Prompt(region=torch.ones(4, 5, dtype=torch.bool)), "object")


def test_each_click_has_its_way(scenes: dict[str, Scene]) -> None:
    """What was clicked is on its side, and two clicks that correct it make the mask no worse."""
    scene = scenes["astronaut"]
    picture, points, others = picture_of(scene.rgb), [middle(scene.mask)], []
    first = find_object(picture, Prompt(points=tuple(points)), "object").mask.numpy()
    found = first
    for _ in range(2):
        wrong = (found >= 0.5) != (scene.mask > 0.5)
        x, y = middle(wrong.astype(np.float32))
        (points if scene.mask[y, x] > 0.5 else others).append((x, y))
        found = find_object(picture, Prompt(points=tuple(points), others=tuple(others)), "object").mask.numpy()
    assert all(found[y, x] >= 0.5 for x, y in points) and all(found[y, x] < 0.5 for x, y in others)
    assert iou(found, scene.mask) >= iou(first, scene.mask)


def test_all_things_are_listed_apart(scenes: dict[str, Scene]) -> None:
    rgb, *masks = two_things(scenes)
    found = [one.mask.numpy() for one in find_all(picture_of(rgb), "object")]
    assert found and max(iou(one, mask) for one in found for mask in (*masks, masks[0] + masks[1])) > 0.7


# --- what is kept, and what is not


def test_the_answer_does_not_depend_on_what_was_asked_before(scenes: dict[str, Scene]) -> None:
    scene = scenes["rocket at a wall"]
    picture, prompt = picture_of(scene.rgb), Prompt(scene.loose_box())
    first = find_object(picture, prompt, "object")
    find_object(picture, Prompt(points=((5, 5),)), "object")
    assert torch.equal(find_object(picture, prompt, "object").mask, first.mask)
    object_view._kept.clear()
    torch.manual_seed(3)
    assert torch.equal(find_object(picture, prompt, "object").mask, first.mask)


def test_a_further_click_looks_at_nothing_anew(scenes: dict[str, Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    look = ObjectNet.look

    def counted(self: ObjectNet, rgb: torch.Tensor) -> object:
        seen.append(tuple(rgb.shape))
        return look(self, rgb)

    monkeypatch.setattr(ObjectNet, "look", counted)
    scene = scenes["saucer"]
    picture, (x, y) = picture_of(scene.rgb), middle(scene.mask)
    find_object(picture, Prompt(scene.loose_box()), "object")
    n_first = len(seen)
    find_object(picture, Prompt(scene.loose_box(), points=((x, y),)), "object")
    assert n_first >= 1 and len(seen) == n_first


def test_it_can_be_cancelled_between_its_looks(scenes: dict[str, Scene]) -> None:
    def stop(share: float, _message: str) -> None:
        if share > 0.3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        find_object(picture_of(scenes["saucer"].rgb), Prompt(), "object", on_progress=stop)


# --- when it fails


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network answers with nothing."""
    monkeypatch.setattr(object_finder, "answer", lambda look, *_: torch.zeros([2 * side for side in look.cells]))


@pytest.mark.usefixtures("blind")
def test_grabcut_takes_its_place_and_it_says_so(scenes: dict[str, Scene]) -> None:
    scene = scenes["rocket at a wall"]
    found = find_object(picture_of(scene.rgb), Prompt(scene.loose_box()), "object")
    assert found.model == "grabcut" and iou(found.mask.numpy(), scene.mask) > 0.7
    assert found.notes == ("The network found nothing there: GrabCut took its place.",)


@pytest.mark.usefixtures("blind")
def test_where_both_find_nothing_the_box_is_the_mask() -> None:
    gray = Picture(torch.full((3, 80, 100), 0.5))
    found = find_object(gray, Prompt((20, 10, 60, 50)), "object")
    assert found.box == (20, 10, 60, 50) and float(found.mask.sum()) == 40 * 40
    assert "the mask is what was drawn around it" in found.notes[0]
    with pytest.raises(InputError, match="No object stands out"):
        find_object(gray, Prompt(), "object")


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 9), (33, 31)])
def test_pictures_of_any_size_have_an_answer_or_a_sentence(size: Place) -> None:
    rgb = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    try:
        found = find_object(Picture(rgb), Prompt(points=((0, 0),)), "object")
    except InputError as error:
        assert "No object stands out" in str(error)
    else:
        assert found.mask.shape == size


def test_auto_is_the_network_that_ships() -> None:
    assert segment.resolve("auto") == "object"


# --- hints


def test_a_hint_is_drawn_where_it_was_given() -> None:
    region = np.zeros((20, 30), bool)
    region[5:9, 4:12] = True
    planes = dict(zip(HINTS, hint_planes(Hint([(3, 7)], [(15, 20)], region), (20, 30)), strict=True))
    for name, place in (("on", (3, 7)), ("beside", (15, 20))):
        assert float(planes[name][place]) == 1 == float(planes[name].max()) and float(planes[name].sum()) < 20
        assert float(planes[f"{name} far"][place]) == 1
    assert torch.equal(planes["region"], torch.from_numpy(region).float()) and float(planes["has region"].min()) == 1
    assert float(planes["nothing"].max()) == 0 == float(planes["has before"].max())
    assert float(hint_planes(Hint(), (20, 30))[HINTS.index("nothing")].min()) == 1


def test_prompts_meet_their_cells_in_any_window() -> None:
    prompt, cells = Prompt((40, 100, 200, 180), ((200, 180), (10, 10)), ((359, 259),)), (40, 80)
    hint = object_view.hint_of(prompt, (100, 40, 260, 360), cells)
    assert hint.on == [(20, 40)] and hint.beside == [(39, 79)]
    assert hint.region is not None and hint.region.shape == cells
    assert hint.region[:20, :40].all() and hint.region.sum() == 20 * 40  # type: ignore[union-attr]


def test_an_answer_is_moved_to_another_window() -> None:
    share = torch.zeros(40, 60)
    share[10:20, 30:50] = 1  # of a picture of 80 x 120: rows 20 to 40, columns 60 to 100
    moved = object_view.resampled(share, (0, 0, 80, 120), (20, 60, 40, 100), (10, 20))
    assert float(moved[1:-1, 1:-1].min()) > 0.99
    beside = object_view.resampled(share, (0, 0, 80, 120), (42, 0, 80, 56), (10, 10))
    assert float(beside.max()) == 0


def test_islands_go_and_pinholes_close_but_holes_stay() -> None:
    inside = np.zeros((80, 80), bool)
    inside[10:60, 10:60] = True
    inside[30:32, 30:32] = False  # a pinhole
    inside[40:52, 40:52] = False  # a hole
    inside[70:73, 70:73] = True  # an island
    kept = object_outline.without_islands(inside)
    assert kept[31, 31] and not kept[45, 45] and not kept[71, 71] and kept[12, 12]


def test_the_expected_overlap_is_that_of_the_shares() -> None:
    share = torch.tensor([[0.9, 0.8], [0.2, 0.1]])
    assert object_finder.expected_overlap(share) == pytest.approx(1.7 / 2.3)
    assert object_finder.expected_overlap(torch.zeros(3, 3)) == 0


def test_means_over_squares_are_those_of_the_pixels() -> None:
    """Where the sides are multiples those of PyTorch; at the rim, of what there is."""
    x = torch.rand(3, 25, 38, generator=torch.Generator().manual_seed(0))
    found = object_view.means(x, 6)
    torch.testing.assert_close(found[:, :4, :6], torch.nn.functional.avg_pool2d(x[:, :24, :36], 6))
    torch.testing.assert_close(found[:, 4, 6], x[:, 24:, 36:].mean((1, 2)))
    torch.testing.assert_close(object_view.means(x, 60), x.mean((1, 2), keepdim=True))
    assert found.shape == (3, 5, 7) and object_view.means(x, 1) is x


def test_the_parts_that_were_clicked_stay_and_no_others() -> None:
    inside = np.zeros((40, 60), bool)
    inside[5:30, 5:30] = True
    inside[10:14, 40:44] = True
    clicked = object_outline.without_islands(inside, seeds=[(11, 41), (35, 55)])  # the second lies on no part
    assert clicked.sum() == 16 and clicked[11, 41]
    assert np.array_equal(object_outline.without_islands(inside, seeds=[(35, 55)], min_share=0.01), inside)


def test_a_mirrored_view_answers_for_the_picture_as_it_lies(scenes: dict[str, Scene]) -> None:
    """A picture and its mirror image have mirrored answers."""
    scene = scenes["saucer on a meadow"]
    rgb, (x, y), width = picture_of(scene.rgb).rgb, middle(scene.mask), scene.rgb.shape[1]
    window = (0, 0, *rgb.shape[1:])
    one = object_view.answer(object_view.look_at(rgb, window), Prompt(points=((x, y),)))
    other = object_view.answer(object_view.look_at(rgb.flip(2), window), Prompt(points=((width - 1 - x, y),)))
    assert float((one - other.flip(1)).abs().mean()) < 0.02
