"""A folder of pictures and where their results go: what is to be painted, and what is done already."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from engine.core.types import Settings


@dataclass
class Folder:
    """What a folder holds, with all below it.

    Args:
        pictures: by name.
        others: files that are no pictures.
        failed: folders that cannot be read, each with a sentence.
    """

    pictures: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)


def list_pictures(folder: Path, output: Path) -> Folder:
    """The pictures of a folder and of the folders in it, less hidden ones and the results' own.

    Raises:
        InputError: no such folder, no picture in it, or the results would take the pictures' places.
    """
    from engine.core.errors import InputError  # noqa: PLC0415  (numpy: only when needed)
    from engine.files import READABLE_SUFFIXES  # noqa: PLC0415

    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    if output.exists() and (not output.is_dir() or output.samefile(folder)):
        raise InputError(f"{output} cannot take the results: name another folder.")
    found = Folder()
    for path in _files(folder, output.resolve(), found.failed):
        (found.pictures if path.suffix.lower() in READABLE_SUFFIXES else found.others).append(path)
    check_readable(folder, found)
    check_targets(folder, output, found.pictures)
    return found


def _files(folder: Path, left_out: Path, failed: list[dict[str, str]]) -> Iterable[Path]:
    def tell(error: OSError) -> None:
        failed.append({"content": str(error.filename), "error": f"The folder cannot be read: {error.strerror}."})

    for here, folders, names in os.walk(folder, onerror=tell):
        inside = sorted(name for name in folders if not name.startswith("."))
        folders[:] = [name for name in inside if (Path(here) / name).resolve() != left_out]
        yield from (Path(here) / name for name in sorted(names) if not name.startswith(".") and _is_file(here, name))


def _is_file(here: str, name: str) -> bool:
    return (Path(here) / name).is_file()


def check_readable(folder: Path, found: Folder) -> None:
    """Refuse a folder in which there is nothing to paint, and say why.

    Raises:
        InputError: no picture, or only such as need what is not installed.
    """
    from engine.core.errors import InputError  # noqa: PLC0415
    from engine.files import formats  # noqa: PLC0415

    if not found.pictures:
        raw = [path for path in found.others if path.suffix.lower() in formats.RAW_SUFFIXES]
        more = f" {formats.stranger(raw[0], b'', raw[0].name)}" if raw else ""
        raise InputError(f"There is no picture in {folder}.{more}")
    kinds = {suffix: kind for kind, suffixes in formats.SUFFIXES.items() for suffix in suffixes}
    missing = [formats.missing_reader(kinds[path.suffix.lower()], path.name) for path in found.pictures]
    if None not in missing:
        raise InputError(f"Nothing in {folder} can be read: {missing[0]}")


def check_targets(folder: Path, output: Path, pictures: Sequence[Path]) -> None:
    """Refuse results that would take each other's places, or those of pictures.

    Raises:
        InputError: they would.
    """
    from engine.core.errors import InputError  # noqa: PLC0415

    sources = {path.resolve() for path in pictures}
    taken: dict[str, Path] = {}
    for path in pictures:
        target = target_of(path, folder, output)
        other = taken.setdefault(str(target).lower(), path)
        if other is not path:
            raise InputError(f"{path.name} and {other.name} would have the same name in {output}: rename one of them.")
        if target.resolve() in sources:
            raise InputError(f"{output} cannot take the results: {target} is one of the pictures. Name another folder.")


def make_folder(folder: Path) -> None:
    """Make a folder for results, and see that it takes some.

    Raises:
        InputError, ResourceError: it cannot be made or written to.
    """
    from engine.core.errors import InputError, ResourceError  # noqa: PLC0415
    from engine.files.places import probe, writing_error  # noqa: PLC0415

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = writing_error(folder, error)
        if isinstance(said, ResourceError):
            raise said from error
        raise InputError(f"The folder {folder} cannot be made ({error.strerror}).") from error
    probe(folder / "result")


def target_of(path: Path, folder: Path, output: Path) -> Path:
    """Where a picture's result goes: as the picture lies in its folder; as PNG where its format can only be read."""
    from engine.files import WRITABLE  # noqa: PLC0415

    name = path.name if path.suffix.lower() in WRITABLE else f"{path.stem}.png"
    return output / path.relative_to(folder).parent / name


class Marks:
    """Short texts that say of what a result was made: it goes with the result, and tells the next run what is done.

    Args:
        options: of the command.
        settings: of all pictures.
        together: pictures that are looked at as one series, each of which changes all results.
    """

    def __init__(self, options: argparse.Namespace, settings: Settings, together: Sequence[Path]) -> None:
        from engine import __version__  # noqa: PLC0415

        styles = [_content_of(text) for text in options.style]
        series = [_state_of(path) for path in together]
        self.common = json.dumps(
            [__version__, asdict(settings), styles, options.style_weights, options.mix, series],
            sort_keys=True,
            default=str,
        )
        self.prefix = f"Impasto {__version__} batch "

    def of(self, path: Path) -> str:
        """The mark of a picture's result."""
        text = f"{self.common} {_state_of(path)}"
        return self.prefix + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def is_done(self, path: Path, target: Path) -> bool:
        """Whether a result is there, whole, newer than its picture and made as it would be made now."""
        from engine.core.errors import ImpastoError  # noqa: PLC0415
        from engine.files.opening import opened  # noqa: PLC0415

        try:
            if not target.is_file() or target.stat().st_mtime_ns < path.stat().st_mtime_ns:
                return False
            with opened(target) as found:
                made_by = found.metadata.made_by
                return not found.notes and (made_by is None or made_by == self.of(path))
        except (ImpastoError, OSError):
            return False


def _content_of(text: str) -> str:
    """Of a style: what its file holds, or its preset's name."""
    try:
        return hashlib.sha256(Path(text).read_bytes()).hexdigest()
    except OSError:
        return text


def _state_of(path: Path) -> list[Any]:
    try:
        state = path.stat()
    except OSError:  # gone: it is named when its turn comes
        return [str(path)]
    return [str(path), state.st_size, state.st_mtime_ns]
