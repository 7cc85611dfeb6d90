"""Processes that are killed, disks that are full, memory that is short, and two that start at once."""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.reliability.pictures import REAL_WORKER, request
from benchmarks.reliability.processes import worker_pid
from benchmarks.reliability.row import Row, Scale, ms
from gimp_plugin import client
from gimp_plugin.wire import StylizeResult
from tests.server.running_engine import RunningEngine, is_alive, kill, picture_request, wait_until

START_S = 300.0  # that it starts soon is told by another test; here it only has to
ROOM_BYTES = 1_700_000_000  # of address space: torch and its weights, and little beside


@contextmanager
def running(folder: Path, *options: str, **more: object) -> Iterator[RunningEngine]:
    """An engine that is stopped at the end."""
    engine = RunningEngine(folder, *options, **more)  # type: ignore[arg-type]
    try:
        yield engine.wait_ready(START_S)
    finally:
        engine.stop()


def killed_worker(scale: Scale) -> Row:
    """kill -9 of the worker at a random moment of a job."""
    dice, n_rounds = random.Random(0), scale.n(3, 20, 200)  # noqa: S311
    told, ready, n_wrong, n_done = [], [], 0, 0
    with running(scale.folder / "killed") as engine:
        for _ in range(n_rounds):
            sent = picture_request("same", 300, 400)
            asked = dice.choice([sent, picture_request("sleep 1")])  # which inverts the picture when it has slept
            job_id = engine.submit(asked)
            time.sleep(dice.uniform(0, 0.05))
            wait_until(lambda: worker_pid(engine) != 0)
            began = time.monotonic()
            kill(worker_pid(engine))
            last = engine.last_event(job_id)
            if last["state"] == "done":
                n_done += 1
                frame = engine.ask("GET", f"/v1/jobs/{job_id}/result").body
                given = bytes(asked.content.data)
                wanted = given if asked is sent else bytes(255 - value for value in given)
                n_wrong += bytes(StylizeResult.unpack(frame).picture.data) != wanted
            else:
                n_wrong += last["error"]["code"] != "worker_died"
                told.append(time.monotonic() - began)
            engine.forget(job_id)
            began = time.monotonic()
            engine.paint(sent)
            ready.append(time.monotonic() - began)
            n_wrong += engine.spooled != []
    measured = (
        f"{n_rounds} kills ({n_done} after the result), {n_wrong} wrong, told after at most {ms(max(told, default=0))}"
    )
    measured += f", next job done after at most {ms(max(ready))}"
    is_held = n_wrong == 0 and max(told, default=0) < scale.bound(1) and max(ready) < scale.bound(3)
    return Row("kill -9 of the worker", "no wrong or partial output, told < 1 s, next ready < 3 s", measured, is_held)


def killed_supervisor(scale: Scale) -> Row:
    """kill -9 of the supervisor while its worker paints."""
    n_rounds, n_orphans, n_other = scale.n(2, 10, 100), 0, 0
    back, folder = [], scale.folder / "supervisor"
    sent = picture_request("same", 200, 300)
    with running(folder) as engine:
        expected = bytes(engine.paint(sent).picture.data)
    for _ in range(n_rounds):
        engine = RunningEngine(folder).wait_ready()
        engine.wait_running(engine.submit(picture_request("sleep 60")))
        pids = engine.worker_pids()
        engine.process.kill()
        engine.process.wait()
        began = time.monotonic()
        successor = RunningEngine(folder)
        try:
            successor.wait_listening().ask("GET", "/healthz")
            back.append(time.monotonic() - began)
            n_other += bytes(successor.paint(sent).picture.data) != expected
            while any(map(is_alive, pids)) and time.monotonic() - began < 2:
                time.sleep(0.02)
            n_orphans += sum(map(is_alive, pids))
        finally:
            successor.stop()
    measured = f"{n_rounds} kills, {n_orphans} orphans, API back after at most {ms(max(back))}, {n_other} other bytes"
    target = "no orphan after 2 s, API back < 1 s, same bytes"
    is_held = not n_orphans and not n_other and max(back) < scale.bound(1)
    return Row("kill -9 of the supervisor", target, measured, is_held)


