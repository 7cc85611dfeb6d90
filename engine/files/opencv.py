"""OpenCV where Pillow has 8 bits only: it reads and writes 16 bits a channel. It is loaded when such a file comes."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


def decode(stream: BinaryIO) -> NDArray[Any] | None:
    """(H, W, 1, 3 or 4) pixels of a file as deep as they are, or None if it cannot be read whole."""
    import cv2  # noqa: PLC0415

    stream.seek(0)
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it tells stderr what we tell the user
    try:
        pixels = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)
    return None if pixels is None else _exchanged(pixels if pixels.ndim == 3 else pixels[:, :, None])


def encode_png(pixels: NDArray[np.uint16]) -> bytes:
    """A PNG of (H, W, 3 or 4) pixels with 16 bits a channel.

    Raises:
        MemoryError: not enough memory.
    """
    import cv2  # noqa: PLC0415

    is_done, data = cv2.imencode(".png", np.ascontiguousarray(_exchanged(pixels)), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not is_done:
        raise MemoryError
    return data.tobytes()


def _exchanged(pixels: NDArray[Any]) -> NDArray[Any]:
    """Blue, green, red as red, green, blue, and back."""
    return pixels if pixels.shape[2] < 3 else pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
