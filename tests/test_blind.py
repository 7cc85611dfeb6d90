"""Blind sheets: the key tells who painted what, the sheets do not, and rankings become win rates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import blind


def test_the_key_tells_which_column_is_whose(tmp_path: Path) -> None:
    """Painters of one color each: the sheet's columns have the colors of the key's order, on every sheet."""
    colors = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}
    pictures = [tmp_path / kind / f"{kind}{i}.png" for kind in ("photo", "style") for i in range(3)]
    for path in pictures:
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), "gray").save(path)
    for name, color in colors.items():
        (tmp_path / name).mkdir()
        for i in range(3):
            for j in range(3):
                Image.new("RGB", (40, 30), color).save(tmp_path / name / f"photo{i}_style{j}.png")
    words = ["make", str(tmp_path / "sheets"), "--key", str(tmp_path / "key.json"), "--photos", str(tmp_path / "photo")]
    words += ["--art", str(tmp_path / "style"), "--size", "40", "--pairs", "6", "--painted"]
    assert blind.main([*words, *(f"{name}={tmp_path / name}" for name in colors)]) == 0
    key = json.loads((tmp_path / "key.json").read_text("utf-8"))
    assert len(key) == 6 and len({tuple(order) for order in key.values()}) > 1
    for sheet, names in key.items():
        with Image.open(tmp_path / "sheets" / f"{sheet}.png") as picture:
            assert [picture.getpixel((20 + 46 * i, 40)) for i in range(3)] == [colors[name] for name in names]


def test_rankings_become_mean_ranks_and_win_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key.json").write_text(json.dumps({"sheet-01": ["x", "y"], "sheet-02": ["y", "x"]}), "utf-8")
    (tmp_path / "one").write_text("sheet-01: A B\nsheet-02: A B\n", "utf-8")
    (tmp_path / "two").write_text("sheet-01: A B\n\nsheet-02: B A\n", "utf-8")
    assert blind.main(["score", *(str(tmp_path / name) for name in ("key.json", "one", "two"))]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[2] == "| x | 1.25 |  | 75 % of 4 |"
    assert table[3] == "| y | 1.75 | 25 % of 4 |  |"


@pytest.mark.parametrize("line", ["sheet-02: A B", "sheet-01: A A", "sheet-01: A"])
def test_a_line_that_ranks_nothing_is_refused(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key.json").write_text(json.dumps({"sheet-01": ["x", "y"]}), "utf-8")
    (tmp_path / "one").write_text(line, "utf-8")
    assert blind.main(["score", str(tmp_path / "key.json"), str(tmp_path / "one")]) == 1
    assert line in capsys.readouterr().err
