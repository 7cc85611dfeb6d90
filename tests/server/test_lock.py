"""One engine for each folder and host: also where files cannot be locked, and where a home is shared."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gimp_plugin import wire
from gimp_plugin.client import Engine
from gimp_plugin.wire import endpoint
from server.supervisor.lock import claim, lock
from tests.server.running_engine import ROOT, RunningEngine, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="hosts are told apart on Linux only")
NAMED = "import socket; socket.gethostname = lambda: {!r}"
LOCKLESS = """
import errno, fcntl
def flock(*_args): raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
"""


@pytest.fixture
def engines() -> Iterator[list[RunningEngine]]:
    started: list[RunningEngine] = []
    yield started
    for engine in started:
        engine.stop()


def _be(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)


def _fail_to_lock(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_is_not_taken_for_a_running_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    _fail_to_lock(monkeypatch, number)
    first = lock(tmp_path)
    assert first is not None
    assert lock(tmp_path) is None  # and yet there is one engine only
    (tmp_path / "other").mkdir()
    other = lock(tmp_path / "other")
    assert other is not None
    other.close()
    first.close()
    again = lock(tmp_path)
    assert again is not None
    again.close()


def test_the_lock_beside_a_lockless_folder_ends_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        f"{LOCKLESS}\nimport pathlib\nfrom server.supervisor.lock import lock\n"
        f"held = lock(pathlib.Path({str(tmp_path)!r}))\n"
        "print(held is not None, flush=True)\ninput()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None and child.stdout.readline() == "True\n"
        _fail_to_lock(monkeypatch, errno.ENOLCK)
        assert lock(tmp_path) is None
        child.kill()
    held = lock(tmp_path)
    assert held is not None
    held.close()


def test_a_lock_that_is_held_is_held(tmp_path: Path) -> None:
    first = lock(tmp_path)
    assert first is not None and lock(tmp_path) is None
    first.close()


def test_each_host_has_a_folder_and_the_first_one_keeps_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be(monkeypatch, "alpha")
    alpha = claim(tmp_path)
    assert alpha.folder == tmp_path and alpha.held is not None
    assert claim(tmp_path) == (tmp_path, None)  # it runs here already
    _be(monkeypatch, "beta")
    beta = claim(tmp_path)
    assert beta.held is not None and beta.folder.parent == tmp_path / "hosts"
    assert beta.folder.stat().st_mode & 0o777 == 0o700
    assert claim(tmp_path).held is None
    beta.held.close()
    alpha.held.close()
    later = claim(tmp_path)  # alpha was killed: nobody knows, and nothing of its is touched
    assert later.folder == beta.folder and later.held is not None
    later.held.close()
    _be(monkeypatch, "alpha")
    again = claim(tmp_path)
    assert again.folder == tmp_path and again.held is not None
    again.held.close()


def test_where_locks_hold_on_one_host_only_the_signature_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _be(monkeypatch, "alpha")
    alpha = claim(tmp_path)
    assert alpha.held is not None
    alpha.held.close()  # as seen from another host
    _be(monkeypatch, "beta")
    beta = claim(tmp_path)
    assert beta.folder != tmp_path and beta.held is not None
    beta.held.close()


def test_a_computer_that_was_started_again_takes_its_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, network = wire.this_host().split()
    (tmp_path / "host").write_text(f"{name} 11111111-2222-3333-4444-555555555555 {network}")
    taken = claim(tmp_path)
    assert taken.folder == tmp_path and taken.held is not None
    assert (tmp_path / "host").read_text() == wire.this_host()
    # One of the same name that holds the lock was never started here: it is another computer.
    (tmp_path / "host").write_text(f"{name} 11111111-2222-3333-4444-555555555555 {network}")
    twin = claim(tmp_path)
    assert twin.folder != tmp_path and twin.held is not None
    twin.held.close()
    taken.held.close()


def test_containers_of_one_name_are_told_apart_by_their_networks() -> None:
    name, boot, network = wire.this_host().split()
    assert not wire.is_elsewhere(wire.this_host())
    assert wire.is_elsewhere(f"{name} {boot} {int(network) + 1}")
    assert not wire.is_elsewhere(f"{name} {boot} -")  # a sandbox may hide it
    assert wire.is_elsewhere(f"{name}x {boot} {network}")
    assert not wire.is_elsewhere("") and not wire.is_elsewhere("of an older engine")


@pytest.mark.slow
def test_two_hosts_on_one_home_have_an_engine_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engines: list[RunningEngine]
) -> None:
    state = tmp_path / "state"
    for host in ("alpha", "beta"):
        engines.append(RunningEngine(state, patch=NAMED.format(host)))
        _be(monkeypatch, host)
        wait_until(lambda: Engine.probe(state) is not None, what=f"an engine on {host}: {engines[-1].printed}")
    beta = Engine.probe(state)
    assert beta is not None and wire.read_endpoint(state / "hosts") is None
    _be(monkeypatch, "alpha")
    alpha = Engine.probe(state)
    assert alpha is not None and alpha.port != beta.port
    _be(monkeypatch, "gamma")
    assert Engine.probe(state) is None  # theirs are not ours, whatever listens on those ports here
    engines.pop(0).stop()
    _be(monkeypatch, "beta")
    still = Engine.probe(state)
    assert still is not None and still.port == beta.port  # the end of the one took nothing of the other


@pytest.mark.slow
def test_an_engine_starts_on_a_home_without_locks_and_is_the_only_one(
    tmp_path: Path, engines: list[RunningEngine]
) -> None:
    first = RunningEngine(tmp_path / "state", patch=LOCKLESS)
    engines.append(first)
    first.wait_listening()
    second = RunningEngine(tmp_path / "state", patch=LOCKLESS)
    assert second.process.wait(20) == 0
    assert "An engine is running already." in second.printed
    assert Engine.probe(tmp_path / "state") is not None


def test_an_endpoint_without_a_host_is_ours(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text('{"port": 9, "pid": 1, "nonce": "ab", "version": "0"}')
    assert endpoint.engine_folder(tmp_path) == tmp_path
    found = wire.read_endpoint(tmp_path)
    assert found is not None and not wire.is_elsewhere(found.host)
