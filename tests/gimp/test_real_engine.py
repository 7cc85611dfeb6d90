"""The whole way for real: a real GIMP, the real engine, its embedded weights; and kill -9 in the middle of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from skimage.color import rgb2lab

from benchmarks.objects import SAUCER, iou, outline
from server.worker.painter import catalog
from tests.gimp import gimps, samples
from tests.gimp.conftest import HERE, START_TIMEOUT_S, Played, environment
from tests.server.running_engine import RunningEngine, is_alive, kill, wait_until

pytestmark = [pytest.mark.gimp, pytest.mark.slow, pytest.mark.timeout(600)]

CHELSEA = {"width": 451, "height": 300, "dtype": "u1"}
START_S = 120.0  # torch takes its time on a busy machine


class Killer(threading.Thread):
    """Kills worker or engine, as a flag file asks, once a job has been computing for a moment."""

    def __init__(self, engine: RunningEngine, folder: Path) -> None:
        super().__init__(daemon=True)
        self.engine, self.folder = engine, folder
        self.orphans: list[int] = []

    def run(self) -> None:
        for what in ("worker", "engine"):
            flag = self.folder / f"kill-{what}"
            wait_until(flag.exists, START_TIMEOUT_S)
            wait_until(lambda: any(name.endswith(".request") for name in self.engine.spooled), START_TIMEOUT_S)
            time.sleep(1.0)
            workers = self.engine.worker_pids()
            if what == "engine":
                self.orphans = workers
            for pid in workers if what == "worker" else [self.engine.process.pid]:
                kill(pid)


@pytest.fixture(scope="module")
def real(gimp: gimps.Gimp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """What happened in a GIMP with the real engine beside it."""
    folder = tmp_path_factory.mktemp(f"real-{gimp.version}")
    samples.write_samples(folder)
    gimps.make_profile(folder / "profile", gimp.version, catalog())
    jobs = folder / "state" / "jobs"
    jobs.mkdir(parents=True)
    (folder / "state").chmod(0o700)
    is_small = mount_small_disk(jobs)
    if is_small:
        (folder / "disk-is-small").touch()
    engine = RunningEngine(folder / "state", worker="server.worker.process").wait_ready(START_S)
    killer = Killer(engine, folder)
    killer.start()
    try:
        settings = environment(folder) | {"IMPASTO_ENGINE_COMMAND": "/no/such/engine"}
        done = gimp.run_script(HERE / "inside" / "real_engine.py", settings, START_TIMEOUT_S)
        report = folder / "report.json"
        assert report.exists(), done.stdout + done.stderr
        scenes = json.loads(report.read_text("utf-8"))
        scenes["engine"]["orphans"] = wait_for_end(killer.orphans)
        yield Played(scenes, folder, done.stdout + done.stderr)
    finally:
        engine.stop()
        if is_small:
            subprocess.run(["umount", "-l", str(jobs)], check=True)


def mount_small_disk(folder: Path) -> bool:
    """Put a file system of 48 MB there, if that is allowed."""
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=48m,mode=700", "impasto-test", str(folder)]
    return mount is not None and subprocess.run([mount, *options], capture_output=True, check=False).returncode == 0


def wait_for_end(pids: list[int], patience_s: float = 10.0) -> list[int]:
    """The processes that have not ended in time."""
    deadline = time.monotonic() + patience_s
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def test_the_object_is_painted_and_the_rest_is_exact(real: Played) -> None:
    facts = real.facts("paint")
    assert facts["status"] == "SUCCESS", facts["message"]
    source, layer, flat = (real.pixels(f"real-{name}", CHELSEA).astype(int) for name in ("source", "layer", "flat"))
    selection = real.pixels("real-selection", CHELSEA, "f4")[..., 0]
    np.testing.assert_array_equal(flat[selection == 0], source[selection == 0])
    np.testing.assert_array_equal(flat[selection == 1], layer[selection == 1])
    assert np.abs(flat - source)[selection == 1].mean() > 2
    assert facts["layer"]["name"].endswith("(Neural Style)") and facts["layer"]["has_mask"]


def test_luminance_mode_keeps_the_chroma_through_gimp(real: Played) -> None:
    real.facts("paint")
    before, after = (rgb2lab(real.pixels(f"real-{name}", CHELSEA) / 255.0) for name in ("source", "flat"))
    assert np.hypot(*np.moveaxis(after - before, -1, 0)[1:]).mean() <= 1.0


def test_a_rough_rectangle_becomes_the_object_in_it(real: Played) -> None:
    facts = real.facts("find")
    assert facts["status"] == "SUCCESS", facts["message"]
    selection = real.pixels("real-object", {"width": 600, "height": 400, "dtype": "u1"})[..., 0]
    assert iou(selection / 255, outline((400, 600), SAUCER)) > 0.9


@pytest.mark.parametrize("what", ["worker", "engine"])
def test_kill_9_in_the_middle_is_a_sentence_and_changes_nothing(real: Played, what: str) -> None:
    facts = real.facts(what)
    assert facts["status"] == "EXECUTION_ERROR"
    assert "run the filter again" in facts["message"]
    assert facts["after"] == facts["before"]
    assert facts["processes"] == []


def test_a_full_disk_is_a_sentence_and_changes_nothing(real: Played) -> None:
    if "full disk" not in real.scenes:
        pytest.skip("no file system can be mounted here (tests/server has one with a limit on the size of files)")
    facts = real.facts("full disk")
    assert facts["status"] == "EXECUTION_ERROR"
    assert "disk" in facts["message"] and "Free some" in facts["message"], facts["message"]
    assert facts["after"] == facts["before"]
    assert facts["processes"] == []
    assert real.facts("after the full disk")["status"] == "SUCCESS"


def test_after_the_workers_death_the_next_run_works(real: Played) -> None:
    facts = real.facts("again")
    assert (facts["status"], facts["n_layers"]) == ("SUCCESS", 2), facts["message"]


def test_a_killed_engine_leaves_no_orphan(real: Played) -> None:
    assert real.facts("engine")["orphans"] == []
