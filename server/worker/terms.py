"""The engine's errors in the wire's terms: a code, and a sentence that names no file of this computer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from engine.core.errors import Cancelled, ImpastoError, InputError, ResourceError, SettingsError
from engine.models.user_models import models_folder
from gimp_plugin.wire import WireError
from server.wording import without_paths
from server.worker.loop import JobCancelled

TAIL = r"(?:[/\\\\][^\s'\"`,;()]*)?"


@contextmanager
def in_wire_terms() -> Iterator[None]:
    """The engine's errors as the wire's."""
    try:
        yield
    except Cancelled as outcome:
        raise JobCancelled from outcome
    except (InputError, SettingsError) as error:
        raise WireError("unprocessable", without_folders(str(error))) from error
    except ResourceError as error:
        raise WireError("out_of_memory", without_folders(str(error))) from error
    except ImpastoError as error:
        raise WireError("failed", without_folders(str(error))) from error


def without_folders(text: str) -> str:
    """A sentence with the last name alone of every file in it, and a folder by what it is.

    The command line may say where something lies. An answer may not: its reader may be someone else.
    """
    for folder, words in _folders().items():
        text = re.sub(re.escape(folder) + TAIL, partial(_named, folder=folder, words=words), text)
    return without_paths(text)


def _named(found: re.Match[str], folder: str, words: str) -> str:
    """The last name of a path, if it goes on below a folder; else words for the folder."""
    rest = found.group().removeprefix(folder).replace("\\", "/").strip("/")
    return rest.rpartition("/")[2] or words


def _folders() -> dict[str, str]:
    """Folders that sentences name, those within others first."""
    found = {
        str(models_folder()): "the models folder",
        str(Path(torch.hub.get_dir()) / "checkpoints"): "PyTorch's folder of checkpoints",
        str(Path(__file__).resolve().parents[2]): "Impasto's folder",
    }
    return dict(sorted(found.items(), key=lambda entry: -len(entry[0])))
