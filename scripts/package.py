#!/usr/bin/env python3
"""Makes what a release consists of: a wheel, and the plug-in as a zip file.

python3 scripts/package.py            writes both to dist/
python3 scripts/package.py --out DIR  writes them to another folder
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.installer import plugin  # noqa: E402
from scripts.installer.changes import Changes  # noqa: E402
from scripts.installer.environment import Environment  # noqa: E402
from scripts.installer.voice import SetupError, Voice  # noqa: E402

IN_WHEEL = ("engine", "server", "gimp_plugin", "pyproject.toml", "README.md", "LICENSE")
NOT_IN_WHEEL = ("__pycache__", "catalog.json", "engine.json")
LAUNCH = ["impasto", "serve"]  # from the PATH: where the wheel lies is not known here
OLDEST_DATE = (1980, 1, 1, 0, 0, 0)  # the same sources give the same zip file


def build_wheel(out: Path, python: str) -> Path:
    """Build the wheel from a copy of the sources, so that nothing left from an earlier build gets in.

    Args:
        out: the folder that gets it.
        python: a Python that has pip and setuptools; nothing is downloaded.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in IN_WHEEL:
            source, copy = ROOT / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*NOT_IN_WHEEL))
            else:
                shutil.copy(source, copy)
        made = Path(folder) / "made"
        options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "wheel", *options, "--wheel-dir", made, folder], check=True)
        (wheel,) = made.glob("impasto-*.whl")
        return Path(shutil.copy(wheel, out))


def build_plugin(out: Path, python: str) -> Path:
    """Zip the plug-in as the set-up places it, under the folder that GIMP wants in ``plug-ins``.

    Args:
        out: the folder that gets it.
        python: a Python that has the engine, which names the methods and styles of the dialog.
    """
    answer = subprocess.run([python, "-m", "server.cli", "catalog"], cwd=ROOT, check=True, capture_output=True)
    catalog = json.loads(answer.stdout)
    path = out / f"impasto-gimp-plugin-{catalog['version']}.zip"
    with tempfile.TemporaryDirectory() as profile, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        changes = Changes(Voice(StringIO()))
        launcher = plugin.launcher(LAUNCH, None)
        placed = plugin.place(changes, ROOT / "gimp_plugin", Path(profile), launcher, catalog, None)
        for file in sorted(path for path in placed.folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(placed.folder.parent).as_posix(), OLDEST_DATE)
            entry.external_attr = file.stat().st_mode << 16  # GIMP starts only what may be executed
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return path


def main() -> int:
    """Build both.

    Returns:
        0 done, 1 failed with one sentence on stderr.
    """
    parser = argparse.ArgumentParser(description="Makes the wheel and the plug-in's zip file.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIR", help="the folder for both (dist)")
    options = parser.parse_args()
    environment = Environment(ROOT, Changes(Voice()))
    try:
        environment.ensure(("dev",))
        options.out.mkdir(parents=True, exist_ok=True)
        python = str(environment.program("python"))
        for made in (build_wheel(options.out, python), build_plugin(options.out, python)):
            print(f"{made} ({made.stat().st_size / 1e6:.1f} MB)")
    except (SetupError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[2]} failed with status {error.returncode}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
