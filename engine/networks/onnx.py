"""Weights out of ONNX files: just enough of the format, and strictly.

An ONNX file is a protocol buffer: a sequence of fields, each a number that says which and how it is written, then its
value. Of the model (field 7: its graph), the graph (field 5: its initializers) and a tensor (1: sizes, 2: type, 4:
floats, 8: name, 9: raw bytes) nothing else is looked at; nothing in the file is run.

Source: onnx.proto of the ONNX project; the protocol buffers' encoding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.core.errors import WeightsError

MAX_BYTES = 512 * 2**20
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FLOAT, FLOAT16 = 1, 10  # TensorProto.DataType
GRAPH, INITIALIZER = 7, 5
DIMS, DATA_TYPE, FLOAT_DATA, NAME, RAW_DATA = 1, 2, 4, 8, 9


def read_initializers(path: Path) -> dict[str, Tensor]:
    """The float weights in an ONNX file, by name, in the file's order.

    Raises:
        WeightsError: no such file, too large, damaged, or without weights.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WeightsError(f"{path.name} is larger than {MAX_BYTES >> 20} MB, which no such network is.")
        data = memoryview(path.read_bytes())
    except FileNotFoundError as error:
        raise WeightsError(f"There is no file {path}.") from error
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {error.strerror}.") from error
    try:
        return _weights_in(data)
    except (ValueError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path.name} is no readable ONNX file.") from error


def _weights_in(data: memoryview) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    graphs = [value for number, value in _fields(data) if number == GRAPH and isinstance(value, memoryview)]
    for graph in graphs:
        for number, value in _fields(graph):
            if number == INITIALIZER and isinstance(value, memoryview):
                name, tensor = _tensor(value)
                if tensor is not None:
                    found[name] = tensor
    if not found:
        raise ValueError("no weights")
    return found


def _tensor(data: memoryview) -> tuple[str, Tensor | None]:
    """Name and values; None for what is not floating-point."""
    name, kind, sizes, raw, floats = "", 0, [], memoryview(b""), bytearray()
    for number, value in _fields(data):
        if number == DIMS:
            sizes += [value] if isinstance(value, int) else _varints(value)
        elif number == DATA_TYPE and isinstance(value, int):
            kind = value
        elif number == NAME and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8")
        elif number == RAW_DATA and isinstance(value, memoryview):
            raw = value
        elif number == FLOAT_DATA and isinstance(value, memoryview):
            floats += value
    if kind not in (FLOAT, FLOAT16):
        return name, None
    values = np.frombuffer(bytes(raw) or bytes(floats), "<f4" if kind == FLOAT else "<f2").astype(np.float32)
    if len(values) != math.prod(sizes):
        raise ValueError("a tensor's length is not the product of its sizes")
    return name, torch.from_numpy(values).reshape(sizes)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field; values are integers, or views of bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == BYTES:
            length, at = _varint(data, at)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise ValueError("a kind of field that does not exist")
        if at + length > len(data):
            raise ValueError("cut off")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, low ones first, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("an integer without end")


def _varints(data: memoryview) -> list[int]:
    """Packed integers."""
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values
