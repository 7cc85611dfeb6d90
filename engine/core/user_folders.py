"""The user's folders, also of a user who has none."""

from __future__ import annotations

import os
from pathlib import Path

NOWHERE = Path(os.devnull) / "no home folder (set HOME)"  # nothing is ever found there, and nothing can be put there


def home() -> Path:
    """The user's home folder; ``NOWHERE`` if HOME is unset and the system knows none."""
    try:
        folder = Path.home()
    except RuntimeError:
        return NOWHERE
    return folder if folder.is_absolute() else NOWHERE


def torch_folder() -> Path:
    """Where torch keeps what it fetched. It would make a folder named "~" for a user without a home."""
    import torch  # noqa: PLC0415  (this module is also for those who need none)

    folder = Path(torch.hub.get_dir())
    return NOWHERE if folder.parts[:1] == ("~",) else folder
