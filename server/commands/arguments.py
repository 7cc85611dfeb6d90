"""The options of every command that paints: made from the table of settings, and read back as the engine's settings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gimp_plugin import settings
from gimp_plugin.settings import Setting
from gimp_plugin.wire import MIN_WEIGHT

if TYPE_CHECKING:
    from engine.core.types import Settings

AUTO = "auto"
AUTO_REGIONS = Path(AUTO)


def add_painting_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options. Ranges are checked by ``Settings``, in one place for all who ask the engine."""
    parser.add_argument(
        "--style",
        action="append",
        required=True,
        metavar="FILE|PRESET",
        help="a picture, a style file or a preset; repeat it to blend several",
    )
    parser.add_argument("--style-weights", type=weights, metavar="W,W,...", help="their shares; default: all alike")
    parser.add_argument("--mix", type=float, metavar="0..1", help="of two styles, the second one's share")
    for setting in settings.of("command"):
        _add_setting(parser, setting)
    parser.add_argument(
        "--option", action="append", default=[], type=option, metavar="NAME=VALUE", help="of the method; repeat it"
    )


def _add_setting(parser: argparse.ArgumentParser, setting: Setting) -> None:
    flag, words = f"--{setting.name}", {"help": setting.help.replace("%", "%%"), "default": setting.default}
    if setting.kind == "switch":
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, **words)
    elif setting.choices:
        parser.add_argument(flag, choices=setting.words, **words)
    elif _can_be_automatic(setting):
        words["default"] = AUTO
        parser.add_argument(flag, type=number_or_auto, metavar=f"{setting.low:g}..{setting.high:g}|{AUTO}", **words)
    elif setting.kind == "number":
        parser.add_argument(flag, type=float, metavar=f"{setting.low:g}..{setting.high:g}", **words)
    elif setting.kind == "whole":
        parser.add_argument(flag, type=int, metavar="PX" if setting.key.endswith("_px") else "N", **words)
    else:
        parser.add_argument(flag, metavar="NAME", **words)


def _can_be_automatic(setting: Setting) -> bool:
    """Whether there is a switch that lets the engine choose the number."""
    return setting.kind == "number" and f"auto-{setting.name}" in [other.name for other in settings.SETTINGS]


def settings_of(options: argparse.Namespace) -> Settings:
    """The engine's settings.

    Raises:
        SettingsError: a value is out of range.
    """
    from engine.core.types import Settings  # noqa: PLC0415
    from engine.features.backbones import check_backbone  # noqa: PLC0415  (torch: only when needed)

    check_backbone(options.backbone)
    given: dict[str, Any] = {}
    for setting in settings.of("command"):
        value = getattr(options, setting.name.replace("-", "_"))
        if _can_be_automatic(setting):
            given[f"auto_{setting.key}"] = value == AUTO
            value = setting.default if value == AUTO else value
        given[setting.key] = value
    auto_regions = getattr(options, "regions", None) == AUTO_REGIONS  # not of a batch
    return Settings(**given, auto_regions=auto_regions, options=dict(options.option))


def chosen_styles(options: argparse.Namespace) -> list[tuple[str, float]]:
    """Each style that counts, as it was written, with its share.

    Raises:
        SettingsError: not one share for each, or a mix of other than two.
    """
    from engine.core.errors import SettingsError  # noqa: PLC0415  (see above)

    styles, shares = options.style, options.style_weights or [1.0] * len(options.style)
    if options.mix is not None:
        if len(styles) != 2 or options.style_weights:
            raise SettingsError("--mix is of exactly two styles: give --style twice, and no --style-weights.")
        if not 0 <= options.mix <= 1:
            raise SettingsError(f"mix must be from 0 to 1, not {options.mix!r}.")
        pairs = zip(styles, (1 - options.mix, options.mix), strict=True)
        return [(text, max(share, MIN_WEIGHT)) for text, share in pairs if share > 0]
    if len(shares) != len(styles):
        raise SettingsError(f"There are {len(styles)} styles but {len(shares)} style weights: give one for each.")
    return list(zip(styles, shares, strict=True))


def number_or_auto(text: str) -> float | str:
    """A number, or "auto": as much as the picture bears."""
    return AUTO if text == AUTO else float(text)


def weights(text: str) -> list[float]:
    """ "0.7,0.3" as numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 0.7,0.3") from None


def option(text: str) -> tuple[str, str]:
    """ "pooling=average" as a pair."""
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    return name, value
