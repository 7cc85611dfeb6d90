"""``impasto models``: the weights that ship, and the published ones: list, get, verify."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from engine.core.errors import SettingsError, WeightsError
from server.commands.command import Command
from server.terminal import progress_bar

if TYPE_CHECKING:
    from engine.models.published import Model, Published
    from server.fetch import Opener


def list_models() -> int:
    """Two lines for each: what it is, whether it is here; what it serves, its licence."""
    from engine.models import published, shipped  # noqa: PLC0415  (torch: only when it is needed)
    from engine.models.user_models import models_folder  # noqa: PLC0415

    for name, entry in sorted(shipped.manifest().items()):
        state = "here" if shipped.is_here(name) else "missing: run install.py again"
        print(f"{name:24} {entry.n_bytes / 1e6:8.1f} MB  ships with Impasto, card {entry.card}; {state}")
    print(f"\nPublished by others; `impasto models get NAME` fetches one. Models folder: {models_folder()}")
    for name, model in published.models().items():
        size = f"{model.n_bytes / 1e6:8.1f} MB" if model.n_bytes else f"{'?':>8} MB"
        state = f"here: {model.files[0].folder}" if model.is_here else "not fetched"
        print(f"{name:24} {size}  {model.title}; {state}\n{'':37}{model.licence}; for {model.serves}")
    return 0


def get_models(names: list[str], *, is_accepted: bool, opener: Opener | None = None) -> int:
    """Fetch published weights, or find them where the user has put them.

    Args:
        names: which.
        is_accepted: take files for which no checksum is published, and pin what came.
        opener: asks the hosts; None = the usual one.

    Raises:
        SettingsError: no name, an unknown one, or one without checksum that was not accepted.
        WeightsError: not reachable, or not the published file.
    """
    from engine.models import published  # noqa: PLC0415

    if not names:
        raise SettingsError("Say which weights to get: `impasto models list` names them.")
    for model in [published.model_of(name) for name in names]:
        for file in model.files:
            get_file(model, file, is_accepted=is_accepted, opener=opener)
        print(f"{model.name}: here, in {model.files[0].folder}. Licence {model.licence}; for {model.serves}")
    return 0


def get_file(model: Model, file: Published, *, is_accepted: bool, opener: Opener | None) -> None:
    """One file of a model, to its place."""
    from engine.models import published  # noqa: PLC0415
    from server.fetch import fetch, opener_for  # noqa: PLC0415

    if published.adopt(file):
        return
    if file.expected_sha256() is None and not is_accepted:
        raise SettingsError(
            f"The publisher of {model.name} states no checksum, so Impasto cannot tell whether {file.url} still gives "
            "what it should: add --accept if you trust it. What comes is pinned and must stay the same."
        )
    if not file.path.is_file():
        print(f"{file.file} from {file.url}", file=sys.stderr)
        with progress_bar() as on_progress:
            fetch(file, published.hosts(), opener or opener_for(published.hosts()), on_progress)
    if file.expected_sha256() is None:
        print(f"{file.file}: pinned, SHA-256 {published.pin(file)}")


def verify_models(names: list[str]) -> int:
    """Check length and hash of what is here.

    Args:
        names: which; none = all.

    Returns:
        1 if something is damaged, or missing that ships or that was named.
    """
    from engine.models import published, shipped  # noqa: PLC0415

    n_bad = 0
    own = sorted(shipped.manifest())
    for name in names:
        if name not in own:
            published.model_of(name)  # an unknown one raises
    for name in own:
        if names and name not in names:
            continue
        try:
            shipped.load_shipped(name)
            print(f"{name}: intact")
        except WeightsError as error:
            print(error, file=sys.stderr)
            n_bad += 1
    for name, model in published.models().items():
        if name in names or not names:
            n_bad += verify_published(model, is_wanted=name in names)
    return 1 if n_bad else 0


def verify_published(model: Model, *, is_wanted: bool) -> int:
    """Check the files of one model; the number of those that are not as they must be."""
    from engine.models import published  # noqa: PLC0415

    n_bad = 0
    for file in model.files:
        try:
            published.adopt(file)
        except WeightsError as error:
            print(error, file=sys.stderr)
            n_bad += 1
            continue
        state = published.state_of(file)
        if state == "missing":
            if is_wanted:
                print(f"{file.file} is not here: run `impasto models get {model.name}`.", file=sys.stderr)
                n_bad += 1
            continue
        note = f" (no checksum is published: `impasto models get {model.name} --accept` pins it)"
        print(f"{model.name}: {file.file} {state}{note if state == 'unconfirmed' else ''}")
    return n_bad


def run(options: argparse.Namespace) -> int:
    """One of the three."""
    if options.action == "get":
        return get_models(options.names, is_accepted=options.accept)
    if options.action == "verify":
        return verify_models(options.names)
    return list_models()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with which."""
    parser.add_argument(
        "action", choices=["list", "get", "verify"], help="list them, fetch some, or check their hashes"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; for get at least one")
    parser.add_argument("--accept", action="store_true", help="get: also where no checksum is published; it is pinned")


COMMAND = Command("models", "list, fetch and verify weights", run, add_arguments)
