#!/usr/bin/env python3
"""A small engine for the GIMP tests: it speaks the HTTP contract, paints the negative, finds whatever is bright, and
fails on command.

Standard library only, since it also runs inside the GIMP sandbox. What it does with a job is read from the file
``mode`` in its state folder when the job arrives, so a test can change it between two jobs:

    negative    the inverted picture (default); with a strength, a blend with the picture
    slow        the same after some seconds of reported progress
    die         it kills itself (SIGKILL) in the middle of the job
    hang        it never finishes, but keeps reporting
    nothing     it finds no object
    disk_full   it refuses the job with 507 disk_full
    preview-*   the same, but for previews, which are painted whatever the mode is else

With a file ``refuse-start`` in the state folder it does not even start: an engine that cannot be launched.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
import threading
import time
from array import array
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from gimp_plugin import wire

VERSION = "fake"
SLOW_S = 3.0
SETTINGS = (
    *("method", "strength", "color", "color_map", "photoreal", "style_size_px", "seed", "device", "blend"),
    *("quality", "options"),
)
NEGATIVE = bytes(255 - value for value in range(256))


class Job:
    """One picture on its way."""

    def __init__(self, job_id: str, request: wire.StylizeRequest | wire.SegmentRequest | wire.StyleRequest) -> None:
        self.id = job_id
        self.request = request
        self.state = "queued"
        self.share = 0.0
        self.error: dict[str, str] | None = None
        is_painting = isinstance(request, wire.StylizeRequest)
        self.message = f"Painting with {request.styles[0].name}" if is_painting else "Looking for the object"
        self.result: wire.StylizeResult | wire.SegmentResult | wire.StyleResult | None = None

    @property
    def is_preview(self) -> bool:
        """Whether it is only to be looked at: the plug-in blends a painting itself, by the new layer's mask."""
        return isinstance(self.request, wire.StylizeRequest) and bool(self.request.settings["composite"])

    def describe(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "state": self.state,
            "share": self.share,
            "message": self.message,
            "queue_position": 0,
            "error": self.error,
        }


