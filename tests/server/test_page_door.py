"""The web page's door: no file but the page's own, no other machine, whatever slot, form or route a request uses."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.server.running_engine import Answer, RunningEngine, start_with_page, wait_until
from tests.server.test_ui import upload

pytest.importorskip("gradio")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="makes FIFOs and links")]

# The server itself writes down what it opens, touches, looks up and connects to. This runs before it serves.
RECORDER = """
import sys
def hear(event, args, log=open({log!r}, "a", buffering=1)):
    if event.startswith("socket.") or event in ("open", "os.utime", "os.listdir", "os.rename", "shutil.copyfile"):
        if event not in ("socket.__new__", "socket.bind"):
            log.write(event + " " + repr(args[:2]) + "\\n")
sys.addaudithook(hear)
"""
OPEN_DOOR = """
import server.page.door
async def admit(self, path, scope, receive):
    return scope, receive
server.page.door.Door.admit = admit
"""
HOST = "elsewhere.example"
META = {"meta": {"_type": "gradio.FileData"}}
JSON = ("Content-Type", "application/json")


class Heard:
    """What the server has done since."""

    def __init__(self, path: Path) -> None:
        self.path, self.start = path, path.stat().st_size

    def lines(self) -> list[str]:
        return self.path.read_text("utf-8")[self.start :].splitlines()

    def astray(self) -> list[str]:
        """What touched a foreign file, or reached for another machine."""
        words = (HOST, "secret.png", "fifo.png", "link.png", "no such", "/dev/zero", "state/token'")
        return [line for line in self.lines() if line.startswith("socket.") or any(word in line for word in words)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the user that are none of the page's."""
    folder = tmp_path_factory.mktemp("home")
    Image.new("RGB", (8, 8), "red").save(folder / "secret.png")
    os.mkfifo(folder / "fifo.png")
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    folder = tmp_path_factory.mktemp("page")
    engine = start_with_page(folder / "state", patch=RECORDER.format(log=str(folder / "heard")))
    try:
        yield engine.wait_ready()
    finally:
        engine.stop()


@pytest.fixture
def heard(page: RunningEngine) -> Heard:
    return Heard(page.folder.parent / "heard")


@pytest.fixture(scope="module")
def own(page: RunningEngine, folder: Path) -> str:
    """An upload, which the page may read."""
    photo = folder / "own.png"
    Image.new("RGB", (8, 8), "blue").save(photo)
    return upload(page, photo)


def inputs(own: str, **slots: Any) -> list[Any]:
    """The page's controls in their order, with something else in some of them."""
    strokes = slots.get("strokes")
    photo = {"path": own, **META}
    source = "file" if "style_file" in slots else "picture" if "style" in slots else "painting"
    return [
        slots.get("photo", photo), source, "invert", slots.get("style"),
        "mask" if "mask" in slots else "brush" if strokes else "whole", strokes, slots.get("mask"),
        slots.get("style_file"), "none", "fast", 1, "style", 0, 0,
    ]  # fmt: skip


def slots_with(named: Any) -> Iterator[dict[str, Any]]:
    """A named file in every place where a picture may stand."""
    for slot in ("photo", "style", "mask", "style_file"):
        yield {slot: named}
    yield {"photo": [named]}
    yield {"photo": {"image": named}}
    yield {"strokes": {"background": named, "layers": [], "composite": None}}
    yield {"strokes": {"background": None, "layers": [named], "composite": None}}
    yield {"strokes": {"background": None, "layers": [], "composite": named}}


def call(page: RunningEngine, route: str, body: Any) -> Answer:
    return page.ask("POST", f"/ui/gradio_api/{route}", json.dumps(body).encode(), [*page.authorized, JSON])


def outcome(page: RunningEngine, data: list[Any]) -> str:
    """What a script hears of a painting, from its first answer to the end."""
    asked = call(page, "call/paint", {"data": data})
    if asked.status != 200:
        return f"{asked.status} {asked.body.decode()}"
    return page.ask("GET", f"/ui/gradio_api/call/paint/{asked.json['event_id']}").body.decode()


def foreign(page: RunningEngine, folder: Path) -> list[str]:
    """Ways to name a file that is not the page's."""
    own = page.folder / "jobs" / "page"
    up = "/".join([".."] * len(own.parts))
    for name, target in (("link.png", folder / "secret.png"), ("folder", folder)):
        if not (own / name).is_symlink():
            (own / name).symlink_to(target)
    if not (own / "fifo.png").exists():
        os.mkfifo(own / "fifo.png")
    return [
        str(folder / "secret.png"), str(folder / "no such file.png"), str(folder / "fifo.png"), str(folder),
        f"{own}/{up}{folder}/secret.png", f"{own}/link.png", f"{own}/folder/secret.png", f"{own}/fifo.png", f"{own}",
        f"file://{folder}/secret.png", str(page.folder / "token"), "/dev/zero", "", "secret.png", "\0", f"{own}/a\0b",
        f"http://{HOST}/x.png", f"https://{HOST}/x.png", f"//{HOST}/x.png", f"\\\\{HOST}\\x.png",
    ]  # fmt: skip


