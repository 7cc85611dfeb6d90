"""torchvision, imported so that it works beside any build of torch.

torchvision's wheel brings compiled operators that load only beside the torch build that they were compiled for. Where
they do not (a CPU-only torch beside the default torchvision), importing it fails at the registration of shape rules
for ``torchvision::nms`` and ``qnms``, operators that its own binary would have defined. Defining their signatures first
lets the import pass; Impasto calls neither, and a caller would be told that there is no kernel.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

import torch

SIGNATURES = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_libraries: list[torch.library.Library] = []  # a definition lives as long as its library object


@cache
def import_torchvision() -> ModuleType:
    """The torchvision module, whatever torch it finds itself beside.

    Raises:
        ImportError: torchvision is not installed.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    define_missing_operators()
    return importlib.import_module("torchvision")


def define_missing_operators() -> None:
    """Define the signatures of torchvision's operators that no binary has defined."""
    for name, signature in SIGNATURES.items():
        if not hasattr(torch.ops.torchvision, name):
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(signature)
            _libraries.append(library)