class FakeEngine(ThreadingHTTPServer):
    """Holds the jobs, and what it was asked to do with the next one."""

    daemon_threads = True

    def __init__(self, state_dir: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state_dir = state_dir
        self.jobs: dict[str, Job] = {}
        self.nonce = secrets.token_hex(16)
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.token = wire.read_token(state_dir) or secrets.token_hex(32)
        (state_dir / "token").write_text(self.token)
        (state_dir / "token").chmod(0o600)
        endpoint = {"port": self.server_port, "pid": os.getpid(), "nonce": self.nonce, "version": VERSION}
        (state_dir / "engine.json.new").write_text(json.dumps(endpoint))
        (state_dir / "engine.json.new").replace(state_dir / "engine.json")

    @property
    def mode(self) -> str:
        try:
            return (self.state_dir / "mode").read_text().strip()
        except FileNotFoundError:
            return "negative"

    def paint(self, job: Job, mode: str) -> None:
        """Do the job, and tell the tests what was asked for."""
        job.state = "running"
        self._note(job)
        if mode == "slow":
            for step in range(10):
                job.share = step / 10
                time.sleep(SLOW_S / 10)
        job.share = 0.5
        if mode == "die":
            time.sleep(0.3)  # the client is listening by now
            os.kill(os.getpid(), signal.SIGKILL)
        while mode in ("hang", "preview-hang"):
            time.sleep(0.1)
        if isinstance(job.request, wire.SegmentRequest):
            self._find(job, mode)
            return
        if isinstance(job.request, wire.StyleRequest):
            job.result = looked_at(job.request)
            job.state = "done"
            return
        started = time.monotonic()
        picture = negative(job.request.content, job.request.settings["strength"])
        report = {"method": "fake", "device": "cpu", "seconds": {"paint": time.monotonic() - started}, "notes": []}
        if mode == "notes":
            report["notes"] = ["painted fast: a preset is only a code", "Held back to 80%."]
        job.result = wire.StylizeResult(picture, report, other_edge(job.request))
        job.share = 1.0
        job.state = "done"

    def _find(self, job: Job, mode: str) -> None:
        """What is bright in the box."""
        job.share = 1.0
        if mode == "nothing":
            job.error = {"code": "unprocessable", "message": "No object stands out there: draw the box closer."}
            job.state = "failed"
        else:
            report = {"model": "fake", "box": list(box_of(job.request)), "area": 0.1, "quality": None, "seconds": 0.0}
            job.result = wire.SegmentResult(bright(job.request), report)
            job.state = "done"

    def _note(self, job: Job) -> None:
        request = job.request
        if isinstance(request, wire.SegmentRequest):
            lasso = request.lasso and [list(request.lasso.shape), bytes(request.lasso.data).count(255)]
            content = [request.content.dtype, list(request.content.shape)]
            self._write_note({**vars(request), "content": content, "lasso": lasso})
            return
        if isinstance(request, wire.StyleRequest):
            self._write_note({"title": request.title, "content": sight_of(request.content)})
            return
        note = {
            "content": [request.content.dtype, list(request.content.shape)],
            "mask": request.mask and [request.mask.dtype, list(request.mask.shape), bool(any(request.mask.data))],
            "style": request.styles[0].name,
            "preset": request.styles[0].preset,
            "styles": [
                [style.name, style.preset, style.weight, style.picture and list(style.picture.shape), style.network]
                for style in request.styles
            ],
            "picture": request.styles[0].picture and list(request.styles[0].picture.shape),
            "style_sight": request.styles[0].picture and sight_of(request.styles[0].picture),
            "composite": request.settings["composite"],
            "settings": {name: request.settings[name] for name in SETTINGS},
            "n_series": len(request.series),
            "auto_regions": request.settings["auto_regions"],
            "labels": request.labels and sight_of(request.labels),
            "style_labels": request.style_labels and sight_of(request.style_labels),
        }
        self._write_note(note, "previews.jsonl" if job.is_preview else "jobs.jsonl")

    def _write_note(self, note: dict[str, Any], name: str = "jobs.jsonl") -> None:
        with open(self.state_dir / name, "a") as notes:
            notes.write(json.dumps(note) + "\n")


def is_preview(body: bytes) -> bool:
    """Whether a frame asks for something that is only to be looked at."""
    if wire.kind_of(body) == wire.SEGMENT_REQUEST:
        return False
    return bool(wire.StylizeRequest.unpack(body).settings["composite"])


def sight_of(plane: wire.Plane) -> dict[str, Any]:
    """The shape of an 8-bit picture and its pixels top left, top middle, bottom middle, bottom right."""
    height, width, _ = plane.shape
    starts = [4 * i for i in (0, width // 2, (height - 1) * width + width // 2, height * width - 1)]
    return {"shape": list(plane.shape), "pixels": [list(plane.data[start : start + 4]) for start in starts]}


def looked_at(request: wire.StyleRequest) -> wire.StyleResult:
    """Its first pixel as code, swatch and thumbnail."""
    pixel = bytes(request.content.data[:3])
    code = wire.Plane("F32", (1, 3), array("f", [value / 255 for value in pixel]).tobytes())
    swatch = wire.Plane("U8", (1, 1, 3), pixel)
    return wire.StyleResult(code, {"title": request.title, "network": "fake:" + "0" * 16}, swatch, swatch)


def box_of(request: wire.SegmentRequest) -> tuple[int, int, int, int]:
    """The request's box; without one, the picture."""
    height, width, _ = request.content.shape
    return request.box or (0, 0, width, height)


def bright(request: wire.SegmentRequest) -> wire.Plane:
    """255 inside the box where red is above one half, else 0."""
    height, width, _ = request.content.shape
    is_red = bytes(request.content.data)[::4].translate(bytes(128) + bytes([255]) * 128)
    mask = bytearray(height * width)
    x0, y0, x1, y1 = box_of(request)
    for start in range(y0 * width, y1 * width, width):
        mask[start + x0 : start + x1] = is_red[start + x0 : start + x1]
    return wire.Plane("U8", (height, width), mask)


def other_edge(request: wire.StylizeRequest) -> wire.Plane | None:
    """The mask cut at one half, where the request asks for another edge than it has."""
    mask = request.mask
    if mask is None or request.settings["blend"] == "feather":
        return None
    if mask.dtype == "U8":
        return wire.Plane("U8", mask.shape, bytes(mask.data).translate(bytes(128) + bytes([255]) * 128))
    cut = array("f", [float(value >= 0.5) for value in array("f", bytes(mask.data))])
    return wire.Plane("F32", mask.shape, cut.tobytes())


def negative(content: wire.Plane, strength: float) -> wire.Plane:
    """The picture with its colors inverted and its alpha kept."""
    if content.dtype == "U8":
        out = bytearray(content.data)
        table = bytes(round(v + strength * (255 - 2 * v)) for v in range(256))
        for channel in range(3):
            out[channel::4] = bytes(out[channel::4]).translate(table)
        return wire.Plane("U8", content.shape, out)
    values = array("f", bytes(content.data))
    for channel in range(3):
        plane = values[channel::4]
        values[channel::4] = array("f", [v + strength * (1 - 2 * v) for v in plane])
    return wire.Plane("F32", content.shape, values.tobytes())


class Handler(BaseHTTPRequestHandler):
    """The routes of the contract."""

    protocol_version = "HTTP/1.1"
    server: FakeEngine

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/healthz":
            challenge = parse_qs(url.query).get("challenge", [""])[0]
            proof = wire.proof(self.server.token, self.server.nonce, challenge)
            self._answer(200, {"status": "ready", "version": VERSION, "protocol": wire.PROTOCOL, "proof": proof})
        elif not self._is_known():
            self._fail("unauthorized", "Wrong token.")
        elif url.path == "/v1/catalog":
            self._answer(200, {"version": VERSION, "methods": [], "styles": []})
        else:
            self._get_job(url.path.split("/"))

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        mode = self.server.mode
        if not self._is_known():
            self._fail("unauthorized", "Wrong token.")
        elif mode == "disk_full" and not is_preview(body):
            self._fail("disk_full", "The disk for temporary files is full: free some space and try again.")
        else:
            kinds = {wire.SEGMENT_REQUEST: wire.SegmentRequest, wire.STYLE_REQUEST: wire.StyleRequest}
            kind = kinds.get(wire.kind_of(body), wire.StylizeRequest)
            job = Job(self.path.rsplit("/", 1)[1], kind.unpack(body))
            if job.is_preview and not mode.startswith("preview-"):
                mode = "negative"
            self.server.jobs[job.id] = job
            threading.Thread(target=self.server.paint, args=(job, mode), daemon=True).start()
            self._answer(202, {"id": job.id, "state": job.state})

    def do_DELETE(self) -> None:
        if self._is_known():
            job = self.server.jobs.pop(self.path.rsplit("/", 1)[1], None)
            if job is not None and job.state == "running":
                with open(self.server.state_dir / "cancelled", "a") as notes:
                    notes.write(f"{job.id}\n")
            self._answer(200, {})
        else:
            self._fail("unauthorized", "Wrong token.")

    def do_POST(self) -> None:
        self._answer(202, {})
        threading.Thread(target=self.server.shutdown, daemon=True).start()

    def _get_job(self, parts: list[str]) -> None:
        job = self.server.jobs.get(parts[3]) if len(parts) > 3 else None
        if job is None:
            self._fail("not_found", "There is no such job.")
        elif len(parts) == 4:
            self._answer(200, job.describe())
        elif parts[4] == "events":
            self._stream(job)
        elif job.result is None:
            self._fail("conflict", "The job is not done.")
        else:
            buffers = job.result.pack()
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(wire.frame_bytes(buffers)))
            self.end_headers()
            for buffer in buffers:
                self.wfile.write(buffer)

    def _stream(self, job: Job) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while True:
            state = job.state
            self.wfile.write(json.dumps(job.describe()).encode() + b"\n")
            self.wfile.flush()
            if state in ("done", "failed", "cancelled"):
                return
            time.sleep(0.05)

    def _is_known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.server.token}"

    def _fail(self, code: str, message: str) -> None:
        self._answer(wire.ERROR_STATUS[code], {"error": {"code": code, "message": message, "job": None}})

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--state-dir", type=Path, default=wire.state_dir())
    options, _others = parser.parse_known_args()  # launch.py may pass what the real engine takes
    if (options.state_dir / "refuse-start").exists():
        print("The fake engine was told not to start.", file=sys.stderr)
        return 1
    engine = FakeEngine(options.state_dir)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(f"fake engine on port {engine.server_port}", flush=True)
    engine.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