def test_an_own_upload_is_painted_in_every_form_that_clients_send(page: RunningEngine, own: str, heard: Heard) -> None:
    """The oracle of the refusals: the same requests, with an upload, paint; and what is opened is heard."""
    address = f"http://127.0.0.1:{page.port}/ui/gradio_api/file={own}"
    for named in ({"path": own}, {"path": own, **META}, {"path": own, "url": address, "orig_name": "a.png", **META}):
        assert "Done in" in (said := outcome(page, inputs(own, photo=named))), said
    for slots in ({"style": {"path": own}}, {"mask": {"path": own}}):
        assert "Done in" in (said := outcome(page, inputs(own, **slots))), said
    layers = {"background": {"path": own}, "layers": [{"path": own}], "composite": None}
    assert "Done in" in (said := outcome(page, inputs(own, strokes=layers))), said
    assert any(line.startswith("open ") and own in line for line in heard.lines())


def test_no_foreign_file_is_opened_touched_or_told_apart(
    page: RunningEngine, own: str, folder: Path, heard: Heard
) -> None:
    began, said = (folder / "secret.png").stat(), set()
    for path in foreign(page, folder):
        for more in ({}, META, {"url": f"http://127.0.0.1:{page.port}/ui/gradio_api/file={own}"}):
            for slots in slots_with({"path": path, **more}):
                said.add(outcome(page, inputs(own, **slots)))
    assert len(said) == 1 and "choose it again" in said.pop(), said
    after = (folder / "secret.png").stat()
    assert (after.st_atime_ns, after.st_mtime_ns) == (began.st_atime_ns, began.st_mtime_ns)
    assert heard.astray() == []


@pytest.mark.parametrize("named", [{"url": f"https://{HOST}/x.png"}, {"path": None, "url": f"http://{HOST}/x"}])
def test_an_address_without_a_file_is_refused(page: RunningEngine, own: str, named: Any, heard: Heard) -> None:
    for slots in slots_with(named | META):
        assert outcome(page, inputs(own, **slots)).startswith("422 ")
    assert heard.astray() == []


def test_every_route_that_takes_pictures_refuses_a_foreign_one(
    page: RunningEngine, own: str, folder: Path, heard: Heard
) -> None:
    config = page.ask("GET", "/ui/config").json
    number = next(one["id"] for one in config["dependencies"] if one["api_name"] == "paint")
    heard.start = heard.path.stat().st_size
    for path in (str(folder / "secret.png"), str(folder / "fifo.png"), f"https://{HOST}/x.png"):
        named = {"path": path, **META}
        for route in ("call/make_style", "run/make_style"):
            assert call(page, route, {"data": [named]}).status == 422, route
        data = inputs(own, photo=named)
        body = {"data": data, "fn_index": number, "session_hash": uuid.uuid4().hex}
        for route in ("call/paint", "call/paint/", "run/paint", "run/predict", "queue/join"):
            assert call(page, route, body).status == 422, route
        for route in ("api/paint", "api/predict", "call/v2/paint", "component_server", "process_recording"):
            assert call(page, route, body | {"photo": named}).status == 404, route
        body |= {"data": inputs(own), "event_data": {"value": [named]}}
        assert call(page, "queue/join", body).status == 422
    assert heard.astray() == []


def test_addresses_and_files_are_not_shown(page: RunningEngine, folder: Path, own: str, heard: Heard) -> None:
    shown = page.ask("GET", f"/ui/gradio_api/file={own}")
    assert shown.status == 200 and shown.body.startswith(b"\x89PNG")
    heard.start = heard.path.stat().st_size
    said = set()
    paths = [path.replace("\0", "%00").replace(" ", "%20") for path in foreign(page, folder)]
    for path in (*paths, f"http%3A%2F%2F{HOST}%2Fx.png", f"HTTPS://{HOST}/x.png"):
        for route in ("file=", "file/", "proxy=", "proxy=http://", "stream/"):
            answer = page.ask("GET", f"/ui/gradio_api/{route}{path}")
            said.add((answer.status, answer.body))
    assert {status for status, _ in said} == {404} and len(said) == 1, said
    assert heard.astray() == []


