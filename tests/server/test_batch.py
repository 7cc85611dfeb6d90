"""``impasto batch``: every picture gets painted, what is none is named, and one bad file stops nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from server.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """a.png and b.jpg (a cat), broken.png, notes.txt; style.png beside the folder."""
    made = tmp_path / "photos"
    made.mkdir()
    cat = Image.fromarray(data.chelsea())
    cat.resize((96, 64)).save(made / "a.png")
    cat.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((80, 64)).save(made / "b.jpg")
    (made / "broken.png").write_bytes(b"no picture")
    (made / "notes.txt").write_text("remember the milk")
    Image.fromarray(data.coffee()).resize((96, 64)).save(tmp_path / "style.png")
    return made


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def batch(folder: Path, *words: str) -> int:
    style = str(folder.parent / "style.png")
    return main(["batch", str(folder), "--style", style, "-o", str(folder.parent / "out"), *words])


@pytest.mark.slow
def test_pictures_keep_their_names_and_sizes_and_a_bad_file_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(folder) == 1
    told = capsys.readouterr()
    sizes = {path.name: pixels(path).shape[1::-1] for path in (folder.parent / "out").iterdir()}
    assert sizes == {"a.png": (96, 64), "b.jpg": (80, 64)}
    assert told.err.count("\n") == 1 and told.err.startswith("broken.png: ")
    assert "left out: notes.txt" in told.out and "2 of 3 pictures painted" in told.out


def test_everything_is_told_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert batch(folder, "--json", "--consistent") == 1
    account = json.loads(capsys.readouterr().out)
    assert [Path(p["output"]).name for p in account["pictures"]] == ["a.png", "b.jpg"]
    assert [Path(p["content"]).name for p in account["failed"]] == ["broken.png"]
    assert [Path(p).name for p in account["skipped"]] == ["notes.txt"]
    strengths = {p["strength"] for p in account["pictures"]}
    assert account["consistent"] is True and len(strengths) == 1


def test_a_picture_alone_is_painted_as_by_stylize(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.png").unlink()
    assert batch(folder) == 0
    style = str(tmp_path / "style.png")
    assert main(["stylize", str(folder / "a.png"), "--style", style, "-o", str(tmp_path / "alone.png")]) == 0
    assert np.array_equal(pixels(tmp_path / "alone.png"), pixels(tmp_path / "out" / "a.png"))


def test_folders_that_cannot_be_used_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    style = ("--style", str(folder.parent / "style.png"))
    (folder.parent / "empty").mkdir()
    for words, message in (
        ((str(folder), "-o", str(folder)), "cannot take the results"),
        ((str(folder / "a.png"), "-o", "out"), "There is no folder"),
        ((str(folder.parent / "empty"), "-o", str(folder.parent / "out")), "There is no picture"),
    ):
        assert main(["batch", *words, *style]) == 1
        assert message in capsys.readouterr().err
    (folder / "a.bmp").write_bytes((folder / "a.png").read_bytes())
    (folder / "a.gif").write_bytes((folder / "a.png").read_bytes())
    assert batch(folder) == 1
    assert "would have the same name" in capsys.readouterr().err


def test_what_is_wrong_for_all_of_them_stops_before_the_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert batch(folder, "--method", "sepia") == 2
    assert batch(folder, "--method", "photoreal", "--consistent") == 2
    assert "of the method anystyle" in capsys.readouterr().err
    assert not (folder.parent / "out").exists()


@pytest.fixture
def tree(folder: Path) -> Path:
    """Two pictures more, in folders within the folder; nothing broken."""
    (folder / "broken.png").unlink()
    (folder / "2024" / "sea").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name in ("2024/sea/a.png", "2024/c.png", ".hidden/d.png"):
        (folder / name).write_bytes((folder / "a.png").read_bytes())
    return folder


RESULTS = ["2024/c.png", "2024/sea/a.png", "a.png", "b.jpg"]


def results(out: Path) -> dict[str, int]:
    """Of each result, when it was written."""
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in sorted(out.rglob("*")) if path.is_file()}


def test_folders_within_the_folder_are_painted_too(tree: Path) -> None:
    out = tree / "painted"  # where results lie is no place to look for pictures
    words = ["batch", str(tree), "--style", str(tree.parent / "style.png"), "-o", str(out)]
    assert main(words) == 0 and list(results(out)) == RESULTS
    assert main(words) == 0 and list(results(out)) == RESULTS


def test_what_is_done_is_left_as_it_is(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tree.parent / "out"
    assert batch(tree) == 0
    first = results(out)
    (out / "a.png").unlink()
    whole = (out / "b.jpg").read_bytes()
    (out / "b.jpg").write_bytes(whole[:-100])
    capsys.readouterr()
    assert batch(tree, "--json") == 0
    account = json.loads(capsys.readouterr().out)
    assert sorted(Path(done["output"]).name for done in account["pictures"]) == ["a.png", "b.jpg"]
    assert len(account["before"]) == 2
    second = results(out)
    assert {name for name in RESULTS if first[name] == second[name]} == {"2024/c.png", "2024/sea/a.png"}
    assert (out / "b.jpg").read_bytes() == whole


def test_other_settings_another_photo_and_again_paint_again(tree: Path) -> None:
    out = tree.parent / "out"
    assert batch(tree) == 0
    first = results(out)
    with Image.open(tree / "2024" / "c.png") as image:
        image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(tree / "2024" / "c.png")
    assert batch(tree) == 0
    second = results(out)
    assert [name for name in RESULTS if first[name] != second[name]] == ["2024/c.png"]
    assert batch(tree, "--color", "luminance") == 0
    third = results(out)
    assert all(second[name] != third[name] for name in RESULTS)
    assert batch(tree, "--color", "luminance", "--again") == 0
    assert all(third[name] != when for name, when in results(out).items())


def test_results_take_no_pictures_place(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = results(tree)
    (tree / "2024" / "2024").mkdir()
    (tree / "2024" / "2024" / "c.png").write_bytes((tree / "a.png").read_bytes())
    words = ["--style", str(tree.parent / "style.png"), "-o", str(tree)]
    assert main(["batch", str(tree / "2024"), *words]) == 1
    assert "is one of the pictures" in capsys.readouterr().err
    assert {name: when for name, when in results(tree).items() if name in before} == before


def test_a_folder_of_heic_names_the_format(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.files import formats

    monkeypatch.setattr(formats, "readable_formats", lambda: ("PNG", "JPEG"))
    (tmp_path / "phone").mkdir()
    for name in ("IMG_1.HEIC", "IMG_2.heic"):
        (tmp_path / "phone" / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    assert main(["batch", str(tmp_path / "phone"), "--style", str(tmp_path / "style.png"), "-o", "out"]) == 1
    said = capsys.readouterr().err
    assert "IMG_1.HEIC is a HEIC picture: install pillow-heif" in said and said.count("\n") == 1
    (folder / "x.heic").write_bytes((tmp_path / "phone" / "IMG_1.HEIC").read_bytes())
    assert batch(folder) == 1
    said = capsys.readouterr().err
    assert "x.heic: x.heic is a HEIC picture" in said and (tmp_path / "out" / "a.png").exists()
