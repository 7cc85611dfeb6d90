"""The figures that the project reports: each against a closed form or another's code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F

from benchmarks import metrics
from benchmarks.lengstrom import Lengstrom
from benchmarks.pairs import draw_pairs
from benchmarks.report import save_report
from benchmarks.squeezenet import SqueezeNet
from engine.compute.torchvision_compat import import_torchvision
from engine.core.errors import InputError
from engine.train.pictures.folders import is_held_out


def test_frechet_distance_of_gaussians_that_share_axes_is_a_sum_over_axes() -> None:
    mean_a, mean_b = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.0, 1.0, 0.5]).double()
    var_a, var_b = torch.tensor([4.0, 1.0, 0.25]).double(), torch.tensor([1.0, 9.0, 0.0]).double()
    turn = torch.linalg.qr(torch.rand(3, 3, generator=torch.Generator().manual_seed(0)).double()).Q
    expected = (mean_a - mean_b).square().sum() + (var_a.sqrt() - var_b.sqrt()).square().sum()
    a, b = ((turn @ mean, turn @ var.diag() @ turn.T) for mean, var in ((mean_a, var_a), (mean_b, var_b)))
    assert metrics.frechet(a, b) == pytest.approx(float(expected), rel=1e-6)
    assert metrics.frechet(a, a) == pytest.approx(0, abs=1e-6)


def test_what_commutes_with_the_warp_has_no_warp_error() -> None:
    rgb = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    rgb = F.interpolate(rgb, (96, 128), mode="bicubic").clamp(0.2, 0.8)
    assert metrics.warp_error(lambda x: x * 0.5 + 0.1, rgb, rgb * 0.5 + 0.1) < 1e-3
    still = torch.rand(rgb.shape, generator=torch.Generator().manual_seed(1))  # a texture that sticks to the screen
    assert metrics.warp_error(lambda _x: still, rgb, still) > 0.1


def test_squeezenet_is_torchvisions(tmp_path: Path) -> None:
    import_torchvision()
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    theirs = squeezenet1_1(weights=None).eval()
    save_file({k: v for k, v in theirs.state_dict().items() if k.startswith("features")}, tmp_path / "net.safetensors")
    rgb = torch.rand(1, 3, 96, 80)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        expected = theirs.features[:8]((rgb - mean[:, None, None]) / std[:, None, None])[0].flatten(1)
    found = SqueezeNet(tmp_path / "net.safetensors")(rgb)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_lengstroms_network_undoes_its_own_strides(shared_data: Path) -> None:
    painted = Lengstrom(shared_data / "peers" / "lengstrom_wave_fp16.safetensors")(torch.rand(1, 3, 66, 91))
    assert painted.shape == (1, 3, 66, 91)
    assert 0.05 < painted.std() < 0.5


@pytest.mark.slow
def test_only_styles_that_training_left_out_and_that_are_large_enough_are_drawn(tmp_path: Path) -> None:
    for i in range(60):
        Image.new("RGB", (100 if i % 2 else 300, 90), (4 * i, 9, 9)).save(tmp_path / f"{i}.png")

    def drawn(**which: int) -> set[str]:
        return {pair.name.split(" / ")[1] for pair in draw_pairs(None, tmp_path, 60, 64, seed=0, **which)}

    held = {f"{i}" for i in range(60) if is_held_out(f"{i}.png", 4)}
    large = {f"{i}" for i in range(0, 60, 2)}
    assert drawn() == {f"{i}" for i in range(60)}
    assert drawn(held_out=4) == held != set()
    assert drawn(held_out=4, least_px=200) == held & large != held
    with pytest.raises(InputError, match="none that is to be measured on"):
        drawn(least_px=400)


@pytest.mark.slow
def test_our_own_pairs_are_forty_different_ones_and_the_same_each_time() -> None:
    pairs = list(draw_pairs(None, None, 40, 96, seed=0))
    assert len({pair.name for pair in pairs}) == 40
    assert all(max(pair.content.shape[2:]) == 96 == max(pair.style.shape[2:]) for pair in pairs)
    again = next(iter(draw_pairs(None, None, 1, 96, seed=0)))
    assert torch.equal(again.style, pairs[0].style)


def test_a_report_says_on_what_it_was_measured_and_prints_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"painter": "ours", "seconds": [1.0, 2.0]}]
    save_report(tmp_path / "new", "bench", rows, "| a table |\n")
    report = json.loads((tmp_path / "new" / "bench.json").read_text("utf-8"))
    assert report["figures"] == rows
    assert "processors" in report["computer"]
    assert (tmp_path / "new" / "bench.md").read_text("utf-8") == "| a table |\n"
    assert "| a table |" in capsys.readouterr().out
