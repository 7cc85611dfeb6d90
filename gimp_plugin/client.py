"""The plug-in's end of the line: prove the engine, send a job, follow it, fetch the result.

Standard library only. ``http.client`` and never ``urllib``: pixels go to 127.0.0.1, whatever the proxy
variables say. No foreign exception leaves it: all become ``WireError`` with a sentence for the user.
"""

from __future__ import annotations

import hmac
import http.client
import secrets
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING or __package__:
    from . import exchange, wire
else:
    import exchange
    import wire

PROOF_S = 3.0  # the engine answers /healthz within 0.1 s, even while it paints
SILENCE_S = 10.0  # the events stream has a heartbeat each second
ANSWER_S = 30.0  # hashing and storing half a gigabyte takes a slow disk some seconds
FORGET_S = 2.0
POLL_S = 0.05
MAX_RECONNECTS = 3

STOPPED = "The engine stopped while it was painting. Nothing was changed: run the filter again."
SILENT = "The engine does not answer: run the filter again."
WRONG_SIZE = "The engine sent a picture of another size. Nothing was changed: run install.py in Impasto's folder again."

Report = Callable[[float, str], None]


def _silent(_share: float, _message: str) -> None:
    """Nobody wants to know how far it is."""


def _never() -> bool:
    return False


class Health(NamedTuple):
    """What ``/healthz`` says of an engine that has proven itself."""

    status: str
    version: str
    protocol: int


