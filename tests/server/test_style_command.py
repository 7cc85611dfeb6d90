"""``impasto style``, and style files and mixes on the command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from engine.core.types import Settings
from gimp_plugin.wire import Plane, read_style, write_style
from server.cli import main
from server.commands import painting

PAINT = ["stylize", "{0}/photo.png", "-o", "{0}/o.png", "--style", "{0}/style.png"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photo.png, style.png (coffee), other.png (a rocket), and coffee.impasto-style, saved from style.png."""
    made = tmp_path_factory.mktemp("pictures")
    Image.fromarray(data.chelsea()).resize((120, 80)).save(made / "photo.png")
    Image.fromarray(data.coffee()).resize((300, 200)).save(made / "style.png")
    Image.fromarray(data.rocket()).resize((300, 200)).save(made / "other.png")
    assert main(save_words(made, "coffee")) == 0
    return made


def save_words(folder: Path, name: str, *more: str) -> list[str]:
    output = str(folder / f"{name}.impasto-style")
    return [
        "style",
        "save",
        str(folder / "style.png"),
        "--title",
        "Coffee",
        "--artist",
        "Rachel M.",
        "-o",
        output,
        *more,
    ]


def painted(folder: Path, tmp_path: Path, *words: str) -> np.ndarray:
    assert main(["stylize", str(folder / "photo.png"), "-o", str(tmp_path / "out.png"), *words]) == 0
    with Image.open(tmp_path / "out.png") as image:
        return np.array(image).astype(float)


def styles(folder: Path, *names: str) -> list[str]:
    return [word for name in names for word in ("--style", str(folder / name) if "." in name else name)]


def test_a_style_file_paints_what_its_picture_paints(folder: Path, tmp_path: Path) -> None:
    by_file = painted(folder, tmp_path, *styles(folder, "coffee.impasto-style"))
    np.testing.assert_array_equal(by_file, painted(folder, tmp_path, *styles(folder, "style.png")))


def test_what_was_saved_is_shown(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "coffee.impasto-style"
    assert main(["style", "show", str(path)]) == 0
    said = capsys.readouterr().out
    assert "Coffee, Rachel M." in said and "300 x 200 pixels" in said and "this version" in said
    assert main(["style", "show", str(path), "--json", "--swatch", str(tmp_path / "swatch.png")]) == 0
    account = json.loads(capsys.readouterr().out)
    assert account["title"] == "Coffee" and account["is_of_this_network"] and account["bytes"] == path.stat().st_size
    with Image.open(tmp_path / "swatch.png") as swatch, Image.open(folder / "style.png") as picture:
        assert np.abs(np.array(swatch).astype(float) - np.array(picture)).mean() < 3


def test_without_a_title_the_files_name_is_it(folder: Path, tmp_path: Path) -> None:
    words = ["style", "save", str(folder / "style.png"), "-o", str(tmp_path / "x.impasto-style")]
    assert main(words) == 0 and read_style(tmp_path / "x.impasto-style").title == "style"


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "coffee.impasto-style"
    path.write_text("mine")
    words = [*save_words(folder, "coffee")[:-1], str(path)]
    assert main(words) == 1 and "is there already" in capsys.readouterr().err and path.read_text() == "mine"
    assert main([*words, "--replace"]) == 0 and read_style(path).title == "Coffee"


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["style", "save", "{0}/style.png", "-o", "{0}/x.png"], 1, "ends in .impasto-style"),
        (["style", "save", "{0}/missing.png", "-o", "{0}/x.impasto-style"], 1, "There is no file"),
        (["style", "show", "{0}/style.png"], 1, "no style of Impasto"),
        (["style", "show", "{0}/missing.impasto-style"], 1, "There is no style file"),
        (["stylize", "{0}/photo.png", "-o", "{0}/o.png", "--style", "{0}/broken.impasto-style"], 1, "damaged"),
        ([*PAINT, "--mix", "0.5"], 2, "two styles"),
        ([*PAINT, "--style", "great-wave", "--mix", "1.5"], 2, "from 0 to 1"),
        ([*PAINT, "--style", "great-wave", "--mix", "0.5", "--style-weights", "1,2"], 2, "no --style-weights"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_sentence(
    folder: Path, words: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (folder / "coffee.impasto-style").read_bytes()
    (folder / "broken.impasto-style").write_bytes(whole[:-9])
    assert main([word.format(folder) for word in words]) == status
    said = capsys.readouterr().err.strip()
    assert sentence in said and "\n" not in said


def test_a_mix_is_the_blend_of_its_shares(folder: Path, tmp_path: Path) -> None:
    two = styles(folder, "coffee.impasto-style", "great-wave")
    mixed = painted(folder, tmp_path, *two, "--mix", "0.25")
    np.testing.assert_array_equal(mixed, painted(folder, tmp_path, *two, "--style-weights", "0.75,0.25"))
    first, second = (
        painted(folder, tmp_path, *styles(folder, name)) for name in ("coffee.impasto-style", "great-wave")
    )
    np.testing.assert_array_equal(painted(folder, tmp_path, *two, "--mix", "0"), first)
    np.testing.assert_array_equal(painted(folder, tmp_path, *two, "--mix", "1"), second)
    assert np.abs(mixed - first).mean() > 1 and np.abs(mixed - second).mean() > 1


def test_a_file_of_another_network_is_painted_by_its_picture_and_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = read_style(folder / "coffee.impasto-style")
    zeros = Plane("F32", saved.code.shape, bytes(len(saved.code.data)))
    write_style(tmp_path / "old.impasto-style", dataclasses.replace(saved, network="anystyle:" + "0" * 32, code=zeros))
    capsys.readouterr()
    by_old = painted(folder, tmp_path, "--style", str(tmp_path / "old.impasto-style"))
    assert "another version of the network" in capsys.readouterr().out
    assert np.abs(by_old - painted(folder, tmp_path, *styles(folder, "style.png"))).mean() < 2


def test_a_running_engine_gets_the_code(folder: Path) -> None:
    notes: list[str] = []
    style = painting.read_style(str(folder / "coffee.impasto-style"), 0.5, 2048, notes)
    content = painting.read_style(str(folder / "photo.png"), 1.0, 2048, notes).picture
    assert content is not None
    request = painting.request_of(painting.Work(content, [style], None, None, [None], notes), Settings())
    (entry,) = request.styles
    saved = read_style(folder / "coffee.impasto-style")
    assert (entry.code, entry.network, entry.weight) == (saved.code, saved.network, 0.5)


def test_a_folder_is_painted_in_a_style_file_and_again_when_the_mix_changes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    Image.open(folder / "photo.png").save(tmp_path / "in" / "a.png")
    words = ["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--json"]
    words += styles(folder, "coffee.impasto-style", "great-wave")

    def n_painted(*more: str) -> int:
        capsys.readouterr()
        assert main([*words, *more]) == 0
        return len(json.loads(capsys.readouterr().out)["pictures"])

    assert [n_painted("--mix", "0.5"), n_painted("--mix", "0.5"), n_painted("--mix", "0.6")] == [1, 0, 1]
