"""The work of ``impasto stylize``: files to engine types, painted in this process or by a running engine.

Imported only when a picture is painted: it loads torch.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from engine import methods
from engine.compute.memory_need import estimate
from engine.core.errors import InputError, SettingsError
from engine.core.types import Mask, Picture, Progress, Settings, Style
from engine.files import READABLE_SUFFIXES, read_labels, read_mask, read_with_notes
from engine.files.presets import load_preset, presets
from engine.pipeline.saved_styles import network_stamp, style_of_saved
from engine.pipeline.stylize import stylize
from engine.regions.labels import Color, pair_regions
from engine.segmentation.segment import Prompt, find_object
from gimp_plugin import settings as table
from gimp_plugin.client import Engine
from gimp_plugin.wire import SUFFIX, Plane, StyleEntry, StylizeRequest
from gimp_plugin.wire import read_style as read_saved
from server.commands.arguments import AUTO_REGIONS, chosen_styles
from server.worker.convert import other_network, picture_of

STYLE_PX = 2048  # a style picture is looked at in 512 pixels, and its strokes in a few more
Labels = list[tuple[Color, Mask]]
LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, eq=False)
class Work:
    """Everything that was read from files.

    Args:
        content: the picture to paint.
        styles: with the names of presets, where they are some, in ``preset_names``.
        mask: None = all of it.
        labels: the regions of the content and of the style, by color, where label maps are given.
        preset_names: per style its preset's name, or None for a picture.
        notes: what of the files was not read.
    """

    content: Picture
    styles: list[Style]
    mask: Mask | None
    labels: tuple[Labels, Labels] | None
    preset_names: list[str | None]
    notes: list[str]


def read_work(options: argparse.Namespace) -> Work:
    """Read all that the options name.

    Raises:
        InputError: a file is missing, unusable, or of another size than its picture.
        SettingsError: options that do not go together.
    """
    maps = None if options.regions == AUTO_REGIONS else options.regions
    if (maps is None) != (options.style_regions is None):
        raise SettingsError(
            "--regions and --style-regions belong together: give both or none, or --regions auto alone."
        )
    content, notes = read_with_notes(options.content)
    styles = read_styles(options, max(content.size), notes)
    mask = read_painted_part(options, content, notes)
    labels = None
    if maps is not None:
        if len(styles) != 1 or styles[0].picture is None:
            raise SettingsError("Regions need exactly one style, and that a picture: a preset has no regions.")
        labels = read_labels(maps, content.size), read_labels(options.style_regions, styles[0].picture.size)
        pair_regions(*labels, options.style_regions)  # what cannot be paired is told by its file's name
    texts = [text for text, _ in chosen_styles(options)]
    names = [None if style.picture is not None else text for style, text in zip(styles, texts, strict=True)]
    return Work(content, styles, mask, labels, names, notes)


def read_painted_part(options: argparse.Namespace, content: Picture, notes: list[str]) -> Mask | None:
    """What is to be painted: a mask's file, an object that is found, or all but that. None = all.

    Args:
        options: of the command.
        content: the picture.
        notes: gets a sentence about each thing that did not go as asked.

    Raises:
        InputError: the file is unusable, or no object is there.
        SettingsError: options that do not go together.
    """
    if options.mask is not None and options.object is not None:
        raise SettingsError("--mask and --object both say what is painted: give one of them.")
    if options.mask is not None:
        mask = read_mask(options.mask, content.size)
    elif options.object is not None:
        where = options.object
        found = find_object(content, Prompt(where if len(where) == 4 else None, (where,) if len(where) == 2 else ()))
        notes += found.notes
        mask = Mask(found.mask)
    elif options.invert:
        raise SettingsError("--invert needs --object or --mask: without them everything is painted.")
    else:
        return None
    return Mask(1 - mask.weight, mask.label) if options.invert else mask


def read_styles(options: argparse.Namespace, content_px: int, notes: list[str]) -> list[Style]:
    """The styles that the options name, with their shares.

    Args:
        options: of the command.
        content_px: the longest side of what is painted.
        notes: gets a sentence about each thing that was not read.

    Raises:
        InputError: one is neither a picture nor a preset.
        SettingsError: not one share for each.
        WireError: one is a style file that cannot be used.
    """
    small_px = looked_at_px(options, content_px)
    return [read_style(text, share, small_px, notes) for text, share in chosen_styles(options)]


def looked_at_px(options: argparse.Namespace, content_px: int) -> int:
    """The longest side at which a style picture is read: as large as any method will look at it."""
    has_strokes = "quality" in methods.get(options.method).takes  # its network looks at less
    own_px = STYLE_PX if has_strokes else min(content_px, table.MAX_SIDE_PX)
    return max(STYLE_PX, options.style_size or own_px)


def read_style(text: str, weight: float, small_px: int, notes: list[str]) -> Style:
    """A style by picture, style file or preset name.

    Raises:
        InputError: it is none of them; the message names presets that are spelled alike.
        WireError: it is a style file that cannot be used.
        SettingsError: the weight is not above 0.
    """
    path = Path(text)
    if path.suffix.lower() == SUFFIX:
        return saved_style(path, weight, notes)
    if is_file(path):
        picture, said = read_with_notes(path, small_px=small_px)
        notes += said
        return Style(path.stem, picture, weight=weight)
    names = [preset.name for preset in presets()]
    if text in names:
        return load_preset(text, weight)
    if path.suffix.lower() in READABLE_SUFFIXES or len(path.parts) > 1:
        raise InputError(f"There is no style picture {path}.")
    near = difflib.get_close_matches(text, names, n=3, cutoff=0.55)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`impasto catalog` lists the presets."
    raise InputError(f"{text!r} is neither a picture file nor a style preset. {hint}")


def saved_style(path: Path, weight: float, notes: list[str]) -> Style:
    """The style in a style file.

    Raises:
        WireError: it cannot be used.
        SettingsError: the weight is not above 0.
    """
    saved = read_saved(path)
    code = torch.frombuffer(bytearray(saved.code.data), dtype=torch.float32)
    style = style_of_saved(saved.title, picture_of(saved.rgba()), code, saved.network, weight)
    notes += [other_network(saved.title)] if style.code is None else []
    return style


def is_file(path: Path) -> bool:
    """Whether there is one, whatever kind of file; a name that no file can have is none."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False


