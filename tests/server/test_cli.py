"""The command line keeps its contract: what it writes, what it says, and its exit status."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from gimp_plugin.wire import read_endpoint
from server import terminal
from server.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photo.png (a cat, 160x112), style.png (coffee), mask.png (left half), labels.png, style-labels.png."""
    made = tmp_path_factory.mktemp("pictures")
    Image.fromarray(data.chelsea()).resize((160, 112)).save(made / "photo.png")
    Image.fromarray(data.coffee()).resize((150, 100)).save(made / "style.png")
    mask = np.repeat([255, 128, 0], [60, 20, 80])[None].repeat(112, 0).astype(np.uint8)
    Image.fromarray(mask).save(made / "mask.png")
    for name, width, height in (("labels.png", 160, 112), ("style-labels.png", 150, 100)):
        labels = np.zeros((height, width, 3), np.uint8)
        labels[: height // 2] = [255, 0, 0]
        Image.fromarray(labels).save(made / name)
    return made


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of our own, so that the user's engine stays out of it."""
    monkeypatch.setenv("IMPASTO_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def stylize(folder: Path, output: Path, *words: str) -> int:
    return main(["stylize", str(folder / "photo.png"), "--style", str(folder / "style.png"), "-o", str(output), *words])


def test_help_needs_neither_torch_nor_numpy() -> None:
    code = "import sys, server.cli; print(sorted({'torch', 'numpy', 'PIL', 'uvicorn', 'gradio'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "[]", answer.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell what a child has used")
def test_help_is_quick() -> None:
    """0.3 s of a processor; the clock on the wall also counts what other programs take."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "server.cli", "--help"], cwd=ROOT, capture_output=True, check=True)
    after = os.times()
    used_s = after.children_user + after.children_system - before.children_user - before.children_system
    assert used_s < 0.3


def test_a_picture_is_painted(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize(folder, tmp_path / "out.png") == 0
    painted, photo = pixels(tmp_path / "out.png").astype(int), pixels(folder / "photo.png").astype(int)
    assert painted.shape == photo.shape
    assert np.abs(painted - photo).mean() > 5
    said = capsys.readouterr()
    assert "out.png" in said.out and said.err == ""


def test_the_report_says_settings_seconds_and_memory(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--color", "luminance", "--photoreal", "0.5", "--strength", "0.8", "--seed", "7", "--json")
    assert stylize(folder, tmp_path / "out.png", *words) == 0
    report = json.loads(capsys.readouterr().out)
    settings = report["settings"]
    assert (settings["color"], settings["photoreal"], settings["strength"], settings["seed"]) == (
        "luminance", 0.5, 0.8, 7,
    )  # fmt: skip
    stages = report["seconds"]
    assert {"read", "paint", "color", "smooth", "composite", "write", "total"} <= set(stages)
    assert sum(seconds for stage, seconds in stages.items() if stage != "total") <= stages["total"] + 0.05
    assert report["peak_bytes"] > 50e6 or sys.platform == "win32"
    assert report["method"] == "anystyle" and report["output"] == str(tmp_path / "out.png")


def test_outside_the_mask_nothing_moves(folder: Path, tmp_path: Path) -> None:
    assert stylize(folder, tmp_path / "out.png", "--mask", str(folder / "mask.png")) == 0
    painted, photo = pixels(tmp_path / "out.png"), pixels(folder / "photo.png")
    assert np.array_equal(painted[:, 80:], photo[:, 80:])
    assert np.abs(painted[:, :60].astype(int) - photo[:, :60]).mean() > 5


def test_the_edge_of_the_mask_is_drawn_as_asked(folder: Path, tmp_path: Path) -> None:
    """Half gray counts as inside: hard, it is painted in full, and a found edge stays near."""
    photo, words = pixels(folder / "photo.png").astype(int), ("--mask", str(folder / "mask.png"), "--blend")
    moved = {}
    for blend in ("feather", "hard", "mrf"):
        assert stylize(folder, tmp_path / "out.png", *words, blend) == 0
        moved[blend] = np.abs(pixels(tmp_path / "out.png") - photo).mean((0, 2))  # by column
    assert moved["feather"][60:80].mean() < 0.7 * moved["hard"][60:80].mean()
    assert all(columns[-60:].max() == 0 for columns in moved.values())
    assert moved["feather"][80:].max() == moved["hard"][80:].max() == 0


def test_the_same_seed_gives_the_same_file(folder: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        assert stylize(folder, tmp_path / name) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_presets_and_pictures_blend_by_weight(folder: Path, tmp_path: Path) -> None:
    """A blend that is nearly all picture is near the picture's own result, and one that is nearly all preset is not."""
    assert stylize(folder, tmp_path / "alone.png") == 0
    distances = []
    for shares in ("0.999,0.001", "0.001,0.999"):
        blend = ("--style", "starry-night", "--style-weights", shares)
        assert stylize(folder, tmp_path / "blend.png", *blend) == 0
        distances.append(np.abs(pixels(tmp_path / "blend.png").astype(int) - pixels(tmp_path / "alone.png")).mean())
    assert distances[0] < 1 < 5 * distances[0] + 1 < distances[1]


def test_regions_of_the_same_color_feed_each_other(folder: Path, tmp_path: Path) -> None:
    regions = ("--regions", str(folder / "labels.png"), "--style-regions", str(folder / "style-labels.png"))
    assert stylize(folder, tmp_path / "whole.png") == 0
    assert stylize(folder, tmp_path / "parts.png", *regions) == 0
    assert not np.array_equal(pixels(tmp_path / "parts.png"), pixels(tmp_path / "whole.png"))


WRONG_USAGE = [
    (["--strength", "2"], "strength must be from 0 to 1, not 2.0"),
    (["--photoreal", "-1"], "photoreal must be from 0 to 1"),
    (["--style-size", "8"], "style_size_px must be from 32 to 8192"),
    (["--method", "nonesuch"], "There is no method 'nonesuch'"),
    (["--style-weights", "1,2"], "1 styles but 2 style weights"),
    (["--style-weights", "0"], "must be above 0"),
    (["--regions", "labels.png"], "belong together"),
    (["--engine", "http://example.org:80"], "address of an engine on this computer"),
    (["--engine", "https://127.0.0.1:80"], "address of an engine on this computer"),
    (["--engine", "http://127.0.0.1:notaport"], "address of an engine on this computer"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG_USAGE)
def test_wrong_usage_is_status_2_and_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert stylize(folder, tmp_path / "out.png", *words) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("words", [[], ["paint"], ["stylize"], ["stylize", "a.png", "-o", "b.png"], ["models"]])
def test_what_cannot_be_parsed_is_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: impasto" in capsys.readouterr().err


FAILURES = [
    (["nothere.png", "--style", "style.png"], "There is no file"),
    (["photo.png", "--style", "nothere.png"], "There is no style picture"),
    (["photo.png", "--style", "starry-nite"], "Did you mean starry-night"),
    (["photo.png", "--style", "zzzzqqqq"], "`impasto catalog` lists the presets"),
    (["photo.png", "--style", "no-such"], "`impasto catalog` lists the presets"),
    (["photo.png", "--style", "style.png", "--mask", "style.png"], "must have the same size"),
    (["photo.png", "--style", "style.png", "--mask", "black.png"], "selects nothing"),
    (["photo.png", "--style", "style.png", "--regions", "labels.png", "--style-regions", "labels.png"], "same size"),
]


@pytest.mark.parametrize(("words", "sentence"), FAILURES)
def test_failures_are_status_1_and_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    words: list[str], sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    Image.new("L", (160, 112)).save(folder / "black.png")
    assert main(["stylize", *words, "-o", str(tmp_path / "out.png")]) == 1
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_an_output_that_cannot_be_written_is_refused_before_painting(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.painting.stylize", lambda *_a, **_k: pytest.fail("it was painted"))
    assert stylize(folder, tmp_path / "out.xyz") == 1
    assert stylize(folder, tmp_path / "missing" / "out.png") == 1
    assert "no extension that says a format" in capsys.readouterr().err


def test_an_interrupt_is_status_130_without_a_traceback(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_a: Any, **_k: Any) -> None:
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have us ignore it
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, before)

    monkeypatch.setattr("server.commands.painting.stylize", interrupted)
    assert stylize(folder, tmp_path / "out.png") == 130
    assert capsys.readouterr().err.strip() == "Stopped."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pipes of this kind")
def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    answer = subprocess.run(
        [sys.executable, "-m", "server.cli", "catalog"], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert answer.returncode == 1 and answer.stderr == b""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "MIN_INTERVAL_S", 0)
    for stream, is_drawn in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with terminal.progress_bar() as bar:
            bar(0.5, "Painting")
        drawn = stream.getvalue()
        assert ("50% Painting" in drawn) == is_drawn
        assert drawn.endswith("\r") == is_drawn and not drawn.rpartition("\r")[0].rpartition("\r")[2].strip()


def test_methods_and_catalog_are_the_engines(capsys: pytest.CaptureFixture[str]) -> None:
    from engine import methods
    from engine.files import presets

    assert main(["catalog"]) == 0
    catalog = json.loads(capsys.readouterr().out)
    assert [method["name"] for method in catalog["methods"]] == [info.name for info in methods.catalog()]
    assert [style["name"] for style in catalog["styles"]] == [preset.name for preset in presets.presets()]
    assert set(catalog) == {"version", "methods", "settings", "styles", "segment_models"}
    assert main(["methods", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == catalog["methods"]
    assert main(["methods"]) == 0
    said = capsys.readouterr().out
    assert all(info.title in said for info in methods.catalog())


def test_damaged_weights_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.models import shipped

    assert main(["models", "list"]) == 0
    assert "anystyle" in capsys.readouterr().out
    assert main(["models", "verify"]) == 0
    capsys.readouterr()
    shutil.copytree(shipped.FOLDER, tmp_path / "weights")
    path = tmp_path / "weights" / "anystyle.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[-100] ^= 1
    path.write_bytes(damaged)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "weights")
    assert main(["models", "verify"]) == 1
    assert "anystyle.safetensors are damaged" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["99999", "-1", "http", "\u0661"])
def test_a_port_that_is_none_is_refused_in_words(capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", f"--port={port}"])
    assert ended.value.code == 2
    assert "is no port: 0 (the system chooses) to 65535" in capsys.readouterr().err


def test_train_lists_its_networks_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    assert "anystyle" in capsys.readouterr().out
    assert main(["train", "nonesuch"]) == 2
    assert "no training for 'nonesuch'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["train", "anystyle", "--help"])
    assert ended.value.code == 0
    assert "usage: impasto train anystyle" in capsys.readouterr().out


def test_doctor_finds_what_is_well_and_what_is_not(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for word in ("PyTorch", "torchvision", "Weights anystyle", "in no GIMP yet", "not running", "All is well."):
        assert word in said
    lost = state / "GIMP" / "3.0" / "plug-ins" / "impasto"
    (state / "install.json").write_text(json.dumps({"plugins": [{"folder": str(lost)}]}))
    assert main(["doctor"]) == 1
    assert f"BAD Plug-in            {lost} has lost it" in capsys.readouterr().out
    lost.mkdir(parents=True)
    (lost / "impasto.py").touch(0o755)
    (lost / "engine.json").write_text(json.dumps({"command": [str(state / "gone")]}))
    assert main(["doctor"]) == 1
    assert "which is gone" in capsys.readouterr().out
    (lost / "engine.json").write_text(json.dumps({"command": [sys.executable]}))
    assert main(["doctor"]) == 1
    assert "is not of this version" in capsys.readouterr().out


@pytest.fixture
def engine_url(state: Path) -> Iterator[str]:
    """A real engine, started as the plug-in starts it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "serve", "--idle-exit-s", "120"], cwd=ROOT, stdin=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while (endpoint := read_endpoint(state)) is None:
            assert process.poll() is None, "the engine ended"
            assert time.monotonic() < deadline, "the engine did not start"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{endpoint.port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_a_running_engine_paints_the_same(
    folder: Path, tmp_path: Path, engine_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--mask", str(folder / "mask.png"), "--color", "match", "--json")
    assert stylize(folder, tmp_path / "here.png", *words) == 0
    assert stylize(folder, tmp_path / "there.png", *words, "--engine", engine_url) == 0
    here, there = (pixels(tmp_path / name).astype(int) for name in ("here.png", "there.png"))
    apart = np.abs(here - there)  # another process may sum in another order, and bfloat16 makes a step of that
    assert apart.max() <= 2 and apart.mean() < 0.1
    assert np.array_equal(there[:, 80:], pixels(folder / "photo.png")[:, 80:])
    assert json.loads(capsys.readouterr().out.partition("\n}\n")[2])["method"] == "anystyle"
    maps = ("--regions", str(folder / "labels.png"), "--style-regions", str(folder / "style-labels.png"), "--json")
    for name, more in (("here", maps), ("there", (*maps, "--engine", engine_url)), ("plain", ())):
        assert stylize(folder, tmp_path / f"{name}.png", *more) == 0
    here, there, plain = (pixels(tmp_path / f"{name}.png").astype(int) for name in ("here", "there", "plain"))
    assert np.abs(here - there).mean() < 0.5 and np.abs(here - plain).mean() > 1  # one may have timed bfloat16 faster
    capsys.readouterr()
    assert stylize(folder, tmp_path / "out.png", "--engine", engine_url, "--backbone", "vgg19") == 2
    assert "--backbone cannot be sent" in capsys.readouterr().err
    words = ("--method", "gatys", "--option", "iterations=3", "--size", "100", "--json")
    assert stylize(folder, tmp_path / "out.png", "--engine", engine_url, *words) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["options"]["iterations"], max(report["size"])) == (3, 100)
    assert stylize(folder, tmp_path / "out.png", "--engine", "http://127.0.0.1:9") == 1
    assert "No engine of yours runs at http://127.0.0.1:9" in capsys.readouterr().err


def test_without_an_engine_it_says_so(
    folder: Path, tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stylize(folder, tmp_path / "out.png", "--engine", "http://127.0.0.1:8765") == 1
    assert "start one with impasto serve" in capsys.readouterr().err


def test_options_of_a_method_are_taken_and_checked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "gatys", "--option", "iterations=3", "--option", "statistic=linear", "--json")
    assert stylize(folder, tmp_path / "out.png", *words) == 0
    assert json.loads(capsys.readouterr().out)["options"]["statistic"] == "linear"
    assert stylize(folder, tmp_path / "out.png", "--method", "gatys", "--option", "brush=3") == 2
    assert "no option 'brush'; its options are statistic" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        stylize(folder, tmp_path / "out.png", "--option", "brush")


@pytest.mark.parametrize("method", ["anystyle", "gatys"])
def test_a_backbone_that_is_not_there_is_told_before_anything_is_painted(
    folder: Path, tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone.safetensors"
    assert stylize(folder, tmp_path / "out.png", "--method", method, "--backbone", str(gone)) == 2
    assert f"{str(gone)!r}: there is no such file" in capsys.readouterr().err and not (tmp_path / "out.png").exists()