def two_starts(scale: Scale) -> Row:
    """Two engines started at the same moment in one folder, as two GIMPs do."""
    n_rounds, n_wrong = scale.n(2, 10, 100), 0
    for i in range(n_rounds):
        folder = scale.folder / f"two-{i}"
        both = [RunningEngine(folder) for _ in range(2)]
        try:
            wait_until(lambda folder=folder: client.Engine.find(folder) is not None)  # type: ignore[misc]
            served = [client.Engine.find(folder) for _ in both]
            sent = picture_request("same")
            wait_until(lambda both=both: sum(e.process.poll() is None for e in both) == 1)  # type: ignore[misc]
            pictures = [bytes(found.answer(sent).picture.data) for found in served if found is not None]
            n_wrong += pictures != [bytes(sent.content.data)] * 2
        finally:
            for engine in both:
                engine.stop()
    measured = f"{n_rounds} pairs, {n_wrong} without exactly one server for both"
    return Row("two GIMPs start together", "one server, both served", measured, n_wrong == 0)


def short_memory(scale: Scale) -> Row:
    """Pictures that need more memory than there is, and after each of them a small one."""
    n_rounds, codes, n_broken = scale.n(1, 5, 50), dict[str, int](), 0

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ROOM_BYTES, ROOM_BYTES))

    with running(scale.folder / "memory", worker=REAL_WORKER, before=limit) as engine:
        for i in range(n_rounds):
            side_px = (3000, 4000, 5000)[i % 3]
            job_id = engine.submit(request(side_px, method="anystyle", color="luminance"))
            last = engine.last_event(job_id)
            code = "painted" if last["state"] == "done" else last["error"]["code"]
            codes[code] = codes.get(code, 0) + 1
            engine.forget(job_id)
            small = engine.submit(request(64, i))
            n_broken += engine.last_event(small)["state"] != "done"
            engine.forget(small)
        is_alive_still = engine.process.poll() is None
    told = ", ".join(f"{code} {n}x" for code, n in sorted(codes.items()))
    is_held = is_alive_still and not n_broken and set(codes) <= {"painted", "out_of_memory", "worker_died"}
    measured = f"{n_rounds} large pictures under {ROOM_BYTES / 1e9:.1f} GB: {told}; {n_broken} small ones failed after"
    return Row("out of memory", "painted or a clear error, the next one works", measured, is_held)


def full_disk(scale: Scale) -> Row:
    """A working folder of one megabyte."""
    jobs = scale.folder / "disk" / "jobs"
    jobs.mkdir(parents=True)
    mount = shutil.which("mount")
    target = "507, no partial file, recovers"
    command = ["-t", "tmpfs", "-o", "size=1m", "impasto-test", str(jobs)]
    if mount is None or subprocess.run([mount, *command], check=False, capture_output=True).returncode:
        return Row("disk full", target, "no file system can be mounted here", None)
    n_rounds, n_wrong = scale.n(2, 10, 50), 0
    try:
        with running(jobs.parent) as engine:
            for _ in range(n_rounds):
                refused = engine.put(picture_request("same", 700, 500))  # 1.4 MB
                n_wrong += (refused.status, refused.code) != (507, "disk_full") or engine.spooled != []
                half = engine.submit(picture_request("same", 400, 400))  # 0.64 MB, and its result as much again
                last = engine.last_event(half)
                n_wrong += (last["error"] or {}).get("code") != "disk_full" or engine.spooled != []
                engine.forget(half)
                small = picture_request("same", 40, 30)
                n_wrong += bytes(engine.paint(small).picture.data) != bytes(small.content.data)
    finally:
        subprocess.run(["umount", "-l", str(jobs)], check=True)
    return Row("disk full", target, f"{n_rounds} rounds, {n_wrong} wrong", n_wrong == 0)
