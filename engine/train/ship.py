"""Put trained weights and style codes into the package.

``python -m engine.train.ship weights anystyle RUN/anystyle.safetensors --card CARD.md`` copies weights and card and
enters length and hash in the manifest; ``--pack`` stores them in 8 bits.
``python -m engine.train.ship presets ART_DIR`` encodes the works of ``presets/works.json`` with the shipped network.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load, save, save_file
from torch import Tensor

from engine.core.types import Picture, Style
from engine.files import presets, read_picture
from engine.files.presets import STYLE_SIZE_PX
from engine.methods.anystyle import encode_picture, network
from engine.models import shipped
from engine.pipeline.stylize import stylize

MAX_BYTES = 4_000_000
THUMBNAIL_BOX = (60, 0, 420, 240)  # of the sample photo: the face
THUMBNAIL_PX = (288, 192)


def ship_weights(name: str, source: Path, card: Path, *, is_packed: bool = False) -> None:
    """Copy weights and card into the package and enter them in the manifest.

    Args:
        name: of the weights in the manifest.
        source: safetensors.
        card: says how they were made.
        is_packed: store the matrices in 8 bits.

    Raises:
        SystemExit: the file is larger than what may ship.
    """
    data = save(shipped.packed(shipped.unpacked(load(source.read_bytes())))) if is_packed else source.read_bytes()
    if len(data) > MAX_BYTES:
        raise SystemExit(f"{source} has {len(data)} bytes; at most {MAX_BYTES} ship.")
    shipped.FOLDER.mkdir(exist_ok=True)
    (shipped.FOLDER / f"{name}.safetensors").write_bytes(data)
    if card.resolve() != (shipped.FOLDER / f"{name}.md").resolve():
        shutil.copy(card, shipped.FOLDER / f"{name}.md")
    path = shipped.FOLDER / "manifest.json"
    entries = json.loads(path.read_text("utf-8")) if path.exists() else {}
    entries[name] = {
        "file": f"{name}.safetensors",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "card": f"{name}.md",
    }
    path.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", "utf-8")


def ship_presets(art: Path) -> None:
    """Encode every work of ``presets/works.json`` (name, title, artist, year, file) from a folder of pictures."""
    works = json.loads((presets.FOLDER / "works.json").read_text("utf-8"))
    net = network(torch.device("cpu"))
    codes = {}
    with torch.inference_mode():
        for work in works:
            picture = read_picture(art / work["file"])
            codes[work["name"]] = encode_picture(net, picture, None, STYLE_SIZE_PX, torch.device("cpu")).half()
    save_file(codes, presets.FOLDER / "codes.safetensors")
    (presets.FOLDER / "codes.safetensors").chmod(0o644)  # save_file makes it private
    ship_thumbnails(codes)
    shown = [{key: work[key] for key in ("name", "title", "artist", "year")} for work in works]
    (presets.FOLDER / "presets.json").write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n", "utf-8")


def ship_thumbnails(codes: dict[str, Tensor]) -> None:
    """What each style makes of the sample photo."""
    from skimage import data  # noqa: PLC0415  (the demo's own extra)

    cat = Image.fromarray(data.chelsea()).crop(THUMBNAIL_BOX)
    cat = cat.resize(THUMBNAIL_PX, Image.Resampling.LANCZOS)
    photo = Picture(torch.from_numpy(np.asarray(cat, np.float32) / 255).permute(2, 0, 1).contiguous())
    (presets.FOLDER / "thumbnails").mkdir(exist_ok=True)
    for name, code in codes.items():
        painted = stylize(photo, [Style(name, code=code.float())]).picture.rgb
        pixels = (painted * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(presets.thumbnail(name), quality=85, optimize=True)


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Put trained weights or style codes into the package.")
    commands = parser.add_subparsers(dest="command", required=True)
    ship = commands.add_parser("weights")
    ship.add_argument("name")
    ship.add_argument("source", type=Path)
    ship.add_argument("--card", type=Path, required=True)
    ship.add_argument("--pack", action="store_true", help="store the matrices in 8 bits")
    commands.add_parser("presets").add_argument("art", type=Path)
    args = parser.parse_args(argv)
    if args.command == "weights":
        ship_weights(args.name, args.source, args.card, is_packed=args.pack)
    else:
        ship_presets(args.art)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
