"""impasto doctor: whatever is wrong, it says what, why it matters and what to do, and never fails itself."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gimp_plugin import wire
from server.checks import computer, folders, libraries, plugins
from server.checks.finding import Check, Finding
from server.commands import doctor

pytestmark = pytest.mark.skipif(os.name == "nt", reason="makes POSIX faults")
ROOT = Path(__file__).resolve().parents[2]
DEAD_PID = 2**22 + 1  # above the highest number that Linux gives


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("IMPASTO_STATE_DIR", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("GIMP3_DIRECTORY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def plugin(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plug-in as install.py leaves it."""
    folder = tmp_path / ".config" / "GIMP" / "3.0" / "plug-ins" / "impasto"
    shutil.copytree(ROOT / "gimp_plugin", folder / "gimp_plugin", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "gimp_plugin" / "impasto.py").rename(folder / "impasto.py")
    (folder / "impasto.py").chmod(0o755)
    catalog = {"version": "1", "methods": [{"name": "anystyle", "is_ready": True}], "styles": []}
    monkeypatch.setattr(plugins, "_catalog", lambda: catalog)
    (folder / "catalog.json").write_text(json.dumps(catalog))
    (folder / "engine.json").write_text(json.dumps({"command": [sys.executable], "state_dir": str(state)}))
    (state / "install.json").write_text(json.dumps({"plugins": [{"folder": str(folder)}]}))
    return folder


def bad(check: Check) -> list[Finding]:
    """What a check finds wrong. Each such finding says why it matters and what to do."""
    found = [finding for finding in doctor.examine([check]) if finding.is_good is False]
    for finding in found:
        assert finding.matters.endswith(".") and finding.advice.endswith("."), finding
        assert "failed (" not in finding.text, finding
    return found


def only(check: Check) -> Finding:
    (finding,) = bad(check)
    return finding


def test_a_check_that_fails_itself_is_a_finding_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def check_the_moon() -> Iterator[Finding]:
        yield Finding(True, "Moon", "is there")
        raise RuntimeError("no telescope")

    found = list(doctor.examine([check_the_moon, computer.check_console]))
    assert [finding.is_good for finding in found] == [True, False, None]
    assert "RuntimeError: no telescope" in found[1].text and found[1].what == "The moon"


@pytest.mark.parametrize("check", doctor.CHECKS, ids=lambda check: check.__name__)
def test_no_check_fails_for_a_user_without_anything(
    check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(os, "environ", {"TMPDIR": str(tmp_path)})
    for finding in doctor.examine([check]):
        assert "this check failed" not in finding.text, finding


def test_the_report_as_json_holds_every_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check_two() -> Iterator[Finding]:
        yield Finding(True, "Sun", "shines")
        yield Finding(False, "Moon", "is gone", "Nights are dark.", "Wait.")

    monkeypatch.setattr(doctor, "CHECKS", (check_two,))
    assert doctor.run(argparse.Namespace(json=True)) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["is_good"] is False
    assert report["findings"][1] == {
        "is_good": False, "what": "Moon", "text": "is gone", "matters": "Nights are dark.", "advice": "Wait.",
        "state": "bad",
    }  # fmt: skip
    assert doctor.run(argparse.Namespace(json=False)) == 1
    assert capsys.readouterr().out.splitlines()[2:5] == [
        "BAD Moon               is gone",
        "                       Nights are dark.",
        "                       Wait.",
    ]


def test_a_name_that_the_console_cannot_show_is_printed_all_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "IMPASTO_STATE_DIR": str(tmp_path / "写真 été")}
    code = (
        "import argparse; from server.checks import folders; from server.commands import doctor; "
        "doctor.CHECKS = (folders.check_folder,); raise SystemExit(doctor.run(argparse.Namespace(json=False)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "?? ?t?" in done.stdout, done.stderr


# --- the engine's folder ---------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_STATE_DIR", "/proc/impasto")
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    found = only(folders.check_folder)
    assert "/proc/impasto cannot be made" in found.text and "IMPASTO_STATE_DIR" in found.advice


def test_a_home_that_cannot_be_written_is_named_with_what_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMPASTO_STATE_DIR", raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: real(path, mode) and not Path(path).is_relative_to(tmp_path / "home")
    )
    found = only(folders.check_folder)
    assert "cannot be written" in found.text and f"{tmp_path}/impasto-{os.getuid()} serves" in found.text


def test_a_folder_that_is_a_link_is_named(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(state)
    monkeypatch.setenv("IMPASTO_STATE_DIR", str(tmp_path / "link"))
    assert f"is a link to {state}" in only(folders.check_folder).text


def test_a_folder_of_another_user_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    found = only(folders.check_folder)
    assert "belongs to another user" in found.text and "sudo chown" in found.advice


def test_a_folder_that_is_open_to_others_is_named(state: Path) -> None:
    (state / "token").write_text("0" * 64)
    assert bad(folders.check_folder) == []
    state.chmod(0o755)
    assert f"chmod 700 '{state}'" in only(folders.check_folder).advice


def test_what_a_killed_engine_left_is_no_fault(state: Path) -> None:
    values = {"port": 9, "pid": DEAD_PID, "nonce": "ab", "version": "1", "host": wire.this_host()}
    (state / "engine.json").write_text(json.dumps(values))
    (state / "token").write_text("0" * 64)
    (finding,) = folders.check_engine()
    assert finding.is_good is None and "is left of one that was ended" in finding.text


@pytest.mark.skipif(sys.platform != "linux", reason="reads command lines in /proc")
def test_an_engine_that_hangs_is_named_by_its_number(state: Path) -> None:
    code = "import time; print(flush=True); time.sleep(60)"
    sleeper = subprocess.Popen([sys.executable, "-c", code, "serve"], stdout=subprocess.PIPE)
    try:
        assert sleeper.stdout is not None and sleeper.stdout.readline()
        values = {"port": 9, "pid": sleeper.pid, "nonce": "ab", "version": "1", "host": wire.this_host()}
        (state / "engine.json").write_text(json.dumps(values))
        (state / "token").write_text("0" * 64)
        assert f"End process {sleeper.pid}" in only(folders.check_engine).advice
    finally:
        sleeper.kill()
        sleeper.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="hosts are told apart on Linux only")