def paint_here(work: Work, settings: Settings, on_progress: Progress) -> tuple[Picture, dict[str, Any]]:
    """Paint in this process; what a large picture takes is said first."""
    need = estimate(settings, work.content.size, work.content.size)
    if need.is_large:
        print(need.sentence.rstrip("."), file=sys.stderr)
    regions = [] if work.labels is None else pair_regions(*work.labels, "the style's label map")
    done = stylize(work.content, work.styles, settings, mask=work.mask, regions=regions, on_progress=on_progress)
    return done.picture, dict(done.report)


def paint_there(url: str, work: Work, settings: Settings, on_progress: Progress) -> tuple[Picture, dict[str, Any]]:
    """Let a running engine of this user paint.

    Raises:
        SettingsError: not an address on this computer, or settings that cannot be sent.
        InputError: no engine of this user's answers there.
        WireError: the engine's own error.
    """
    port = port_of(url)
    engine = Engine.find()
    if engine is None or (port is not None and engine.port != port):
        raise InputError(f"No engine of yours runs at {url}: start one with impasto serve, or leave --engine out.")
    result = engine.answer(request_of(work, settings), on_progress)
    painted = picture_of(result.picture)
    return Picture(painted.rgb, work.content.alpha), dict(result.report)


def port_of(url: str) -> int | None:
    """The port of an address on this computer; None if it says none.

    Raises:
        SettingsError: it is no such address. Pixels leave this computer by no option yet.
    """
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host not in LOOPBACK or parts.scheme not in ("", "http") or parts.path.strip("/") or parts.username:
        raise SettingsError(
            f"--engine takes the address of an engine on this computer, http://127.0.0.1:PORT, not {url}."
        )
    return port


def request_of(work: Work, settings: Settings) -> StylizeRequest:
    """The job as it goes over the wire, in floats: no precision is lost on the way.

    Raises:
        SettingsError: something that the wire has no word for.
    """
    if settings.backbone != "embedded":
        raise SettingsError("--backbone cannot be sent to an engine yet: leave it or --engine out.")
    labels = (None, None) if work.labels is None else tuple(map(_map, work.labels))
    return StylizeRequest(
        _plane(work.content),
        tuple(_entry(style, name) for style, name in zip(work.styles, work.preset_names, strict=True)),
        None if work.mask is None else Plane("F32", tuple(work.mask.weight.shape), _bytes(work.mask.weight)),
        labels=labels[0],
        style_labels=labels[1],
        settings={setting.key: getattr(settings, setting.key) for setting in table.of("wire")},
    )


def _entry(style: Style, preset: str | None) -> StyleEntry:
    picture = None if style.picture is None else _plane(style.picture)
    name = style.name.encode("utf-8", "replace").decode()  # of a file's name in another encoding
    if picture is None or style.code is None:
        return StyleEntry(name, style.weight, preset, picture)
    code = Plane("F32", (1, len(style.code)), _bytes(style.code))
    return StyleEntry(name, style.weight, None, picture, code, network_stamp())


def _map(labels: Labels) -> Plane:
    """Regions as a label map (H, W, 4) in 8 bits."""
    pixels = torch.zeros(*labels[0][1].weight.shape, 4, dtype=torch.uint8)
    for color, mask in labels:
        pixels[mask.weight >= 0.5] = torch.tensor([*color, 255], dtype=torch.uint8)
    return Plane("U8", tuple(pixels.shape), pixels.numpy().data.cast("B"))


def _plane(picture: Picture) -> Plane:
    """A Picture as (H, W, 4) floats."""
    alpha = torch.ones(picture.size) if picture.alpha is None else picture.alpha
    pixels = torch.cat((picture.rgb, alpha[None])).permute(1, 2, 0).contiguous()  # (H, W, 4)
    return Plane("F32", tuple(pixels.shape), _bytes(pixels))


def _bytes(values: Tensor) -> memoryview:
    return values.float().contiguous().numpy().data.cast("B")
