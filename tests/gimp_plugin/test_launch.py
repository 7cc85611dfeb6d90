"""Starting the engine: detached, with the user's environment, once, and with a sentence when it does not work."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gimp_plugin import wire
from gimp_plugin.client import Engine, launch
from tests.gimp_plugin.scripted_engine import ScriptedEngine

ROOT = Path(__file__).resolve().parents[2]
FAKE_ENGINE = ROOT / "tests" / "gimp" / "fake_engine.py"
# An engine that first does what a test wants: notes its world, dawdles, ends, or locks as the real one does.
WRAPPER = """
import fcntl, json, os, pathlib, runpy, sys, time
here = pathlib.Path(os.environ["IMPASTO_STATE_DIR"])
with open(here / "starts", "a") as starts:
    starts.write(f"{os.getpid()}\\n")
world = {"sid": os.getsid(0), "pid": os.getpid(), "cwd": os.getcwd(), "stdin": sys.stdin.read(), "env": {**os.environ}}
(here / "world.json").write_text(json.dumps(world))
{before}
lock = open(here / "lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(0)
sys.argv = [{fake!r}]
runpy.run_path({fake!r}, run_name="__main__")
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the test engine uses POSIX locks and sessions")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Home:
    """A plug-in folder and a state folder of the test's own."""

    def __init__(self, path: Path) -> None:
        self.plugin, self.state = path / "plug-in", path / "state"
        self.plugin.mkdir()

    def install(self, before: str = "", command: list[str] | None = None) -> list[str]:
        script = self.plugin / "engine.py"
        script.write_text(WRAPPER.replace("{before}", before).replace("{fake!r}", repr(str(FAKE_ENGINE))))
        command = command or [sys.executable, str(script)]
        (self.plugin / "engine.json").write_text(json.dumps({"command": command, "state_dir": str(self.state)}))
        return command

    def ensure(self, timeout_s: float = 20.0) -> Engine:
        return launch.ensure_engine(timeout_s=timeout_s, folder=self.plugin)

    def refusal(self, timeout_s: float = 20.0) -> str:
        with pytest.raises(wire.WireError) as caught:
            self.ensure(timeout_s)
        assert caught.value.code == "no_engine"
        return caught.value.message

    def starts(self) -> list[int]:
        path = self.state / "starts"
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in ("IMPASTO_STATE_DIR", "IMPASTO_ENGINE_COMMAND", "SNAP", "SNAP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # an engine of the developer's own stays out of it
    monkeypatch.setattr(launch, "FLATPAK_INFO", tmp_path / "no-flatpak-info")
    home = Home(tmp_path)
    yield home
    for pid in home.starts():
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in home.starts()))  # none of them is left as a zombie either


# --- it starts -------------------------------------------------------------------------------------------


def test_the_engine_is_started_once_and_then_found(home: Home) -> None:
    home.install()
    first = home.ensure()
    second = home.ensure()
    assert first.port == second.port
    assert len(home.starts()) == 1
    assert first.catalog()["version"] == "fake"


