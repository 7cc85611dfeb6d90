"""What a file tells of its picture, for the result: who made it and where, its resolution, its depth and colors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image

MAX_EXIF_BYTES = {"JPEG": 65533}  # what one marker holds
Tag = ExifTags.Base
TEXTS = (Tag.ImageDescription, Tag.Make, Tag.Model, Tag.Software, Tag.DateTime, Tag.Artist, Tag.HostComputer,
         Tag.Copyright)  # fmt: skip
WINDOWS_TEXTS = (Tag.XPTitle, Tag.XPComment, Tag.XPAuthor, Tag.XPKeywords, Tag.XPSubject)
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# Of the file, not of the picture: the result has a size and colors of its own.
OF_THE_FILE = (Tag.ColorSpace, Tag.ExifImageWidth, Tag.ExifImageHeight, ExifTags.IFD.Interop)


@dataclass(frozen=True)
class Metadata:
    """What goes with a result.

    Args:
        exif: what tells of the picture.
        dpi: pixels per inch, across and down.
        made_by: the word about how the file was made, if it is one of ours (not handed on).
    """

    exif: Image.Exif = field(default_factory=Image.Exif)
    dpi: tuple[float, float] | None = None
    made_by: str | None = None

    def options(self, file_format: str) -> dict[str, Any]:
        """Pillow's options for saving, as far as the format has room."""
        if file_format == "BMP":
            return {}
        data = self.exif.tobytes() if len(self.exif) else b""
        found: dict[str, Any] = {}
        if 0 < len(data) <= MAX_EXIF_BYTES.get(file_format, len(data)):
            found["exif"] = data
        if file_format == "TIFF" and any(directory in self.exif for directory in DIRECTORIES):
            found["compression"] = "raw"  # what compresses them, libtiff, cannot write these directories
        if self.dpi is not None:
            found["dpi"] = self.dpi
        return found

    def tags(self) -> dict[int, Any]:
        """The EXIF data as tags of a TIFF, sub-directories as dictionaries."""
        return {int(tag): self.exif[tag] for tag in self.exif}


def metadata_of(image: Image.Image, exif: Image.Exif | None = None) -> Metadata:
    """What an opened file tells of its picture; nothing, if that is damaged: it must not cost the painting.

    Args:
        image: opened.
        exif: its EXIF data; None = look for them, which may decode the pixels of a PNG.
    """
    try:
        across, down = map(float, image.info.get("dpi") or (0, 0))
        exif = image.getexif() if exif is None else exif
        made_by = exif.get(Tag.ProcessingSoftware)
        dpi = (across, down) if across > 0 and down > 0 else None
        return Metadata(_descriptive(exif), dpi, made_by if isinstance(made_by, str) else None)
    except Exception:
        return Metadata()


def _descriptive(exif: Image.Exif) -> Image.Exif:
    """What tells of the picture. The rest is of the file: which way up it is and, in a TIFF, how its pixels lie, which
    makes another file unreadable.
    """
    kept = Image.Exif()
    kept.update({tag: exif[tag] for tag in TEXTS if isinstance(exif.get(tag), str)})
    kept.update({tag: exif[tag] for tag in WINDOWS_TEXTS if isinstance(exif.get(tag), bytes)})
    for directory in DIRECTORIES:
        values = {tag: value for tag, value in exif.get_ifd(directory).items() if tag not in OF_THE_FILE}
        if values:
            kept[directory] = values
    return kept
