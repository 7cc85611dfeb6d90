"""An engine in the test's own process that does as each test tells it, and notes everything that it is sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gimp_plugin import wire
from tests.gimp.fake_engine import FakeEngine, Handler, Job

Step = Callable[["ScriptedHandler"], bool]


class ScriptedEngine(FakeEngine):
    """The fake engine with steps that tests replace.

    ``steps``: by "PUT", "events" and "result": a function that gets the handler and says whether it dealt with the
    request. ``seen``: (method, path, Authorization) of every request, in order.
    """

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self.RequestHandlerClass = ScriptedHandler
        self.steps: dict[str, Step] = {}
        self.seen: list[tuple[str, str, str | None]] = []
        self.requests: list[wire.StylizeRequest] = []
        self.is_over = threading.Event()  # frees handlers that hang on purpose
        self.protocol = wire.PROTOCOL
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def paint(self, job: Job, mode: str) -> None:
        """All bytes in the reverse order: a result that every dtype has, and that no client makes by itself."""
        self.requests.append(job.request)
        content = job.request.content
        picture = wire.Plane(content.dtype, content.shape, bytes(content.data)[::-1])
        job.result = wire.StylizeResult(picture, {"method": "fake", "mode": mode})
        job.share, job.state = 1.0, "done"

    def methods(self, part: str = "") -> list[str]:
        """Methods of the requests whose path contains a part."""
        return [method for method, path, _ in self.seen if part in path]

    def hang(self, _handler: ScriptedHandler) -> bool:
        """A step: say nothing until the test is over."""
        self.is_over.wait(30)
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that cuts the line is no news."""

    def close(self) -> None:
        self.is_over.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


class ScriptedHandler(Handler):
    server: ScriptedEngine

    def parse_request(self) -> bool:
        is_valid = super().parse_request()
        if is_valid:
            self.server.seen.append((self.command, self.path, self.headers.get("Authorization")))
        return is_valid

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def drop(self) -> None:
        """Cut the connection without a word."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def send_raw(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def fail(self, code: str, message: str) -> None:
        self._fail(code, message)

    def do_GET(self) -> None:  # noqa: N802
        step = self.server.steps.get(self.path.rsplit("/", 1)[1])
        if self.path.startswith("/healthz"):
            self._be_healthy()
        elif step is None or not step(self):
            super().do_GET()

    def do_PUT(self) -> None:  # noqa: N802
        step = self.server.steps.get("PUT")
        if step is None or not step(self):
            super().do_PUT()

    def _be_healthy(self) -> None:
        challenge = self.path.partition("=")[2]
        proof = wire.proof(self.server.token, self.server.nonce, challenge)
        self._answer(200, {"status": "ready", "version": "scripted", "protocol": self.server.protocol, "proof": proof})
