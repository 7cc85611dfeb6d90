"""The web page, through a real server: it paints, cancels, refuses in sentences, and reaches nothing beyond itself."""

from __future__ import annotations

import os
import re
import shutil
import socketserver
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import skip_or_fail
from tests.server.running_engine import ROOT, START_S, RunningEngine, picture_request, start_with_page, wait_until

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when gradio_client is imported
gradio_client = pytest.importorskip("gradio_client")

pytestmark = pytest.mark.slow
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
# What Chromium asks for itself, whatever page it shows; fonts and scripts of a page come from other hosts.
BROWSERS_OWN = re.compile(
    r"\w+ (http://)?(clients2\.google|accounts\.google|update\.googleapis|content-autofill\.googleapis"
    r"|optimizationguide-pa\.googleapis|android\.clients\.google|www\.google)\.com[:/]"
)
CHROMIUM_OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
]  # fmt: skip


def connect(engine: RunningEngine, folder: Path, token: str | None = None) -> Any:
    """A client as scripts use it; what it downloads goes to a folder."""
    return gradio_client.Client(
        f"http://127.0.0.1:{engine.port}/ui/",
        headers={"Authorization": f"Bearer {engine.token if token is None else token}"},
        download_files=folder / "downloads",
        verbose=False,
        analytics_enabled=False,
    )


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


def style(folder: Path, what: str) -> Path:
    """A style picture whose name tells the painter of ``paint_worker`` what to do."""
    path = folder / f"{what}.png"
    Image.new("RGB", (8, 8)).save(path)
    return path


def requests_of(engine: RunningEngine) -> list[str]:
    return [name for name in engine.spooled if name != "page"]


def file(path: Path) -> Any:
    return gradio_client.handle_file(path)


def sent(path: Path, style_picture: Path | None = None, **more: Any) -> dict[str, Any]:
    own = {"source": "picture", "style_picture": file(style_picture)} if style_picture else {}
    return {"photo": file(path), "api_name": "/paint"} | own | more


# --- painting


def test_a_photo_comes_back_painted(client: Any, photo: Path) -> None:
    result, to_save, said = client.predict(**sent(photo, preset="invert"))
    with Image.open(photo) as before, Image.open(result) as after:
        inverted = bytes(255 - value for value in before.convert("RGBA").tobytes())
        assert after.format == "PNG" and after.convert("RGBA").tobytes() == inverted
    assert "Done in" in said
    name = Path(to_save["value"] if isinstance(to_save, dict) else to_save).name
    assert name == "photo - invert.png"