class Engine:
    """A running engine, and the secret that it shares with us.

    Args:
        port: where it listens.
        token: its secret.
        host: always this machine, unless a test says otherwise.
        nonce: of its endpoint file. With it, each connection is proven before the token goes over it: if the
            engine dies, whoever takes its port learns nothing. None: the port is trusted.
    """

    def __init__(self, port: int, token: str, host: str = "127.0.0.1", nonce: str | None = None) -> None:
        self.port = port
        self.host = host
        self.health = Health("ready", "", wire.PROTOCOL)
        self._token = token
        self._nonce = nonce

    @classmethod
    def find(cls, folder: Path | None = None) -> Engine | None:
        """The running engine, or None if none of our version runs or what answers cannot prove itself.

        Args:
            folder: the state folder; None = the usual one.
        """
        engine = cls.probe(folder)
        return engine if engine is not None and engine.health.protocol == wire.PROTOCOL else None

    @classmethod
    def probe(cls, folder: Path | None = None) -> Engine | None:
        """Like ``find``, but of whatever version: one that speaks another protocol can still be shut down."""
        folder = wire.engine_folder(folder or wire.state_dir())
        endpoint, token = wire.read_endpoint(folder), wire.read_token(folder)
        if endpoint is None or token is None or wire.is_elsewhere(endpoint.host) or not 0 < endpoint.port < 65536:
            return None
        engine = cls(endpoint.port, token, nonce=endpoint.nonce)
        try:
            engine.connect(PROOF_S).close()
        except (OSError, http.client.HTTPException, ValueError):
            return None  # nobody, somebody else, or an engine that hangs: none that could paint
        return engine

    def catalog(self) -> dict[str, Any]:
        """The engine's methods and styles.

        Raises:
            WireError: the engine refuses or does not answer.
        """
        with exchange.translated(SILENT):
            return self._ask("GET", "/v1/catalog", ANSWER_S)

    def shutdown(self) -> None:
        """Ask the engine to stop cleanly.

        Raises:
            WireError: the engine refuses or does not answer.
        """
        with exchange.translated(SILENT):
            self._ask("POST", "/v1/shutdown", ANSWER_S)

    def page_address(self) -> str | None:
        """An address that lets a browser into the engine's web page, once; None: it has no page, and is stopping.

        Raises:
            WireError: the engine is at work and has no page ("busy"), or does not answer.
        """
        with exchange.translated(SILENT):
            address = self._ask("POST", "/v1/page", ANSWER_S).get("address")
        return None if address is None else str(address)

    def stylize(
        self,
        request: wire.StylizeRequest,
        on_progress: Report = _silent,
        should_cancel: Callable[[], bool] = _never,
    ) -> wire.StylizeResult:
        """Let the engine paint. Whatever happens, no job is left behind in the engine.

        Args:
            request: the job.
            on_progress: called on this thread with the share done, 0 to 1, and the engine's message.
            should_cancel: asked on this thread about twenty times a second.

        Returns:
            The result; its picture has the content's shape and dtype.

        Raises:
            WireError: the engine's own error, "unreachable" when it dies or hangs, "cancelled".
        """
        return _Job[wire.StylizeResult](self, request).run(on_progress, should_cancel)

    def find_object(
        self,
        request: wire.SegmentRequest,
        on_progress: Report = _silent,
        should_cancel: Callable[[], bool] = _never,
    ) -> wire.SegmentResult:
        """Let the engine find an object, in the same way as ``stylize``; its mask has the content's size and dtype."""
        return _Job[wire.SegmentResult](self, request).run(on_progress, should_cancel)

    def forget(self, job_id: str) -> None:
        """Cancel a job, or drop its result.

        Raises:
            WireError: the engine does not know it, or does not answer.
        """
        with exchange.translated(SILENT):
            self._ask("DELETE", f"/v1/jobs/{job_id}", FORGET_S)

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection to the engine, proven where the nonce is known.

        Raises:
            OSError, HTTPException, ValueError: nothing answers, or it cannot prove that it holds the token.
        """
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        connection.auto_open = 0  # never a second, unproven connection behind our back
        try:
            connection.connect()
            if self._nonce is not None:
                self._prove(connection, self._nonce, timeout_s)
        except BaseException:
            connection.close()
            raise
        return connection

    def send_head(
        self, connection: http.client.HTTPConnection, method: str, path: str, n_bytes: int | None = None
    ) -> None:
        """Send a request's line and headers, the token among them."""
        connection.putrequest(method, path)
        connection.putheader("Authorization", f"Bearer {self._token}")
        if n_bytes is not None:
            connection.putheader("Content-Type", "application/octet-stream")
        if n_bytes is not None or method == "POST":
            connection.putheader("Content-Length", str(n_bytes or 0))
        connection.endheaders()

    def _prove(self, connection: http.client.HTTPConnection, nonce: str, timeout_s: float) -> None:
        challenge = secrets.token_hex(32)
        connection.sock.settimeout(min(timeout_s, PROOF_S))
        connection.request("GET", f"/healthz?challenge={challenge}")
        answer = exchange.read_json(connection.getresponse())
        expected = wire.proof(self._token, nonce, challenge)
        if not hmac.compare_digest(str(answer.get("proof")).encode(), expected.encode()):
            raise ConnectionRefusedError("something else than the engine listens on its port")
        protocol = answer.get("protocol")
        self.health = Health(
            str(answer.get("status")), str(answer.get("version")), protocol if isinstance(protocol, int) else 0
        )
        if connection.sock is not None:  # None: it closed the connection; the next request on it fails
            connection.sock.settimeout(timeout_s)

    def _ask(self, method: str, path: str, timeout_s: float) -> dict[str, Any]:
        connection = self.connect(timeout_s)
        try:
            self.send_head(connection, method, path)
            return exchange.read_json(exchange.checked(connection.getresponse()))
        finally:
            connection.close()


R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class _Request(Protocol[R_co]):
    """What can be asked of the engine: see ``wire``."""

    @property
    def max_result_bytes(self) -> int: ...

    def pack(self) -> list[wire.Buffer]: ...

    def read_result(self, frame: wire.Buffer) -> R_co | None: ...