def test_the_command_may_come_from_the_environment(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = home.install()
    (home.plugin / "engine.json").unlink()
    home.state = tmp_path / "another state"
    monkeypatch.setenv("IMPASTO_ENGINE_COMMAND", shlex.join(command))
    monkeypatch.setenv("IMPASTO_STATE_DIR", str(home.state))
    home.ensure()
    assert len(home.starts()) == 1


def test_the_engine_runs_in_a_session_of_its_own_with_empty_input_in_its_own_folder(home: Home) -> None:
    home.install()
    home.ensure()
    world = json.loads((home.state / "world.json").read_text())
    assert world["sid"] == world["pid"] != os.getsid(0)
    assert world["stdin"] == ""
    assert Path(world["cwd"]) == home.state
    assert home.state.stat().st_mode & 0o777 == 0o700
    assert "fake engine on port" in (home.state / launch.LOG_NAME).read_text()


def test_what_gimp_set_for_its_own_python_does_not_reach_the_engine(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_gimp = {
        "PYTHONPATH": "/gimp/python", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1",
        "LD_LIBRARY_PATH": "/gimp/lib", "GI_TYPELIB_PATH": "/gimp/typelibs", "GIO_EXTRA_MODULES": "/gimp/gio",
        "GDK_PIXBUF_MODULE_FILE": "/gimp/loaders", "GDK_PIXBUF_MODULEDIR": "/gimp/l", "GTK_PATH": "/gimp/gtk",
        "GIMP3_DIRECTORY": "/gimp/profile", "GIMP_TEMP": "/gimp/tmp", "GEGL_PATH": "/gimp/gegl",
        "BABL_PATH": "/gimp/babl", "APPDIR": "/gimp/appdir",
    }  # fmt: skip
    of_user = {"LANG": "C.UTF-8", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": "/cache"}
    for name, value in {**of_gimp, **of_user}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"/gimp/appdir/usr/bin{os.pathsep}{os.environ['PATH']}")
    path = os.environ["PATH"].partition(os.pathsep)[2]
    home.install()
    home.ensure()
    env = json.loads((home.state / "world.json").read_text())["env"]
    assert sorted(set(of_gimp) & set(env)) == []
    assert {name: env[name] for name in of_user} == of_user
    assert env["PATH"] == path
    assert env["HOME"] == os.environ["HOME"]
    assert env["IMPASTO_STATE_DIR"] == str(home.state)


def test_a_python_home_of_gimps_does_not_break_the_engine() -> None:
    env = launch.clean_environment({"PYTHONHOME": "/gimp", "__PYVENV_LAUNCHER__": "/gimp/python", "A": "b"}, Path("/s"))
    assert env == {"A": "b", "IMPASTO_STATE_DIR": "/s"}


def test_the_engine_outlives_the_plug_in_process(home: Home) -> None:
    home.install()
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); from gimp_plugin.client import launch; "
        "print(launch.ensure_engine(folder=pathlib.Path(sys.argv[2])).port)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(ROOT), str(home.plugin)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    engine = Engine.find(home.state)
    assert engine is not None and engine.port == int(done.stdout)
    wait_until(lambda: alive(home.starts()[0]))


def test_a_dead_engine_is_no_zombie_and_is_replaced(home: Home) -> None:
    home.install()
    old = home.ensure()
    (pid,) = home.starts()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not alive(pid), 3)  # a zombie of ours would still take the signal 0
    new = home.ensure()
    assert len(home.starts()) == 2
    assert new.port != old.port or new.catalog()["version"] == "fake"


def test_a_slow_start_is_waited_for_and_told(home: Home) -> None:
    home.install(before="time.sleep(1.2)")
    told: list[tuple[float, str]] = []
    started = time.monotonic()
    launch.ensure_engine(lambda share, message: told.append((share, message)), 20, home.plugin)
    assert time.monotonic() - started > 1.2
    shares = [share for share, _ in told]
    assert len(told) >= 5 and shares == sorted(shares) and shares[0] >= 0 and shares[-1] < 1
    assert {message for _, message in told} == {"Starting the engine"}


def test_two_gimps_that_start_at_once_share_one_engine(home: Home) -> None:
    home.install(before="time.sleep(0.3)")
    ports: list[int] = []
    threads = [threading.Thread(target=lambda: ports.append(home.ensure().port)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(home.starts()) == 2
    assert len(ports) == 2 and ports[0] == ports[1]


def test_an_engine_that_met_a_leaving_one_is_started_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "RELAUNCH_S", 0.3)
    home.install(before='len((here / "starts").read_text().split()) > 1 or sys.exit(0)')
    home.ensure()
    assert len(home.starts()) == 2


def test_a_running_engine_of_an_older_version_makes_room(home: Home) -> None:
    home.install()
    old = ScriptedEngine(home.state)
    old.protocol = wire.PROTOCOL - 1
    try:
        engine = home.ensure()
        assert ("POST", "/v1/shutdown") in [(method, path) for method, path, _ in old.seen]
        assert engine.port != old.server_port and engine.health.protocol == wire.PROTOCOL
    finally:
        old.close()


def test_a_running_engine_of_a_newer_version_is_left_alone(home: Home) -> None:
    home.install()
    new = ScriptedEngine(home.state)
    new.protocol = wire.PROTOCOL + 1
    try:
        assert home.refusal() == launch.OTHER_VERSION
        assert "POST" not in [method for method, _, _ in new.seen] and home.starts() == []
    finally:
        new.close()


# --- it does not start -----------------------------------------------------------------------------------


def test_without_engine_json_the_user_is_sent_to_the_set_up(home: Home) -> None:
    assert home.refusal() == "The engine is not installed: run `python3 install.py` in Impasto's folder."


def test_an_engine_that_runs_is_found_without_engine_json(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_STATE_DIR", str(home.state))
    server = ScriptedEngine(home.state)
    try:
        assert home.ensure().port == server.server_port
    finally:
        server.close()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"command": "impasto serve"}', '{"command": [""]}', '{"command": ["a"], "state_dir": 5}']
)
def test_a_damaged_engine_json_is_named(home: Home, text: str) -> None:
    (home.plugin / "engine.json").write_text(text)
    assert "engine.json is damaged: run `python3 install.py`" in home.refusal()


