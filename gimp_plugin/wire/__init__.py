"""The contract between the plug-in and the engine: requests, results, frames, errors, and where the engine is found.

Standard library only: GIMP's own Python loads it, and so does the server. Both read its names through this file.
"""

from gimp_plugin.wire.endpoint import (
    Endpoint,
    engine_folder,
    host_folder,
    is_elsewhere,
    is_other_start,
    proof,
    read_endpoint,
    read_token,
    this_host,
)
from gimp_plugin.wire.frames import (
    ERROR_STATUS,
    ITEM_BYTES,
    MAX_HEADER_BYTES,
    MAX_PIXELS,
    PROTOCOL,
    Buffer,
    Plane,
    WireError,
    check_header,
    frame_bytes,
    kind_of,
    outline_frame,
    pack_frame,
    plane_bytes,
    unpack_frame,
)
from gimp_plugin.wire.private import is_ours, open_ours
from gimp_plugin.wire.request import Request, Result
from gimp_plugin.wire.save_style import STYLE_PICTURE_PX, STYLE_REQUEST, StyleRequest, StyleResult
from gimp_plugin.wire.segment import EDGES, SEGMENT_REQUEST, SegmentRequest, SegmentResult
from gimp_plugin.wire.state import home, is_read_only, spare_dir, state_dir, usual_dir
from gimp_plugin.wire.style_file import (
    MAX_FILE_BYTES,
    MAX_TEXT,
    SUFFIX,
    SWATCH_PX,
    THUMBNAIL_PX,
    SavedStyle,
    StyleLabel,
    are_numbers,
    pack_style,
    read_style,
    read_style_bytes,
    style_text,
    unpack_label,
    unpack_style,
    write_style,
    write_style_bytes,
)
from gimp_plugin.wire.stylize import MAX_SERIES, MAX_STYLES, MIN_WEIGHT, StyleEntry, StylizeRequest, StylizeResult

__all__ = [
    "EDGES", "ERROR_STATUS", "ITEM_BYTES", "MAX_FILE_BYTES", "MAX_HEADER_BYTES", "MAX_PIXELS", "MAX_SERIES",
    "MAX_STYLES", "MAX_TEXT", "MIN_WEIGHT", "PROTOCOL", "SEGMENT_REQUEST", "STYLE_PICTURE_PX",
    "STYLE_REQUEST", "SUFFIX", "SWATCH_PX", "THUMBNAIL_PX", "Buffer", "Endpoint", "Plane", "Request",
    "Result", "SavedStyle", "SegmentRequest", "SegmentResult", "StyleEntry", "StyleLabel", "StyleRequest",
    "StyleResult", "StylizeRequest", "StylizeResult", "WireError", "are_numbers", "check_header",
    "engine_folder", "frame_bytes", "home", "host_folder", "is_elsewhere", "is_other_start", "is_ours",
    "is_read_only", "kind_of", "open_ours", "outline_frame", "pack_frame", "pack_style", "plane_bytes",
    "proof", "read_endpoint", "read_style", "read_style_bytes", "read_token", "spare_dir", "state_dir",
    "style_text", "this_host", "unpack_frame", "unpack_label", "unpack_style", "usual_dir", "write_style",
    "write_style_bytes",
]  # fmt: skip
