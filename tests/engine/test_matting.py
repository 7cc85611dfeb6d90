"""The closed-form smoothing is what a direct solver finds, wherever that can look."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from engine.core.errors import Cancelled
from engine.edges.matting import BETA, EPS, OFFSETS, Hats, System, laplacian, smooth_exactly
from tests.engine.conftest import as_picture

WEIGHT = BETA / (9 * (1 - BETA))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def reference_laplacian(content: Tensor) -> scipy.sparse.csr_matrix:
    """Levin 2008, eq. 12, window by window with numpy's inverse; nothing of ours."""
    _, height, width = content.shape
    colors = content.double().permute(1, 2, 0).reshape(-1, 3).numpy()  # (n, 3)
    index = np.arange(height * width).reshape(height, width)
    windows = np.lib.stride_tricks.sliding_window_view(index, (3, 3)).reshape(-1, 9)  # (k, 9)
    seen = colors[windows]  # (k, 9, 3)
    centered = seen - seen.mean(1, keepdims=True)
    cov = np.einsum("kia,kib->kab", centered, centered) / 9 + EPS / 9 * np.eye(3)
    shares = np.eye(9) - (1 + np.einsum("kia,kab,kjb->kij", centered, np.linalg.inv(cov), centered)) / 9
    rows, columns = np.repeat(windows, 9, axis=1).ravel(), np.tile(windows, (1, 9)).ravel()
    return scipy.sparse.coo_matrix((shares.ravel(), (rows, columns)), shape=(len(colors),) * 2).tocsr()


def direct_solution(painted: Tensor, content: Tensor) -> Tensor:
    """By SuperLU."""
    matrix = scipy.sparse.identity(content[0].numel()) + WEIGHT * reference_laplacian(content)
    targets = painted.double().flatten(1).numpy().T  # (n, C)
    factors = scipy.sparse.linalg.splu(matrix.tocsc(), "MMD_AT_PLUS_A", 0.0, options={"SymmetricMode": True})
    return torch.from_numpy(factors.solve(targets).T.copy()).view(painted.shape)


def brushed(content: Tensor) -> Tensor:
    """A crude painting of it: other colors, blurred edges, strokes."""
    blurred = F.avg_pool2d(content.flip(0)[None], 9, stride=1, padding=4, count_include_pad=False)[0]
    return (blurred + 0.3 * (noise(*content.shape) - 0.5)).clamp(0, 1)


def photo(name: str, height: int, width: int) -> Tensor:
    large = as_picture(getattr(data, name)(), 640).rgb
    return F.interpolate(large[None], (height, width), mode="bilinear", antialias=True)[0]


def farthest(a: Tensor, b: Tensor) -> float:
    """In steps of 8 bits."""
    return float((a - b).abs().max()) * 255


@pytest.mark.slow
@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_every_pixel_is_within_half_a_step_of_the_direct_solution(name: str) -> None:
    content = photo(name, 192, 256)
    painted = brushed(content)
    assert farthest(smooth_exactly(painted, content), direct_solution(painted, content)) < 0.5


def test_so_it_is_where_the_painting_is_another_photo() -> None:
    content, painted = photo("chelsea", 120, 200), photo("astronaut", 120, 200)
    assert farthest(smooth_exactly(painted, content), direct_solution(painted, content)) < 0.5


