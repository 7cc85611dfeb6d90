"""Clients that vanish, stop, flood, and do things in any order."""

from __future__ import annotations

import importlib
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from itertools import pairwise

from benchmarks.reliability.crashes import running
from benchmarks.reliability.pictures import REAL_WORKER, request
from benchmarks.reliability.row import Row, Scale, ms, percentile
from tests.server.running_engine import ROOT, RunningEngine, picture_request, wait_until

STEPS = {
    ("queued", "running"), ("queued", "cancelled"), ("queued", "failed"),
    ("running", "done"), ("running", "failed"), ("running", "cancelled"),
}  # fmt: skip
# A job that runs may have been seen neither waiting nor at its end.
LATER = STEPS | {("queued", "done")}
CLIENT = """
import sys
from pathlib import Path
from gimp_plugin.client import Engine
from tests.server.running_engine import picture_request
engine = Engine.find(Path(sys.argv[1]))
engine.answer(picture_request("sleep 600"), on_progress=lambda share, message: print(message, flush=True))
"""
LISTENER = """
import sys
from pathlib import Path
from gimp_plugin import client, wire
from gimp_plugin.client import exchange
from tests.server.running_engine import picture_request
engine = client.Engine.find(Path(sys.argv[1]))
connection = engine.connect(60)
parts = picture_request("sleep 600").pack()
path = "/v1/jobs/" + sys.argv[2]
engine.send_head(connection, "PUT", path, wire.frame_bytes(parts))
exchange.send_body(connection.sock, parts)
connection.getresponse().read()
engine.send_head(connection, "GET", path + "/events")
for line in connection.getresponse():
    print(exchange.parse_json(line)["message"], flush=True)
"""


def state_machine(scale: Scale) -> Row:
    """Random sequences of submit, cancel, look and restart against the real server."""
    n_sequences, dice = scale.n(20, 100, 1000), random.Random(1)  # noqa: S311
    illegal, n_answers = [], 0
    folder = scale.folder / "machine"
    engine = RunningEngine(folder).wait_ready()
    try:
        for i in range(n_sequences):
            if i % (n_sequences // 2) == 1:  # the jobs of before are gone, and their ids are free again
                engine.stop()
                engine = RunningEngine(folder).wait_ready()
            seen: dict[str, list[str]] = {}
            for _ in range(8):
                n_answers += 1
                _step(engine, dice, seen)
            for job_id, states in seen.items():
                engine.forget(job_id)
                illegal += [step for step in pairwise(states) if step[0] != step[1] and step not in LATER]
            wait_until(lambda: engine.spooled == [], 10)  # noqa: B023
    finally:
        engine.stop()
    measured = f"{n_sequences} sequences, {n_answers} steps, {len(illegal)} illegal transitions {illegal[:3] or ''}"
    return Row("state machine", "no illegal transition", measured.strip(), not illegal)


def _step(engine: RunningEngine, dice: random.Random, seen: dict[str, list[str]]) -> None:
    what = dice.choice(["submit", "submit", "look", "look", "cancel", "again"])
    if what == "submit" or not seen:
        sent = picture_request(dice.choice(["same", "sleep 0.05", "sleep 5", "fault"]))
        answer = engine.put(sent, job_id := str(uuid.uuid4()))
        if answer.status == 202:
            seen[job_id] = [answer.json["state"]]
        return
    job_id = dice.choice(list(seen))
    if what == "cancel":
        answer = engine.forget(job_id)
        seen.pop(job_id)
    elif what == "again":
        answer = engine.put(picture_request("same", 5, 5), job_id)  # another request under its id
        assert answer.status == 409, answer.body
        return
    else:
        answer = engine.ask("GET", f"/v1/jobs/{job_id}")
        seen[job_id].append(answer.json["state"])
    assert answer.status == 200, answer.body


def gone_clients(scale: Scale) -> Row:
    """Clients that are killed and clients that are stopped, ours and one that just listens."""
    lease_s = 30.0 if scale.level == 2 else 3.0
    after = {}
    with running(scale.folder / "gone", "--lease-s", str(lease_s)) as engine:
        for name, source in (("ours", CLIENT), ("a listener", LISTENER)):
            for how in (signal.SIGKILL, signal.SIGSTOP):
                after[f"{name}, {how.name}"] = _lost(engine, source, how, lease_s)
    measured = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in after.items())
    killed = [seconds for name, seconds in after.items() if "KILL" in name]
    is_held = max(after.values()) <= lease_s + 0.5 and max(killed) <= scale.bound(1.0)
    return Row(
        "client gone", f"killed < 1 s, stopped < {lease_s + 0.5:.1f} s (lease {lease_s:.0f} s)", measured, is_held
    )


