"""The libraries that compute: are they the right ones, and do they compute."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from engine.core.errors import WeightsError
from server.checks.finding import AGAIN, Finding

PROOF_S = 90.0
# In a process of its own: a broken driver may end it, or never come back.
_PROOF = """
import torch
if not torch.cuda.is_available():
    print("none")
else:
    picture, kernel = torch.ones(1, 3, 64, 64, device="cuda"), torch.ones(8, 3, 3, 3, device="cuda")
    painted = torch.nn.functional.conv2d(picture, kernel)
    torch.cuda.synchronize()
    assert float(painted.mean().cpu()) == 27.0, "it computes wrongly"
    print("works", torch.cuda.get_device_name())
"""
_EXTRAS = (
    ("gradio", "ui", "the web page of `impasto serve --ui`"),
    ("pillow_heif", "heic", "HEIC photos as phones make them"),
)


def check_torch() -> Iterator[Finding]:
    """PyTorch and torchvision: there, of the versions that belong together, and able to compute."""
    try:
        import torch  # noqa: PLC0415  (only when it is needed)

        total = float((torch.ones(8, 8) @ torch.ones(8, 8)).sum())
    except Exception as error:  # a library that cannot be loaded fails in its own ways
        yield Finding(False, "PyTorch", f"cannot be used ({_first_line(error)})", "It paints.", AGAIN)
        return
    if total != 512.0:
        yield Finding(False, "PyTorch", f"{torch.__version__} computes wrongly", "It paints.", AGAIN)
    else:
        yield _of_right_version("PyTorch", "torch", f"{torch.__version__}, {torch.get_num_threads()} threads")
    from engine.compute.torchvision_compat import import_torchvision  # noqa: PLC0415

    try:
        yield _of_right_version("torchvision", "torchvision", str(import_torchvision().__version__))
    except Exception as error:  # as above
        text = f"cannot be used ({_first_line(error)})"
        yield Finding(False, "torchvision", text, "Its networks tell objects apart.", AGAIN)


def _of_right_version(what: str, package: str, text: str) -> Finding:
    wanted, found = _pinned(package), _version(package)
    if wanted and found and found.split("+")[0] != wanted:
        return Finding(
            False, what, f"{text}, and {wanted} belongs to this Impasto", "Others were not tried with it.", AGAIN
        )
    return Finding(True, what, text)


def _pinned(package: str) -> str | None:
    try:
        listed = requires("impasto") or []
    except PackageNotFoundError:
        return None
    found = (re.match(rf"{package}==([\w.]+)", line) for line in listed)
    return next((match[1] for match in found if match), None)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_device() -> Iterator[Finding]:
    """The device that "auto" means. A CUDA device is made to compute: some say that they are there, and fail."""
    import torch  # noqa: PLC0415

    if torch.version.cuda is None and torch.version.hip is None:
        yield Finding(None, "Device", "the processor (this PyTorch knows no other)")
        return
    failed = "it does not answer"
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _PROOF],
            check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PROOF_S,
        )  # fmt: skip
        words = answer.stdout.strip().splitlines()
        if answer.returncode == 0 and words:
            state, _, name = words[-1].partition(" ")
            yield Finding(None, "Device", name if state == "works" else "the processor (no CUDA device)")
            return
        failed = (answer.stderr.strip().splitlines() or [f"it ended with status {answer.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        pass
    yield Finding(
        False,
        "Device",
        f"a CUDA device says that it is there, and fails ({failed[:200]})",
        "Impasto paints on the processor instead, which is slower.",
        "Restart the computer, or update the graphics driver; a card that is too old for this PyTorch stays unused.",
    )


def check_weights() -> Iterator[Finding]:
    """Shipped weights by their hashes; presets; which methods are ready."""
    from engine import methods  # noqa: PLC0415
    from engine.files import presets  # noqa: PLC0415
    from engine.models import shipped  # noqa: PLC0415

    damaged = "Fetch Impasto again: its folder is damaged."
    for name, entry in sorted(shipped.manifest().items()):
        try:
            shipped.load_shipped(name)
            yield Finding(True, f"Weights {name}", f"{entry.n_bytes / 1e6:.1f} MB, intact")
        except WeightsError as error:
            yield Finding(False, f"Weights {name}", str(error), "What paints with them cannot.", damaged)
    ready = [info.name for info in methods.catalog() if info.is_ready]
    yield Finding(bool(ready), "Methods", ", ".join(ready) or "none is ready", "", "" if ready else damaged)
    n_presets = len(presets.presets())
    yield Finding(n_presets > 0, "Style presets", str(n_presets), "", "" if n_presets else damaged)


def check_extras() -> Iterator[Finding]:
    """What may be installed beside the engine."""
    for module, extra, use in _EXTRAS:
        is_here = importlib.util.find_spec(module) is not None
        command = "python3 install.py --ui" if extra == "ui" else f"{sys.executable} -m pip install {module}"
        how = f"`{command}` adds {use}."
        yield Finding(None, f"Extra {extra}", "installed" if is_here else "not installed", "", "" if is_here else how)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
