"""Scenes: pictures of every kind, with a soft selection, painted and mixed down again."""

from __future__ import annotations

import hashlib
import json

from gi.repository import Gimp
from inside import stage
from inside.stage import Facts

P = Gimp.Precision
# name -> file, precision to convert to, whether gray, whether with alpha, numpy type of the pixels
KINDS = {
    "jpeg": ("chelsea.jpg", None, False, False, "u1"),
    "png16": ("levels.png", None, False, False, "u2"),
    "float_tiff": ("chelsea.tif", None, False, False, "f4"),
    "float_linear": ("chelsea.jpg", P.FLOAT_LINEAR, False, False, "f4"),
    "half": ("chelsea.jpg", P.HALF_LINEAR, False, False, "f2"),
    "u16_linear": ("levels.png", P.U16_LINEAR, False, False, "u2"),
    "rgba": ("chelsea.jpg", None, False, True, "u1"),
    "rgba_float": ("chelsea.tif", None, False, True, "f4"),
    "gray": ("chelsea.jpg", None, True, False, "u1"),
    "gray16": ("levels.png", None, True, False, "u2"),
    "gray_float": ("chelsea.tif", None, True, False, "f4"),
}


def paint(kind: str) -> Facts:
    """Open, select, run, and dump the source, the new layer, its mask, and the picture mixed down in two ways."""
    file, precision, is_gray, has_alpha, dtype = KINDS[kind]
    image = stage.load(file)
    if precision is not None:
        image.convert_precision(precision)
    if is_gray:
        image.convert_grayscale()
    (source,) = image.get_layers()
    if has_alpha:
        _add_soft_alpha(source)
    stage.select_ellipse(image)
    before = stage.state_of(image)
    stage.dump(f"{kind}-source", stage.pixels(source))
    layer, facts = stage.run_filter(image, [source])
    if layer is None:
        return facts
    stage.dump(f"{kind}-layer", stage.pixels(layer))
    stage.dump(f"{kind}-mask", stage.pixels(layer.get_mask(), "Y float"))
    stage.dump(f"{kind}-selection", stage.pixels(image.get_selection(), "Y float"))
    stage.dump(f"{kind}-merged", _mixed(image, lambda copy: copy.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE)))
    stage.dump(f"{kind}-flat", _mixed(image, lambda copy: copy.flatten()))
    stage.dump(f"{kind}-alone", _mixed(image, _flatten_without_ours))
    after = stage.state_of(image)
    parasite = layer.get_parasite("impasto-settings")
    return facts | {
        "dtype": dtype,
        "width": image.get_width(),
        "height": image.get_height(),
        "layer": stage.layer_facts(layer),
        "source_is_untouched": before["layers"] == after["layers"][1:],
        "selection_is_untouched": before["selection"] == after["selection"],
        "selection_digest": hashlib.sha256(stage.pixels(image.get_selection(), "Y float")).hexdigest(),
        "n_images_more": after["n_images"] - before["n_images"],
        "settings": json.loads(bytes(parasite.get_data()).decode()),
        "parasite_is_persistent": parasite.is_persistent(),
    }


def _add_soft_alpha(layer: Gimp.Layer) -> None:
    """Alpha from 0 at the left to opaque at the right."""
    layer.add_alpha()
    width, height = layer.get_width(), layer.get_height()
    data = bytearray(stage.pixels(layer, "R'G'B'A u8"))
    data[3::4] = bytes(x * 255 // (width - 1) for x in range(width)) * height
    stage.set_pixels(layer, "R'G'B'A u8", bytes(data))


def _mixed(image: Gimp.Image, mix: object) -> bytes:
    copy = image.duplicate()
    try:
        return stage.pixels(mix(copy))  # type: ignore[operator]
    finally:
        copy.delete()


def _flatten_without_ours(copy: Gimp.Image) -> Gimp.Layer:
    copy.remove_layer(copy.get_layers()[0])
    return copy.flatten()
