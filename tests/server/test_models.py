"""``impasto models``: only what is listed is fetched, a cut is gone on with, no other file lands."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.core.errors import ResourceError, SettingsError, WeightsError
from engine.models import published
from engine.models.published import Model, Published
from engine.segmentation import checkpoints
from server import fetch as fetching
from server.commands.models import get_models, list_models, verify_models
from server.fetch import check_address, fetch, opener_for

DATA = bytes(range(256)) * 4000  # 1 MB
SHA256 = hashlib.sha256(DATA).hexdigest()
HOSTS = ("weights.example", ".cdn.example")


class Server(http.server.BaseHTTPRequestHandler):
    """Serves DATA; /cut ends half way, /other serves something else, /away redirects; notes ranges."""

    asked: list[str | None] = []  # noqa: RUF012

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "https://elsewhere.example/file.pth")
            self.end_headers()
            return
        if self.path == "/gone":
            self.send_error(404)
            return
        data = DATA[::-1] if self.path == "/other" else DATA
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.path != "/whole" else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        rest = data[start:]
        self.wfile.write(rest[: len(rest) // 2] if self.path == "/cut" else rest)

    def log_message(self, *_words: object) -> None:
        pass


class Local:
    """An opener that asks the test's server in place of every host."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.opener = urllib.request.build_opener(fetching.CheckedRedirects(HOSTS))

    def open(self, fullurl: urllib.request.Request, data: None = None, timeout: float = 30.0) -> Any:
        del data
        path = fullurl.full_url.split(".example", 1)[1]
        local = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=dict(fullurl.header_items()))
        return self.opener.open(local, timeout=timeout)


