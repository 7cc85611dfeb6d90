"""The proof that the engine, and nobody else, answers on a connection: asked before the token goes over it.

Read from the socket itself and not by ``http.client``, whose timeouts hold for one piece each: whoever sits on a dead
engine's port and sends a byte a second, or "100 Continue" without end, would hold the user for minutes.
Standard library only.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import time
from typing import Any

from gimp_plugin import wire
from gimp_plugin.client import exchange

MAX_ANSWER_BYTES = 1 << 14  # an honest one has 300
PIECE_BYTES = 1 << 12
STATUS, LENGTH = b"HTTP/1.1 200", b"content-length"


def ask(sock: socket.socket, host: str, token: str, nonce: str, give_up_at: float) -> dict[str, Any]:
    """Let whoever listens prove that it holds the token.

    Args:
        sock: connected; its timeout is changed.
        host: what the Host header says, with its port.
        token, nonce: see ``wire.proof``. Neither is sent.
        give_up_at: when, on ``time.monotonic``'s clock, the whole proof must be here.

    Returns:
        What the engine says of itself, once its proof was right.

    Raises:
        ConnectionRefusedError: the proof is wrong, or the answer is none that an engine gives.
        OSError: the connection broke, or the time is up (``TimeoutError``).
    """
    challenge = secrets.token_hex(32)
    sock.settimeout(_left_s(give_up_at))
    sock.sendall(f"GET /healthz?challenge={challenge} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("ascii"))
    try:
        answer = exchange.parse_json(_read_body(sock, give_up_at))
    except ValueError as error:
        raise ConnectionRefusedError("what listens on the engine's port is no engine") from error
    expected = wire.proof(token, nonce, challenge)
    if not hmac.compare_digest(str(answer.get("proof")).encode("utf-8", "replace"), expected.encode()):
        raise ConnectionRefusedError("something else than the engine listens on its port")
    return answer


def _left_s(give_up_at: float) -> float:
    left_s = give_up_at - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the engine did not prove itself in time")
    return left_s


def _read_body(sock: socket.socket, give_up_at: float) -> bytes:
    """The body of the one response: status 200, of a stated length, and not a byte more.

    Raises:
        ValueError: it is another.
        OSError: the connection broke, or the time is up.
    """
    received = bytearray()
    n_expected: int | None = None
    while n_expected is None or len(received) < n_expected:
        sock.settimeout(_left_s(give_up_at))
        piece = sock.recv(PIECE_BYTES)
        if not piece:
            raise ConnectionResetError("the connection was closed before the proof")
        received += piece
        if len(received) > MAX_ANSWER_BYTES:
            raise ValueError("longer than any proof")
        if n_expected is None:
            n_expected = _expected_bytes(received)
    if len(received) > n_expected:
        raise ValueError("more than was asked for")
    return bytes(received[received.index(b"\r\n\r\n") + 4 :])


def _expected_bytes(received: bytearray) -> int | None:
    """Bytes of head and body, once the head is here."""
    head, end, _ = bytes(received).partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    if status[: len(STATUS)] != STATUS[: len(status)]:
        raise ValueError("not the status of a proof")
    if not end:
        return None
    lengths = [value.strip() for name, _, value in (line.partition(b":") for line in lines) if name.lower() == LENGTH]
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 5:
        raise ValueError("no length")
    return len(head) + len(end) + int(lengths[0])