def flat_with_a_disc(height: int, width: int) -> Tensor:
    """Black to the bit but for a saturated disc: windows whose covariance is zero."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    disc = ((y - height / 2) ** 2 + (x - width / 3) ** 2 < (height / 4) ** 2).float()
    return torch.stack((disc, disc, torch.zeros_like(disc)))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(flat_with_a_disc(97, 130), id="flat colors"),
        pytest.param(noise(1, 70, 90).expand(3, -1, -1), id="gray noise"),
        pytest.param(torch.full((3, 40, 40), 0.5), id="one color"),
        pytest.param((photo("coffee", 90, 131) * 255).round() / 255, id="8 bits, odd size"),
        pytest.param(noise(3, 3, 200), id="three rows"),
        pytest.param(noise(3, 200, 4), id="four columns"),
        pytest.param(noise(3, 3, 3), id="one window"),
    ],
)
def test_hard_contents_are_solved_as_well(content: Tensor) -> None:
    painted = noise(3, *content.shape[1:], seed=1)
    assert farthest(smooth_exactly(painted, content), direct_solution(painted, content)) < 0.5


def test_the_laplacian_is_that_of_the_paper() -> None:
    content = photo("coffee", 21, 34)
    expected = reference_laplacian(content).toarray().reshape(21, 34, 21, 34)
    planes = laplacian(content, EPS).numpy()
    for (dy, dx), plane in zip(OFFSETS, planes, strict=True):
        for y in range(21):
            for x in range(34):
                is_inside = y + dy < 21 and 0 <= x + dx < 34
                wanted = expected[y, x, y + dy, x + dx] if is_inside else 0.0
                assert plane[y, x] == pytest.approx(wanted, abs=1e-8)
    assert np.count_nonzero(expected) <= 25 * 21 * 34  # no entry is farther than two pixels away


def test_what_is_affine_in_the_contents_colors_stays() -> None:
    """The Laplacian is blind to it, up to eps, so the painting itself is the solution."""
    content = photo("astronaut", 60, 80)
    mix = torch.tensor([[0.2, 0.5, 0.1], [0.1, 0.1, 0.6], [-0.3, 0.4, 0.2]])
    painted = torch.einsum("kc,chw->khw", mix, content) + 0.1
    assert farthest(smooth_exactly(painted, content, eps=1e-10), painted) < 0.5


def test_the_preconditioner_is_symmetric_and_positive() -> None:
    """Or conjugate gradients would not be what they are; also where windows are flat."""
    for content in (flat_with_a_disc(66, 75), photo("rocket", 66, 75)):
        hats = Hats(System(content, WEIGHT), content)
        a, b = noise(3, 66, 75, seed=1) - 0.5, noise(3, 66, 75, seed=2) - 0.5
        one, other = float((a * hats(b)).sum()), float((b * hats(a)).sum())
        assert one == pytest.approx(other, rel=1e-3, abs=1e-3 * float((a * hats(a)).sum()))
        assert float((a * hats(a)).sum()) > 0


def test_it_takes_a_fifth_of_the_steps_of_plain_conjugate_gradients() -> None:
    """And as many at twice the size: color crosses the picture on the coarse grids."""
    steps = [count_steps(photo("astronaut", 96 * k, 128 * k)) for k in (1, 2)]
    assert max(steps) < 110
    assert steps[1] < 1.5 * steps[0]


def count_steps(content: Tensor) -> int:
    calls = []
    smooth_exactly(brushed(content), content, on_progress=lambda share, _text: calls.append(share))
    return len(calls)


def test_channels_do_not_mix() -> None:
    content, painted = photo("coffee", 60, 80), noise(3, 60, 80)
    together = smooth_exactly(painted, content)
    alone = torch.cat([smooth_exactly(painted[i : i + 1], content) for i in range(3)])
    assert farthest(together, alone) < 0.3


@pytest.mark.parametrize("size", [(1, 1), (2, 50), (40, 2)])
def test_what_has_no_window_stays(size: tuple[int, int]) -> None:
    painted = noise(3, *size)
    assert torch.equal(smooth_exactly(painted, noise(3, *size, seed=1)), painted)


def test_progress_rises_and_can_stop() -> None:
    content = photo("coffee", 60, 80)
    shares: list[float] = []
    smooth_exactly(brushed(content), content, on_progress=lambda share, _text: shares.append(share))
    assert len(shares) > 10 and shares == sorted(shares) and shares[-1] <= 1

    def stop(share: float, _text: str) -> None:
        if share > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        smooth_exactly(brushed(content), content, on_progress=stop)
