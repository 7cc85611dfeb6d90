"""Scenes: images of every depth and color space, painted with no strength at all and, in part, with full strength."""

from __future__ import annotations

from array import array

from gi.repository import Babl, Gegl, Gimp, Gio
from inside import stage
from inside.stage import FOLDER, Facts

P = Gimp.Precision
PRECISIONS = {
    "u8": P.U8_NON_LINEAR,
    "u8_linear": P.U8_LINEAR,
    "u16": P.U16_NON_LINEAR,
    "u16_linear": P.U16_LINEAR,
    "half": P.HALF_LINEAR,
    "float": P.FLOAT_NON_LINEAR,
    "float_linear": P.FLOAT_LINEAR,
}
DEPTHS = {  # each run of the filter takes time
    "srgb": ("u16", "u16_linear", "float_linear"),
    "adobe": ("u8", "u16", "half", "float", "float_linear"),
    "p3": ("u8", "u8_linear", "u16_linear", "float"),
}
SIDE = 96
GOLDEN = (5**0.5 - 1) / 2  # its multiples fill the range from 0 to 1 evenly


def profiles() -> dict[str, Gimp.ColorProfile | None]:
    display_p3 = Gimp.ColorProfile.new_from_file(Gio.File.new_for_path(str(FOLDER / "display_p3.icc")))
    return {"srgb": None, "adobe": Gimp.ColorProfile.new_rgb_adobe(), "p3": display_p3}


def keep(space: str, depth: str) -> Facts:
    """Strength 0: does the new layer hold the source's bits? Then half is painted: what changes of the rest?"""
    image, layer = saturated(PRECISIONS[depth], profiles()[space])
    before = stage.pixels(layer)
    kept, facts = stage.run_filter(image, [layer], selection_only=False, strength=0.0)
    facts["is_kept"] = kept is not None and stage.pixels(kept) == before
    changed, _run = stage.run_filter(image, [kept], selection_only=False, strength=0.0, change_painting=True)
    facts["is_kept_when_changed"] = changed is not None and stage.pixels(changed) == before
    image.remove_layer(changed)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, SIDE, SIDE // 2)
    painted, _run = stage.run_filter(image, [layer])
    alone = image.duplicate()
    alone.remove_layer(alone.get_layers()[0])
    expected = without_alpha(alone.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE))
    after = without_alpha(image.merge_visible_layers(Gimp.MergeType.CLIP_TO_IMAGE))
    half = len(before) // 2
    facts["is_kept_outside"] = painted is not None and after[half:] == expected[half:]
    facts["is_painted_inside"] = after[:half] != expected[:half]
    return facts


def without_alpha(layer: Gimp.Layer) -> bytes:
    """Its pixels as GIMP holds them: merging gives a layer an alpha channel."""
    pixels = stage.pixels(layer)
    if not layer.has_alpha():
        return pixels
    size = len(pixels) // (SIDE * SIDE)
    return b"".join(pixels[start : start + size // 4 * 3] for start in range(0, len(pixels), size))


def keep_what_is_no_plain_layer() -> Facts:
    """Strength 0 on a group and on a text in a deep, wide image: what is seen is kept to the bit."""
    image, layer = saturated(P.FLOAT_NON_LINEAR, Gimp.ColorProfile.new_rgb_adobe())
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    image.insert_layer(Gimp.Layer.new_from_drawable(layer, image), group, 0)
    text = Gimp.TextLayer.new(image, "Impasto", Gimp.context_get_font(), 30, Gimp.Unit.pixel())
    image.insert_layer(text, None, 0)
    facts: Facts = {}
    for name, source in (("group", group), ("text", text)):
        kept, run = stage.run_filter(image, [source], selection_only=False, strength=0.0)
        facts[name] = run | {"is_kept": kept is not None and stage.pixels(kept) == stage.pixels(source)}
    return facts


def saturated(precision: Gimp.Precision, profile: Gimp.ColorProfile | None) -> tuple[Gimp.Image, Gimp.Layer]:
    """Colors all over the image's own space, its corners among them: many lie outside sRGB in a wide one."""
    image = Gimp.Image.new_with_precision(SIDE, SIDE, Gimp.ImageBaseType.RGB, precision)
    if profile is not None:
        image.set_color_profile(profile)
    layer = Gimp.Layer.new(image, "colors", SIDE, SIDE, Gimp.ImageType.RGB_IMAGE, 100.0, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    corners = [float(bit) for number in range(8) for bit in f"{number:03b}"] + [0.0, 1.0, 1 / 255]
    values = array("f", corners + [i * GOLDEN % 1 for i in range(SIDE * SIDE * 3 - len(corners))])
    own = Babl.get_name(Babl.format_with_space("R'G'B' float", Babl.format_get_space(layer.get_format())))
    buffer = layer.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, SIDE, SIDE), own, values.tobytes())
    buffer.flush()
    layer.update(0, 0, SIDE, SIDE)
    return image, layer
