"""``impasto train``: the training commands of the engine, each with its own options."""

from __future__ import annotations

import argparse
from importlib import import_module

from engine.core.errors import SettingsError
from server.commands.command import Command

TRAINERS = {
    "anystyle": "the any-style network that ships",
    "embedded": "the embedded feature network that ships",
    "decoder": "the decoders of the embedded network that ship (wct, photowct)",
    "style": "a fast network of one style picture, on your own photos (johnson, ulyanov)",
    "msgnet": "one network of several styles (msgnet)",
    "object": "the network that finds objects (impasto segment)",
    "segnet": "Bayesian SegNet, which finds sky, ground and so on (--regions auto)",
    "unpaired": "a translation between two folders of pictures (cyclegan, discogan)",
}


def run(options: argparse.Namespace) -> int:
    """Hand over to ``engine.train.recipes.train_NAME.main``."""
    words = options.words
    if not words or words[0] in ("-h", "--help"):
        print("usage: impasto train NETWORK [options]\n\nnetworks:")
        for name, what in TRAINERS.items():
            print(f"  {name:12} {what}")
        return 0 if words else 2
    if words[0] not in TRAINERS:
        raise SettingsError(f"There is no training for {words[0]!r}; there is one for {', '.join(TRAINERS)}.")
    status: int = import_module(f"engine.train.recipes.train_{words[0]}").main(words[1:])
    return status


COMMAND = Command("train", "train networks", run)
