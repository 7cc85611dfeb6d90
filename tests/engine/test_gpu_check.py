"""A graphics card is believed once it has computed; one that fails costs a note, not the picture."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator

import pytest
import torch

from engine.compute import gpu_check
from engine.compute.device import choose_device
from engine.core.errors import SettingsError
from engine.core.types import Picture, Settings, Style
from engine.pipeline.stylize import stylize
from tests.engine.fake_card import NO_KERNEL, FakeCard

DEVICES = ["auto", "cuda"]


@pytest.fixture(autouse=True)
def unknown_card() -> Iterator[None]:
    """Each test meets a process that has not looked yet."""
    gpu_check.forget()
    yield
    gpu_check.forget()


@pytest.fixture
def gray() -> Picture:
    return Picture(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)))


def paint(picture: Picture, device: str) -> tuple[torch.Tensor, dict[str, object]]:
    done = stylize(picture, [Style("style", picture)], Settings(device=device))  # type: ignore[arg-type]
    return done.picture.rgb, done.report


def notes_of(report: dict[str, object]) -> list[str]:
    notes = report["notes"]
    assert isinstance(notes, list)
    return [note for note in notes if "graphics card" in note]


@pytest.mark.parametrize("device", DEVICES)
def test_a_card_that_claims_to_be_there_and_fails(monkeypatch: pytest.MonkeyPatch, gray: Picture, device: str) -> None:
    """This PyTorch has no CUDA, so the first thing that is asked of the card fails by itself."""
    expected, _ = paint(gray, "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _device: 0)
    if torch.version.cuda is not None:
        FakeCard(monkeypatch, 1, lambda: RuntimeError(NO_KERNEL))
    painted, report = paint(gray, device)
    assert torch.equal(painted, expected) and report["device"] == "cpu"
    (note,) = notes_of(report)
    assert note.startswith("The graphics card did not work (") and note.endswith("): painted on the processor.")


def test_asking_for_the_card_may_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise RuntimeError("CUDA error: unknown error")

    monkeypatch.setattr(torch.cuda, "is_available", fail)
    assert choose_device("auto").type == "cpu" and choose_device("cuda").type == "cpu"
    assert gpu_check.trouble() == "unknown error"


def test_a_card_whose_driver_is_too_old_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch warns and says that there is none."""

    def warn() -> bool:
        warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", warn)
    assert choose_device("cuda").type == "cpu"
    assert "too old" in str(gpu_check.trouble())


def test_a_driver_that_hangs_is_waited_for_no_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "PROOF_S", 0.1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(time.sleep(1)))
    began = time.monotonic()
    assert choose_device("auto").type == "cpu"
    assert time.monotonic() - began < 0.8
    assert gpu_check.trouble() == "it does not answer"


def test_a_card_that_computes_wrong_numbers_is_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeCard(monkeypatch)
    convolve = torch.nn.functional.conv2d
    monkeypatch.setattr(
        torch.nn.functional, "conv2d", lambda *args, **options: convolve(*args, **options) * torch.rand(1)
    )
    assert choose_device("auto").type == "cpu" and gpu_check.trouble() == "it computes wrong numbers"


def test_no_card_is_no_trouble_but_cannot_be_chosen(monkeypatch: pytest.MonkeyPatch, gray: Picture) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.trouble() is None and notes_of(paint(gray, "auto")[1]) == []
    with pytest.raises(SettingsError, match="No CUDA device"):
        choose_device("cuda")


def test_a_good_card_is_used_and_proved_once(monkeypatch: pytest.MonkeyPatch, gray: Picture) -> None:
    FakeCard(monkeypatch)
    asked: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: asked.append(1) or True)
    for _ in range(2):
        report = paint(gray, "auto")[1]
        assert report["device"] == "cuda" and notes_of(report) == []
    assert asked == [1]


@pytest.mark.parametrize(
    "error",
    [
        lambda: RuntimeError(NO_KERNEL),
        lambda: RuntimeError("CUDA error: an illegal memory access was encountered"),
        lambda: RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        lambda: AssertionError("Torch not compiled with CUDA enabled"),
    ],
)
def test_a_card_that_fails_in_the_middle_is_left_alone_from_then_on(
    monkeypatch: pytest.MonkeyPatch, gray: Picture, error: object
) -> None:
    expected, _ = paint(gray, "cpu")
    fake = FakeCard(monkeypatch, 12, error)  # type: ignore[arg-type]
    for _ in range(2):
        painted, report = paint(gray, "auto")
        assert torch.equal(painted, expected) and report["device"] == "cpu"
        assert len(notes_of(report)) == 1
    assert fake.n_seen == 12


@pytest.mark.parametrize(
    "text",
    ["CUDA out of memory. Tried to allocate 2.00 GiB", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `x`"],
)
def test_a_picture_that_does_not_fit_on_the_card_is_painted_without_it(
    monkeypatch: pytest.MonkeyPatch, gray: Picture, text: str
) -> None:
    """Others may fit: the card stays in use."""
    expected, _ = paint(gray, "cpu")
    fake = FakeCard(monkeypatch, 12, lambda: torch.OutOfMemoryError(text))
    painted, report = paint(gray, "auto")
    assert torch.equal(painted, expected)
    assert notes_of(report) == ["The graphics card did not work (its memory is full): painted on the processor."]
    fake.fails_at = None
    assert paint(gray, "auto")[1]["device"] == "cuda"


def test_a_reason_names_no_path() -> None:
    assert gpu_check.reason_of(OSError("/home/anna/libcuda.so: cannot open")) == "its driver reports an error"
    assert gpu_check.reason_of(RuntimeError("")) == "its driver reports an error"
    assert gpu_check.reason_of(RuntimeError(NO_KERNEL)) == "no kernel image is available for execution on the device"
