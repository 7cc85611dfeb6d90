"""One job on its way: sent, followed and fetched on a thread of its own, while the caller's shows progress.

Standard library only. ``client`` makes them; no foreign exception leaves it.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from gimp_plugin import wire
from gimp_plugin.client import exchange
from gimp_plugin.client.line import FORGET_S, Line
from gimp_plugin.language import _, mark

SILENCE_S = 10.0  # the events stream has a heartbeat each second
ANSWER_S = 30.0  # hashing and storing half a gigabyte takes a slow disk some seconds
POLL_S = 0.05
MAX_RECONNECTS = 3
RENEW_S = 5.0
WE_RENEW = (("Impasto-Renews", "1"),)

STOPPED = mark("The engine stopped while it was painting. Nothing was changed: run the filter again.")
WRONG_SIZE = mark(
    "The engine sent a picture of another size. Nothing was changed: run install.py in Impasto's folder again."
)

Report = Callable[[float, str], None]


def _renewal_s(event: dict[str, Any]) -> float:
    """How long to leave a job alone: a fraction of the time after which the engine takes us for dead."""
    lease_s = event.get("lease_s")
    return min(RENEW_S, lease_s / 4) if isinstance(lease_s, int | float) else RENEW_S


R = TypeVar("R", bound=wire.Result)


class Errand(Generic[R]):
    """One picture on its way. A thread talks to the engine; the caller's thread shows progress and may cancel.

    Blocking reads in a thread, and not polling, because cancelling then works in every phase alike: the socket
    is shut down under the reader.
    """

    def __init__(self, line: Line, request: wire.Request[R]) -> None:
        self._line = line
        self._request = request
        self._id = str(uuid.uuid4())
        self._news: SimpleQueue[tuple[float, str] | None] = SimpleQueue()
        self._result: R | None = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_stopped = False
        self._is_sent = False  # the engine may know of it

    def run(self, on_progress: Report, should_cancel: Callable[[], bool]) -> R:
        thread = threading.Thread(target=self._work, name="impasto-job", daemon=True)
        thread.start()
        try:
            self._watch(on_progress, should_cancel)
        finally:
            self._stop()
            thread.join(FORGET_S)
            if self._is_sent:
                with suppress(wire.WireError):  # an engine that does not hear it drops the job when its lease ends
                    self._line.forget(self._id)
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise wire.WireError("failed", _(exchange.GARBLED))
        return self._result

    def _watch(self, on_progress: Report, should_cancel: Callable[[], bool]) -> None:
        while True:
            if should_cancel():
                raise wire.WireError("cancelled", _("Cancelled. Nothing was changed."))
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
        """A proven connection that ``_stop`` can cut, while it is proven too."""
        connection: http.client.HTTPConnection | None = None
        try:
            connection = self._line.connect(timeout_s, self._watch_socket)
            yield connection
        finally:
            with self._lock:
                self._socket = None
            if connection is not None:
                connection.close()

    def _watch_socket(self, sock: socket.socket) -> None:
        with self._lock:
            if self._is_stopped:
                raise ConnectionAbortedError("cancelled")
            self._socket = sock

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
            self._is_sent = True
            self._line.send_head(connection, "PUT", f"/v1/jobs/{self._id}", wire.frame_bytes(buffers))
            dropped: ConnectionError | None = None
            try:
                exchange.send_body(connection.sock, buffers)
            except ConnectionError as error:
                dropped = error  # a refusal may lie in the receive buffer all the same
            try:
                response = connection.getresponse()
            except (ConnectionError, http.client.HTTPException) as error:
                raise dropped or error from error
            with response:
                exchange.read_json(exchange.checked(response))

    def _follow(self) -> None:
        """Pass the engine's events on until the job is done; take a broken stream up again."""
        for _attempt in range(1 + MAX_RECONNECTS):
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
            self._line.send_head(connection, "GET", f"/v1/jobs/{self._id}/events", headers=WE_RENEW)
            renewed_at = time.monotonic()
            response = exchange.checked(connection.getresponse())
            try:
                while line := response.readline(exchange.MAX_JSON_BYTES):
                    event = exchange.parse_json(line) if line.strip() else {}
                    if event and self._take_event(event):
                        return True
                    if time.monotonic() - renewed_at > _renewal_s(event):
                        renewed_at = time.monotonic()
                        self._line.renew(self._id)
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
                "cancelled", _("The engine cancelled the job. Nothing was changed: run the filter again.")
            )
        is_share = isinstance(share, int | float) and 0 <= share <= 1
        self._news.put((float(share) if is_share and share else 0.0, str(event.get("message") or "")))
        return state == "done"

    def _fetch(self) -> R:
        most = 8 + wire.MAX_HEADER_BYTES + self._request.max_result_bytes
        with self._connection(ANSWER_S) as connection:
            self._line.send_head(connection, "GET", f"/v1/jobs/{self._id}/result")
            response = exchange.checked(connection.getresponse())
            try:
                n_bytes = response.length
                if n_bytes is None or n_bytes > most:
                    raise wire.WireError("failed", _(WRONG_SIZE))
                frame = bytearray(n_bytes)
                exchange.fill(memoryview(frame), response)
            finally:
                response.close()
        result = self._request.read_result(frame)
        if result is None:
            raise wire.WireError("failed", _(WRONG_SIZE))
        return result
