"""A visitor of the web page who stops reading, or goes, has no job for long."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from server.page import visitors as visitors_module
from server.page.visitors import Listening, Visitors
from server.supervisor.jobs import Job
from tests.server.running_engine import START_S, RunningEngine, start_with_page, wait_until

pytest.importorskip("gradio")
EVENT = b'data: {"msg": "process_generating"}\n\n'
LEASE_S = 4.0
VISITOR = """
import gradio_client, sys, time
client = gradio_client.Client(sys.argv[1], headers={"Authorization": "Bearer " + sys.argv[2]},
                              verbose=False, analytics_enabled=False, download_files=False)
file = gradio_client.handle_file
client.submit(photo=file(sys.argv[3]), source="picture", style_picture=file(sys.argv[4]), api_name="/paint")
time.sleep(300)
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    engine = start_with_page(tmp_path_factory.mktemp("page") / "state", "--lease-s", str(LEASE_S))
    try:
        yield engine.wait_ready()
    finally:
        engine.stop()


def requests_of(engine: RunningEngine) -> list[str]:
    return [name for name in engine.spooled if name.endswith(".request")]


@pytest.mark.slow
@pytest.mark.parametrize(("how", "most_s"), [(signal.SIGKILL, 2.0), (signal.SIGSTOP, LEASE_S + 1.5)])
def test_a_gradio_client_that_is_gone_has_no_job(
    page: RunningEngine, how: signal.Signals, most_s: float, tmp_path: Path
) -> None:
    photo, style = tmp_path / "photo.png", tmp_path / "sleep 90.png"
    for path in (photo, style):
        Image.new("RGB", (40, 30), "teal").save(path)
    address = f"http://127.0.0.1:{page.port}/ui/"
    child = subprocess.Popen([sys.executable, "-c", VISITOR, address, page.token, str(photo), str(style)])
    try:
        wait_until(lambda: requests_of(page), START_S, "the job arrives")
        time.sleep(1.5 * LEASE_S)
        assert requests_of(page), "the job of a visitor who reads goes on"
        child.send_signal(how)
        wait_until(lambda: not requests_of(page), most_s, "the job is gone")
    finally:
        child.kill()
        child.wait()


def scope_of(path: str) -> dict[str, Any]:
    return {"type": "http", "path": path, "query_string": b"session_hash=abc"}


async def unasked() -> Any:
    raise AssertionError("nobody asks")


def test_what_is_padded_is_the_same_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is not taken is no sign of life."""
    now = [100.0]
    monkeypatch.setattr(visitors_module.time, "monotonic", lambda: now[0])
    visitors, sent, seen = Visitors(), list[bytes](), list[float]()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start"})
        for _ in range(3):
            now[0] += 0.6
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            seen.append(visitors.read_at["abc"])

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])
            assert visitors.read_at["abc"] < now[0]  # until it is taken

    asyncio.run(Listening(app, visitors, 30.0)(scope_of("/ui/gradio_api/queue/data"), unasked, send))
    assert seen == pytest.approx([100.6, 101.2, 101.8]) and visitors.read_at == {}
    assert [len(body) > 10_000 for body in sent] == [False, True, False]  # once a second
    assert all(b"".join(body.split()) == b"".join(EVENT.split()) and body.endswith(b"\n\n") for body in sent)


def test_a_visitor_is_taken_to_be_there_until_it_has_listened(tmp_path: Path) -> None:
    visitors = Visitors()
    job = Job("a", "d", tmp_path / "a", tmp_path / "b", lease_s=30.0)
    job.seen_at = 0.0
    assert not visitors.renew(job, "abc", False) and not job.is_expired
    visitors.read_at["abc"] = time.monotonic() - 25.0
    job.seen_at = 0.0
    assert visitors.renew(job, "abc", False) and job.is_expired
    del visitors.read_at["abc"]
    job.renew()
    assert visitors.renew(job, "abc", True) and time.monotonic() - job.seen_at > 29.0  # a moment to come back