def test_an_engine_of_another_host_is_named_and_is_no_fault(state: Path) -> None:
    (state / "host").write_text("attic 1-2 3")
    first, second = folders.check_engine()
    assert "attic runs an engine in this home" in first.text and "not running" in second.text
    assert first.is_good is None and second.is_good is None


# --- the plug-in -----------------------------------------------------------------------------------------


def test_a_plug_in_as_installed_is_good(plugin: Path) -> None:
    (finding,) = plugins.check_plugins()
    assert finding == Finding(True, "Plug-in", str(plugin))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / "impasto.py").unlink(), "has lost it"),
        (lambda folder: (folder / "impasto.py").chmod(0o644), "may not be run"),
        (lambda folder: (folder / "engine.json").write_text("{"), "does not say how to start"),
        (lambda folder: (folder / "engine.json").write_text('{"command": ["/gone/impasto"]}'), "which is gone"),
        (lambda folder: (folder / "gimp_plugin/wire/state.py").write_text("old"), "of this version (wire/state.py)"),
        (lambda folder: (folder / "gimp_plugin/client/launch.py").unlink(), "of this version (client/launch.py)"),
        (lambda folder: (folder / "catalog.json").write_text('{"version": "0"}'), "is older than the engine"),
        (lambda folder: (folder / "catalog.json").unlink(), "is older than the engine"),
    ],
)
def test_a_plug_in_that_does_not_work_is_named(plugin: Path, harm: Any, words: str) -> None:
    harm(plugin)
    found = only(plugins.check_plugins)
    assert words in found.text and "install.py" in found.advice


def test_a_profile_that_came_later_is_named(plugin: Path, tmp_path: Path) -> None:
    (tmp_path / ".config" / "GIMP" / "3.2").mkdir()
    (tmp_path / ".config" / "GIMP" / "2.10").mkdir()
    assert f"GIMP's profile {tmp_path}/.config/GIMP/3.2 has none" in only(plugins.check_plugins).text


def _python(folder: Path, shell: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "python3").write_text(f"#!/bin/sh\n{shell}\n")
    (folder / "python3").chmod(0o755)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere GIMP has a Python of its own")
@pytest.mark.parametrize(
    ("has_gi", "other", "is_good", "words"),
    [(True, "", True, "/python3"), (False, "/usr/bin/python3", None, "takes /usr/bin/python3"), (False, "", False, "")],
)
def test_the_python_that_gimp_takes_is_named(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_gi: bool, other: str, is_good: bool, words: str
) -> None:
    programs = tmp_path / "programs"
    answer = f"echo {programs}/python3" if has_gi else f"echo {other}" if other else "exit 1"
    _python(programs, f'case "$1" in *interpreter.py) {answer};; *) {"echo yes" if has_gi else "exit 1"};; esac')
    (programs / "gimp-3.0").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    (finding,) = plugins.check_gimps_python()
    assert finding.is_good is is_good and str(programs / "python3") in finding.text and words in finding.text
    assert is_good is not False or "python3-gi" in finding.advice


# --- the rest --------------------------------------------------------------------------------------------


def test_a_loopback_that_is_blocked_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert "firewall" in only(computer.check_network).advice


def test_too_little_memory_and_disk_are_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computer, "_free_memory", lambda: 900_000_000)
    assert "0.9 GB free" in only(computer.check_memory).text
    usage = shutil.disk_usage(state)._replace(free=100_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert all("0.1 GB free" in finding.text for finding in bad(computer.check_disks))
    assert bad(computer.check_disks)


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        ("raise RuntimeError('CUDA error: no kernel image')", "no kernel image"),
        ("import os; os.abort()", "ended with status"),
        ("import time; time.sleep(60)", "it does not answer"),
    ],
)
def test_a_cuda_device_that_fails_its_proof_is_named(monkeypatch: pytest.MonkeyPatch, proof: str, words: str) -> None:
    import torch

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(libraries, "_PROOF", proof)
    monkeypatch.setattr(libraries, "PROOF_S", 3.0)
    found = only(libraries.check_device)
    assert words in found.text and "graphics driver" in found.advice


def test_libraries_of_other_versions_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_version", lambda _package: "1.0+cpu")
    assert "belongs to this Impasto" in bad(libraries.check_torch)[0].text


def test_the_microsoft_stores_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "executable", r"C:\Users\A\AppData\Local\Microsoft\WindowsApps\python3.exe")
    assert "python.org" in only(computer.check_python).advice
