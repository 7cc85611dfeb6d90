"""Whoever sits on a dead engine's port and plays for time costs the user a few seconds, in all and whatever he does."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gimp_plugin import wire
from gimp_plugin.client import Engine, launch, line
from tests.gimp_plugin.scripted_engine import ScriptedEngine
from tests.gimp_plugin.test_client_strangers import NONCE, TOKEN, a_request, health, point_to

MOST_S = 5.0  # that a squatter may cost in all
OK = b"HTTP/1.1 200 OK\r\n"
Pieces = Iterator[bytes]


def slowly(text: bytes, pause_s: float = 0.1) -> Pieces:
    """A byte, a pause, a byte, without end."""
    for i in itertools.count():
        yield text[i % len(text) : i % len(text) + 1]
        time.sleep(pause_s)


def again_and_again(piece: bytes, first: bytes = b"", pause_s: float = 0.0) -> Pieces:
    yield first
    while True:
        yield piece
        time.sleep(pause_s)


def nothing() -> Pieces:
    while True:
        time.sleep(0.05)
        yield b""


SQUATTERS: dict[str, Callable[[], Pieces]] = {
    "never answers": nothing,
    "a byte now and then": lambda: slowly(health(proof="0" * 64)),
    "a byte of a header now and then": lambda: itertools.chain([OK], slowly(b"x: y\r\n")),
    "100 Continue without end": lambda: again_and_again(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 Continue now and then": lambda: again_and_again(b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=0.1),
    "headers without end": lambda: again_and_again(b"x: y\r\n", OK),
    "headers now and then": lambda: again_and_again(b"x: y\r\n", OK, 0.1),
    "one header without end": lambda: again_and_again(b"y" * 1000, OK + b"x: "),
    "a huge body": lambda: again_and_again(b"{" * 10_000, OK + b"Content-Length: 999999999\r\n\r\n"),
    "a body now and then": lambda: again_and_again(b" ", OK + b"Content-Length: 9999\r\n\r\n", 0.1),
    "chunks without end": lambda: again_and_again(b"1\r\n \r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n", 0.01),
    "a body without length": lambda: again_and_again(b" ", OK + b"\r\n", 0.1),
}


class Squatter:
    """Listens on a port, and plays for time with everybody who comes."""

    def __init__(self, pieces: Callable[[], Pieces], port: int = 0) -> None:
        self._pieces = pieces
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self.heard = b""
        self._is_over = False
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def _listen(self) -> None:
        while not self._is_over:
            with contextlib.suppress(TimeoutError):
                thread = threading.Thread(target=self._play, args=(self._listener.accept()[0],))
                thread.start()
                self._threads.append(thread)

    def _play(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(0.5)
            self.heard += connection.recv(1 << 16)
            for piece in self._pieces():
                if self._is_over:
                    return
                connection.sendall(piece)

    def __enter__(self) -> Squatter:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join()
        self._listener.close()


@pytest.mark.parametrize("kind", SQUATTERS)
def test_the_whole_proof_has_one_deadline(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "PROOF_S", 0.6)
    with Squatter(SQUATTERS[kind]) as squatter:
        point_to(squatter.port, tmp_path)
        began = time.monotonic()
        assert Engine.find(tmp_path) is None
        assert time.monotonic() - began < 1.6
    assert squatter.heard.startswith(b"GET /healthz?challenge=") and TOKEN.encode() not in squatter.heard


@pytest.mark.skipif(sys.platform != "linux", reason="how a full queue of connections behaves differs")
def test_a_port_that_accepts_nobody_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "PROOF_S", 0.6)
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        point_to(listener.getsockname()[1], tmp_path)
        began = time.monotonic()
        assert Engine.find(tmp_path) is None
        assert time.monotonic() - began < 1.6


def test_to_look_for_the_engine_and_to_start_it_costs_five_seconds_more_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real waits: first the proof in vain, then our own start, while the old port is still the one known."""
    for name in ("IMPASTO_STATE_DIR", "IMPASTO_ENGINE_COMMAND", "SNAP", "SNAP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(launch, "FLATPAK_INFO", tmp_path / "no-flatpak-info")
    fake = Path(__file__).parent.parent / "gimp" / "fake_engine.py"
    plugin, state = tmp_path / "plug-in", tmp_path / "state"
    for folder in (plugin, state):
        folder.mkdir()
    command = [sys.executable, str(fake), "--state-dir", str(state)]
    (plugin / "engine.json").write_text(json.dumps({"command": command, "state_dir": str(state)}))

    def seconds_to_start() -> float:
        began = time.monotonic()
        engine = launch.ensure_engine(folder=plugin)
        took = time.monotonic() - began
        engine.shutdown()
        return took

    usual = seconds_to_start()
    with Squatter(SQUATTERS["a byte now and then"]) as squatter:
        point_to(squatter.port, state)
        assert seconds_to_start() - usual < MOST_S
    assert squatter.heard and TOKEN.encode() not in squatter.heard


@pytest.mark.slow
def test_who_takes_the_port_in_the_middle_of_a_job_costs_five_seconds_at_most(server: ScriptedEngine) -> None:
    """With the real waits: submitting, its second try, listening and forgetting all meet the squatter."""
    server.shutdown()
    server.server_close()
    for kind in ("a byte now and then", "never answers"):
        with Squatter(SQUATTERS[kind], server.server_port) as squatter:
            engine = Engine(squatter.port, TOKEN, nonce=NONCE)
            began = time.monotonic()
            with pytest.raises(wire.WireError) as caught:
                engine.answer(a_request())
            for call in (engine.catalog, engine.shutdown):
                with pytest.raises(wire.WireError):
                    call()
            assert caught.value.code == "unreachable" and time.monotonic() - began < MOST_S


def test_a_user_who_cancels_does_not_wait_for_the_proof() -> None:
    with Squatter(nothing) as squatter:
        engine = Engine(squatter.port, TOKEN, nonce=NONCE)
        began = time.monotonic()
        with pytest.raises(wire.WireError) as caught:
            engine.answer(a_request(), should_cancel=lambda: bool(squatter.heard))
        assert caught.value.code == "cancelled" and time.monotonic() - began < 1.0
