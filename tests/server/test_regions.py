"""``--regions auto``: regions are found here as well as in a running engine's worker."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from skimage import data

from engine.core.types import Mask, Picture, Region
from engine.pipeline import stylize as pipeline
from gimp_plugin import wire
from gimp_plugin.wire import Plane, StyleEntry, StylizeRequest, WireError
from server.cli import main
from server.worker.painter import answer


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in ("rocket", "coffee"):
        Image.fromarray(getattr(data, name)()).resize((96, 64)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The upper half is sky, the lower half ground, in every picture."""

    def find(content: Picture, style: Picture, _seed: int, _on_progress: Any) -> list[Region]:
        def half(picture: Picture, upper: bool, label: str) -> Mask:
            is_upper = torch.arange(picture.size[0])[:, None].expand(picture.size) < picture.size[0] / 2
            return Mask((is_upper == upper).float(), label)

        return [
            Region(half(content, up, label), half(style, up, label)) for up, label in ((True, "sky"), (False, "ground"))
        ]

    monkeypatch.setattr(pipeline.semantics, "find_regions", find)


def painted(photos: Path, output: Path, *words: str) -> int:
    rocket, coffee = photos / "rocket.png", photos / "coffee.png"
    return main(["stylize", str(rocket), "--style", str(coffee), "-o", str(output), "--method", "photoreal", *words])


