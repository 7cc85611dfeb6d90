"""Finished paintings as files of a private folder: they outlive the process that painted them."""

from __future__ import annotations

import json
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

BUDGET_BYTES = 400 << 20
SPARE_BYTES = 512 << 20  # of the disk, which is left to requests and results
SUFFIX = ".painting"

log = logging.getLogger("impasto.shelf")


class Shelf:
    """Paintings by digest. The one that was longest not asked for goes first; a full disk keeps none.

    Args:
        folder: made where it is missing. Its owner empties it.
        budget_bytes: what all of its files may take.
    """

    def __init__(self, folder: Path, budget_bytes: int = BUDGET_BYTES) -> None:
        self.folder, self.budget_bytes = folder, budget_bytes

    def put(self, digest: bytes, painting: Tensor) -> None:
        """Keep a painting as a file, whole or not at all. What goes wrong costs no more than this file.

        Args:
            digest: what it is found by.
            painting: any shape, on any device. Its layout in memory is kept too: sums depend on it to the last bit.
        """
        n_bytes = painting.numel() * painting.element_size()
        path = self._path(digest)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._make_room(n_bytes):
                return
            strides = painting.stride()
            order = sorted(range(painting.dim()), key=lambda d: -strides[d])  # outermost in memory first
            flat = painting.detach().cpu().permute(order).contiguous()
            temporary = path.with_suffix(".tmp")
            save_file({"painting": flat}, temporary, {"order": ",".join(map(str, order))})
            os.replace(temporary, path)
        except (OSError, SafetensorError) as error:
            log.warning("a painting was not kept: %s", error)
            with suppress(OSError):
                path.with_suffix(".tmp").unlink(missing_ok=True)

    def get(self, digest: bytes) -> Tensor | None:
        """The painting of a digest as it was put there, laid out in memory alike; None: there is none."""
        path = self._path(digest)
        try:
            data = path.read_bytes()
            os.utime(path)
            flat = load(data)["painting"]
            order = _order_in(data)
        except (OSError, SafetensorError, LookupError, ValueError):
            return None
        return flat.permute(sorted(range(len(order)), key=order.__getitem__))

    def clear(self) -> None:
        """Let all of them go."""
        for path in self._files():
            path.unlink(missing_ok=True)

    def _path(self, digest: bytes) -> Path:
        return self.folder / f"{digest.hex()}{SUFFIX}"

    def _files(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)

    def _make_room(self, n_bytes: int) -> bool:
        """Let older ones go until there is room; False: it is too large, or the disk has none."""
        if n_bytes > self.budget_bytes:
            return False
        files = self._files()
        sizes = [path.stat().st_size for path in files]
        while files and (sum(sizes) + n_bytes > self.budget_bytes or not self._has_disk(n_bytes)):
            files.pop(0).unlink(missing_ok=True)
            sizes.pop(0)
        return self._has_disk(n_bytes)

    def _has_disk(self, n_bytes: int) -> bool:
        return shutil.disk_usage(self.folder).free > n_bytes + SPARE_BYTES


def _order_in(data: bytes) -> list[int]:
    """The order of dimensions that a file's header tells."""
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    return [int(d) for d in json.loads(header)["__metadata__"]["order"].split(",")]