@pytest.fixture
def local() -> Iterator[Local]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Server.asked = []
    yield Local(server.server_address[1])
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder, and an empty one of torch's."""
    monkeypatch.setenv("IMPASTO_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "models"


def file_at(path: str = "/file.pth", **more: Any) -> Published:
    values = {"n_bytes": len(DATA), "sha256": SHA256, "place": "models"} | more
    return Published("file.pth", f"https://weights.example{path}", **values)


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Registers one file as the model "thing"."""

    def register(file: Published) -> None:
        known = {"thing": Model("thing", "A thing", "nothing", "MIT", (file,))}
        monkeypatch.setattr(published, "_data", lambda: (HOSTS, known))

    return register


def test_a_file_is_fetched_checked_and_put_in_its_place(local: Local, folder: Path) -> None:
    shares: list[float] = []
    assert fetch(file_at(), HOSTS, local, lambda share, _: shares.append(share)) == SHA256
    assert (folder / "file.pth").read_bytes() == DATA
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [path.name for path in folder.iterdir()] == ["file.pth"]


def test_a_cut_download_goes_on_where_it_was(local: Local, folder: Path) -> None:
    with pytest.raises(WeightsError, match="goes on\\s+where it was"):
        fetch(file_at("/cut"), HOSTS, local)
    assert not (folder / "file.pth").exists()
    assert (folder / "file.pth.download").stat().st_size == len(DATA) // 2
    fetch(file_at(), HOSTS, local)
    assert Server.asked == [None, f"bytes={len(DATA) // 2}-"]
    assert (folder / "file.pth").read_bytes() == DATA


def test_a_server_that_ignores_ranges_is_read_from_the_start(local: Local, folder: Path) -> None:
    folder.mkdir()
    (folder / "file.pth.download").write_bytes(DATA[:1000])
    fetch(file_at("/whole"), HOSTS, local)
    assert (folder / "file.pth").read_bytes() == DATA


def test_what_is_not_the_published_file_is_deleted(local: Local, folder: Path) -> None:
    with pytest.raises(WeightsError, match="checksum differs"):
        fetch(file_at("/other"), HOSTS, local)
    assert list(folder.iterdir()) == []


def test_a_longer_file_than_the_published_one_is_refused(local: Local, folder: Path) -> None:
    with pytest.raises(WeightsError, match="longer than"):
        fetch(file_at(n_bytes=1000), HOSTS, local)
    assert not (folder / "file.pth").exists()


def test_an_error_of_the_host_is_told(local: Local, folder: Path) -> None:
    with pytest.raises(WeightsError, match="answered 404"):
        fetch(file_at("/gone"), HOSTS, local)
    assert not (folder / "file.pth").exists()


def test_redirections_elsewhere_are_refused(local: Local, folder: Path) -> None:
    with pytest.raises(WeightsError, match="no listed host"):
        fetch(file_at("/away"), HOSTS, local)
    assert not (folder / "file.pth").exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://weights.example/file.pth",
        "https://elsewhere.example/file.pth",
        "https://weights.example.evil.com/file.pth",
        "https://user@weights.example/file.pth",
        "file:///etc/passwd",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(WeightsError, match="no listed host by https"):
        check_address(url, HOSTS)
    check_address("https://weights.example/file.pth", HOSTS)
    check_address("https://a.cdn.example/file.pth", HOSTS)


def test_a_full_disk_is_noticed_before(local: Local, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(ResourceError, match="Make room"):
        fetch(file_at(), HOSTS, local)
    assert not (folder / "file.pth").exists()


def test_a_file_dropped_in_by_hand_is_found_checked_and_moved(folder: Path, one: Any) -> None:
    file = file_at(place="torch")
    one(file)
    folder.mkdir()
    (folder / "file.pth").write_bytes(DATA)
    assert get_models(["thing"], is_accepted=False) == 0
    assert file.path.read_bytes() == DATA
    assert file.path.parent.name == "checkpoints"
    file.path.unlink()
    (folder / "file.pth").write_bytes(DATA[::-1])
    with pytest.raises(WeightsError, match="not the published file"):
        get_models(["thing"], is_accepted=False)


def test_verify_tells_intact_from_damaged(folder: Path, one: Any, capsys: pytest.CaptureFixture[str]) -> None:
    one(file_at())
    assert verify_models(["thing"]) == 1
    assert "is not here" in capsys.readouterr().err
    folder.mkdir()
    (folder / "file.pth").write_bytes(DATA)
    assert verify_models(["thing"]) == 0
    assert "intact" in capsys.readouterr().out
    (folder / "file.pth").write_bytes(DATA[:-1] + b"!")
    assert verify_models(["thing"]) == 1


def test_a_file_without_checksum_needs_consent_and_is_pinned(
    local: Local, folder: Path, one: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    one(file_at(n_bytes=None, sha256=None))
    with pytest.raises(SettingsError, match="states no checksum"):
        get_models(["thing"], is_accepted=False, opener=local)
    assert get_models(["thing"], is_accepted=True, opener=local) == 0
    assert SHA256 in capsys.readouterr().out
    assert json.loads((folder / "pins.json").read_text()) == {"file.pth": SHA256}
    assert verify_models(["thing"]) == 0
    (folder / "file.pth").write_bytes(DATA[::-1])
    assert verify_models(["thing"]) == 1


def test_the_list_names_every_model_and_unknown_ones_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list_models() == 0
    said = capsys.readouterr().out
    assert all(name in said for name in published.models())
    assert str(folder) in said
    with pytest.raises(SettingsError, match="no published weights called 'nothing'"):
        get_models(["nothing"], is_accepted=False)
    with pytest.raises(SettingsError, match="Say which"):
        get_models([], is_accepted=False)


def test_every_address_of_the_registry_is_allowed_and_every_checksum_one() -> None:
    for model in published.models().values():
        for file in model.files:
            check_address(file.url, published.hosts())
            assert file.sha256 is None or (len(file.sha256) == 64 and int(file.sha256, 16) >= 0)
            assert file.place == "torch" or file.place.split("/")[0] == "models"
    opener_for(published.hosts())


def test_the_registry_and_segmentation_know_the_same_files() -> None:
    for name, entry in checkpoints.PUBLISHED.items():
        (file,) = published.model_of(name).files
        assert (file.file, file.url, file.sha256) == (entry.file, entry.url, entry.sha256)
        assert file.folder == checkpoints.folder()
