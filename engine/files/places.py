"""Places for results: judged before anything is painted, and another place when one fails in the end."""

from __future__ import annotations

import errno
import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from engine.core.errors import ImpastoError, InputError, ResourceError
from engine.files import formats

PROBE_BYTES = 1 << 16  # a full disk takes an empty file, but not this


def check_writable(path: Path | str, inputs: Iterable[Path | str | None] = ()) -> None:
    """Refuse a place that ``write_picture`` could not write to, before anything is computed.

    Args:
        path: of the result.
        inputs: files that must not be overwritten; None and what is no file are passed over.

    Raises:
        InputError: unknown extension, no such folder, no right to write, or one of the inputs.
        ResourceError: the disk is full.
    """
    path = Path(path)
    formats.format_of(path)
    try:
        if not path.absolute().parent.is_dir():
            raise InputError(f"There is no folder {path.parent}; make it, or choose another for {path.name}.")
        if path.is_dir():
            raise InputError(f"{path} is a folder; give the name of a file.")
        for source in inputs:
            if source is not None and _is_same(path, Path(source)):
                raise InputError(f"{path} is the file {source} itself, which is read: give the result another name.")
        os.lstat(path)  # a name that is too long
    except FileNotFoundError:
        pass
    except OSError as error:
        raise writing_error(path, error) from error
    probe(path)


def check_size(path: Path | str, size: tuple[int, int]) -> None:
    """Refuse a format that cannot hold so large a picture (H, W).

    Raises:
        InputError: it cannot.
    """
    name, _ = formats.format_of(Path(path))
    limit = formats.MAX_SIDE_PX.get(name)
    if limit is not None and max(size) > limit:
        raise InputError(f"{Path(path).suffix} holds at most {limit} pixels a side, not {max(size)}: write a .png.")


def probe(path: Path) -> None:
    """Write a small file beside the result's place, and take it away.

    Raises:
        InputError, ResourceError: as ``check_writable``.
    """
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as error:
        raise writing_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Beside the result's place. It is short: the result's own name may be as long as the file system allows."""
    return path.with_name(f".impasto-{uuid.uuid4().hex}.part")


def keep_elsewhere(path: Path, error: ImpastoError, write: Callable[[Path], object]) -> ImpastoError:
    """Write a result that could not be written to its place to another one.

    Args:
        path: its place.
        error: why not there.
        write: writes it to a path.

    Returns:
        The error to raise, which says where the result is.
    """
    suffix = path.suffix if path.suffix.lower() in formats.WRITABLE else ".png"
    name = f"{short_name(path.stem)}-{uuid.uuid4().hex[:8]}"
    for folder, ending in (
        (folder, ending) for folder in _other_folders(path) for ending in dict.fromkeys((suffix, ".png"))
    ):
        place = folder / f"{name}{ending}"
        try:
            write(place)
        except (ImpastoError, OSError):
            continue
        return type(error)(f"{error} The painting is kept in {place}.")
    return error


def short_name(stem: str) -> str:
    """At most 80 bytes of a name."""
    return os.fsdecode(os.fsencode(stem)[:80]).encode("utf-8", "ignore").decode() or "painting"


def _other_folders(path: Path) -> Iterator[Path]:
    """Where a result may go instead: folders of this user, then of this computer."""
    for find in (tempfile.gettempdir, Path.cwd, Path.home):
        with suppress(OSError, RuntimeError):  # no folder for temporary files, a deleted one, no home
            folder = Path(find())
            if folder.is_dir() and not _is_same(folder, path.absolute().parent):
                yield folder


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, through links and on file systems that do not tell case."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def writing_error(path: Path, error: OSError) -> ImpastoError:
    """What the system said, as a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(f"The disk is full: {path.name} could not be written. Make room and try again.")
    if error.errno == errno.ENOENT:
        return InputError(f"There is no folder {path.parent}; make it, or choose another for {path.name}.")
    if error.errno == errno.ENAMETOOLONG:
        return InputError(f"The name {path.name} is too long for this disk; choose a shorter one.")
    if error.errno == errno.EROFS:
        return InputError(f"{path.absolute().parent} can only be read; choose another folder.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return InputError(f"You have no right to write {path}; choose another folder.")
    return InputError(f"{path} could not be written: {error.strerror or error}.")
