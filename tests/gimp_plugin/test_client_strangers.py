"""Strangers on the engine's port: they are told nothing, and whatever they say, the user gets a sentence."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gimp_plugin import wire
from gimp_plugin.client import Engine, errand, line
from tests.gimp_plugin.scripted_engine import ScriptedEngine


def a_request() -> wire.StylizeRequest:
    return wire.StylizeRequest(wire.Plane("U8", (1, 1, 4), b"rgba"), (wire.StyleEntry("Wave", preset="wave"),))


class Stranger:
    """Whoever sits on a port: gives every request the same answer and keeps what it was sent."""

    def __init__(self, answer: Callable[[bytes], bytes], port: int = 0) -> None:
        self.heard = b""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._is_over = False
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._is_over:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(0.2)
                try:
                    while text := connection.recv(1 << 16):
                        self.heard += text
                        if b"\r\n\r\n" in text:
                            connection.sendall(self._answer(text))
                except OSError:
                    pass  # silence, or the client hung up

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()
        self._listener.close()


def http(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def health(**values: object) -> bytes:
    return http(json.dumps({"status": "ready", "version": "1", "protocol": wire.PROTOCOL, **values}).encode())


def echo(request: bytes) -> bytes:
    return health(proof=request.split(b"challenge=")[1].split(b" ")[0].decode())


TOKEN, NONCE = "5" * 64, "a" * 32
STRANGERS = {
    "echoes the challenge": echo,
    "no proof": lambda _: health(),
    "proof of another token": lambda request: health(
        proof=wire.proof("6" * 64, NONCE, request.split(b"challenge=")[1].split(b" ")[0].decode())
    ),
    "a replayed proof": lambda _: health(proof=wire.proof(TOKEN, NONCE, "0" * 64)),
    "a proof that is no word": lambda _: health(proof=["\ud800"]),
    "not ASCII": lambda _: health(proof="ü" * 64),
    "not JSON": lambda _: http(b"hello"),
    "a list": lambda _: http(b"[]"),
    "deep JSON": lambda _: http(b"[" * 100_000),
    "not HTTP": lambda _: b"220 mail.example ESMTP\r\n",
    "endless header": lambda _: b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200,
    "nothing": lambda _: b"",
    "redirects": lambda _: b"HTTP/1.1 302 Found\r\nLocation: /healthz\r\nContent-Length: 0\r\n\r\n",
}


def point_to(port: int, folder: Path) -> None:
    (folder / "token").write_text(TOKEN)
    (folder / "engine.json").write_text(json.dumps({"port": port, "pid": 1, "nonce": NONCE, "version": "1"}))


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_on_the_port_is_not_found_and_never_gets_the_token(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "PROOF_S", 0.5)
    with Stranger(STRANGERS[kind]) as stranger:
        point_to(stranger.port, tmp_path)
        assert Engine.find(tmp_path) is None
    assert stranger.heard.startswith(b"GET /healthz?challenge=")
    assert TOKEN.encode() not in stranger.heard and b"Authorization" not in stranger.heard


def test_who_takes_a_dead_engines_port_never_gets_the_token(server: ScriptedEngine, engine: Engine) -> None:
    server.shutdown()
    server.server_close()
    with Stranger(echo, server.server_port) as stranger:
        for call in (lambda: engine.answer(a_request()), engine.shutdown):
            with pytest.raises(wire.WireError) as caught:
                call()
            assert caught.value.code == "unreachable"
    assert stranger.heard.count(b"/healthz?challenge=") >= 2
    assert server.token.encode() not in stranger.heard and b"Authorization" not in stranger.heard


def test_the_token_follows_the_proof_on_the_same_connection(server: ScriptedEngine, engine: Engine) -> None:
    server.seen.clear()
    engine.catalog()
    (first, second) = server.seen
    assert first[1].startswith("/healthz") and first[2] is None
    assert second == ("GET", "/v1/catalog", f"Bearer {server.token}")


@pytest.mark.parametrize("kind", ["no folder", "no token", "no port", "damaged", "port out of range", "nobody listens"])
def test_no_engine_is_found_where_none_runs(kind: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    point_to(70000 if kind == "port out of range" else port, tmp_path)
    if kind == "no token":
        (tmp_path / "token").unlink()
    if kind == "no port":
        (tmp_path / "engine.json").unlink()
    if kind == "damaged":
        (tmp_path / "engine.json").write_text("{")
    assert Engine.find(tmp_path / "nowhere" if kind == "no folder" else tmp_path) is None


def test_an_engine_of_another_protocol_is_not_found_but_can_be_probed(server: ScriptedEngine) -> None:
    server.protocol = wire.PROTOCOL + 1
    assert Engine.find(server.state_dir) is None
    probed = Engine.probe(server.state_dir)
    assert probed is not None and probed.health.protocol == wire.PROTOCOL + 1


GARBAGE = {
    "nothing": b"",
    "not HTTP": b"\x00\xff\r\n\r\n",
    "not JSON": http(b"{"),
    "a list": http(b"[1]"),
    "not UTF-8": http(b"\xff\xfe{}"),
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad status": b"HTTP/1.1 xyz OK\r\n\r\n",
    "error without a word": http(b"oops", b"500 Oh"),
    "error of other types": http(b'{"error": {"code": 5, "message": null}}', b"500 Oh"),
    "deep JSON": http(b"[" * 100_000),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_no_foreign_exception_leaves_the_client(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILENCE_S", "ANSWER_S", "FORGET_S"):
        monkeypatch.setattr(errand, name, 0.5)
    with Stranger(lambda _: GARBAGE[kind]) as stranger:
        engine = Engine(stranger.port, TOKEN)
        for call in (engine.catalog, engine.shutdown, lambda: engine.answer(a_request())):
            with pytest.raises(wire.WireError, match=r"run .*again\.$"):
                call()
