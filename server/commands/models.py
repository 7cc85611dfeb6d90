"""``impasto models``: the weights that ship and those that were fetched."""

from __future__ import annotations

import argparse
import sys

from engine.errors import WeightsError
from server.commands.command import Command


def list_models(_options: argparse.Namespace) -> int:
    """One line per file of weights."""
    from engine import features, weights  # noqa: PLC0415  (torch: only when it is needed)
    from engine.segmentation import checkpoints  # noqa: PLC0415

    for name, entry in sorted(weights.manifest().items()):
        state = "here" if weights.is_here(name) else "missing: run install.py again"
        print(f"{name:12} {entry.n_bytes / 1e6:8.1f} MB  ships with Impasto, card {entry.card}; {state}")
    vgg19 = features.vgg19_path()
    state = str(vgg19) if vgg19.is_file() else "not fetched; --backbone vgg19 fetches it"
    print(f"{'vgg19':12} {574.7:8.1f} MB  torchvision's; {state}")
    for name, published in checkpoints.PUBLISHED.items():
        path = checkpoints.path_of(name)
        state = str(path) if path.is_file() else f"not here; fetch {published.url} and put it into {path.parent}"
        print(f"{name:12} {published.megabytes:8.1f} MB  Segment Anything's, for impasto segment; {state}")
    return 0


def verify_models(_options: argparse.Namespace) -> int:
    """Check length and hash of everything that is here.

    Returns:
        1 if something is damaged or missing.
    """
    from engine import features, weights  # noqa: PLC0415

    n_bad = 0
    for name in sorted(weights.manifest()):
        try:
            weights.load_shipped(name)
            print(f"{name}: intact")
        except WeightsError as error:
            print(error, file=sys.stderr)
            n_bad += 1
    vgg19 = features.vgg19_path()
    if vgg19.is_file():
        if features.file_sha256(vgg19) == features.VGG19_SHA256:
            print("vgg19: intact")
        else:
            print(f"{vgg19} is damaged: delete it, and it will be fetched again.", file=sys.stderr)
            n_bad += 1
    return 1 if n_bad else 0


def run(options: argparse.Namespace) -> int:
    """One of the two."""
    return verify_models(options) if options.action == "verify" else list_models(options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with them."""
    parser.add_argument("action", choices=["list", "verify"], help="list them, or check their hashes")


COMMAND = Command("models", "list the weights, or verify them", run, add_arguments)
