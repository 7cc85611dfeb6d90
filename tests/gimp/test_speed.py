"""In a real GIMP, 12 megapixels: what reading, sending, receiving and inserting cost beside the painting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gimp import gimps, samples
from tests.gimp.conftest import HERE, START_TIMEOUT_S, Played, environment
from tests.server.running_engine import RunningEngine

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

LIMIT_S = 1.5  # 0.7 to 0.9 s on the computer that a second was promised of, 1.0 to 1.2 s on a slower one
BUSY_LIMIT_S = 2.0  # up to 0.3 s more: the engine's own threads and a second GIMP may be at work beside it
ENGINE_START_S = 120.0  # torch takes its time on a busy machine


def test_twelve_megapixels_travel_in_about_a_second(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    """The plug-in's own share: the small engine of these tests keeps everything in memory."""
    with capsys.disabled():
        assert overhead_s(played.facts("speed")["runs"]) <= LIMIT_S


def test_through_the_real_engine_too(gimp: gimps.Gimp, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the files between the engine's processes. Turning pixels into tensors is the engine's own work, as its
    report has it; it is printed beside."""
    samples.write_samples(tmp_path)
    gimps.make_profile(tmp_path / "profile", gimp.version)
    (tmp_path / "state").mkdir(mode=0o700)
    engine = RunningEngine(tmp_path / "state", worker="server.worker.process").wait_ready(ENGINE_START_S)
    try:
        settings = environment(tmp_path) | {"IMPASTO_ENGINE_COMMAND": "/no/such/engine"}
        done = gimp.run_script(HERE / "inside" / "real_speed.py", settings, START_TIMEOUT_S)
    finally:
        engine.stop()
    report = tmp_path / "report.json"
    assert report.exists(), done.stdout + done.stderr
    played = Played(json.loads(report.read_text("utf-8")), tmp_path, done.stdout + done.stderr)
    with capsys.disabled():
        assert overhead_s(played.facts("speed")["runs"]) <= BUSY_LIMIT_S


def overhead_s(runs: list[dict[str, Any]]) -> float:
    """Seconds beside the painting in the best run; the steps of every run are printed."""
    overheads = []
    for run in runs:
        assert run["status"] == "SUCCESS", run["message"]
        paint = sum(run["engine"].values())  # all that the engine's report calls its own
        convert = run["engine"].get("convert", 0.0)
        read, engine = run["steps"]["read"], run["steps"]["engine"]
        insert = run["seconds"] - read - engine
        overheads.append(run["seconds"] - paint)
        print(
            f"\n4000 x 3000: {overheads[-1]:.2f} s beside {paint:.2f} s of the engine's own "
            f"({convert:.2f} s of it converting): read {read:.2f} s, "
            f"there and back {engine - paint:.2f} s, insert {insert:.2f} s"
        )
    return min(overheads)