def _lost(engine: RunningEngine, source: str, how: signal.Signals, lease_s: float) -> float:
    """Seconds from the end of a client to the end of its job."""
    command = [sys.executable, "-c", source, str(engine.folder), str(uuid.uuid4())]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        while "Sleeping" not in child.stdout.readline():
            assert child.poll() is None
        time.sleep(min(2.0, lease_s / 2))
        assert engine.spooled != []
        child.send_signal(how)
        return wait_until(lambda: engine.spooled == [], lease_s + 10)
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def flood(scale: Scale) -> Row:
    """A hundred submissions at once, and the health of an engine that computes."""
    n_asked, statuses, refusals, healths = scale.n(30, 60, 300), list[int](), list[float](), list[float]()
    is_real = scale.level > 0
    with running(scale.folder / "flood", worker=REAL_WORKER if is_real else "tests.server.paint_worker") as engine:
        sent = request(512, quality="best") if is_real else picture_request("sleep 60")
        first = engine.submit(sent)
        engine.wait_running(first)

        def submit() -> None:
            began = time.monotonic()
            status = engine.put(sent).status
            statuses.append(status)
            if status == 429:
                refusals.append(time.monotonic() - began)

        threads = [threading.Thread(target=submit) for _ in range(100)]
        for thread in threads:
            thread.start()
            thread.join()  # one after the other: the wait of a refusal is the server's, not that of a hundred threads
        for _ in range(n_asked):
            began = time.monotonic()
            engine.ask("GET", "/healthz")
            healths.append(time.monotonic() - began)
    n_taken = 1 + statuses.count(202)
    p99 = percentile(healths, 0.99)
    measured = (
        f"{n_taken} taken, {len(refusals)} refused in {ms(percentile(refusals, 0.99))} (p99; at most "
        f"{ms(max(refusals))}), health p99 {ms(p99)}"
    )
    is_held = n_taken == 9 and len(refusals) == 92 and percentile(refusals, 0.99) < scale.bound(0.05)
    is_held &= p99 < scale.bound(0.1)
    return Row("flood of 100 submits", "9 taken, the rest 429 < 50 ms, health p99 < 100 ms", measured, is_held)


def fuzz(scale: Scale) -> Row:
    """Requests that no client of ours would send."""
    target = "no 5xx but 503/507, no hang, memory +<20 MB, no descriptor leak"
    try:
        requests = importlib.import_module("benchmarks.fuzz")
    except ModuleNotFoundError:
        return Row("fuzz", target, "benchmarks/fuzz.py is not there", None)
    n_requests = scale.n(100, 1000, 10_000)
    with running(scale.folder / "fuzz", worker=REAL_WORKER) as engine:
        target_engine = requests.Target(engine.port, engine.token, engine.process.pid)
        found = requests.run(target_engine, n_requests, 1)
        is_well = engine.process.poll() is None
    measured = (
        f"{n_requests} requests, {len(found.faults)} faults {found.faults[:2] or ''}, slowest {ms(found.slowest_s)}, "
        f"{found.grown_bytes / 1e6:+.1f} MB, {found.n_files:+d} descriptors"
    )
    is_held = is_well and not found.faults and found.grown_bytes < 20e6 and found.n_files <= 4
    return Row("fuzz", target, measured, is_held)