def test_a_style_picture_and_a_mask_are_taken(client: Any, photo: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    Image.new("L", (31, 17), 255).save(mask)
    result, _, _ = client.predict(**sent(photo, style(tmp_path, "same"), area="mask", mask=file(mask)))
    with Image.open(photo) as before, Image.open(result) as after:
        assert before.tobytes() == after.tobytes()


@pytest.mark.slow
def test_a_picture_that_takes_longer_than_the_guard_waits(client: Any, photo: Path, tmp_path: Path) -> None:
    """The guard gives up on a silent request after 30 s; the page's own stream of events is not one."""
    result, _, said = client.predict(**sent(photo, style(tmp_path, "sleep 33")))
    assert Path(result).is_file() and "Done in 33" in said


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"preset": "no such painting"}, "Choose a painting from the list."),
        ({"source": "picture"}, "Choose a style picture first"),
        ({"area": "mask"}, "Choose a mask picture first"),
        ({"area": "brush"}, "Brush over the part of the photo first"),
        ({"photo": None}, "Choose a photo first."),
    ],
)
def test_what_is_missing_is_asked_for(client: Any, photo: Path, more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(gradio_client.exceptions.AppError, match=sentence):
        client.predict(**sent(photo) | more)


def test_a_broken_upload_is_a_sentence(client: Any, photo: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(photo.read_bytes()[:60])
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        client.predict(**sent(broken))
    assert "The photo is damaged or of an unusual kind; save it again as PNG." in str(caught.value)
    assert "Traceback" not in str(caught.value) and str(tmp_path) not in str(caught.value)


def test_a_fault_of_the_painter_is_a_sentence(client: Any, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        client.predict(**sent(photo, style(tmp_path, "fault")))
    assert "fault of its own" in str(caught.value) and "secret" not in str(caught.value)


# --- cancelling


def test_a_client_that_cancels_stops_the_job(page: RunningEngine, client: Any, photo: Path, tmp_path: Path) -> None:
    job = client.submit(**sent(photo, style(tmp_path, "sleep 60")))
    wait_until(lambda: requests_of(page) and "Sleeping" in str(job.outputs()), what="painting")
    job.cancel()
    wait_until(lambda: not requests_of(page), 5, "the job is gone")
    began = time.monotonic()
    client.predict(**sent(photo))
    assert time.monotonic() - began < 20, "the worker was still busy"


def test_the_cancel_button_stops_the_job(page: RunningEngine, client: Any, photo: Path, tmp_path: Path) -> None:
    job = client.submit(**sent(photo, style(tmp_path, "sleep 60")))
    wait_until(lambda: requests_of(page) and "Sleeping" in str(job.outputs()), what="painting")
    client.predict(api_name="/cancel")
    wait_until(lambda: not requests_of(page), 5, "the job is gone")
    wait_until(job.done, 5, "the page knows")
    assert "Cancelled." in job.outputs()[-1][2]


def test_a_visitor_who_leaves_stops_the_job(page: RunningEngine, photo: Path, tmp_path: Path) -> None:
    code = f"""
import gradio_client, sys, time
client = gradio_client.Client("http://127.0.0.1:{page.port}/ui/", headers={{"Authorization": "Bearer {page.token}"}},
                              verbose=False, analytics_enabled=False, download_files=False)
file = gradio_client.handle_file
client.submit(photo=file(sys.argv[1]), source="picture", style_picture=file(sys.argv[2]), api_name="/paint")
time.sleep(300)
"""
    visitor = subprocess.Popen([sys.executable, "-c", code, str(photo), str(style(tmp_path, "sleep 90"))])
    try:
        wait_until(lambda: requests_of(page), START_S, "the job arrives")
        time.sleep(2)  # until its stream of events is open
    finally:
        visitor.kill()
        visitor.wait()
    wait_until(lambda: not requests_of(page), 32, "the job is gone")


# --- who may, and what may be reached


def test_nobody_without_the_token_sees_anything(page: RunningEngine, tmp_path: Path) -> None:
    for path in ("/ui/", "/ui", "/ui/config", "/ui/gradio_api/info", "/ui/theme.css", "/ui/assets/x.js"):
        assert page.ask("GET", path, headers=[]).status == 401, path
    for path in ("/ui/gradio_api/upload", "/ui/gradio_api/queue/join", "/ui/gradio_api/call/paint"):
        assert page.ask("POST", path, b"{}", headers=[]).status == 401, path
    with pytest.raises(Exception, match="401|credentials"):
        connect(page, tmp_path, token="0" * 64)


def test_whoever_starts_a_page_that_is_there_gets_a_new_way_in(page: RunningEngine) -> None:
    """The first way in is spent with the browser's session."""
    second = RunningEngine(page.folder, "--ui")
    assert second.process.wait(START_S) == 0, second.printed
    address = re.fullmatch(rf"Open http://127\.0\.0\.1:{page.port}(/login\?code=\S+)\s*", second.printed)
    assert address is not None, second.printed
    answer = page.ask("GET", address[1], headers=[])
    assert answer.status == 303
    cookie = ("Cookie", answer.headers["set-cookie"].partition(";")[0])
    assert page.ask("GET", "/ui/", headers=[cookie]).status == 200
    assert page.ask("GET", "/v1/catalog", headers=[cookie]).status == 401
    assert "impasto serve --ui" in page.ask("GET", "/ui/", headers=[]).json["error"]["message"]


def test_an_engine_without_a_page_makes_room_once_it_has_nothing_to_do(tmp_path: Path) -> None:
    first = RunningEngine(tmp_path / "state").wait_ready()
    try:
        job = first.submit(picture_request("sleep 90"))
        second = RunningEngine(first.folder, "--ui")
        assert second.process.wait(START_S) == 1
        assert "is painting for GIMP: run this again" in second.printed
        first.ask("DELETE", f"/v1/jobs/{job}")
        third = start_with_page(first.folder)
        try:
            assert first.process.wait(10) == 0
            assert "Photorealism" in third.ask("GET", "/ui/").body.decode()
        finally:
            third.stop()
    finally:
        first.stop()


def test_another_web_page_gets_nothing(page: RunningEngine) -> None:
    headers = [*page.authorized, ("Origin", "http://127.0.0.1.example")]
    assert page.ask("GET", "/ui/", headers=headers).status == 403
    assert page.ask("POST", "/ui/gradio_api/upload", b"", headers=headers).status == 403


def upload(page: RunningEngine, path: Path) -> str:
    """Send a file as a browser does; where the page has put it."""
    head = f'--edge\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + b"\r\n--edge--\r\n"
    headers = [*page.authorized, ("Content-Type", "multipart/form-data; boundary=edge")]
    paths: list[str] = page.ask("POST", "/ui/gradio_api/upload", body, headers).json
    return paths[0]


def test_uploads_are_private_and_wiped(tmp_path: Path, photo: Path) -> None:
    engine = start_with_page(tmp_path / "state").wait_ready()
    try:
        connect(engine, tmp_path).predict(**sent(photo))
        folder = engine.folder / "jobs" / "page"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(list(folder.rglob("*.png"))) == 2, "photo and result lie there, and nowhere else"
    finally:
        engine.stop()
    assert not folder.exists()


def test_the_page_names_no_other_machine(page: RunningEngine) -> None:
    answer = page.ask("GET", "/ui/")
    html = answer.body.decode()
    own = f"http://127.0.0.1:{page.port}/"
    assert answer.status == 200 and "Photorealism" in html
    assert [
        url for url in re.findall(r"(?:https?:)?//[\w-]+\.[\w.:/-]+", html) if not url.startswith((own, own[5:]))
    ] == []
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self' ") and "http" not in policy and "*" not in policy
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    config = page.ask("GET", "/ui/config").json
    assert config["analytics_enabled"] is False and config["footer_links"] == []
    assert "fonts.g" not in page.ask("GET", "/ui/theme.css").body.decode()


def test_the_page_shows_while_the_worker_starts(tmp_path: Path, photo: Path) -> None:
    engine = start_with_page(tmp_path / "state", worker="tests.server.silent_worker")
    try:
        assert engine.status == "starting"
        assert "Photorealism" in engine.ask("GET", "/ui/").body.decode()
        with pytest.raises(gradio_client.exceptions.AppError, match="still starting: try again"):
            connect(engine, tmp_path).predict(**sent(photo))
    finally:
        engine.stop()


def test_without_the_page_nothing_of_gradio_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, server.supervisor.main as m; folder = pathlib.Path(sys.argv[1]);"
        "m.Supervisor(m.arguments(['--state-dir', str(folder)]), folder);"
        "print(sorted({'gradio', 'gradio_client', 'fastapi', 'PIL', 'torch'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.stdout.strip() == "[]", answer.stderr


# --- in a browser


class Recorder(socketserver.ThreadingTCPServer):
    """A proxy that lets nothing through and writes down who was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Refusal)


class Refusal(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Recorder)
        self.server.asked.append(self.rfile.readline().decode("latin-1").strip())
        self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Callable[[str], tuple[str, list[str]]]]:
    """Opens an address in a headless Chromium: (the page after its scripts ran, what was asked of other machines)."""
    if not CHROMIUM:
        skip_or_fail("no Chromium")
    recorder = Recorder()
    threading.Thread(target=recorder.serve_forever, daemon=True).start()

    def open_address(address: str) -> tuple[str, list[str]]:
        proxy = f"--proxy-server=http://127.0.0.1:{recorder.server_address[1]}"
        own = [f"--user-data-dir={tmp_path / 'chromium'}", proxy, "--virtual-time-budget=20000", "--dump-dom"]
        answer = subprocess.run(
            [CHROMIUM, *CHROMIUM_OPTIONS, *own, address], capture_output=True, text=True, timeout=120, check=False
        )
        return answer.stdout, list(recorder.asked)

    yield open_address
    recorder.shutdown()
    recorder.server_close()


def test_the_recorder_hears_a_page_that_calls_out(browse: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<img src='http://elsewhere.example/x.png'>")
    _, asked = browse(page.as_uri())
    assert "GET http://elsewhere.example/x.png HTTP/1.1" in asked


def test_a_browser_shows_the_page_and_asks_no_other_machine(page: RunningEngine, browse: Any) -> None:
    address = page.ask("POST", "/v1/page").json["address"]
    dom, asked = browse(address)
    assert "<button" in dom and "Photorealism" in re.sub(r"<script.*?</script>", "", dom, flags=re.S)
    assert [line for line in asked if not BROWSERS_OWN.match(line)] == []
    assert page.ask("GET", address.partition(f":{page.port}")[2], headers=[]).status == 401, "the code is spent"
