"""torchvision imports beside any torch build, and its classifiers run."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from engine.compute.torchvision_compat import import_torchvision

SCRIPT = """
import sys
from engine.compute.torchvision_compat import import_torchvision
vision = import_torchvision()
assert vision is sys.modules["torchvision"]
import torch, torchvision.models
with torch.device("meta"):
    network = torchvision.models.squeezenet1_1(weights=None)
assert network(torch.zeros(1, 3, 64, 64, device="meta")).shape == (1, 1000)
print("fine")
"""


@pytest.mark.slow
def test_a_fresh_process_can_import_and_use_torchvision() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr


def test_nms_is_defined_after_the_import() -> None:
    import_torchvision()
    assert hasattr(torch.ops.torchvision, "nms")
    assert import_torchvision() is import_torchvision()
