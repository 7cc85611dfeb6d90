"""Files of others: mapped by the exact published names and shapes, and computing what their networks compute."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.core.errors import WeightsError
from engine.networks.network_files import build_many_styles, build_one_style, read_file
from engine.networks.onnx import read_initializers
from engine.networks.others_networks import PublishedMsgNet, PublishedPainter

RESIDUAL = ("res1", "res2", "res3", "res4", "res5")


def random_state(shapes: dict[str, tuple[int, ...]], scale: float = 0.05) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: scale * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def examples_shapes(w: int = 32) -> dict[str, tuple[int, ...]]:
    """pytorch/examples, fast_neural_style: the state dict of TransformerNet."""
    convs = {
        "conv1": (w, 3, 9, 9), "conv2": (2 * w, w, 3, 3), "conv3": (4 * w, 2 * w, 3, 3),
        **{f"{res}.conv{i}": (4 * w, 4 * w, 3, 3) for res in RESIDUAL for i in (1, 2)},
        "deconv1": (2 * w, 4 * w, 3, 3), "deconv2": (w, 2 * w, 3, 3), "deconv3": (3, w, 9, 9),
    }  # fmt: skip
    norms = {"in1": w, "in2": 2 * w, "in3": 4 * w, "in4": 2 * w, "in5": w}
    norms |= {f"{res}.in{i}": 4 * w for res in RESIDUAL for i in (1, 2)}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in convs.items():
        shapes |= {f"{name}.conv2d.weight": shape, f"{name}.conv2d.bias": shape[:1]}
    for name, n in norms.items():
        shapes |= {f"{name}.weight": (n,), f"{name}.bias": (n,)}
    return shapes


def examples_network(state: dict[str, Tensor], rgb: Tensor) -> Tensor:
    """What the published network computes, from PyTorch's functions alone."""

    def conv(x: Tensor, name: str, stride: int = 1, scale: int = 1) -> Tensor:
        weight = state[f"{name}.conv2d.weight"]
        x = F.interpolate(x, scale_factor=float(scale)) if scale > 1 else x
        x = F.pad(x, (weight.shape[-1] // 2,) * 4, mode="reflect")
        return F.conv2d(x, weight, state[f"{name}.conv2d.bias"], stride)

    def norm(x: Tensor, name: str) -> Tensor:
        return F.instance_norm(x, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"])

    x = rgb * 255
    for i, stride in ((1, 1), (2, 2), (3, 2)):
        x = F.relu(norm(conv(x, f"conv{i}", stride), f"in{i}"))
    for res in RESIDUAL:
        y = F.relu(norm(conv(x, f"{res}.conv1"), f"{res}.in1"))
        x = x + norm(conv(y, f"{res}.conv2"), f"{res}.in2")
    for i in (1, 2):
        x = F.relu(norm(conv(x, f"deconv{i}", scale=2), f"in{i + 3}"))
    return conv(x, "deconv3") / 255


def test_the_examples_networks_load_by_names_and_shapes_and_compute_the_same() -> None:
    network = build_one_style(random_state(examples_shapes()), "candy.pth")
    assert isinstance(network, PublishedPainter)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == examples_shapes()
    state, rgb = random_state(examples_shapes(8)), torch.rand(1, 3, 36, 48)
    with torch.inference_mode():
        painted = build_one_style(state, "candy.pth")(rgb)
    torch.testing.assert_close(painted, examples_network(state, rgb), rtol=1e-3, atol=1e-4)


def test_old_statistics_are_left_out(tmp_path: Path) -> None:
    old = {"in1.running_mean": torch.zeros(8), "res1.in1.running_var": torch.ones(32)}
    torch.save(random_state(examples_shapes(8)) | old, tmp_path / "candy.pth")
    network = build_one_style(read_file(tmp_path / "candy.pth"), "candy.pth")
    assert "in1.running_mean" not in network.state_dict()


def onnx_file(state: dict[str, Tensor], *, is_raw: bool = True) -> bytes:
    """An ONNX model of initializers, written field by field after onnx.proto."""

    def varint(value: int) -> bytes:
        out = b""
        while value > 0x7F:
            out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
        return out + bytes([value])

    def field(number: int, data: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(data)) + data

    graph = field(2, b"torch-jit-export")
    for name, value in state.items():
        tensor = b"".join(varint(1 << 3) + varint(n) for n in value.shape)  # dims
        tensor += varint(2 << 3) + varint(1)  # data_type FLOAT
        packed = struct.pack(f"<{value.numel()}f", *value.flatten().tolist())
        tensor += field(8, name.encode()) + field(9 if is_raw else 4, packed)
        graph += field(5, tensor)
    counter = field(5, varint(1 << 3) + varint(1) + varint(2 << 3) + varint(7) + field(9, bytes(8)))  # INT64: no weight
    return varint(1 << 3) + varint(4) + field(2, b"pytorch") + field(7, graph + counter)


@pytest.mark.parametrize("is_raw", [True, False])
def test_the_onnx_zoos_networks_load_by_name_and_by_order(tmp_path: Path, is_raw: bool) -> None:
    state = random_state(examples_shapes(4))
    (tmp_path / "mosaic-9.onnx").write_bytes(onnx_file(state, is_raw=is_raw))
    by_name = build_one_style(read_file(tmp_path / "mosaic-9.onnx"), "mosaic-9.onnx")
    for name, value in by_name.state_dict().items():
        assert torch.equal(value, state[name]), name
    order = [f"{layer}.{part}" for layer in in_order() for part in ("weight", "bias")]
    numbered = {str(i + 1): state[name] for i, name in enumerate(order)}
    (tmp_path / "old.onnx").write_bytes(onnx_file(numbered))
    by_order = build_one_style(read_file(tmp_path / "old.onnx"), "old.onnx")
    assert torch.equal(by_order.state_dict()["res3.conv2.conv2d.weight"], state["res3.conv2.conv2d.weight"])
    assert torch.equal(by_order.state_dict()["in5.bias"], state["in5.bias"])


def in_order() -> list[str]:
    """Layers of the examples' network as a picture meets them."""
    layers = [name for i in (1, 2, 3) for name in (f"conv{i}.conv2d", f"in{i}")]
    for res in RESIDUAL:
        layers += [f"{res}.conv1.conv2d", f"{res}.in1", f"{res}.conv2.conv2d", f"{res}.in2"]
    return [*layers, "deconv1.conv2d", "in4", "deconv2.conv2d", "in5", "deconv3.conv2d"]


def test_damaged_onnx_files_are_refused(tmp_path: Path) -> None:
    whole = onnx_file(random_state({"conv1.conv2d.weight": (4, 3, 9, 9)}))
    for i, data in enumerate((whole[: len(whole) // 2], b"", b"\xff" * 40, whole[:-3], b"PK\x03\x04" + bytes(60))):
        path = tmp_path / f"{i}.onnx"
        path.write_bytes(data)
        with pytest.raises(WeightsError, match="no readable ONNX file"):
            read_initializers(path)
    with pytest.raises(WeightsError, match="There is no file"):
        read_initializers(tmp_path / "none.onnx")


def torch_network(w: int) -> nn.Sequential:
    """Johnson's own network as a converter leaves it: padded by 40 at the start, blocks that shave, batch norms."""

    class Shave(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, 2:-2, 2:-2]

    class Branches(nn.Sequential):
        def forward(self, x: Tensor) -> Any:
            return [branch(x) for branch in self]

    class Add(nn.Module):
        def forward(self, x: Any) -> Tensor:
            return x[0] + x[1]

    def block() -> nn.Module:
        c = 4 * w
        inner = nn.Sequential(nn.Conv2d(c, c, 3), nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c, 3), nn.BatchNorm2d(c))
        return nn.Sequential(Branches(inner, Shave()), Add())

    def up(n: int) -> list[nn.Module]:
        return [nn.ConvTranspose2d(n, n // 2, 3, 2, 1, output_padding=1), nn.BatchNorm2d(n // 2), nn.ReLU()]

    return nn.Sequential(
        nn.ReflectionPad2d(40), nn.Conv2d(3, w, 9, 1, 4), nn.BatchNorm2d(w), nn.ReLU(),
        nn.Conv2d(w, 2 * w, 3, 2, 1), nn.BatchNorm2d(2 * w), nn.ReLU(),
        nn.Conv2d(2 * w, 4 * w, 3, 2, 1), nn.BatchNorm2d(4 * w), nn.ReLU(),
        *[block() for _ in range(5)], *up(4 * w), *up(2 * w), nn.Conv2d(w, 3, 9, 1, 4), nn.Tanh(),
    )  # fmt: skip


def test_torch_networks_load_by_place_and_compute_the_same() -> None:
    oracle = torch_network(8).eval()
    generator = torch.Generator().manual_seed(0)
    for module in oracle.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1, generator=generator)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0, generator=generator)  # type: ignore[arg-type]
    rgb = torch.rand(1, 3, 64, 72, generator=generator)
    mean = torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    with torch.inference_mode():
        expected = (oracle(rgb.flip(1) * 255 - mean) * 150 + mean).flip(1) / 255
        painted = build_one_style(oracle.state_dict(), "starry_night.pth")(rgb)
    torch.testing.assert_close(painted, expected, rtol=1e-4, atol=1e-4)


def msgnet_shapes(ngf: int = 128, n_blocks: int = 6) -> dict[str, tuple[int, ...]]:
    """21styles.model: the state dict of the authors' Net, doubles and old statistics included."""
    c, shapes = 4 * ngf, {}

    def conv(name: str, n_out: int, n_in: int, size: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (n_out, n_in, size, size), (n_out,)

    def bottleneck(name: str, n_in: int, n: int, way: str | None) -> None:
        if way is not None:
            conv(f"{name}.{way}", 4 * n, n_in, 1)
        conv(f"{name}.conv_block.2", n, n_in, 1)
        conv(f"{name}.conv_block.5.conv2d", n, n, 3)
        conv(f"{name}.conv_block.8", 4 * n, n, 1)

    for name in ("model1", "model.0"):
        conv(f"{name}.0.conv2d", 64, 3, 7)
        bottleneck(f"{name}.3", 64, 32, "residual_layer")
        bottleneck(f"{name}.4", 128, ngf, "residual_layer")
    shapes["ins.weight"] = shapes["model.1.weight"] = (1, c, c)
    for i in range(n_blocks):
        bottleneck(f"model.{2 + i}", c, ngf, None)
    bottleneck(f"model.{2 + n_blocks}", c, 32, "residual_layer.conv2d")
    bottleneck(f"model.{3 + n_blocks}", 128, 16, "residual_layer.conv2d")
    conv(f"model.{6 + n_blocks}.conv2d", 3, 64, 7)
    return shapes


def test_21styles_loads_by_names_and_shapes() -> None:
    state = random_state(msgnet_shapes()) | {"model1.1.running_mean": torch.zeros(64)}
    network = build_many_styles(state, "21styles.model")
    assert isinstance(network, PublishedMsgNet)
    found = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    kept = {k: v for k, v in msgnet_shapes().items() if not k.startswith(("model.0.", "model.1."))}
    assert found == kept


def test_21styles_computes_what_its_layers_say() -> None:
    state = random_state(msgnet_shapes(4, 2))
    rgb, style = torch.rand(1, 3, 32, 40), torch.rand(1, 3, 48, 32)

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        pad = weight.shape[-1] // 2
        x = F.pad(x, (pad,) * 4, mode="reflect") if pad else x
        return F.conv2d(x, weight, state[f"{name}.bias"], stride)

    def bottleneck(x: Tensor, name: str, stride: int = 1, scale: int = 1) -> Tensor:
        def up(t: Tensor) -> Tensor:
            return F.interpolate(t, scale_factor=float(scale)) if scale > 1 else t

        way = x
        for key in ("residual_layer", "residual_layer.conv2d"):
            if f"{name}.{key}.weight" in state:
                way = conv(up(x), f"{name}.{key}", stride)
        y = conv(F.relu(F.instance_norm(x)), f"{name}.conv_block.2")
        y = conv(up(F.relu(F.instance_norm(y))), f"{name}.conv_block.5.conv2d", stride)
        return way + conv(F.relu(F.instance_norm(y)), f"{name}.conv_block.8")

    def encode(pixels: Tensor) -> Tensor:
        x = F.relu(F.instance_norm(conv(pixels.flip(1) * 255, "model1.0.conv2d")))
        return bottleneck(bottleneck(x, "model1.3", 2), "model1.4", 2)

    with torch.inference_mode():
        flat = encode(style)[0].flatten(1)
        matrix = state["ins.weight"][0] @ (flat @ flat.T / flat.numel())
        x = encode(rgb)
        x = (matrix.T @ x[0].flatten(1)).reshape(x.shape)
        for i in (2, 3):
            x = bottleneck(x, f"model.{i}")
        x = bottleneck(bottleneck(x, "model.4", scale=2), "model.5", scale=2)
        expected = conv(F.relu(F.instance_norm(x)), "model.8.conv2d").flip(1) / 255
        network = build_many_styles(state, "21styles.model")
        painted = network(rgb, network.encode_style(style))
    torch.testing.assert_close(painted, expected, rtol=1e-3, atol=1e-4)


class Dangerous:
    def __reduce__(self) -> Any:
        return print, ("code was run",)


def test_wrong_damaged_and_dangerous_files_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = random_state(examples_shapes(4))
    nan = state | {"in3.bias": torch.full((16,), float("nan"))}
    with pytest.raises(WeightsError, match="not numbers"):
        build_one_style(nan, "candy.pth")
    with pytest.raises(WeightsError, match=r"res2\.in1\.bias is missing"):
        build_one_style({k: v for k, v in state.items() if k != "res2.in1.bias"}, "candy.pth")
    with pytest.raises(WeightsError, match="has the shape"):
        build_one_style(state | {"conv2.conv2d.weight": torch.zeros(8, 4, 5, 5)}, "candy.pth")
    with pytest.raises(WeightsError, match="holds no network of one style"):
        build_one_style({"layer.weight": torch.zeros(3)}, "other.pth")
    with pytest.raises(WeightsError, match="holds no MSG-Net"):
        build_many_styles(state, "candy.pth")
    with pytest.raises(WeightsError, match="no 9x9 convolution"):
        build_one_style({"0.weight": torch.zeros(4, 3, 3, 3), "0.bias": torch.zeros(4)}, "other.pth")
    torch.save({"conv1.conv2d.weight": Dangerous()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="not a readable file of weights"):
        read_file(tmp_path / "evil.pth")
    assert "code was run" not in capsys.readouterr().out