class _Job(Generic[R]):
    """One picture on its way. A thread talks to the engine; the caller's thread shows progress and may cancel.

    Blocking reads in a thread, and not polling, because cancelling then works in every phase alike: the socket
    is shut down under the reader.
    """

    def __init__(self, engine: Engine, request: _Request[R]) -> None:
        self._engine = engine
        self._request = request
        self._id = str(uuid.uuid4())
        self._news: SimpleQueue[tuple[float, str] | None] = SimpleQueue()
        self._result: R | None = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_stopped = False

    def run(self, on_progress: Report, should_cancel: Callable[[], bool]) -> R:
        thread = threading.Thread(target=self._work, name="impasto-job", daemon=True)
        thread.start()
        try:
            self._watch(on_progress, should_cancel)
        finally:
            self._stop()
            thread.join(FORGET_S)
            with suppress(wire.WireError):  # an engine that does not hear it drops the job when its lease ends
                self._engine.forget(self._id)
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise wire.WireError("failed", exchange.GARBLED)
        return self._result

    def _watch(self, on_progress: Report, should_cancel: Callable[[], bool]) -> None:
        while True:
            if should_cancel():
                raise wire.WireError("cancelled", "Cancelled. Nothing was changed.")
            try:
                news = self._news.get(timeout=POLL_S)
            except Empty:
                continue
            if news is None:
                return
            on_progress(*news)

    def _stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            if self._socket is not None:
                with suppress(OSError):  # closed already
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _work(self) -> None:
        try:
            with exchange.translated(STOPPED):
                self._submit_twice()
                self._follow()
                self._result = self._fetch()
        except BaseException as error:  # handed to the caller's thread
            self._error = error
        finally:
            self._news.put(None)

    @contextmanager
    def _connection(self, timeout_s: float) -> Iterator[http.client.HTTPConnection]:
        """A proven connection that ``_stop`` can cut."""
        connection = self._engine.connect(timeout_s)
        try:
            with self._lock:
                if self._is_stopped:
                    raise ConnectionAbortedError("cancelled")
                self._socket = connection.sock
            yield connection
        finally:
            with self._lock:
                self._socket = None
            connection.close()

    def _submit_twice(self) -> None:
        """Send the job; once more if the connection breaks: the same id and body are the same job."""
        try:
            self._submit()
        except (ConnectionRefusedError, TimeoutError):
            raise
        except (ConnectionError, http.client.HTTPException):
            if self._is_stopped:
                raise
            self._submit()

    def _submit(self) -> None:
        buffers = self._request.pack()
        with self._connection(ANSWER_S) as connection:
            self._engine.send_head(connection, "PUT", f"/v1/jobs/{self._id}", wire.frame_bytes(buffers))
            dropped: ConnectionError | None = None
            try:
                exchange.send_body(connection.sock, buffers)
            except ConnectionError as error:
                dropped = error  # a refusal may lie in the receive buffer all the same
            try:
                response = connection.getresponse()
            except (ConnectionError, http.client.HTTPException) as error:
                raise dropped or error from error
            exchange.read_json(exchange.checked(response))

    def _follow(self) -> None:
        """Pass the engine's events on until the job is done; take a broken stream up again."""
        for _ in range(1 + MAX_RECONNECTS):
            try:
                if self._follow_stream():
                    return
            except (ConnectionRefusedError, TimeoutError):
                raise
            except (ConnectionError, http.client.HTTPException):
                if self._is_stopped:
                    raise
        raise ConnectionResetError("the events end before the job does")

    def _follow_stream(self) -> bool:
        with self._connection(SILENCE_S) as connection:
            self._engine.send_head(connection, "GET", f"/v1/jobs/{self._id}/events")
            response = exchange.checked(connection.getresponse())
            try:
                while line := response.readline(exchange.MAX_JSON_BYTES):
                    if line.strip() and self._take_event(exchange.parse_json(line)):
                        return True
            finally:
                response.close()
        return False

    def _take_event(self, event: dict[str, Any]) -> bool:
        """Pass on one event; whether the job is done.

        Raises:
            WireError: the job failed or was cancelled.
        """
        state, share = event.get("state"), event.get("share")
        if state == "failed":
            raise exchange.refusal(event.get("error"), 500)
        if state == "cancelled":
            raise wire.WireError(
                "cancelled", "The engine cancelled the job. Nothing was changed: run the filter again."
            )
        is_share = isinstance(share, int | float) and 0 <= share <= 1
        self._news.put((float(share) if is_share and share else 0.0, str(event.get("message") or "")))
        return state == "done"

    def _fetch(self) -> R:
        most = 8 + wire.MAX_HEADER_BYTES + self._request.max_result_bytes
        with self._connection(ANSWER_S) as connection:
            self._engine.send_head(connection, "GET", f"/v1/jobs/{self._id}/result")
            response = exchange.checked(connection.getresponse())
            try:
                n_bytes = response.length
                if n_bytes is None or n_bytes > most:
                    raise wire.WireError("failed", WRONG_SIZE)
                frame = bytearray(n_bytes)
                exchange.fill(memoryview(frame), response)
            finally:
                response.close()
        result = self._request.read_result(frame)
        if result is None:
            raise wire.WireError("failed", WRONG_SIZE)
        return result
