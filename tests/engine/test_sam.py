"""Segment Anything here is segment-anything's: its own code is the oracle, on a tiny network with random weights."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data
from torch import nn

from engine.compute.torchvision_compat import import_torchvision
from engine.core.errors import Cancelled, InputError, WeightsError
from engine.core.types import Picture
from engine.models import published
from engine.segmentation import checkpoints, sam, segment
from engine.segmentation.segment import Prompt, find_all, find_object

import_torchvision()
from segment_anything import SamPredictor  # noqa: E402
from segment_anything import modeling as theirs  # noqa: E402

WIDTH, HEADS = 32, 2
PIXELS = np.ascontiguousarray(data.chelsea()[40:220:2, 60:300:2])  # (90, 120, 3)
PROMPTS = {
    "box": Prompt((20, 10, 100, 80)),
    "point": Prompt(points=((60, 40),)),
    "points": Prompt(points=((60, 40), (30, 70)), others=((5, 5),)),
    "box and point": Prompt((20, 10, 100, 80), ((60, 40),)),
}


def tiny() -> nn.Module:
    """What ``segment_anything.build_sam`` builds, as small as it can be, with random weights."""
    torch.manual_seed(3)
    norm = functools.partial(nn.LayerNorm, eps=1e-6)
    network = theirs.Sam(
        image_encoder=theirs.ImageEncoderViT(
            depth=2, embed_dim=WIDTH, img_size=1024, mlp_ratio=4, norm_layer=norm, num_heads=HEADS, patch_size=16,
            qkv_bias=True, use_rel_pos=True, global_attn_indexes=[1], window_size=14, out_chans=WIDTH,
        ),
        prompt_encoder=theirs.PromptEncoder(WIDTH, (64, 64), (1024, 1024), 16),
        mask_decoder=theirs.MaskDecoder(
            num_multimask_outputs=3, transformer=theirs.TwoWayTransformer(2, WIDTH, 8, 2048), transformer_dim=WIDTH,
            iou_head_depth=3, iou_head_hidden_dim=256,
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )  # fmt: skip
    with torch.no_grad():
        for value in network.parameters():  # positions and their tables start as zeros: nothing could be told apart
            value.add_(torch.randn_like(value) * 0.1)
    return network.eval()


@pytest.fixture(scope="module")
def oracle() -> nn.Module:
    return tiny()


@pytest.fixture(scope="module")
def file(oracle: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights, as a user has them."""
    path = tmp_path_factory.mktemp("sam") / "tiny.pth"
    torch.save(oracle.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def predictor(oracle: nn.Module) -> Any:
    """segment-anything's own, looking at the picture."""
    predictor = SamPredictor(oracle)
    predictor.set_image(PIXELS)
    return predictor


@pytest.fixture(scope="module")
def picture() -> Picture:
    return Picture(torch.from_numpy(PIXELS.copy()).permute(2, 0, 1).float() / 255)


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    sam._of_file.cache_clear()


def theirs_says(predictor: Any, prompt: Prompt) -> tuple[np.ndarray, float]:
    """The mask and its quality, asked for as the package's documentation shows it."""
    points = np.array([*prompt.points, *prompt.others])
    labels = np.array([1] * len(prompt.points) + [0] * len(prompt.others))
    is_ambiguous = prompt.box is None and len(points) == 1
    masks, scores, _ = predictor.predict(
        point_coords=points if len(points) else None,
        point_labels=labels if len(points) else None,
        box=None if prompt.box is None else np.array(prompt.box),
        multimask_output=is_ambiguous,
    )
    best = int(np.argmax(scores))
    return masks[best], float(scores[best])


@pytest.fixture(scope="module")
def ours(file: Path, picture: Picture) -> sam.Segmenter:
    """Our side, from the file, looking at the picture."""
    made = sam.Segmenter(checkpoints.load(str(file)))
    assert made.look_at(picture.rgb)
    return made


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_gives_the_mask_of_segment_anythings_own_predictor(
    name: str, predictor: Any, ours: sam.Segmenter
) -> None:
    with torch.inference_mode():
        expected, quality = theirs_says(predictor, PROMPTS[name])
        found = ours.guess(PROMPTS[name])
    assert 0.01 < expected.mean() < 0.99
    np.testing.assert_array_equal(found.mask.numpy(), expected)
    assert found.quality == quality


def test_the_network_is_theirs_weight_by_weight(oracle: nn.Module, ours: sam.Segmenter) -> None:
    expected, found = oracle.state_dict(), ours.network.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    for name in ("pixel_mean", "pixel_std"):
        torch.testing.assert_close(getattr(ours.network, name), getattr(oracle, name))


def test_a_picture_is_read_once_and_remembered(file: Path, picture: Picture) -> None:
    segmenter = sam.Segmenter(checkpoints.load(str(file)), n_kept=2)
    reads: list[object] = []
    segmenter.network.image_encoder = Reading(reads)  # type: ignore[assignment]
    first, second, third = (picture.rgb * share for share in (1.0, 0.5, 0.25))
    assert [segmenter.look_at(rgb) for rgb in (first, second, first)] == [True, True, False]
    answer = segmenter.predictor.features.clone()
    assert [segmenter.look_at(rgb) for rgb in (third, first)] == [True, False]
    assert torch.equal(segmenter.predictor.features, answer)
    assert segmenter.look_at(second)  # two are kept: it had to go for the third
    assert len(reads) == 4
    assert not segmenter.look_at(first.clone()) or len(reads) == 5  # it is pixels that count, not tensors


class Reading(nn.Module):
    """An image encoder that only counts, so that the test needs no seconds."""

    img_size = 1024

    def __init__(self, reads: list[object]) -> None:
        super().__init__()
        self.reads, self.blocks = reads, nn.ModuleList()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.reads.append(x)
        return x.mean().expand(1, WIDTH, 64, 64)


def test_from_file_to_mask(file: Path, picture: Picture, predictor: Any) -> None:
    found = find_object(picture, PROMPTS["box"], str(file))
    expected, quality = theirs_says(predictor, PROMPTS["box"])
    np.testing.assert_array_equal(found.mask.numpy(), expected.astype(np.float32))
    rows, columns = np.flatnonzero(expected.any(1)), np.flatnonzero(expected.any(0))
    assert found.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert found.model == str(file) and found.quality == pytest.approx(quality)


def test_all_objects_are_good_stable_and_not_the_same_twice(
    ours: sam.Segmenter, file: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the published thresholds a random network finds nothing good, which is said; without them, something."""
    monkeypatch.setattr(sam, "segmenter", lambda _name: ours)
    monkeypatch.setattr(sam, "MIN_QUALITY", float("inf"))
    monkeypatch.setattr(sam, "GRID", 2)
    with pytest.raises(InputError, match="No object stands out"):
        find_all(picture, str(file))
    monkeypatch.setattr(sam, "MIN_QUALITY", -float("inf"))
    monkeypatch.setattr(sam, "MIN_STABILITY", 0.0)
    found = find_all(picture, str(file))
    assert found and [one.area for one in found] == sorted((one.area for one in found), reverse=True)
    for i, one in enumerate(found):
        for other in found[:i]:
            assert box_iou(one.box, other.box) <= sam.MAX_OVERLAP + 1e-6


def box_iou(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    both = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return both / (areas - both)


def test_doubles_go_as_non_maximum_suppression_has_it() -> None:
    generator = np.random.default_rng(0)
    corner, size = generator.integers(0, 60, (50, 2)), generator.integers(10, 40, (50, 2))
    boxes = np.concatenate((corner, corner + size), 1)
    kept: list[int] = []
    for i in range(50):  # one by one, by the definition
        if all(box_iou(tuple(boxes[i]), tuple(boxes[j])) <= 0.5 for j in kept):
            kept.append(i)
    assert sam.without_doubles(torch.from_numpy(boxes).float(), 0.5) == kept
    assert 10 < len(kept) < 50


def test_looking_can_be_cancelled_between_blocks(file: Path, picture: Picture) -> None:
    told: list[float] = []

    def stop(share: float, _message: str) -> None:
        told.append(share)
        if share >= 0.5:
            raise Cancelled("Cancelled.")

    segmenter = sam.Segmenter(checkpoints.load(str(file)))
    with pytest.raises(Cancelled):
        segmenter.look_at(picture.rgb, stop)
    assert told == [0.0, 0.5]
    assert not any(block._forward_pre_hooks for block in segmenter.network.image_encoder.blocks)  # type: ignore[union-attr, operator]


# --- the weights


@pytest.fixture
def own_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's folder of checkpoints, empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def publish(monkeypatch: pytest.MonkeyPatch, sha256: str) -> None:
    entry = checkpoints.Published("tiny.pth", "https://example.org/tiny.pth", 1, sha256)
    monkeypatch.setattr(checkpoints, "PUBLISHED", {"sam": entry})


def test_a_published_file_is_taken_once_it_lies_in_its_place(
    own_hub: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = file.read_bytes()
    publish(monkeypatch, hashlib.sha256(data).hexdigest())
    monkeypatch.setattr(segment.shipped, "is_here", lambda _name: False)
    assert segment.resolve("auto") == "grabcut"
    with pytest.raises(WeightsError, match=r"not here \(1 MB\): run `impasto models get sam`, or put tiny\.pth into"):
        checkpoints.load("sam")
    (own_hub / "tiny.pth").write_bytes(data)
    assert segment.resolve("auto") == "sam"
    assert checkpoints.load("sam").image_encoder.patch_embed.proj.weight.shape[0] == WIDTH  # type: ignore[union-attr, index]


def test_a_published_file_that_was_changed_is_refused(
    own_hub: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, hashlib.sha256(file.read_bytes()).hexdigest())
    (own_hub / "tiny.pth").write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(WeightsError, match="not the published file"):
        checkpoints.load("sam")


def test_what_models_get_fetches_is_what_is_looked_for() -> None:
    for name, entry in checkpoints.PUBLISHED.items():
        (file,) = published.model_of(name).files
        assert (file.path, file.sha256, file.url) == (checkpoints.path_of(name), entry.sha256, entry.url)


def test_the_published_checksums_are_those_of_the_authors_release() -> None:
    assert {name: entry.sha256[:12] for name, entry in checkpoints.PUBLISHED.items()} == {
        "sam": "ec2df6273261",
        "sam-vit-l": "3adcc4315b64",
        "sam-vit-h": "a7bf3b02f3eb",
    }


class Trap:
    """What leaves a file behind as soon as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.path,)


def test_a_file_that_holds_code_is_refused_and_the_code_does_not_run(tmp_path: Path) -> None:
    torch.save({"image_encoder": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    with pytest.raises(WeightsError, match=r"trap\.pth is not a readable file of weights"):
        checkpoints.load(str(tmp_path / "trap.pth"))
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_such_network_is_one_sentence(tmp_path: Path, oracle: nn.Module) -> None:
    state = oracle.state_dict()
    lacking = {name: value for name, value in state.items() if "iou_prediction" not in name}
    broken = state | {
        "mask_decoder.iou_token.weight": torch.full_like(state["mask_decoder.iou_token.weight"], torch.nan)
    }
    cases = {
        "text.pth": (b"not weights", "not a readable file of weights"),
        "list.pth": ([1, 2], "holds no state dict"),
        "other.pth": ({"fc.weight": torch.ones(2, 2)}, "another network"),
        "lacking.pth": (lacking, "another network"),
        "broken.pth": (broken, "not numbers"),
    }
    for name, (content, sentence) in cases.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            torch.save(content, tmp_path / name)
        with pytest.raises(WeightsError, match=sentence):
            checkpoints.load(str(tmp_path / name))
    with pytest.raises(WeightsError, match="There is no file"):
        checkpoints.load(str(tmp_path / "nowhere.pth"))
