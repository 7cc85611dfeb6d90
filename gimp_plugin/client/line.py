"""The connections to one engine, each proven before our secret goes over it.

Standard library only. ``http.client`` and never ``urllib``: pixels go to 127.0.0.1, whatever the proxy
variables say.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from gimp_plugin import wire
from gimp_plugin.client import challenge, exchange
from gimp_plugin.language import mark

PROOF_S = 2.5  # for all that fails of a connection's proofs; the engine answers within 0.1 s, even while it paints
FORGET_S = 2.0
SILENT = mark("The engine does not answer: run the filter again.")


def _nobody(_socket: socket.socket) -> None:
    """Nobody wants to cut it."""


class Health(NamedTuple):
    """What ``/healthz`` says of an engine that has proven itself."""

    status: str
    version: str
    protocol: int


class Line:
    """The way to a running engine, and the secret that it shares with us.

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

    def forget(self, job_id: str) -> None:
        """Cancel a job, or drop its result.

        Raises:
            WireError: the engine does not know it, or does not answer.
        """
        with exchange.translated(SILENT):
            self.ask("DELETE", f"/v1/jobs/{job_id}", FORGET_S)

    def renew(self, job_id: str) -> None:
        """Tell the engine that somebody still wants a job: listening to its events does not."""
        with suppress(OSError, http.client.HTTPException, ValueError, wire.WireError):  # the events tell what is wrong
            self.ask("GET", f"/v1/jobs/{job_id}", FORGET_S)

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

    def ask(self, method: str, path: str, timeout_s: float) -> dict[str, Any]:
        """The JSON answer to a request without a body.

        Raises:
            OSError, HTTPException, ValueError: see ``connect``.
            WireError: what the engine refused.
        """
        connection = self.connect(timeout_s)
        try:
            self.send_head(connection, method, path)
            with connection.getresponse() as response:  # one with "Connection: close" outlives its connection
                return exchange.read_json(exchange.checked(response))
        finally:
            connection.close()
