"""The optimizer of the any-style network: Muon for its matrices, Adam for the rest.

A step of Adam follows a few directions in which the gradient is large and repeats; one of Muon moves every direction of
a weight matrix alike, so that those which a batch says little of learn too. Source: Jordan et al. 2024, "Muon: An
optimizer for hidden layers in neural networks"; the size of its steps after Liu et al. 2025 ("match_rms_adamw").
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Muon(torch.optim.Muon):
    """PyTorch's, but in float32: most processors have no arithmetic in bfloat16 and are many times slower there."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    state = self.state[matrix]
                    mean = state.setdefault("momentum_buffer", torch.zeros_like(matrix))
                    mean.lerp_(matrix.grad, 1 - group["momentum"])
                    direction = _orthogonal(matrix.grad.lerp(mean, group["momentum"]), group["ns_steps"])
                    matrix.add_(direction, alpha=-0.2 * max(matrix.shape) ** 0.5 * group["lr"])


def _orthogonal(matrix: Tensor, n_rounds: int) -> Tensor:
    """Near the orthogonal matrix next to one: five rounds of Newton and Schulz, with Muon's own coefficients."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp_min(1e-7)
    for _ in range(n_rounds):
        square = x @ x.T
        x = a * x + torch.addmm(square, square, square, beta=b, alpha=c) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Steepest:
    """Steps on all weights of a network. A ``Part`` of a checkpoint.

    Args:
        net: its convolutions in channels-last, and it stays so: their weights are seen as matrices in place.
        rate: Adam's learning rate at first.
        share: Muon's learning rate, as a share of Adam's.
        usual: ends of the names of weights that Adam gets although they are matrices: those next to pixels, whose
            directions differ in size for a reason, and those that a batch sees few inputs of.
    """

    def __init__(self, net: nn.Module, rate: float, share: float, usual: tuple[str, ...] = ()) -> None:
        self.share = share
        matrices: list[Tensor] = []
        rest: list[Tensor] = []
        for name, weight in net.named_parameters():
            if not weight.requires_grad:
                continue
            is_matrix = weight.ndim >= 2 and not name.endswith(usual)
            (matrices if is_matrix else rest).append(weight)
        self._seen = [(weight, _as_matrix(weight.detach())) for weight in matrices]
        self.muon = Muon(
            [matrix for _, matrix in self._seen], rate * share, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
        )
        self.adam = torch.optim.Adam(rest, rate, betas=(0.9, 0.99))

    def set_rate(self, rate: float) -> None:
        """Adam's learning rate from now on, and with it Muon's."""
        for optimizer, value in ((self.adam, rate), (self.muon, rate * self.share)):
            for group in optimizer.param_groups:
                group["lr"] = value

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.adam.zero_grad(set_to_none=True)
        for weight, matrix in self._seen:
            weight.grad = matrix.grad = None

    def step(self) -> None:
        """Move all weights that have a gradient."""
        for weight, matrix in self._seen:
            if weight.grad is not None:
                matrix.grad = _as_matrix(weight.grad.contiguous(memory_format=_layout(weight)))
        self.adam.step()
        self.muon.step()

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "muon": self.muon.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.adam.load_state_dict(state_dict["adam"])
        self.muon.load_state_dict(state_dict["muon"])


def _as_matrix(weight: Tensor) -> Tensor:
    """(n_out, n_in) or (n_out, n_in, H, W) -> a view (n_out, n), never a copy; any order of columns will do."""
    last = weight if weight.ndim == 2 else weight.permute(0, 2, 3, 1)
    return last.view(len(weight), -1)


def _layout(weight: Tensor) -> torch.memory_format:
    return torch.channels_last if weight.ndim == 4 else torch.contiguous_format
