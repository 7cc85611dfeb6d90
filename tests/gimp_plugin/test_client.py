"""The plug-in's client: what it promises an artist whose engine is slow, dead, strange or somebody else."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gimp_plugin import wire
from gimp_plugin.client import Engine, errand
from tests.gimp_plugin.scripted_engine import ScriptedEngine, ScriptedHandler

FAKE_ENGINE = Path(__file__).resolve().parents[1] / "gimp" / "fake_engine.py"


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "impasto-job"] == []


def a_plane(dtype: str = "U8", shape: tuple[int, ...] = (4, 6, 4), seed: int = 0) -> wire.Plane:
    data = random.Random(seed).randbytes(wire.plane_bytes(dtype, shape))  # noqa: S311
    return wire.Plane(dtype, shape, data)


def a_request(content: wire.Plane | None = None) -> wire.StylizeRequest:
    return wire.StylizeRequest(content or a_plane(), (wire.StyleEntry("Wave", preset="wave"),))


def refusal(engine: Engine, request: wire.StylizeRequest | None = None) -> wire.WireError:
    with pytest.raises(wire.WireError) as caught:
        engine.answer(request or a_request())
    return caught.value


# --- the way of a job ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", sorted(wire.ITEM_BYTES))
def test_all_that_was_sent_arrives_and_the_result_comes_back(
    server: ScriptedEngine, engine: Engine, dtype: str
) -> None:
    content, mask, picture = a_plane(dtype, (5, 7, 4), 1), a_plane("U8", (5, 7), 2), a_plane(dtype, (3, 2, 4), 3)
    styles = (wire.StyleEntry("A", 0.25, preset="a"), wire.StyleEntry("Bäume", 2.0, picture=picture))
    request = wire.StylizeRequest(
        *(content, styles, mask),
        **{"method": "gatys", "strength": 0.5, "color": "match", "photoreal": 0.125},
        **{"style_size_px": 300, "seed": 2**62, "device": "cpu", "composite": False},
    )
    result = engine.answer(request)

    assert bytes(result.picture.data) == bytes(content.data)[::-1]
    assert (result.picture.dtype, result.picture.shape) == (dtype, (5, 7, 4))
    assert result.report == {"method": "fake", "mode": "negative"}
    assert server.requests == [request]


def test_a_12_megapixel_layer_crosses_in_seconds(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    content = wire.Plane("U8", (3000, 4000, 4), os.urandom(48_000_000))
    request = a_request(content)
    started = time.monotonic()
    result = engine.answer(request)
    seconds = time.monotonic() - started
    with capsys.disabled():
        print(f"\n12 megapixels there and back: {seconds:.2f} s")
    assert result.picture.data[:1000] == content.data[:-1001:-1]
    assert seconds < 10  # a busy machine; 0.3 s on an idle one


def test_the_engine_is_left_without_the_job(server: ScriptedEngine, engine: Engine) -> None:
    engine.answer(a_request())
    assert server.jobs == {}
    assert server.methods("/v1/jobs/") == ["PUT", "GET", "GET", "DELETE"]


def test_progress_comes_on_the_callers_thread_with_the_engines_words(server: ScriptedEngine, engine: Engine) -> None:
    events = [
        {"state": "queued", "share": 0, "message": "Waiting"},
        {"state": "running", "share": 0.25, "message": "Painting"},
        {"state": "running", "share": None, "message": None},
        {"state": "running", "share": 99, "message": "Painting"},
        {"state": "done", "share": 1.0, "message": "Done"},
    ]

    def stream(handler: ScriptedHandler) -> bool:
        time.sleep(0.1)  # the job is done by then
        handler.send_raw(200, b"\n".join(json.dumps(event).encode() for event in events) + b"\n")
        return True

    server.steps["events"] = stream
    told: list[tuple[float, str, int]] = []
    engine.answer(a_request(), lambda share, message: told.append((share, message, threading.get_ident())))
    me = threading.get_ident()
    expected = [(0.0, "Waiting"), (0.25, "Painting"), (0.0, ""), (0.0, "Painting"), (1.0, "Done")]
    assert told == [(share, message, me) for share, message in expected]


def test_an_error_of_the_callers_own_comes_out_as_it_is_and_frees_the_engine(
    server: ScriptedEngine, engine: Engine
) -> None:
    def show(_share: float, _message: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.answer(a_request(), show)
    assert "DELETE" in server.methods("/v1/jobs/")


def test_a_dropped_submission_is_sent_once_more_as_the_same_job(server: ScriptedEngine, engine: Engine) -> None:
    bodies: list[tuple[str, str]] = []

    def drop_first(handler: ScriptedHandler) -> bool:
        if bodies:
            bodies.append((handler.path, ""))
            return False
        bodies.append((handler.path, hashlib.sha256(handler.read_body()).hexdigest()))
        handler.drop()
        return True

    server.steps["PUT"] = drop_first
    request = a_request()
    engine.answer(request)
    sent = hashlib.sha256(b"".join(bytes(part) for part in request.pack())).hexdigest()
    assert bodies == [(bodies[0][0], sent), (bodies[0][0], "")]
    assert server.requests == [request]


def test_a_submission_dropped_twice_is_given_up(server: ScriptedEngine, engine: Engine) -> None:
    server.steps["PUT"] = lambda handler: handler.drop() is None
    error = refusal(engine)
    assert (error.code, error.message) == ("unreachable", errand.STOPPED)
    assert server.methods("/v1/jobs/").count("PUT") == 2


def test_a_broken_stream_of_events_is_taken_up_again(server: ScriptedEngine, engine: Engine) -> None:
    n_streams = 0

    def break_twice(handler: ScriptedHandler) -> bool:
        nonlocal n_streams
        n_streams += 1
        if n_streams <= 2:
            handler.drop()
        return n_streams <= 2

    server.steps["events"] = break_twice
    engine.answer(a_request())
    assert n_streams == 3


# --- refusals, deaths, silence ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["busy", "disk_full", "too_large", "draining"])
@pytest.mark.parametrize("reads_body", [True, False])
def test_the_engines_refusal_is_passed_on_even_when_it_comes_early(
    server: ScriptedEngine, engine: Engine, code: str, reads_body: bool
) -> None:
    def refuse(handler: ScriptedHandler) -> bool:
        if reads_body:
            handler.read_body()
        handler.fail(code, f"No: {code}.")
        if not reads_body:
            server.is_over.wait(1)  # an open connection that nobody reads from
        return True

    server.steps["PUT"] = refuse
    error = refusal(engine, a_request(a_plane("U8", (2000, 3000, 4))))
    assert (error.code, error.message) == (code, f"No: {code}.")


def test_a_failed_job_tells_the_engines_reason(server: ScriptedEngine, engine: Engine) -> None:
    event = {"state": "failed", "error": {"code": "worker_died", "message": "The painter died: try again."}}
    server.steps["events"] = lambda handler: handler.send_raw(200, json.dumps(event).encode()) is None
    error = refusal(engine)
    assert (error.code, error.message) == ("worker_died", "The painter died: try again.")


def test_an_engine_killed_in_the_middle_is_noticed_within_two_seconds(tmp_path: Path) -> None:
    (tmp_path / "mode").write_text("die")
    process = subprocess.Popen(
        [sys.executable, str(FAKE_ENGINE), "--state-dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while (engine := Engine.find(tmp_path)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        started = time.monotonic()
        error = refusal(
            engine, wire.StylizeRequest(a_plane(), (wire.StyleEntry("Wave", preset="wave"),), composite=False)
        )
        assert (error.code, error.message) == ("unreachable", errand.STOPPED)
        assert time.monotonic() - started < 2
        assert process.wait(5) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()


def test_an_engine_that_is_gone_before_the_job_is_noticed(server: ScriptedEngine, engine: Engine) -> None:
    server.shutdown()
    server.server_close()
    assert refusal(engine).code == "unreachable"
    with pytest.raises(wire.WireError, match="run the filter again"):
        engine.catalog()


@pytest.mark.parametrize("step", ["PUT", "events", "result"])
def test_an_engine_that_hangs_is_given_up(
    server: ScriptedEngine, engine: Engine, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errand, "SILENCE_S", 0.4)
    monkeypatch.setattr(errand, "ANSWER_S", 0.4)
    server.steps[step] = server.hang
    error = refusal(engine)
    assert (error.code, error.message) == ("unreachable", errand.STOPPED)


def test_missing_heartbeats_are_noticed_after_ten_seconds_at_most() -> None:
    assert errand.SILENCE_S <= 10


@pytest.mark.parametrize("step", ["PUT", "events", "result"])
def test_cancelling_works_in_every_phase_and_reaches_the_engine(
    server: ScriptedEngine, engine: Engine, step: str
) -> None:
    server.steps[step] = server.hang
    content = a_plane("U8", (3000, 3000, 4)) if step == "PUT" else a_plane()  # more than sockets buffer
    started = time.monotonic()
    cancelled_at: list[float] = []

    def should_cancel() -> bool:
        if time.monotonic() - started > 0.5:
            cancelled_at.append(time.monotonic())
        return bool(cancelled_at)

    with pytest.raises(wire.WireError) as caught:
        engine.answer(a_request(content), should_cancel=should_cancel)
    assert caught.value.code == "cancelled"
    assert time.monotonic() - cancelled_at[0] < 1
    assert server.methods("/v1/jobs/")[-1] == "DELETE"
    assert server.jobs == {}


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("U8", (6, 4, 4)), ("U8", (4, 6, 3)), ("U16", (4, 3, 4)), ("U8", (1, 1, 4)), ("F32", (4, 6, 4))],
)
def test_a_result_of_another_shape_or_dtype_is_refused(
    server: ScriptedEngine, engine: Engine, dtype: str, shape: tuple[int, ...]
) -> None:
    def other(handler: ScriptedHandler) -> bool:
        frame = b"".join(bytes(part) for part in wire.StylizeResult(a_plane(dtype, shape), {}).pack())
        handler.send_raw(200, frame)
        return True

    server.steps["result"] = other
    error = refusal(engine)
    assert (error.code, error.message) == ("failed", errand.WRONG_SIZE)


def test_a_result_announced_as_enormous_takes_no_memory(server: ScriptedEngine, engine: Engine) -> None:
    server.steps["result"] = lambda handler: handler.send_raw(200, b"", length=1 << 60) is None
    assert refusal(engine).message == errand.WRONG_SIZE


def test_a_result_cut_short_is_no_result(server: ScriptedEngine, engine: Engine) -> None:
    frame = b"".join(bytes(part) for part in wire.StylizeResult(a_plane(), {}).pack())
    server.steps["result"] = lambda handler: handler.send_raw(200, frame[:-1], length=len(frame)) is None
    assert refusal(engine).message == errand.STOPPED


def test_proxy_variables_are_ignored(server: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        engine = Engine.find(server.state_dir)
        assert engine is not None
        engine.answer(a_request())
        proxy.settimeout(0.1)
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_the_catalog_is_the_engines_and_shutdown_ends_it(server: ScriptedEngine, engine: Engine) -> None:
    assert engine.catalog() == {"version": "fake", "methods": [], "styles": []}
    engine.shutdown()
    deadline = time.monotonic() + 5
    while server._thread.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)
