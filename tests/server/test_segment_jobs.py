"""``impasto segment`` and the worker's answer to a segment request, with the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gimp_plugin.wire import Plane, SegmentRequest, SegmentResult, WireError
from server.cli import main
from server.worker.loop import JobCancelled
from server.worker.painter import Painter, find

HEIGHT, WIDTH = 90, 120
DTYPES: dict[str, Any] = {
    "U8": (np.uint8, 255),
    "U16": (np.uint16, 65535),
    "F16": (np.float16, 1),
    "F32": (np.float32, 1),
}
Y, X = np.mgrid[:HEIGHT, :WIDTH]
DISC = np.hypot(Y - 45, X - 55) < 28
BOX = (21, 11, 89, 79)  # a tenth too large


def disc_on_blue() -> np.ndarray:
    """(H, W, 3) in [0, 1]: a golden disc, with noise."""
    rgb = np.where(DISC[..., None], (0.9, 0.75, 0.3), (0.15, 0.25, 0.5))
    return np.clip(rgb + np.random.default_rng(0).normal(0, 0.03, rgb.shape), 0, 1)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "disc.png"
    Image.fromarray((disc_on_blue() * 255).astype(np.uint8)).save(path)
    return path


def overlap(mask: np.ndarray) -> float:
    return float(((mask >= 0.5) & DISC).sum() / ((mask >= 0.5) | DISC).sum())


# --- the command


@pytest.mark.parametrize("prompt", [["--box", ",".join(map(str, BOX))], ["--point", "55,45", "--not-point", "5,5"]])
def test_the_mask_of_the_object_is_written(
    photo: Path, tmp_path: Path, prompt: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(photo), *prompt, "-o", str(tmp_path / "mask.png"), "--model", "grabcut"]) == 0
    mask = np.asarray(Image.open(tmp_path / "mask.png").convert("L")) / 255
    assert mask.shape == (HEIGHT, WIDTH) and overlap(mask) > 0.9
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("box ") and "of the picture" in first and "(grabcut, " in second


def test_an_outline_is_a_hint_and_all_but_the_object_can_be_had(photo: Path, tmp_path: Path) -> None:
    outline = tmp_path / "outline.png"
    Image.fromarray((np.hypot(Y - 45, X - 55) < 33).astype(np.uint8) * 255).save(outline)
    words = ["segment", str(photo), "--lasso", str(outline), "--model", "grabcut", "-o"]
    assert main([*words, str(tmp_path / "mask.png")]) == 0
    assert main([*words, str(tmp_path / "rest.png"), "--invert"]) == 0
    mask, rest = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")) for name in ("mask", "rest"))
    assert overlap(mask / 255) > 0.9 and np.abs(mask.astype(int) + rest - 255).max() <= 1


def test_all_objects_become_a_label_map_that_stylize_reads(photo: Path, tmp_path: Path) -> None:
    from engine.files import read_labels

    output = tmp_path / "map.png"
    assert main(["segment", str(photo), "--auto", "-o", str(output), "--model", "grabcut", "--json"]) == 0
    regions = read_labels(output, (HEIGHT, WIDTH))
    assert len(regions) == 2
    assert overlap(regions[1][1].weight.numpy()) > 0.9


def test_json_tells_box_area_and_model(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--box", ",".join(map(str, BOX)), "-o", str(tmp_path / "mask.png"), "--model", "grabcut", "--json"]
    assert main(["segment", str(photo), *words]) == 0
    account = json.loads(capsys.readouterr().out)
    (found,) = account["objects"]
    assert account["model"] == "grabcut" and found["quality"] is None
    assert np.abs(np.array(found["box"]) - (28, 18, 83, 73)).max() <= 3
    assert found["area"] == pytest.approx(DISC.mean(), rel=0.1)


# --- painting an object in one go


def painted_share(photo: Path, output: Path, *words: str) -> tuple[float, float]:
    """How much of the disc's inside and of what is well outside of it `impasto stylize` has changed."""
    assert main(["stylize", str(photo), "--style", "starry-night", *words, "-o", str(output)]) == 0
    before, after = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (photo, output))
    moved = np.abs(after - before).sum(2) > 6
    inside, outside = np.hypot(Y - 45, X - 55) < 24, np.hypot(Y - 45, X - 55) > 34
    return float(moved[inside].mean()), float(moved[outside].mean())


