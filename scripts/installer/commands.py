"""What ``install.py`` does, by command."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from gimp_plugin.wire import WireError
from scripts.installer import installation
from scripts.installer.changes import Changes
from scripts.installer.environment import Environment
from scripts.installer.pip_settings import clean
from scripts.installer.voice import SetupError, Voice


def run(root: Path, options: argparse.Namespace, further: list[str]) -> int:
    """Run one command.

    Args:
        root: the checkout.
        options: as ``install.py`` parses them.
        further: arguments for pytest.

    Returns:
        The exit status.
    """
    changes = Changes(Voice(), is_dry=options.dry_run)
    environment = Environment(root, changes, options.torch_index)
    gimp_dir = Path(os.path.expanduser(options.gimp_dir)).absolute() if options.gimp_dir else None
    setup = installation.Setup(root, changes, environment, gimp_dir, ("ui",) if options.ui else ())
    try:
        if options.uninstall:
            installation.uninstall(setup)
            return 0
        if options.command == "install":
            installation.install(setup)
            return 0
        return (demo if options.command == "demo" else test)(environment, changes, further)
    except (SetupError, WireError) as error:
        print(f"\n{error}", file=sys.stderr)
    except OSError as error:
        print(f"\n{_advice(error)} Nothing more was done.", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped. Run this again to go on.", file=sys.stderr)
    return 1


def _advice(error: OSError) -> str:
    what = f"{error.strerror or error}" + (f": {error.filename}." if error.filename else ".")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{what} Make room on that disk and run this again."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{what} Make it writable for you and run this again."
    return what


def demo(environment: Environment, changes: Changes, _further: list[str]) -> int:
    """Make the environment and stylize an object of a sample photo in it."""
    changes.voice.say("Engine")
    environment.ensure(("demo",))
    if changes.is_dry:
        changes.voice.say("  would stylize a sample photo and write impasto-demo/")
        return 0
    changes.voice.say("Demo")
    command = [str(environment.program("python")), "-m", "scripts.demo"]
    return subprocess.call(command, cwd=environment.root, env=clean(os.environ))


def test(environment: Environment, changes: Changes, further: list[str]) -> int:
    """Make the environment, run pytest in it, and say plainly whether a real GIMP was among the tests."""
    changes.voice.say("Engine")
    environment.ensure(("test",))
    if changes.is_dry:
        changes.voice.say(f"  would run pytest {' '.join(further)}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [str(environment.program("python")), "-m", "pytest", *further, f"--junitxml={report}"]
        status = subprocess.call(command, cwd=environment.root, env=clean(os.environ) | {"PYTHONUNBUFFERED": "1"})
        sentence = gimp_sentence(report.read_text("utf-8")) if report.exists() else None
    if sentence:
        changes.voice.say(sentence)
    return status


def gimp_sentence(junit_xml: str) -> str:
    """What became of the tests that drive a real GIMP, in words.

    Args:
        junit_xml: pytest's report.
    """
    cases = [case for case in ElementTree.fromstring(junit_xml).iter("testcase") if _is_gimp_case(case)]  # noqa: S314 (our own pytest wrote it)
    skips = Counter(skip.get("message", "") for case in cases for skip in case.iter("skipped"))
    n_run = len(cases) - skips.total()
    words = f"Tests in a real GIMP: {n_run} ran, {skips.total()} did not."
    return "\n".join([words, *(f"  did not run ({count}): {reason}" for reason, count in skips.most_common())])


def _is_gimp_case(case: ElementTree.Element) -> bool:
    return case.get("classname", "").startswith("tests.gimp.")
