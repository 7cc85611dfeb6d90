"""An engine in a process of its own, as users run it, and a plain HTTP client for it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gimp_plugin import wire

ROOT = Path(__file__).resolve().parent.parent.parent
PAINT_WORKER = "tests.server.paint_worker"
PATIENCE_S = 20.0
START_S = 120.0  # gradio and torch take seconds to import, many on a busy machine
Headers = Sequence[tuple[str, str]]
Request = wire.StylizeRequest | wire.SegmentRequest


def wait_until(is_so: Callable[[], Any], timeout_s: float = PATIENCE_S, what: str = "") -> float:
    """Poll until something is so.

    Returns:
        Seconds that it took.
    """
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < timeout_s, f"not so after {timeout_s} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


@dataclass(frozen=True)
class Answer:
    """What the engine answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code."""
        code: str = self.json["error"]["code"]
        return code


class RunningEngine:
    """Starts at once; ``wait_ready`` before it is asked anything.

    Args:
        folder: its state folder.
        options: of the command line.
        worker: module of the worker process.
        patch: Python statements that run in the supervisor before it serves, to shorten its waits.
        before: runs in the new process before Python does (POSIX).
        environment: variables beside those of this process.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        worker: str = PAINT_WORKER,
        patch: str = "",
        before: Callable[[], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.output = folder.parent / f"{folder.name}.{uuid.uuid4().hex}.out"
        start = ["-m", "server.supervisor.main"]
        if patch:
            start = ["-c", f"{patch}\nfrom server.supervisor.main import serve\nraise SystemExit(serve())"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *start, "--state-dir", str(folder), "--worker", worker, *options],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, preexec_fn=before,  # noqa: PLW1509
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
        self.endpoint: wire.Endpoint | None = None
        self.token = ""

    # --- life

    def wait_listening(self) -> RunningEngine:
        """Wait until it has announced its port."""

        def has_announced() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.printed}"
            endpoint = wire.read_endpoint(self.folder)
            if endpoint is not None and endpoint.pid == self.process.pid:
                self.endpoint, self.token = endpoint, wire.read_token(self.folder) or ""
            return self.endpoint is not None

        wait_until(has_announced, what="listening")
        return self

    def wait_ready(self, timeout_s: float = PATIENCE_S) -> RunningEngine:
        """Wait until its worker can paint."""
        self.wait_listening()
        wait_until(lambda: self.status == "ready", timeout_s, f"ready; {self.log}")
        return self

    @property
    def status(self) -> str:
        status: str = self.ask("GET", "/healthz").json["status"]
        return status

    @property
    def port(self) -> int:
        assert self.endpoint is not None
        return self.endpoint.port

    @property
    def printed(self) -> str:
        return self.output.read_text("utf-8", "replace")

    @property
    def log(self) -> str:
        """Both logs."""
        paths = [self.folder / name for name in ("engine.log", "worker.log")]
        return "".join(path.read_text("utf-8", "replace") for path in paths if path.exists())

    @property
    def spooled(self) -> list[str]:
        """Names of the working files."""
        jobs = self.folder / "jobs"
        return sorted(path.name for path in jobs.iterdir()) if jobs.is_dir() else []

    def worker_pids(self) -> list[int]:
        """Living children of the supervisor (Linux)."""
        return [pid for pid, parent, _ in processes() if parent == self.process.pid]

    def stop(self) -> int:
        """End it, whatever state it is in."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    # --- requests

    def connect(self, timeout_s: float = PATIENCE_S) -> http.client.HTTPConnection:
        """A connection of its own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    @property
    def authorized(self) -> Headers:
        return [("Authorization", f"Bearer {self.token}")]

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Headers | None = None) -> Answer:
        """One request on a connection of its own; the token goes along unless headers are given."""
        connection = self.connect()
        try:
            send_request(connection, method, path, self.authorized if headers is None else headers, body)
            with connection.getresponse() as response:
                return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def put(self, request: Request | bytes, job_id: str | None = None) -> Answer:
        """Submit a job."""
        body = request if isinstance(request, bytes) else frame_of(request)
        return self.ask("PUT", f"/v1/jobs/{job_id or uuid.uuid4()}", body)

    def submit(self, request: Request) -> str:
        """Submit a job that must be taken; its id."""
        answer = self.put(request)
        assert answer.status == 202, answer.body
        job_id: str = answer.json["id"]
        return job_id

    def look(self, job_id: str) -> dict[str, Any]:
        """A job as it stands."""
        answer = self.ask("GET", f"/v1/jobs/{job_id}")
        assert answer.status == 200, answer.body
        described: dict[str, Any] = answer.json
        return described

    def wait_running(self, job_id: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until a job's painter has reported something; it may be done by then."""

        def has_begun() -> bool:
            job = self.look(job_id)
            return job["state"] != "queued" and job["message"] != "Waiting"

        wait_until(has_begun, timeout_s, "running")

    def events(self, job_id: str) -> Iterator[dict[str, Any]]:
        """A job's events to their end."""
        connection = self.connect()
        try:
            send_request(connection, "GET", f"/v1/jobs/{job_id}/events", self.authorized)
            with connection.getresponse() as response:
                assert response.status == 200
                for line in response:
                    yield json.loads(line)
        finally:
            connection.close()

    def last_event(self, job_id: str) -> dict[str, Any]:
        """How a job ended."""
        return list(self.events(job_id))[-1]

    def forget(self, job_id: str) -> Answer:
        """Cancel and forget a job."""
        return self.ask("DELETE", f"/v1/jobs/{job_id}")

    def paint(self, request: wire.StylizeRequest) -> wire.StylizeResult:
        """The whole way of a job, as the plug-in goes it."""
        job_id = self.submit(request)
        last = self.last_event(job_id)
        assert last["state"] == "done", last
        answer = self.ask("GET", f"/v1/jobs/{job_id}/result")
        assert answer.status == 200, answer.body
        assert self.forget(job_id).status == 200
        return wire.StylizeResult.unpack(answer.body)


def send_request(
    connection: http.client.HTTPConnection, method: str, path: str, headers: Headers, body: bytes | None = None
) -> None:
    """Send exactly these headers, with the right Host and Content-Length unless they are among them."""
    names = {name.lower() for name, _ in headers}
    connection.putrequest(method, path, skip_host="host" in names, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    if body is not None and "content-length" not in names:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)


def frame_of(request: Request) -> bytes:
    """A request as it crosses the wire."""
    return b"".join(bytes(part) for part in request.pack())


def picture_request(what: str = "invert", height: int = 3, width: int = 4, dtype: str = "U8") -> wire.StylizeRequest:
    """A request for the painter of ``paint_worker``: every byte of the picture differs from its neighbors."""
    n_bytes = height * width * 4 * wire.ITEM_BYTES[dtype]
    data = (bytes(range(256)) * (n_bytes // 256 + 1))[:n_bytes]
    content = wire.Plane(dtype, (height, width, 4), data)
    return wire.StylizeRequest(content, (wire.StyleEntry(what, preset="any"),))


def processes() -> Iterator[tuple[int, int, str]]:
    """Living processes as (pid, parent's pid, command line), from /proc."""
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                after_name = (path / "stat").read_text().rpartition(")")[2].split()
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:  # gone meanwhile
                continue
            if after_name[0] not in "ZX":
                yield int(path.name), int(after_name[1]), command


def is_alive(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    return any(pid == living for living, _, _ in processes())


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, signal.SIGKILL)


def start_with_page(folder: Path, *options: str, **more: Any) -> RunningEngine:
    """An engine that shows its page already."""
    engine = RunningEngine(folder, "--ui", *options, **more)
    try:
        wait_until(lambda: "Open http" in engine.printed or engine.process.poll() is not None, START_S, "the page")
        return engine.wait_listening()
    except BaseException:
        engine.stop()
        raise
