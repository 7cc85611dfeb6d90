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

from engine import stylize as pipeline
from engine.types import Mask, Picture, Region
from gimp_plugin import wire
from gimp_plugin.wire import Plane, StyleEntry, StylizeRequest, WireError
from server.cli import main
from server.painter import answer


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
    assert StylizeRequest.unpack(older).auto_regions is False
