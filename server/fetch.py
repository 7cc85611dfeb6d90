"""Published weights over the wire: https, listed hosts only, resumed where it was cut off, checked, and whole or not.

Standard library only; the opener is an argument, so that tests need no network.
"""

from __future__ import annotations

import hashlib
import shutil
import urllib.request
from collections.abc import Callable, Sequence
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit

from engine.core.errors import ResourceError, WeightsError
from engine.models.published import Published, place
from server.wording import printable

TIMEOUT_S = 30.0
BLOCK_BYTES = 1 << 18
SPARE_BYTES = 64 << 20  # to be left on the disk
LARGEST_BYTES = 4 << 30  # where no length is stated
OK, PARTIAL, RANGE_REFUSED = 200, 206, 416


class Opener(Protocol):
    """What ``urllib.request.build_opener`` gives."""

    def open(self, fullurl: urllib.request.Request, data: None = None, timeout: float = TIMEOUT_S) -> Any:
        """An answer with ``status``, ``headers`` and ``read``."""


def check_address(url: str, hosts: Sequence[str]) -> None:
    """Refuse what is not https to a listed host.

    Raises:
        WeightsError: it is not.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise WeightsError(f"Nothing is fetched from {printable(url)}: it is no address.") from error
    is_listed = any(host.endswith(name) if name.startswith(".") else host == name for name in hosts)
    if parts.scheme != "https" or not is_listed or parts.username is not None:
        named = printable(f"{parts.scheme}://{host}")
        raise WeightsError(f"Nothing is fetched from {named}: it is no listed host by https.")


class CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to listed hosts only."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self.hosts = hosts

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Check where it goes first."""
        check_address(newurl, self.hosts)
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Close the connection of an answer that leads nowhere."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except BaseException:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def opener_for(hosts: Sequence[str]) -> Opener:
    """The usual opener, with checked redirections."""
    return urllib.request.build_opener(CheckedRedirects(hosts))


def fetch(
    file: Published, hosts: Sequence[str], opener: Opener, on_progress: Callable[[float, str], None] = lambda *_: None
) -> str:
    """Download a file to its place.

    What was received before a cut is kept beside the place as ``NAME.download``, and gone on with.

    Args:
        file: which.
        hosts: that may be asked.
        opener: asks.
        on_progress: told the share done, 0 to 1; may raise to stop.

    Returns:
        Its SHA-256, which is the expected one if there is one.

    Raises:
        WeightsError: not reachable, refused, cut off, or not the file that was published (it is deleted then).
        ResourceError: not enough room on the disk.
    """
    check_address(file.url, hosts)
    partial = file.path.with_name(f"{file.file}.download")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(
            f"{file.folder} cannot be made ({error.strerror}): set HOME, or TORCH_HOME and IMPASTO_MODELS, to a folder "
            "that you can write."
        ) from error
    try:
        receive(file, partial, opener, on_progress)
    except HTTPError as error:
        error.close()  # it holds the connection
        raise WeightsError(
            f"{file.url} answered {error.code} ({printable(error.reason)}): try later, or put it there by hand."
        ) from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address or a number that is none
        raise WeightsError(
            f"{file.file} could not be fetched ({printable(error)}): check the connection and run the command again, "
            f"it goes on where it was; or put the file into {file.folder} by hand."
        ) from error
    found = sha256_of(partial)
    expected = file.expected_sha256()
    if expected is not None and found != expected:
        partial.unlink()
        raise WeightsError(f"What was fetched from {file.url} is not the published file (its checksum differs).")
    place(partial, file.path)
    return found


def receive(file: Published, partial: Path, opener: Opener, on_progress: Callable[[float, str], None]) -> None:
    """The rest of a file, after what is there already."""
    have = partial.stat().st_size if partial.exists() else 0
    if file.n_bytes is not None and have >= file.n_bytes:
        if have == file.n_bytes:
            return
        partial.unlink()
        have = 0
    request = urllib.request.Request(file.url, headers={"User-Agent": "impasto"})  # noqa: S310  (https: checked)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = opener.open(request, timeout=TIMEOUT_S)
    except HTTPError as error:
        if error.code != RANGE_REFUSED:
            raise
        error.close()
        partial.unlink()  # nothing is left to send, or it has another length now: begin again
        request.remove_header("Range")
        answer, have = opener.open(request, timeout=TIMEOUT_S), 0
    with answer:
        if answer.status not in (OK, PARTIAL):
            raise OSError(f"the host answered {answer.status} and sent no file")
        if answer.status != PARTIAL:
            have = 0
        total = file.n_bytes or whole_bytes(answer.headers, have)
        if not total and file.expected_sha256() is None and not answer.headers.get("Transfer-Encoding"):
            raise OSError("the host does not say how long it is, and nobody says its checksum")
        check_room(partial, total - have)
        with partial.open("ab" if have else "wb") as out:
            while block := answer.read(BLOCK_BYTES):
                have += len(block)
                if have > (file.n_bytes or LARGEST_BYTES):
                    raise OSError("it is longer than what was published")
                out.write(block)
                on_progress(have / total if total else 0.0, f"{have / 1e6:.1f} MB")
    if total and have < total:
        raise OSError(f"the connection was cut after {have} of {total} bytes")


def whole_bytes(headers: Message, have: int) -> int:
    """The length of the whole file, of which we have some; 0 where the host does not state it.

    Raises:
        OSError: what it states is no length, or more than any file of weights has.
    """
    stated = headers.get("Content-Length")
    if stated is None:
        return 0
    length = stated.strip()
    if not (length.isascii() and length.isdigit() and len(length) < 20):
        raise OSError(f"the host states a length of {length!r}")
    if have + int(length) > LARGEST_BYTES:
        raise OSError(f"the host states a length of {length} bytes, and {LARGEST_BYTES} are the most")
    return have + int(length)


def check_room(path: Path, n_bytes: int) -> None:
    """Refuse what does not fit on the disk.

    Raises:
        ResourceError: it does not.
    """
    free = shutil.disk_usage(path.parent).free
    if free < n_bytes + SPARE_BYTES:
        raise ResourceError(
            f"{path.parent} has {free / 1e6:.0f} MB free; {n_bytes / 1e6:.0f} MB and some room are needed. Make room."
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