@pytest.mark.usefixtures("halves")
def test_regions_found_do_what_the_same_label_maps_do(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = Image.new("RGB", (96, 64), "blue")
    labels.paste("red", (0, 32, 96, 64))
    labels.save(tmp_path / "labels.png")
    maps = ["--regions", str(tmp_path / "labels.png"), "--style-regions", str(tmp_path / "labels.png")]
    assert painted(photos, tmp_path / "maps.png", *maps) == 0
    capsys.readouterr()
    assert painted(photos, tmp_path / "auto.png", "--regions", "auto", "--json") == 0
    account = json.loads(capsys.readouterr().out)
    assert account["settings"]["auto_regions"] is True
    assert "regions found: sky 50% from 50%, ground 50% from 50% of the style" in account["notes"]
    assert (tmp_path / "auto.png").read_bytes() == (tmp_path / "maps.png").read_bytes()
    assert painted(photos, tmp_path / "none.png") == 0
    assert (tmp_path / "auto.png").read_bytes() != (tmp_path / "none.png").read_bytes()


def test_what_cannot_be_paired_is_one_sentence(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, rocket = tmp_path / "out.png", str(photos / "rocket.png")
    assert painted(photos, out, "--regions", "auto", "--style-regions", rocket) == 2
    assert "--regions auto alone" in capsys.readouterr().err
    assert main(["stylize", rocket, "--style", "great-wave", "-o", str(out), "--regions", "auto"]) == 2
    said = capsys.readouterr().err
    assert "exactly one style, and that a picture" in said and said.count("\n") == 1
    assert not out.exists()


@pytest.mark.usefixtures("halves")
def test_a_request_can_ask_for_it() -> None:
    content = Plane("U8", (32, 40, 4), bytearray(torch.randint(0, 255, (32, 40, 4)).to(torch.uint8).numpy().tobytes()))
    style = StyleEntry("mine", picture=content)
    request = StylizeRequest(content, (style,), method="photoreal", auto_regions=True)
    assert StylizeRequest.unpack(b"".join(bytes(part) for part in request.pack())) == request
    result = answer(request, lambda _share, _message: None)
    assert any(note.startswith("regions found: sky 50%") for note in result.report["notes"])
    with pytest.raises(WireError, match="exactly one style"):
        answer(dataclasses.replace(request, styles=(style, style)), lambda _share, _message: None)


def test_an_older_plug_in_asks_for_none() -> None:
    content = Plane("U8", (2, 2, 4), bytes(16))
    frame = b"".join(StylizeRequest(content, (StyleEntry("x", preset="x"),)).pack())
    meta, planes = wire.unpack_frame("request", frame)
    del meta["settings"]["auto_regions"]
    older = b"".join(wire.pack_frame("request", meta, planes))
    assert StylizeRequest.unpack(older).settings["auto_regions"] is False


def picture(rgb: torch.Tensor, alpha: torch.Tensor | None = None) -> Plane:
    """(H, W, 3) bytes as a plane, opaque unless said."""
    alpha = torch.full((*rgb.shape[:2], 1), 255) if alpha is None else alpha[:, :, None] * 255
    pixels = torch.cat([rgb, alpha], 2).to(torch.uint8)
    return Plane("U8", tuple(pixels.shape), bytearray(pixels.numpy().tobytes()))


def flags(height: int, width: int, above: tuple[int, int, int], below: tuple[int, int, int]) -> torch.Tensor:
    """(H, W, 3): two colors, one above the other."""
    rgb = torch.tensor(below).expand(height, width, 3).clone()
    rgb[: height // 2] = torch.tensor(above)
    return rgb


RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)


def means(plane: Plane) -> tuple[list[float], list[float]]:
    """Mean colors of the upper and the lower half."""
    pixels = torch.frombuffer(bytearray(plane.data), dtype=torch.uint8).reshape(plane.shape)[:, :, :3].float()
    half = plane.shape[0] // 2
    return pixels[:half].mean((0, 1)).tolist(), pixels[half:].mean((0, 1)).tolist()


@pytest.fixture
def mapped() -> StylizeRequest:
    """Gray noise is to be painted; the style is yellow above and violet below; the maps cross the halves."""
    torch.manual_seed(0)
    gray = torch.randint(60, 200, (32, 40, 1)).expand(32, 40, 3)
    style = (flags(24, 24, (220, 200, 30), (120, 20, 160)) + torch.randint(-20, 20, (24, 24, 1))).clamp(0, 255)
    return StylizeRequest(
        picture(gray),
        (StyleEntry("mine", picture=picture(style)),),
        method="photoreal",
        labels=picture(flags(32, 40, RED, BLUE)),
        style_labels=picture(flags(48, 12, BLUE, RED)),  # of another size: stretched over the style
    )


def test_label_maps_of_a_request_say_what_feeds_what(mapped: StylizeRequest) -> None:
    upper, lower = means(answer(mapped, lambda _share, _message: None).picture)
    assert upper[2] > upper[1] + 50, "what is red in the map takes from the violet below"
    assert lower[1] > lower[2] + 50, "and what is blue from the yellow above"


def test_what_is_transparent_in_a_label_map_takes_from_the_whole_style(mapped: StylizeRequest) -> None:
    seen = torch.ones(32, 40)
    seen[16:] = 0
    part = dataclasses.replace(mapped, labels=picture(flags(32, 40, RED, BLUE), seen))
    upper, lower = means(answer(part, lambda _share, _message: None).picture)
    assert upper[2] > upper[1] + 50
    assert abs(lower[1] - lower[2]) < 50


def test_label_maps_that_say_nothing_are_one_sentence(mapped: StylizeRequest) -> None:
    empty = picture(flags(32, 40, RED, BLUE), torch.zeros(32, 40))
    stranger = picture(flags(32, 40, GREEN, GREEN))
    noise = picture(torch.randint(0, 4, (128, 160, 3)) * 85)  # 64 colors, all frequent
    content = picture(torch.randint(0, 255, (128, 160, 3)))
    for changes, words in (
        ({"labels": empty}, "is empty"),
        ({"labels": stranger}, "no color in common"),
        ({"labels": noise, "content": content}, "it is no label map"),
        ({"styles": (StyleEntry("wave", preset="great-wave"),)}, "exactly one style"),
    ):
        with pytest.raises(WireError, match=words) as caught:
            answer(dataclasses.replace(mapped, **changes), lambda _share, _message: None)
        assert caught.value.code == "unprocessable" and "\n" not in str(caught.value)
