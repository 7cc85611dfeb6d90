"""install.py and the world around it: pip's settings, other Pythons, homes that are missing or cannot be written."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import venv
import zipfile
from io import StringIO
from pathlib import Path, PurePosixPath

import pytest

from scripts.installer import installation, interpreter, pip_settings, places, pythons
from scripts.installer.changes import Changes
from scripts.installer.environment import Environment
from scripts.installer.installation import NO_HOME, install, uninstall
from scripts.installer.programs import ask
from scripts.installer.voice import SetupError, Voice
from tests.test_install import ROOT, StandIn, _fake_gimp, _setup, checkout, home

__all__ = ["checkout", "home"]  # the fixtures
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are shell scripts")

REDIRECTING = {
    "PIP_USER": "1", "PIP_TARGET": "/nowhere/target", "PIP_PREFIX": "/nowhere/prefix", "PIP_ROOT": "/nowhere/root",
    "PIP_REQUIRE_VIRTUALENV": "1", "PIP_NO_DEPS": "1", "PIP_PYTHON": "/nowhere/python", "PIP_DRY_RUN": "1",
    "PIP_CONSTRAINT": "/nowhere/constraints.txt", "PIP_NO_BINARY": ":all:", "PIP_REQUIRE_HASHES": "1",
    "PIP_NO_BUILD_ISOLATION": "0", "PIP_LOG": "/nowhere/log", "PIP_ONLY_BINARY": "none",
}  # fmt: skip
OF_OTHER_PYTHONS = {"PYTHONPATH": "/nowhere/modules", "PYTHONSTARTUP": "/nowhere/start.py", "PYTHONNOUSERSITE": "1"}


def _wheel(folder: Path) -> Path:
    """A package that needs no index: one module and its papers."""
    path = folder / "dab-1.0-py3-none-any.whl"
    files = {
        "dab.py": "COLOR = 'teal'\n",
        "dab-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: dab\nVersion: 1.0\n",
        "dab-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(text)}")
        wheel.writestr("dab-1.0.dist-info/RECORD", "\n".join([*lines, "dab-1.0.dist-info/RECORD,,"]) + "\n")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose environment holds nothing but pip."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "pyproject.toml").write_text('"torch==2.13.0"')
    venv.create(root / ".venv", with_pip=True)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("how", ["variables", "file"])
def test_the_private_pip_installs_into_its_own_environment_whatever_pip_is_told(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in OF_OTHER_PYTHONS.items():
        monkeypatch.setenv(name, value)
    if how == "variables":
        for name, value in REDIRECTING.items():
            monkeypatch.setenv(name, value)
    else:
        options = "user = true\nno-deps = true\nrequire-virtualenv = true\npython = /nowhere/python\n"
        text = f"[global]\n{options}\n[install]\nuser = true\ntarget = {tmp_path}/target\nprefix = /nowhere\n"
        (tmp_path / ".config" / "pip").mkdir(parents=True)
        (tmp_path / ".config" / "pip" / "pip.conf").write_text(text)
    environment = Environment(made, Changes(Voice(StringIO())))
    assert environment._works()
    environment._install("a dab", ["--no-index", "--force-reinstall", str(_wheel(tmp_path))])
    answer = ask([environment.program("python"), "-c", "import dab; print(dab.__file__)"], is_python=True)
    assert answer.stdout.startswith(str(made / ".venv")), answer.stderr
    assert not (tmp_path / "target").exists() and not (tmp_path / ".local").exists()


def test_how_an_index_is_reached_is_kept_from_file_and_variables(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = https://a.invalid/simple\ntimeout = 7\nextra-index-url =\n    https://b.invalid\n"
        "    https://c.invalid\nuser = true\nconstraint = /etc/our.txt\n[install]\nindex-url = https://d.invalid/it's/simple\n"
        "[download]\nproxy = http://e.invalid\n"
    )
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_CERT", "/etc/our.pem")
    monkeypatch.setenv("PIP_TIMEOUT", "9")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("https_proxy", "http://f.invalid")
    env = Environment(made, Changes(Voice(StringIO())))._pip_env()
    kept = {
        "PIP_INDEX_URL": "https://d.invalid/it's/simple",
        "PIP_EXTRA_INDEX_URL": "https://b.invalid https://c.invalid",
        "PIP_CERT": "/etc/our.pem",
        "PIP_TIMEOUT": "9",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CONSTRAINT": "/etc/our.txt",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    assert {name: env.get(name) for name in kept} == kept
    assert "PIP_USER" not in env and "PIP_PROXY" not in env
    assert env["https_proxy"] == "http://f.invalid"


def test_a_damaged_pip_conf_is_left_out_and_named(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("no section here\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    said = StringIO()
    environment = Environment(made, Changes(Voice(said)))
    assert environment._works()
    assert "PIP_INDEX_URL" not in environment._pip_env()
    assert "cannot read its own settings" in said.getvalue()


def test_a_clean_environment_holds_nothing_of_other_pythons() -> None:
    mixed = {**REDIRECTING, **OF_OTHER_PYTHONS, "PYTHONHOME": "/x", "VIRTUAL_ENV": "/y", "HOME": "/h", "LANG": "de"}
    assert pip_settings.clean(mixed) == {"HOME": "/h", "LANG": "de"}


def test_a_module_on_the_pythonpath_does_not_stand_in_for_the_set_ups(
    home: Path, checkout: Path, tmp_path: Path
) -> None:
    for name in ("argparse", "platform", "json", "scripts"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('of another Python')\n")
    done = subprocess.run(
        [sys.executable, "-B", checkout / "install.py", "--dry-run"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": "/nowhere"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "would" in done.stdout, done.stderr


def test_a_checkout_that_cannot_be_written_is_named_before_anything_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('"torch==2.13.0"')
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(SetupError, match="cannot be written: put Impasto into a folder of yours"):
        Environment(tmp_path, Changes(Voice(StringIO()))).ensure()


# --- homes -----------------------------------------------------------------------------------------------


def test_without_a_home_the_set_up_says_what_to_set(home: Path, checkout: Path) -> None:
    setup, _ = _setup(checkout, NO_HOME)
    with pytest.raises(SetupError, match=r"no home folder \(HOME is not set\).*set HOME.*--gimp-dir"):
        install(setup)
    assert not (checkout / ".venv").exists()


def test_an_unknown_user_gets_a_sentence_from_the_command(checkout: Path) -> None:
    code = (
        "import pathlib, runpy, sys\n"
        "def fail(): raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.home = fail\n"
        f"sys.argv = ['install.py']\nrunpy.run_path({str(checkout / 'install.py')!r}, run_name='__main__')"
    )
    env = {name: value for name, value in os.environ.items() if name not in ("HOME", "GIMP3_DIRECTORY")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=checkout, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "You have no home folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_profile_that_is_named_needs_no_home(home: Path, checkout: Path, tmp_path: Path) -> None:
    setup, said = _setup(checkout, NO_HOME, gimp_dir=tmp_path / "profile")
    install(setup)
    assert (tmp_path / "profile" / "plug-ins" / "impasto" / "impasto.py").exists()
    assert "No launcher in the menu" in said.getvalue()


def test_a_profile_that_cannot_be_written_is_named_before_the_long_part(
    home: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: real(path, mode) and not Path(path).is_relative_to(home))
    with pytest.raises(SetupError, match=r"GIMP's profile .*3\.0 cannot be written.*--gimp-dir"):
        install(_setup(checkout, home)[0])
    assert not (checkout / ".venv").exists()


# --- Pythons and sandboxes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        r"C:\Users\A\AppData\Local\Microsoft\WindowsApps\PythonSoftwareFoundation.Python.3.12_qbz5n2kfra8p0",
        r"C:\Program Files\WindowsApps\PythonSoftwareFoundation.Python.3.12_3.12.2032.0_x64__qbz5n2kfra8p0",
    ],
)
def test_the_microsoft_stores_python_is_refused(place: str) -> None:
    reason = interpreter.reason_against("win32", "AMD64", (3, 12), True, place)
    assert reason is not None and "Microsoft Store" in reason and "python.org" in reason
    assert interpreter.reason_against("win32", "AMD64", (3, 12), True, r"C:\Python312") is None


def test_snaps_gimp_gets_a_state_folder_that_it_can_read(home: Path, checkout: Path) -> None:
    profile = home / "snap" / "gimp" / "current" / ".config" / "GIMP" / "3.0"
    profile.mkdir(parents=True)
    install(_setup(checkout, home)[0])
    starter = json.loads((profile / "plug-ins" / "impasto" / "engine.json").read_text())
    state = home / "snap" / "gimp" / "common" / "impasto"
    assert starter["state_dir"] == str(state) and starter["command"][1:] == ["serve", "--state-dir", str(state)]
    state.mkdir(parents=True)
    (state / "token").write_text("0" * 64)
    uninstall(_setup(checkout, home)[0])
    assert not state.exists()
    assert places.snap_state(PurePosixPath("/h"), PurePosixPath("/h/.config/GIMP/3.0")) is None


def _python(folder: Path, shell: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "python3").write_text(f"#!/bin/sh\n{shell}\n")
    (folder / "python3").chmod(0o755)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere GIMP has a Python of its own")
def test_a_python_without_gi_first_on_the_path_is_named(home: Path, checkout: Path) -> None:
    programs = home.parent / "programs"
    _fake_gimp(home, knows=False)
    _python(programs, "exit 1")
    with pytest.raises(SetupError, match=rf"which is {programs}/python3 here and has no gi.*python3-gi"):
        install(_setup(checkout, home)[0])
    _fake_gimp(home, knows=True)
    _python(programs, 'case "$1" in *interpreter.py) echo /usr/bin/python3;; *) exit 1;; esac')
    setup, said = _setup(checkout, home)
    install(setup)
    assert f"`python3` is {programs}/python3 here, which has no gi" in said.getvalue()
    assert "Neural Style takes /usr/bin/python3." in said.getvalue()
    _python(programs, "echo yes")
    setup, said = _setup(checkout, home)
    install(setup)
    assert "which has no gi" not in said.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="GIMP has a Python of its own there")
def test_the_plug_in_goes_on_in_the_first_python_that_knows_gimp(tmp_path: Path) -> None:
    """Each stand-in has, or has not, a package named gi; what runs is the plug-in's own code."""
    knowing = tmp_path / "knowing"
    knowing.mkdir()
    (knowing / "gi.py").write_text(
        "def require_version(name, version):\n    assert (name, version) == ('Gimp', '3.0')\n"
    )
    old = tmp_path / "old"
    old.mkdir()
    (old / "gi.py").write_text("def require_version(name, version):\n    raise ValueError('no Gimp typelib')\n")
    for name, modules in (("a", ""), ("b", str(old)), ("c", str(knowing)), ("d", str(knowing))):
        say = f'echo {name} >> "{tmp_path}/order"'
        _python(tmp_path / name, f'{say}\nPYTHONPATH="{modules}" exec "{sys.executable}" -S "$@"')
    path = os.pathsep.join(str(tmp_path / name) for name in "abcd")
    command = [tmp_path / "a" / "python3", ROOT / "gimp_plugin" / "interpreter.py"]
    done = subprocess.run(
        command, env={"PATH": f"{path}:/bin:/usr/bin"}, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "order").read_text().split()[-1] == "c"
    assert pythons.has_gimp(str(tmp_path / "c" / "python3")) and not pythons.has_gimp(str(tmp_path / "b" / "python3"))


def test_a_stand_in_is_what_the_set_up_asks_for() -> None:
    carrier: installation.Carrier = StandIn(Path("/x"), Changes(Voice(StringIO())))
    assert carrier.is_ours()