def test_the_page_shows_nothing_but_what_it_needs(page: RunningEngine, heard: Heard) -> None:
    for path in (
        "gradio_api/deep_link?session_hash=a", "gradio_api/run-history/buckets", "gradio_api/runs", "monitoring",
        "gradio_api/token", "gradio_api/user", "gradio_api/openapi.json", "docs", "openapi.json",
        "gradio_api/dev/reload", "gradio_api/run/a/b",
        "gradio_api/vibe-code", "manifest.json", "pwa_icon", "custom_component/a/b/c/d", "svelte/x.js", "login",
        "static/../../routes.py", "static/%2e%2e/%2e%2e/routes.py", "assets/..%2f..%2froutes.py", "robots.txt",
        "//elsewhere.example/", "gradio_api/file", "gradio_api//file=/etc/passwd",
    ):  # fmt: skip
        assert page.ask("GET", f"/ui/{path}").status == 404, path
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert page.ask(method, "/ui/gradio_api/upload").status == 404, method
    assert heard.astray() == []


def test_nothing_that_a_client_says_moves_the_page_elsewhere(page: RunningEngine) -> None:
    headers = [*page.authorized, ("X-Forwarded-Host", HOST), ("X-Forwarded-Proto", "https"), ("X-Gradio-Server", HOST)]
    for path in ("/ui/", "/ui/config", f"/ui/?deep_link=..%2F..&__theme={HOST}&page={HOST}"):
        answer = page.ask("GET", path, headers=headers)
        assert answer.status == 200 and HOST not in answer.body.decode(), path


def test_a_websocket_is_not_opened(page: RunningEngine) -> None:
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    for path in ("/ui/gradio_api/queue/join", "/ui/", "/ui/elsewhere"):
        answer = page.ask("GET", path, headers=[*page.authorized, *upgrade, key])
        assert answer.status != 101, path


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff", b'{"data": NaN}', b"[" * 100_000,
        b'{"data": ' + b"[" * 60 + b"]" * 60 + b"}",
        b'{"data": [' + b"9" * 10_000 + b"]}",
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_a_sentence(page: RunningEngine, body: bytes) -> None:
    for route in ("call/paint", "queue/join", "run/predict", "cancel"):
        answer = page.ask("POST", f"/ui/gradio_api/{route}", body, [*page.authorized, JSON])
        assert answer.status == 400 and answer.json["error"]["message"].endswith("."), (route, answer.body)


def test_a_body_without_end_is_cut_off(page: RunningEngine) -> None:
    assert call(page, "call/paint", {"data": ["x" * (1 << 20)]}).status == 413


def test_odd_names_of_uploads_stay_in_the_folder(page: RunningEngine, folder: Path) -> None:
    own = page.folder / "jobs" / "page"
    data = (folder / "secret.png").read_bytes()
    for name in ("../../../../tmp/x.png", "..", ".", "/etc/x.png", "C:\\\\x.png", "a" * 300 + ".png", "x\ty.png", "~"):
        head = f'--edge\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        headers = [*page.authorized, ("Content-Type", "multipart/form-data; boundary=edge")]
        answer = page.ask("POST", "/ui/gradio_api/upload", head.encode() + data + b"\r\n--edge--\r\n", headers)
        assert answer.status in (200, 400), name
        for path in answer.json if answer.status == 200 else []:
            assert Path(os.path.realpath(path)).is_relative_to(own), name


def test_a_name_of_250_bytes_is_painted(page: RunningEngine, folder: Path) -> None:
    photo = folder / ("\N{ARTIST PALETTE}" * 61 + ".png")
    Image.new("RGB", (8, 8)).save(photo)
    assert "Done in" in (said := outcome(page, inputs(upload(page, photo)))), said


def test_behind_an_open_door_the_page_itself_refuses(tmp_path: Path, folder: Path) -> None:
    """The handlers do not rely on the door, nor on what gradio checks: it lets a path without ``meta`` through."""
    log = tmp_path / "heard"
    engine = start_with_page(tmp_path / "state", patch=RECORDER.format(log=str(log)) + OPEN_DOOR).wait_ready()
    try:
        photo = folder / "own.png"
        Image.new("RGB", (8, 8)).save(photo)
        own = upload(engine, photo)
        heard, began = Heard(log), time.monotonic()
        names = [path for path in foreign(engine, folder) if HOST not in path]
        said = {
            slot: {outcome(engine, inputs(own, **{slot: {"path": path}})) for path in names}
            for slot in ("photo", "mask")
        }
        for path in names:
            for more in ({}, META):
                layers = {"background": None, "layers": [{"path": path, **more}], "composite": None}
                answer = outcome(engine, inputs(own, strokes=layers))
                assert "event: error" in answer and "Done in" not in answer, path
        for what, answers in said.items():
            assert len(answers) == 1 and f"The {what} is no longer here: choose it again." in answers.pop(), said
        assert heard.astray() == [] and time.monotonic() - began < 20
        wait_until(lambda: [name for name in engine.spooled if name != "page"] == [], what="no job is left")
    finally:
        engine.stop()
