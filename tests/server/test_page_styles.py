"""Styles on the web page: style files are taken and made, and a second painting is mixed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gimp_plugin.wire import read_style, write_style
from tests.gimp_plugin.test_style_file import a_style
from tests.server.running_engine import RunningEngine, wait_until
from tests.server.test_ui import connect, file, gradio_client, requests_of, sent, style


@pytest.fixture
def client(page: RunningEngine, tmp_path: Path) -> Iterator[Any]:
    client = connect(page, tmp_path)
    yield client
    client.close()
    wait_until(lambda: not requests_of(page), what="no request is left")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.frombytes("RGB", (31, 17), bytes(i * 37 % 256 for i in range(31 * 17 * 3))).save(path)
    return path


def style_file(folder: Path, title: str) -> Path:
    """A style file, made by a friend."""
    path = folder / "from a friend.impasto-style"
    write_style(path, a_style(title=title), replace=True)
    return path


def test_a_style_file_is_taken(client: Any, photo: Path, tmp_path: Path) -> None:
    own = {"source": "file", "style_file": file(style_file(tmp_path, "same"))}
    result, to_save, _ = client.predict(**sent(photo, **own))
    with Image.open(photo) as before, Image.open(result) as after:
        assert before.tobytes() == after.tobytes()  # the style's name is the file's title: the worker obeyed it
    assert Path(to_save["value"] if isinstance(to_save, dict) else to_save).name == "photo - same.png"


def test_a_style_file_that_cannot_be_used_is_a_sentence(client: Any, photo: Path, tmp_path: Path) -> None:
    whole = style_file(tmp_path, "same")
    broken, picture = tmp_path / "broken.impasto-style", style(tmp_path, "same")
    broken.write_bytes(whole.read_bytes()[:-3])
    for given, sentence in ((broken, "damaged or incomplete"), (picture, "no style of Impasto")):
        with pytest.raises(gradio_client.exceptions.AppError, match=sentence) as caught:
            client.predict(**sent(photo, source="file", style_file=file(given)))
        assert str(tmp_path) not in str(caught.value)
    with pytest.raises(gradio_client.exceptions.AppError, match="Choose a style file first"):
        client.predict(**sent(photo, source="file"))


def test_a_second_painting_is_mixed_in_by_its_share(client: Any, photo: Path) -> None:
    _, to_save, said = client.predict(**sent(photo, preset="invert", second="same", mix=0.25))
    assert "Mixed of invert 0.75, same 0.25." in said
    assert Path(to_save["value"] if isinstance(to_save, dict) else to_save).name == "photo - invert + same.png"
    for more in ({"second": "same"}, {"mix": 0.5}, {"second": "none", "mix": 0.5}):
        assert "Mixed" not in client.predict(**sent(photo, preset="invert", **more))[2]
    result, _, said = client.predict(**sent(photo, preset="invert", second="same", mix=1))
    with Image.open(photo) as before, Image.open(result) as after:
        assert before.tobytes() == after.tobytes() and "Mixed" not in said
    with pytest.raises(gradio_client.exceptions.AppError, match="Choose a painting from the list"):
        client.predict(**sent(photo, preset="invert", second="no such", mix=0.5))


def test_a_style_file_is_made_of_a_picture(client: Any, tmp_path: Path) -> None:
    picture = tmp_path / "my wave.png"
    Image.new("RGB", (30, 20), (51, 102, 204)).save(picture)
    to_save, said = client.predict(file(picture), api_name="/make_style")
    path = Path(to_save["value"] if isinstance(to_save, dict) else to_save)
    made = read_style(path)
    assert (made.title, path.name, bytes(made.swatch.data)) == (
        "my wave",
        "my wave.impasto-style",
        bytes([51, 102, 204]),
    )
    assert "save it" in said
    with pytest.raises(gradio_client.exceptions.AppError, match="Choose a style picture first"):
        client.predict(None, api_name="/make_style")
