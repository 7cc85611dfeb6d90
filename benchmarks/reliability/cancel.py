"""Cancel, at random moments of every method: how soon it is acknowledged, and how soon computing stops."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from benchmarks.reliability.crashes import running
from benchmarks.reliability.pictures import REAL_WORKER, plane, request
from benchmarks.reliability.processes import worker_pid
from benchmarks.reliability.row import Row, Scale, ms, percentile
from engine.train.recipes.train_unpaired import Recipe, generator_of
from gimp_plugin import wire
from tests.server.running_engine import RunningEngine, wait_until

SIDE_PX, MOST_PX = 512, 4096
LONGEST_S = 6.0  # into a job
TRIES = 4  # for a sample, of jobs that are done too soon
TRANSLATORS = ("cyclegan", "discogan")
Make = Callable[[int, int], wire.StylizeRequest | wire.SegmentRequest]


@dataclass
class Samples:
    """What was measured of one method. In seconds."""

    acknowledged: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    n_killed: int = 0
    began: float = 0.0
    refusal: str = ""

    def __str__(self) -> str:
        if not self.stopped:
            return self.refusal or "was done too soon"
        return (
            f"{len(self.stopped)}x, acknowledged {ms(max(self.acknowledged))}, stopped p95 "
            f"{ms(percentile(self.stopped, 0.95))} max {ms(max(self.stopped))}, told p95 "
            f"{ms(percentile(self.told, 0.95))}, {self.n_killed} killed"
        )


def cancels(scale: Scale) -> Row:
    """Every method, in each quality that it has, and what else an engine computes for long."""
    n_samples = scale.n(2, 4, 20)
    models = scale.folder / "models"
    save_translators(models)
    with running(scale.folder / "cancel", worker=REAL_WORKER, environment={"IMPASTO_MODELS": str(models)}) as engine:
        keep = request(96, 7)
        engine.paint(keep)
        found = {}
        for name, make in jobs(engine, scale):
            found[name] = measure(engine, make, n_samples)
            if scale.level > 0:
                print(f"  cancel {name}: {found[name]}", flush=True)
        again = engine.paint(request(96, 7, color="luminance"))
    return summary(found, bool(again.report["reused"]))


def save_translators(folder: Path) -> None:
    """Networks for the methods that ship none: of the published size, untrained."""
    folder.mkdir()
    for kind in TRANSLATORS:
        state = generator_of(Recipe(kind=kind, width=64, blocks=9)).state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, folder / f"{kind}.safetensors")


def jobs(engine: RunningEngine, scale: Scale) -> Iterator[tuple[str, Make]]:
    """Names, and what makes the request from a side in pixels and a number."""
    if scale.level == 0:
        yield "gatys", stylize("gatys")
        return
    catalog = engine.ask("GET", "/v1/catalog").json
    for method in catalog["methods"]:
        name = method["name"]
        yield name, stylize(name, options={"model": name} if name in TRANSLATORS else {})
    for quality in ("better", "best"):
        yield f"anystyle, {quality}", stylize("anystyle", quality=quality)
    yield "regions", stylize("anystyle", auto_regions=True)
    yield "smoothed", stylize("anystyle", photoreal=1.0)
    yield "auto strength", stylize("anystyle", auto_strength=True)
    for model in catalog["segment_models"]:
        yield f"object, {model}", segment(model)


def stylize(method: str, **settings: Any) -> Make:
    """Pictures that differ in a pixel: none is painted already."""
    return lambda side_px, n: replace(request(side_px, method=method, **settings), content=varied(plane(side_px, 0), n))


def segment(model: str) -> Make:
    """An object in the middle of a picture."""

    def make(side_px: int, n: int) -> wire.SegmentRequest:
        content, q = varied(plane(side_px, 0), n), side_px // 4
        return wire.SegmentRequest(content, (q, q, 3 * q, 3 * q), model=model, edge="soft")

    return make


def varied(whole: wire.Plane, n: int) -> wire.Plane:
    """The plane with another first pixel."""
    return replace(whole, data=bytes([n, 0, 0, 255]) + bytes(whole.data)[4:])


def summary(found: dict[str, Samples], is_kept: bool) -> Row:
    """All methods in one line; the slowest count."""
    able = {name: one for name, one in found.items() if one.stopped}
    slowest = max(able, key=lambda name: percentile(able[name].stopped, 0.95))
    p95 = percentile(able[slowest].stopped, 0.95)
    longest = max(max(one.stopped) for one in able.values())
    acknowledged = max(max(one.acknowledged) for one in able.values())
    n_killed = sum(one.n_killed for one in able.values())
    measured = (
        f"acknowledged after at most {ms(acknowledged)}, stopped p95 {ms(p95)} in {slowest}, at most {ms(longest)}; "
        f"{sum(len(one.stopped) for one in able.values())} samples of {len(able)}, {n_killed} by a kill; "
        f"the finished painting was {'kept' if is_kept else 'LOST'}"
    )
    target = "acknowledged < 50 ms, stopped p95 < 200 ms, max < 500 ms, finished paintings kept"
    return Row("cancel", target, measured, is_kept and acknowledged < 0.05 and p95 < 0.2 and longest < 0.5)


def measure(engine: RunningEngine, make: Make, n_samples: int) -> Samples:
    """Cancel one kind of job again and again, at a random moment. One that is done before gets a larger picture."""
    samples, dice, side_px, longest_s = Samples(), random.Random(2), SIDE_PX, LONGEST_S  # noqa: S311
    for n in range(TRIES * n_samples):
        if len(samples.stopped) >= n_samples or samples.refusal:
            break
        wait_until(lambda: worker_pid(engine) != 0)
        pid = worker_pid(engine)
        job_id = engine.submit(make(side_px, n))
        ends: queue.Queue[tuple[float, dict[str, Any]]] = queue.Queue()
        listener = threading.Thread(target=_listen, args=(engine, job_id, ends))
        listener.start()
        engine.wait_running(job_id, 60)
        time.sleep(dice.uniform(0, longest_s))
        if not ends.empty():  # it was done, or refused, before
            _, last = ends.get()
            samples.refusal = last["error"]["message"] if last["state"] == "failed" else ""
            engine.forget(job_id)
            side_px, longest_s = min(2 * side_px, MOST_PX), longest_s * (0.6 if side_px == MOST_PX else 1)
        else:
            _cancel(engine, job_id, pid, samples)
            at, last = ends.get(timeout=20)
            if last["state"] == "cancelled":
                samples.told.append(at - samples.began)
                samples.n_killed += worker_pid(engine) != pid
            else:
                for values in (samples.acknowledged, samples.stopped):
                    values.pop()
        listener.join()
    return samples


def _cancel(engine: RunningEngine, job_id: str, pid: int, samples: Samples) -> None:
    began = samples.began = time.monotonic()
    engine.forget(job_id)
    samples.acknowledged.append(time.monotonic() - began)
    samples.stopped.append(_last_work(pid, began) - began)


def _last_work(pid: int, began: float) -> float:
    """When a process computed last: it has not for 60 ms, or is gone."""
    used, at = _cpu_ticks(pid), began
    while (now := time.monotonic()) - at < 0.06:
        time.sleep(0.002)
        if (ticks := _cpu_ticks(pid)) > used:
            used, at = ticks, now
        elif ticks < 0:
            return now
    return at


def _cpu_ticks(pid: int) -> int:
    """User time of a process; -1 if it is gone. A dying process gives its memory back in system time: no computing."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return -1
    return -1 if after_name[0] in "ZX" else int(after_name[11])


def _listen(engine: RunningEngine, job_id: str, ends: queue.Queue[tuple[float, dict[str, Any]]]) -> None:
    last = engine.last_event(job_id)
    ends.put((time.monotonic(), last))
