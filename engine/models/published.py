"""The published weights that Impasto knows: where they are had, how they are checked, where they belong.

``published.json`` is data: addresses, lengths, SHA-256, licences. Nothing is downloaded here (``impasto models get``
does that, when the user asks for it); a file that the user has put into the models folder is found and checked like a
fetched one. Where the publisher states no checksum, the first file that the user accepts is pinned: a later one must
be the same.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from engine.core.errors import SettingsError, WeightsError
from engine.core.user_folders import torch_folder
from engine.models.user_models import file_sha256, models_folder

FILE = Path(__file__).with_name("published.json")
PINS = "pins.json"

State = Literal["missing", "intact", "damaged", "unconfirmed"]


@dataclass(frozen=True)
class Published:
    """A file that someone publishes.

    Args:
        file: its name.
        url: https.
        n_bytes: its length, or None where none is stated.
        sha256: in hex, or None where none is stated.
        place: the folder that it belongs in: "torch" (torch's folder of checkpoints), "models", or one below it.
    """

    file: str
    url: str
    n_bytes: int | None
    sha256: str | None
    place: str

    @property
    def folder(self) -> Path:
        """Where it belongs."""
        if self.place == "torch":
            return torch_folder() / "checkpoints"
        return models_folder().joinpath(*self.place.split("/")[1:])

    @property
    def path(self) -> Path:
        """Its own place."""
        return self.folder / self.file

    def expected_sha256(self) -> str | None:
        """What its checksum must be: the published one, else the one that was pinned."""
        return self.sha256 or pins().get(self.file)


@dataclass(frozen=True)
class Model:
    """One thing to fetch: a file or several.

    Args:
        name: as users type it.
        title: what it is, and whose.
        serves: what can be done with it.
        licence: of the weights.
        files: all that belongs to it.
    """

    name: str
    title: str
    serves: str
    licence: str
    files: tuple[Published, ...]

    @property
    def n_bytes(self) -> int | None:
        """Of all files, or None where one is not known."""
        lengths = [file.n_bytes for file in self.files]
        return None if None in lengths else sum(length for length in lengths if length is not None)

    @property
    def is_here(self) -> bool:
        """Whether all files are in their places (not whether they are intact)."""
        return all(file.path.is_file() for file in self.files)


@cache
def _data() -> tuple[tuple[str, ...], dict[str, Model]]:
    data = json.loads(FILE.read_text("utf-8"))
    known = {}
    for name, entry in data["models"].items():
        files = tuple(Published(f["file"], f["url"], f["bytes"], f["sha256"], entry["place"]) for f in entry["files"])
        known[name] = Model(name, entry["title"], entry["serves"], entry["licence"], files)
    return tuple(data["hosts"]), known


def hosts() -> tuple[str, ...]:
    """The only hosts that anything is fetched from; with a dot before, all below one."""
    return _data()[0]


def models() -> dict[str, Model]:
    """Everything that is known, by name."""
    return _data()[1]


def model_of(name: str) -> Model:
    """The entry of a name.

    Raises:
        SettingsError: there is none; the message lists those there are.
    """
    if name not in models():
        raise SettingsError(f"There are no published weights called {name!r}; there are {', '.join(sorted(models()))}.")
    return models()[name]


def state_of(file: Published) -> State:
    """Whether a file is in its place, and the one that was published."""
    if not file.path.is_file():
        return "missing"
    expected = file.expected_sha256()
    if expected is None:
        return "unconfirmed"
    return "intact" if is_the_file(file, file.path, expected) else "damaged"


def is_the_file(file: Published, path: Path, expected: str) -> bool:
    """Whether a path holds it: length first, because that costs nothing."""
    if file.n_bytes is not None and path.stat().st_size != file.n_bytes:
        return False
    return file_sha256(path) == expected


def adopt(file: Published) -> bool:
    """Take a file that was put into the models folder by hand to its place, if it is the right one.

    Returns:
        Whether it is in its place now; a file that is there already is checked.

    Raises:
        WeightsError: a file of that name lies there, and is another one.
    """
    for path in dict.fromkeys((file.path, models_folder() / file.file)):
        if not path.is_file():
            continue
        expected = file.expected_sha256()
        if expected is None:
            return False
        if not is_the_file(file, path, expected):
            raise WeightsError(
                f"{path} is not the published file (its checksum differs): delete it, and fetch it again."
            )
        if path != file.path:
            place(path, file.path)
        return True
    return False


def place(source: Path, target: Path) -> None:
    """Move a file to its place, whole or not at all.

    Raises:
        WeightsError: the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            shutil.move(source, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"{target} could not be written: {error.strerror or error}.") from error


def pins() -> dict[str, str]:
    """Checksums that the user has accepted, by file."""
    try:
        found = json.loads((models_folder() / PINS).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def pin(file: Published) -> str:
    """Accept the file that is in its place: from now on it must be this one. Returns its SHA-256."""
    sha256 = file_sha256(file.path)
    path = models_folder() / PINS
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(pins() | {file.file: sha256}, indent=1), "utf-8")
    part.replace(path)
    return sha256