def test_an_unreadable_command_line_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_ENGINE_COMMAND", 'python "unclosed')
    assert "IMPASTO_ENGINE_COMMAND is not a command line" in home.refusal()


def test_a_program_that_is_gone_is_named(home: Home, tmp_path: Path) -> None:
    home.install(command=[str(tmp_path / "venv" / "impasto"), "serve"])
    message = home.refusal()
    assert f"{tmp_path / 'venv' / 'impasto'} is missing: run `python3 install.py`" in message


def test_a_program_that_may_not_run_is_named(home: Home, tmp_path: Path) -> None:
    (tmp_path / "impasto").write_text("not a program")
    home.install(command=[str(tmp_path / "impasto")])
    assert "cannot be started (Permission denied)" in home.refusal()


def test_an_engine_that_fails_is_quoted_at_once(home: Home) -> None:
    home.state.mkdir()
    (home.state / launch.LOG_NAME).write_text("a line of yesterday\n")
    (home.state / "refuse-start").touch()
    home.install()
    started = time.monotonic()
    assert home.refusal() == "The engine could not start (The fake engine was told not to start): run install.py again."
    assert time.monotonic() - started < 5


def test_an_engine_that_fails_without_a_word_is_reported_by_its_status(home: Home) -> None:
    home.install(before="sys.exit(7)")
    assert home.refusal() == (
        "The engine could not start (it ended with status 7 and said nothing): run install.py again."
    )


def test_an_engine_that_never_answers_is_given_up(home: Home) -> None:
    home.install(before="time.sleep(60)")
    message = home.refusal(timeout_s=1)
    assert "did not answer within 1 seconds" in message and launch.LOG_NAME in message


def test_another_engine_that_hangs_is_named(home: Home) -> None:
    home.install(before="sys.exit(0)")
    assert "runs but does not answer: end it or restart the computer" in home.refusal(timeout_s=1)


def test_a_state_folder_that_cannot_be_made_is_reported(home: Home, tmp_path: Path) -> None:
    home.install()
    (tmp_path / "state").write_text("a file in the way")
    assert "cannot be started" in home.refusal()
    (tmp_path / "state").unlink()


# --- GIMPs that cannot start programs --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Flatpak", "snap"])
def test_a_sandboxed_gimp_says_what_to_start(home: Home, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    home.install(command=["/home/me/my art/impasto", "serve"])
    if kind == "snap":
        monkeypatch.setenv("SNAP", "/snap/gimp/1")
        monkeypatch.setenv("SNAP_NAME", "gimp")
    else:
        monkeypatch.setattr(launch, "FLATPAK_INFO", home.plugin / "engine.json")
    message = home.refusal()
    assert message == (
        f'This GIMP is a {kind} and cannot start the engine itself: start "Impasto Engine" from the applications menu '
        "(or run `'/home/me/my art/impasto' serve` in a terminal), then run the filter again."
    )


def test_a_sandboxed_gimp_uses_an_engine_that_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.install()
    monkeypatch.setenv("SNAP", "/snap/gimp/1")
    server = ScriptedEngine(home.state)
    try:
        assert home.ensure().port == server.server_port
    finally:
        server.close()


def test_the_variables_of_another_snap_do_not_matter(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.install()
    monkeypatch.setenv("SNAP", "/snap/code/1")
    monkeypatch.setenv("SNAP_NAME", "code")
    home.ensure()
    assert len(home.starts()) == 1
