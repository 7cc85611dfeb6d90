"""The plug-in's end of the line: prove the engine, send a job, follow it, fetch the result.

Standard library only. ``http.client`` and never ``urllib``: pixels go to 127.0.0.1, whatever the proxy
variables say. No foreign exception leaves it: all become ``WireError`` with a sentence for the user.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING or __package__:
    from . import challenge, exchange, wire
    from .errand import ANSWER_S, FORGET_S, Errand, Report
else:
    import challenge
    import exchange
    import wire
    from errand import ANSWER_S, FORGET_S, Errand, Report

PROOF_S = 2.5  # for all that fails of a connection's proofs; the engine answers within 0.1 s, even while it paints

SILENT = "The engine does not answer: run the filter again."


def _silent(_share: float, _message: str) -> None:
    """Nobody wants to know how far it is."""


def _never() -> bool:
    return False


def _nobody(_socket: socket.socket) -> None:
    """Nobody wants to cut it."""


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
        self._patience_s = PROOF_S  # less what proofs in vain have cost: a stranger does not hold us again and again

    @classmethod
    def find(cls, folder: Path | None = None) -> Engine | None:
        """The running engine, or None if none of our version runs or what answers cannot prove itself.

        Args:
            folder: the state folder; None = the usual one.
        """
        engine = cls.probe(folder)
        return engine if engine is not None and engine.health.protocol == wire.PROTOCOL else None

    @classmethod
    def probe(cls, folder: Path | None = None, timeout_s: float | None = None) -> Engine | None:
        """Like ``find``, but of whatever version: one that speaks another protocol can still be shut down.

        Args:
            folder: the state folder; None = the usual one.
            timeout_s: how long the proof may take in all, whatever answers; at most ``PROOF_S``.
        """
        folder = wire.engine_folder(folder or wire.state_dir())
        endpoint, token = wire.read_endpoint(folder), wire.read_token(folder)
        if endpoint is None or token is None or wire.is_elsewhere(endpoint.host) or not 0 < endpoint.port < 65536:
            return None
        engine = cls(endpoint.port, token, nonce=endpoint.nonce)
        try:
            engine.connect(timeout_s or PROOF_S).close()
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
        return Errand[wire.StylizeResult](self, request).run(on_progress, should_cancel)

    def find_object(
        self,
        request: wire.SegmentRequest,
        on_progress: Report = _silent,
        should_cancel: Callable[[], bool] = _never,
    ) -> wire.SegmentResult:
        """Let the engine find an object, in the same way as ``stylize``; its mask has the content's size and dtype."""
        return Errand[wire.SegmentResult](self, request).run(on_progress, should_cancel)

    def forget(self, job_id: str) -> None:
        """Cancel a job, or drop its result.

        Raises:
            WireError: the engine does not know it, or does not answer.
        """
        with exchange.translated(SILENT):
            self._ask("DELETE", f"/v1/jobs/{job_id}", FORGET_S)

    def renew(self, job_id: str) -> None:
        """Tell the engine that somebody still wants a job: listening to its events does not."""
        with suppress(OSError, http.client.HTTPException, ValueError, wire.WireError):  # the events tell what is wrong
            self._ask("GET", f"/v1/jobs/{job_id}", FORGET_S)

    def connect(self, timeout_s: float, watch: Callable[[socket.socket], None] = _nobody) -> http.client.HTTPConnection:
        """A connection to the engine, proven where the nonce is known.

        Args:
            timeout_s: for each step of what follows, and at most for the proof.
            watch: gets the socket before anything is said over it; whoever shuts it down ends the proof, too.

        Raises:
            OSError, HTTPException, ValueError: nothing answers, or it cannot prove that it holds the token.
        """
        began = time.monotonic()
        proof_s = timeout_s if self._nonce is None else min(timeout_s, self._patience_s)
        if proof_s <= 0:
            raise ConnectionRefusedError("the engine did not prove itself before")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=proof_s)
        connection.auto_open = 0  # never a second, unproven connection behind our back
        try:
            connection.connect()
            watch(connection.sock)
            if self._nonce is not None:
                self._learn(
                    challenge.ask(
                        connection.sock, f"{self.host}:{self.port}", self._token, self._nonce, began + proof_s
                    )
                )
            connection.sock.settimeout(timeout_s)
        except BaseException:
            self._patience_s -= time.monotonic() - began
            connection.close()
            raise
        self._patience_s = PROOF_S
        return connection

    def send_head(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        n_bytes: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Send a request's line and headers, the token among them."""
        connection.putrequest(method, path)
        connection.putheader("Authorization", f"Bearer {self._token}")
        for name, value in headers:
            connection.putheader(name, value)
        if n_bytes is not None:
            connection.putheader("Content-Type", "application/octet-stream")
        if n_bytes is not None or method == "POST":
            connection.putheader("Content-Length", str(n_bytes or 0))
        connection.endheaders()

    def _learn(self, answer: dict[str, Any]) -> None:
        protocol = answer.get("protocol")
        self.health = Health(
            str(answer.get("status")), str(answer.get("version")), protocol if isinstance(protocol, int) else 0
        )

    def _ask(self, method: str, path: str, timeout_s: float) -> dict[str, Any]:
        connection = self.connect(timeout_s)
        try:
            self.send_head(connection, method, path)
            with connection.getresponse() as response:  # one with "Connection: close" outlives its connection
                return exchange.read_json(exchange.checked(response))
        finally:
            connection.close()
