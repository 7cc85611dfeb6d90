"""The long run: starts, rests, thousands of jobs, and large pictures that only go to and fro."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.reliability.crashes import running
from benchmarks.reliability.pictures import REAL_WORKER, request
from benchmarks.reliability.processes import forget_peak, status_kb, worker_pid
from benchmarks.reliability.row import Row, Scale, ms, percentile, slope
from tests.server.running_engine import PAINT_WORKER, ROOT, RunningEngine, picture_request, wait_until

WIDTH, HEIGHT = 3840, 2160
FERRY = """
import sys, time
from pathlib import Path
from gimp_plugin.client import Engine
from tests.server.running_engine import picture_request
def kb(name): return int(Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0])
dtype, n = sys.argv[2], int(sys.argv[3])
engine = Engine.find(Path(sys.argv[1]))
engine.answer(picture_request("same"))
sent = picture_request("same", 2160, 3840, dtype)
before, times = kb("VmRSS"), []
Path("/proc/self/clear_refs").write_text("5")
for _ in range(n):
    began = time.perf_counter()
    result = engine.answer(sent)
    times.append(time.perf_counter() - began)
    is_same = bytes(result.picture.data[:1000]) == bytes(sent.content.data[:1000])
    peak = kb("VmHWM") - before
    del result
print(min(times), sorted(times)[len(times) // 2], peak, is_same)
"""


def cold_start(scale: Scale) -> Row:
    """From nothing to the first answer, and to a worker that paints."""
    answers, readies = [], []
    for i in range(scale.n(1, 3, 10)):
        began = time.monotonic()
        engine = RunningEngine(scale.folder / f"cold-{i}", worker=REAL_WORKER)
        try:
            engine.wait_listening()
            engine.ask("GET", "/healthz")
            answers.append(time.monotonic() - began)
            engine.wait_ready(60)
            readies.append(time.monotonic() - began)
        finally:
            engine.stop()
    measured = f"API {ms(percentile(answers, 0.5))}, worker {percentile(readies, 0.5):.1f} s (median of {len(answers)})"
    is_held = percentile(answers, 0.5) < 1 and percentile(readies, 0.5) < 4
    return Row("cold start", "API < 1 s, torch ready < 4 s", measured, is_held)


def idle(scale: Scale) -> Row:
    """Weights are let go after a while, and the engine goes after a longer one; in seconds here, not in minutes."""
    unload_s, exit_s = (0.5, 2.0) if scale.level == 0 else (3.0, 20.0)
    worker = PAINT_WORKER if scale.level == 0 else REAL_WORKER
    options = ["--unload-s", str(unload_s), "--idle-exit-s", str(exit_s)]
    engine = RunningEngine(scale.folder / "idle", *options, worker=worker)
    try:
        engine.wait_ready(60)
        engine.paint(request(64) if worker == REAL_WORKER else picture_request())
        let_go = wait_until(lambda: worker_pid(engine) == 0, unload_s + 10)
        memory = status_kb(engine.process.pid, "VmRSS") / 1000
        gone = let_go + wait_until(lambda: engine.process.poll() is not None, exit_s + 10)
    finally:
        engine.stop()
    left = sorted(path.name for path in engine.folder.iterdir() if path.suffix != ".log" and path.name != "lock")
    measured = (
        f"let go after {let_go:.1f} s with {memory:.0f} MB left, exit after {gone:.1f} s, files left: {left or 0}"
    )
    is_held = let_go < unload_s + scale.bound(1) and memory < 60 and gone < exit_s + scale.bound(2) and not left
    return Row("idle", f"unload after {unload_s:g} s (<60 MB), exit after {exit_s:g} s (shortened)", measured, is_held)


def soak(scale: Scale) -> Row:
    """Job after job: memory must not grow with them, and no file must stay."""
    n_jobs = scale.n(40, 300, 2000)
    worker = PAINT_WORKER if scale.level == 0 else REAL_WORKER
    ours: list[float] = []
    theirs: list[float] = []
    with running(scale.folder / "soak", worker=worker) as engine:
        for i in range(n_jobs):
            # seventeen pictures in turn: more of them than are new, and the paintings that are kept stay as many
            sent = picture_request("same", 30, 40) if scale.level == 0 else request(64, i % 17)
            engine.paint(sent)
            if i >= n_jobs // 3:  # caches are full by then
                ours.append(status_kb(engine.process.pid, "VmRSS"))
                theirs.append(status_kb(worker_pid(engine), "VmRSS"))
        spooled = engine.spooled
    measured = (
        f"{n_jobs} jobs: supervisor {slope(ours):+.2f} kB a job, worker {slope(theirs):+.2f} kB, {len(spooled)} files"
    )
    bound = 5 if scale.level else 15  # a page or two of so few jobs is no slope
    is_held = slope(ours) < bound and slope(theirs) < bound and not spooled
    return Row("soak", "memory slope < 5 kB a job, temp folder empty", measured, is_held)


def round_trip(scale: Scale) -> Row:
    """A 4K picture to the engine and back, through the plug-in's client, without any painting."""
    n_trips, parts, is_held = scale.n(1, 3, 7), [], True
    with running(scale.folder / "trip") as engine:
        engine.paint(picture_request("same"))
        for name, dtype, item_bytes, most_s in (("RGBA8", "U8", 1, 0.2), ("float", "F32", 4, 0.7)):
            payload_kb = WIDTH * HEIGHT * 4 * item_bytes / 1000
            before = status_kb(engine.process.pid, "VmRSS")
            forget_peak(engine.process.pid)
            command = [sys.executable, "-c", FERRY, str(engine.folder), dtype, str(n_trips)]
            answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            best, median, peak, is_same = answer.stdout.split()
            server_peak = (status_kb(engine.process.pid, "VmHWM") - before) / payload_kb
            client_peak = float(peak) / payload_kb
            parts.append(
                f"{name} {ms(float(median))} (best {ms(float(best))}), peak {client_peak:.2f}x client, "
                f"{server_peak:.2f}x supervisor"
            )
            is_held &= is_same == "True" and float(median) < most_s and max(client_peak, server_peak) <= 1.1
    target = "4K RGBA8 < 200 ms, float < 700 ms, peak <= 1.1x the payload on each side"
    return Row("round trip", target, "; ".join(parts), is_held)
