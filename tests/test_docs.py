"""The texts tell the truth: links lead somewhere, commands are understood, pieces of Python run."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

from server import cli

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "engine").rglob("*.md"))]
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.M | re.S)
COMMAND = re.compile(r"^(?:\.venv/bin/)?(impasto|python3?) (.+)$")
SHORTHAND = re.compile(r"\||\.\.\.|-m (pip|mkdocs) ")  # alternatives, something left out, a program of others
OF_A_PART = re.compile(r"are required|expected one argument|argument .*: '[A-Z]")
PICTURE = re.compile(r'"([\w-]+\.(?:jpg|png))"')


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands(text: str) -> dict[str, bool]:
    """The command lines of a text that start a program of ours, and whether they are whole.

    In a block they are. In a sentence something may be left out, or a word in capitals stands for a value.
    """
    blocks = [line for block in FENCE.finditer(text) if block[2] in ("", "sh") for line in block[3].splitlines()]
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCE.sub("", text))]
    lines = dict.fromkeys(spans, False) | {line.partition(" #")[0].strip(): True for line in blocks}
    return {line: is_whole for line, is_whole in lines.items() if COMMAND.match(line) and not SHORTHAND.search(line)}


class _UnderstoodError(BaseException):
    """The command line was parsed; nothing is to run."""


class _RefusedError(BaseException):
    """The parser's own words on what is wrong."""


def _refuse(_parser: argparse.ArgumentParser, message: str) -> NoReturn:
    raise _RefusedError(message)


def _understand(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the program that a command line starts parse it, and stop there.

    Raises:
        _RefusedError: the program does not understand it.
    """
    parse, depth = argparse.ArgumentParser.parse_known_args, 0

    def parse_and_stop(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> Any:
        nonlocal depth
        depth += 1
        try:
            options, further = parse(self, args, namespace)
        finally:
            depth -= 1
        if depth:
            return options, further
        if further:
            self.error(f"unrecognized arguments: {' '.join(further)}")
        raise _UnderstoodError

    found = COMMAND.match(line.replace("impasto bench", "python -m benchmarks.speed"))  # it starts that
    assert found is not None
    words = shlex.split(found[2])
    with monkeypatch.context() as patch, pytest.raises(_UnderstoodError):
        patch.setattr(argparse.ArgumentParser, "parse_known_args", parse_and_stop)
        patch.setattr(argparse.ArgumentParser, "error", _refuse)
        patch.setattr(subprocess, "run", None)
        if found[1] == "impasto":
            cli.main(words)
        elif words[0] == "-m":
            patch.setattr(sys, "argv", words[1:])
            for module in sys.modules.keys() & {words[1], f"{words[1]}.__main__"}:
                patch.delitem(sys.modules, module)
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            patch.setattr(sys, "argv", words)
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")


@pytest.mark.parametrize("path", TEXTS, ids=_name)
def test_every_command_is_understood(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for line, is_whole in commands(path.read_text("utf-8")).items():
        try:
            _understand(line, monkeypatch)
        except _RefusedError as refusal:
            if is_whole or not OF_A_PART.search(str(refusal)):
                pytest.fail(f"{line!r}: {refusal}")


def test_a_wrong_flag_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = ("impasto stylize a.jpg --stile b.jpg", "python -m benchmarks.colors --colour", "python3 install.py --gui")
    for line in wrong:
        assert commands(f"```\n{line}\n```\n") == {line: True}
        with pytest.raises(_RefusedError, match="unrecognized|unknown|required"):
            _understand(line, monkeypatch)


def _run_python(code: str, folder: Path) -> None:
    """Run a text's pieces of Python in order, in a folder with small pictures of every name that they read."""
    for seed, name in enumerate(sorted(set(PICTURE.findall(code)))):
        pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert("L" if name.startswith("object") else "RGB").save(folder / name)
    start = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    answer = subprocess.run(
        [sys.executable, "-c", start + code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, f"{code}\n{answer.stderr}"


IN_GIMP = ROOT / "docs" / "scripting.md"  # tests/gimp/test_scripting.py runs it there


@pytest.mark.parametrize(
    "path", [path for path in TEXTS if "```python" in path.read_text("utf-8") and path != IN_GIMP], ids=_name
)
def test_every_piece_of_python_runs(path: Path, tmp_path: Path) -> None:
    blocks = [block[3] for block in FENCE.finditer(path.read_text("utf-8")) if block[2] == "python"]
    _run_python("\n".join(blocks), tmp_path)


def test_importing_the_engine_loads_no_torch_until_a_name_is_used() -> None:
    code = (
        "import sys, engine; assert 'torch' not in sys.modules; "
        "assert all(getattr(engine, name) for name in engine.__all__); assert 'torch' in sys.modules"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def _anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_link_leads_somewhere() -> None:
    broken = []
    for path in TEXTS:
        for target, anchor in LINK.findall(path.read_text("utf-8")):
            place = path.parent / target if target else path
            if not place.exists() or (anchor and anchor not in _anchors(place.read_text("utf-8"))):
                broken.append(f"{_name(path)}: {target}#{anchor}")
    assert broken == []


def test_every_picture_of_the_docs_is_shown() -> None:
    shown = "".join(path.read_text("utf-8") for path in TEXTS)
    unused = [path.name for path in (ROOT / "docs" / "images").iterdir() if path.name not in shown]
    assert unused == []