@pytest.mark.parametrize("where", ["55,45", ",".join(map(str, BOX)), "auto"])
def test_an_object_is_painted_without_a_mask_file(photo: Path, tmp_path: Path, where: str) -> None:
    inside, outside = painted_share(photo, tmp_path / "out.png", "--object", where)
    assert inside > 0.9 and outside == 0
    inside, outside = painted_share(photo, tmp_path / "rest.png", "--object", where, "--invert")
    assert inside == 0 and outside > 0.9


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--object", "5,5", "--mask", "m.png"], 2, "--mask and --object both say what is painted"),
        (["--invert"], 2, "--invert needs --object or --mask"),
        (["--object", "500,5"], 1, "The point 500,5 lies outside the picture"),
    ],
)
def test_what_cannot_be_painted_is_one_sentence(
    photo: Path, tmp_path: Path, words: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.png"
    assert main(["stylize", str(photo), "--style", "starry-night", *words, "-o", str(output)]) == status
    assert sentence in capsys.readouterr().err and not output.exists()


@pytest.mark.parametrize("where", ["1,2,3", "here", "1.5,2"])
def test_an_object_is_a_point_a_box_or_auto(photo: Path, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["stylize", str(photo), "--style", "starry-night", "--object", where, "-o", "out.png"])
    assert caught.value.code == 2 and "is neither X,Y nor X0,Y0,X1,Y1 nor auto" in capsys.readouterr().err


WRONG = {
    "both said": (["--auto", "--box", "1,2,30,40"], 2, "--auto looks for everything: leave out --box, --lasso"),
    "box and outline": (["--box", "1,2,30,40", "--lasso", "x.png"], 2, "--box and --lasso say the same"),
    "outside": (["--point", "500,5"], 1, "The point 500,5 lies outside the picture of 120 x 90 pixels."),
    "tiny": (["--box", "5,5,9,9"], 1, "leaves less than 8 x 8 pixels"),
    "a model of no kind": (
        ["--box", "1,2,30,40", "--model", "magic"],
        2,
        "The model is one of auto, object, grabcut, sam",
    ),
    "no weights": (["--box", "1,2,30,40", "--model", "sam-vit-h"], 1, "or choose the model grabcut, which needs none"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_goes_wrong_is_one_sentence(
    case: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    words, status, sentence = WRONG[case]
    assert main(["segment", str(photo), *words, "-o", str(tmp_path / "mask.png")]) == status
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not (tmp_path / "mask.png").exists()


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "1,2,3,4,5", "1.5,2,3,4"])
def test_a_box_is_four_whole_numbers(text: str, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["segment", str(photo), "--box", text, "-o", "mask.png"])
    assert caught.value.code == 2 and "4 whole numbers" in capsys.readouterr().err


# --- the worker


def a_request(dtype: str = "U8", **more: Any) -> SegmentRequest:
    kind, scale = DTYPES[dtype]
    pixels = np.dstack((disc_on_blue(), np.ones((HEIGHT, WIDTH)))) * scale
    pixels = np.rint(pixels) if scale > 1 else pixels
    plane = Plane(dtype, pixels.shape, bytearray(pixels.astype(kind).tobytes()))
    return SegmentRequest(plane, **({"box": BOX, "model": "grabcut"} | more))


def quiet(_share: float, _message: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_the_mask_comes_back_in_the_type_of_the_picture(dtype: str) -> None:
    result = find(a_request(dtype), quiet)
    kind, scale = DTYPES[dtype]
    assert (result.mask.dtype, result.mask.shape) == (dtype, (HEIGHT, WIDTH))
    mask = np.frombuffer(result.mask.data, kind).reshape(HEIGHT, WIDTH).astype(float) / scale
    assert overlap(mask) > 0.9 and mask.max() == 1 and mask.min() == 0
    assert result.report["model"] == "grabcut" and result.report["area"] == pytest.approx(mask.mean(), abs=0.01)


def test_an_outline_on_the_wire_is_a_hint() -> None:
    outline = np.hypot(Y - 45, X - 55) < 33
    for dtype, (kind, scale) in DTYPES.items():
        lasso = Plane(dtype, (HEIGHT, WIDTH), bytearray((outline * scale).astype(kind).tobytes()))
        result = find(a_request(dtype, box=None, lasso=lasso), quiet)
        mask = np.frombuffer(result.mask.data, kind).reshape(HEIGHT, WIDTH).astype(float) / scale
        assert overlap(mask) > 0.9
    with pytest.raises(WireError, match="The outline holds nothing"):
        find(a_request(lasso=Plane("U8", (HEIGHT, WIDTH), bytearray(HEIGHT * WIDTH))), quiet)


@pytest.mark.parametrize("model", ["auto", "object", "grabcut"])
def test_said_nothing_the_worker_finds_what_stands_out(model: str) -> None:
    result = find(a_request(box=None, model=model), quiet)
    mask = np.frombuffer(result.mask.data, np.uint8).reshape(HEIGHT, WIDTH) / 255
    assert overlap(mask) > 0.8 and result.report["notes"] == []


def test_a_worker_takes_both_kinds_of_request_from_file_to_file(tmp_path: Path) -> None:
    (tmp_path / "request").write_bytes(b"".join(a_request().pack()))
    Painter().paint(tmp_path / "request", tmp_path / "result", quiet)
    found = SegmentResult.unpack((tmp_path / "result").read_bytes())
    assert bytes(found.mask.data) == bytes(find(a_request(), quiet).mask.data)


def test_no_request_names_a_file_of_this_computer(tmp_path: Path) -> None:
    with pytest.raises(WireError, match="There is no model 'weights'; there is auto, object, grabcut"):
        find(a_request(model="weights"), quiet)
    with pytest.raises(WireError, match="A model is a name"):
        a_request(model=str(tmp_path / "weights.pth"))


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        ({"box": (500, 500, 600, 600)}, "unprocessable", "draw it around the object"),
        ({"box": None, "points": ((500, 5),)}, "unprocessable", "lies outside the picture"),
        ({"model": "sam-vit-h"}, "failed", "choose the model grabcut"),
    ],
)
def test_errors_reach_the_user_as_the_engines_own_sentence(
    more: dict[str, Any], code: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(WireError, match=sentence) as caught:
        find(a_request(**more), quiet)
    assert caught.value.code == code


def test_a_cancelled_search_ends_as_one() -> None:
    def stop(share: float, _message: str) -> None:
        if share > 0.2:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        find(a_request(), stop)
