"""``impasto style``: a picture as a style file, which can be sent to a friend; and what such a file holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from engine.core.errors import InputError
from gimp_plugin.wire import SUFFIX, Plane, SavedStyle, pack_style, read_style, style_text, write_style
from server.commands.command import Command


def run(options: argparse.Namespace) -> int:
    """Save or show."""
    return save(options) if options.action == "save" else show(options)


def save(options: argparse.Namespace) -> int:
    """Read a picture, look at it, write the style file."""
    from engine.files import read_with_notes  # noqa: PLC0415  (torch: only when needed)
    from server.commands.painting import STYLE_PX  # noqa: PLC0415
    from server.worker.style_saver import saved_style  # noqa: PLC0415

    path: Path = options.output
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"A style file's name ends in {SUFFIX}: write -o {path.stem}{SUFFIX}.")
    if path.exists() and not options.replace:
        raise InputError(f"{path} is there already: choose another name, or add --replace.")
    picture, notes = read_with_notes(options.picture, small_px=STYLE_PX)
    title = style_text(options.title, options.picture.stem, path.stem, "My style")
    style = saved_style(picture, title, style_text(options.artist))
    write_style(path, style, replace=options.replace)
    print(f"{path} ({path.stat().st_size / 1000:.0f} kB): {_named(style)}")
    for note in notes:
        print(f"Note: {note}")
    return 0


def show(options: argparse.Namespace) -> int:
    """Title, artist, sizes, and whether the code is of this version's network; the picture as a file, if wanted."""
    from engine.files import check_writable, write_or_keep  # noqa: PLC0415
    from engine.pipeline.saved_styles import network_stamp  # noqa: PLC0415
    from server.worker.convert import picture_of  # noqa: PLC0415

    if options.swatch is not None:
        check_writable(options.swatch, [options.file])
    style = read_style(options.file)
    is_ours = style.network == network_stamp()
    if options.swatch is not None:
        write_or_keep(options.swatch, picture_of(style.rgba()))
    if options.json:
        print(json.dumps(_account(options.file, style, is_ours), indent=2))
        return 0
    print(_named(style))
    print(f"Picture: {_size(style.swatch)}, thumbnail: {_size(style.thumbnail)}")
    print(f"Network: {style.network} ({'this version' if is_ours else 'another version: the picture is looked at'})")
    return 0


def _account(path: Path, style: SavedStyle, is_ours: bool) -> dict[str, Any]:
    return {
        **{"file": str(path), "title": style.title, "artist": style.artist},
        **{"network": style.network, "is_of_this_network": is_ours, "bytes": len(pack_style(style))},
        **{"picture": [style.swatch.width, style.swatch.height], "code": style.code.shape[1]},
    }


def _named(style: SavedStyle) -> str:
    return f"{style.title}, {style.artist}" if style.artist else style.title


def _size(plane: Plane) -> str:
    return f"{plane.width} x {plane.height} pixels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    saving = actions.add_parser("save", help="make a style file from a picture")
    saving.add_argument("picture", type=Path, metavar="PICTURE", help="whose style to save")
    saving.add_argument("--title", default="", help="of the style; default: the picture's name")
    saving.add_argument("--artist", default="", help="who made the picture")
    saving.add_argument("-o", "--output", type=Path, required=True, metavar=f"FILE{SUFFIX}")
    saving.add_argument("--replace", action="store_true", help="write over a file that is there")
    showing = actions.add_parser("show", help="tell what a style file holds")
    showing.add_argument("file", type=Path, metavar="FILE", help=f"a {SUFFIX}")
    showing.add_argument("--swatch", type=Path, metavar="OUT.png", help="write its picture here")
    showing.add_argument("--json", action="store_true", help="tell it as JSON")


COMMAND = Command("style", "save a picture as a style file, or show one", run, add_arguments)
