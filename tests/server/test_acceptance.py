"""What cannot be painted is refused before it is queued; no answer names a file of this computer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import methods
from engine.errors import InputError, ResourceError, SettingsError, WeightsError
from engine.types import WEIGHTS
from gimp_plugin.wire import Plane, StyleEntry, StylizeRequest, WireError
from gimp_plugin.wire.stylize import MAX_WEIGHT, MIN_WEIGHT
from server import convert, intake
from server.painter import Painter, catalog
from server.terms import in_wire_terms, without_folders

PIXELS = Plane("U8", (40, 60, 4), bytes(range(240)) * 40)
CATALOG = json.loads(json.dumps(catalog()))  # as it crosses the pipe


def a_request(**changes: Any) -> StylizeRequest:
    return StylizeRequest(PIXELS, (StyleEntry("s", picture=PIXELS),), **changes)


def check_request(request: StylizeRequest, catalog: dict[str, Any] | None) -> None:
    """As the supervisor judges the frame."""
    frame = b"".join(bytes(part) for part in request.pack())
    intake.check(frame, len(frame), catalog)


def answer_of(check: Callable[[], object]) -> str | None:
    """The code of the refusal, None if there is none; its sentence names no path."""
    try:
        check()
    except WireError as error:
        assert "/" not in error.message and "Traceback" not in error.message
        return error.code
    return None


REFUSED: list[dict[str, Any]] = [
    {"method": "nope"},
    {"method": "\x1b[31m" * 1000},
    {"options": {"nope": 1}},
    {"method": "gatys", "options": {"iterations": "many"}},
    {"method": "gatys", "options": {"iterations": -1}},
    {"method": "gatys", "options": {"iterations": 2.5}},
    {"method": "gatys", "options": {"optimizer": "sgd"}},
    {"method": "gatys", "options": {"optimizer": 5}},
    {"method": "photoreal", "options": {"detail": "0.7x"}},
    {"method": "photoreal", "options": {"detail": 7}},
    {"method": "johnson", "options": {"model": "/etc/passwd"}},
    {"method": "johnson", "options": {"model": "..\\x"}},
    {"method": "johnson", "options": {"model": "a\x1bb"}},
    {"method": "analogy", "options": {"pair": "/home/a/x.png"}},
]
TAKEN: list[dict[str, Any]] = [
    {},
    {"method": "gatys", "options": {"iterations": "7"}},
    {"method": "gatys", "options": {"iterations": 7.0, "optimizer": "adam"}},
    {"method": "photoreal", "options": {"detail": "0.5"}},
    {"method": "johnson", "options": {"model": ""}},
]


@pytest.mark.parametrize("changes", REFUSED)
def test_the_supervisor_refuses_what_the_engine_would(changes: dict[str, Any]) -> None:
    assert answer_of(lambda: check_request(a_request(**changes), CATALOG)) == "unprocessable"

    def ask_the_engine() -> None:
        with in_wire_terms():
            convert.settings_of(a_request(**changes))

    assert answer_of(ask_the_engine) == "unprocessable"


@pytest.mark.parametrize("changes", TAKEN)
def test_the_supervisor_takes_what_the_engine_takes(changes: dict[str, Any]) -> None:
    check_request(a_request(**changes), CATALOG)
    convert.settings_of(a_request(**changes))


def test_wire_and_engine_take_the_same_weights() -> None:
    assert WEIGHTS == (MIN_WEIGHT, MAX_WEIGHT)


def test_a_preset_that_there_is_not_is_refused() -> None:
    request = replace(a_request(), styles=(StyleEntry("x", preset="/etc/passwd' x"),))
    with pytest.raises(WireError, match="There is no style preset"):
        check_request(request, CATALOG)
    check_request(request, None)  # nothing is known yet: the worker will say so


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with a space in its name, and somebody's file beside the engine."""
    folder = tmp_path / "my models"
    folder.mkdir()
    monkeypatch.setenv("IMPASTO_MODELS", str(folder))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("secret")
    (tmp_path / "secret.pth").write_text("secret")
    (folder / "notes.txt").write_text("no network")
    (folder / "mine.pth").write_text("no network")
    return folder


@pytest.mark.parametrize("name", ["README.md", "secret.pth", "secret", "notes.txt", "..", ".", "mine.pth\n", "missing"])
def test_a_request_names_networks_of_the_models_folder_and_no_file(models: Path, name: str) -> None:
    with pytest.raises((WireError, SettingsError)) as caught:
        convert.settings_of(a_request(method="johnson", options={"model": name}))
    assert str(models.parent) not in str(caught.value)


def test_a_network_of_the_models_folder_is_found_by_name(models: Path) -> None:
    for name in ("mine", "mine.pth"):
        settings = convert.settings_of(a_request(method="cyclegan", options={"model": name}))
        assert settings.options["model"] == str(models / "mine.pth")


@pytest.mark.parametrize(("method", "options"), [("cyclegan", {}), ("cyclegan", {"model": "mine"}), ("discogan", {})])
def test_no_answer_of_the_worker_names_a_path(
    models: Path, tmp_path: Path, method: str, options: dict[str, Any]
) -> None:
    path = tmp_path / "x.request"
    path.write_bytes(b"".join(bytes(part) for part in a_request(method=method, options=options).pack()))
    with pytest.raises(WireError) as caught:
        Painter().paint(path, tmp_path / "x.result", lambda _share, _text: None)
    assert str(tmp_path) not in caught.value.message and "my models" not in caught.value.message
    assert "/" not in caught.value.message.replace("A_DIR/", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("There is no file /home/anna/x y.pth.", None),
        ("/home/anna/x.pth is not the published file.", "x.pth is not the published file."),
        (r"C:\Users\anna\x.pth is damaged.", "x.pth is damaged."),
        ("put it into ~/models, please", "put it into models, please"),
        ("1/2 of it; fast/better", "1/2 of it; fast/better"),
    ],
)  # fmt: skip
def test_sentences_keep_the_names_of_files_and_lose_their_folders(text: str, expected: str | None) -> None:
    found = without_folders(text)
    assert "anna" not in found and (expected is None or found == expected)


def test_folders_are_named_by_what_they_are(models: Path) -> None:
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    assert without_folders(f"neither as a file nor in {models} (it is empty).") == (
        "neither as a file nor in the models folder (it is empty)."
    )
    assert without_folders(f"{models}/mine.pth is damaged: put it into {hub} yourself") == (
        "mine.pth is damaged: put it into PyTorch's folder of checkpoints yourself"
    )


@pytest.mark.parametrize("kind", [InputError, SettingsError, ResourceError, WeightsError])
def test_every_error_of_the_engine_loses_its_paths_on_the_way(kind: type[Exception]) -> None:
    with pytest.raises(WireError) as caught, in_wire_terms():
        raise kind("There is no file /home/anna/x.pth.")
    assert caught.value.message == "There is no file x.pth."


def test_every_text_option_that_reads_the_disk_says_so() -> None:
    """A new method whose option names a file must not let a request open it."""
    for info in methods.catalog():
        for option in info.options:
            if isinstance(option.default, str) and ("file" in option.meaning or "folder" in option.meaning):
                assert option.names in ("network", "file"), (info.name, option.name)
