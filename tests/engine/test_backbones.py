"""Feature backbones: the same numbers as torchvision's own network, and clear words for wrong files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.compute.torchvision_compat import import_torchvision
from engine.core.errors import SettingsError, WeightsError
from engine.core.types import Picture
from engine.features import backbones
from engine.features.backbone import IMAGENET_MEAN, IMAGENET_STD
from engine.features.backbones import load_backbone
from engine.features.extractor import FeatureExtractor
from engine.features.vgg import VGG19_CONVS, Vgg19
from engine.networks.pairs import load_embedded
from engine.pipeline.strength import choose_strength


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Random VGG-19 convolutions of the published names and shapes, to conv4_1."""
    generator = torch.Generator().manual_seed(0)
    sizes = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256),
             16: (256, 256), 19: (256, 512)}  # fmt: skip
    made = {}
    for index, (n_in, n_out) in sizes.items():
        made[f"features.{index}.weight"] = torch.randn(n_out, n_in, 3, 3, generator=generator) / (3 * n_in**0.5)
        made[f"features.{index}.bias"] = torch.randn(n_out, generator=generator) * 0.1
    return made


@pytest.mark.slow
def test_features_equal_torchvisions_own_network(state: dict[str, torch.Tensor], cat: Picture) -> None:
    import_torchvision()
    from torchvision.models import vgg19

    reference = vgg19(weights=None).features[:21].eval()
    reference.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    x = (cat.rgb[None] - mean) / std
    ours = Vgg19(state)
    names = ["relu1_1", "relu2_2", "relu3_4", "relu4_1"]
    found = ours(cat.rgb[None], names)
    by_name = {name: index + 1 for index, name in VGG19_CONVS.items()}
    with torch.no_grad():
        for index, layer in enumerate(reference):
            x = layer(x)
            for name in names:
                if by_name[name] == index:
                    torch.testing.assert_close(found[name], x)


def test_a_prefix_says_how_deep_it_goes(state: dict[str, torch.Tensor], cat: Picture) -> None:
    ours = Vgg19(state)
    assert ours.layers[-1] == "relu4_1"
    with pytest.raises(SettingsError, match="no relu5_1; it goes up to relu4_1"):
        ours(cat.rgb[None], ["relu5_1"])


def test_a_file_gives_the_same_features_as_its_state(
    state: dict[str, torch.Tensor], cat: Picture, tmp_path: Path
) -> None:
    path = tmp_path / "vgg.safetensors"
    save_file(state, path)
    a = load_backbone(str(path))(cat.rgb[None], ["relu3_1"])["relu3_1"]
    torch.testing.assert_close(a, Vgg19(state)(cat.rgb[None], ["relu3_1"])["relu3_1"])


def test_a_file_that_took_anothers_place_is_read_anew(
    state: dict[str, torch.Tensor], cat: Picture, tmp_path: Path
) -> None:
    path = tmp_path / "vgg.safetensors"
    save_file(state, path)
    old = load_backbone(str(path))
    assert load_backbone(str(path)) is old
    save_file({name: value / 2 for name, value in state.items()}, tmp_path / "other")
    (tmp_path / "other").replace(path)
    new = load_backbone(str(path))(cat.rgb[None], ["relu1_1"])["relu1_1"]
    torch.testing.assert_close(new, old(cat.rgb[None], ["relu1_1"])["relu1_1"] / 2)


def test_whoever_looks_on_another_device_leaves_the_others_where_they_are(cat: Picture) -> None:
    """ "meta" stands for a GPU: any device that is not the processor."""
    meta = torch.device("meta")
    FeatureExtractor(load_backbone("embedded", meta), meta)
    load_embedded(is_unpooling=False).to(meta)
    load_embedded.cache_clear()
    assert {p.device.type for p in load_backbone("embedded", meta).parameters()} == {"meta"}
    assert {p.device.type for p in load_backbone("embedded").parameters()} == {"cpu"}
    assert choose_strength(cat, None, lambda picture, _mask, _strength: picture.rgb) == 1.0


def test_wrong_files_are_refused_with_a_reason(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There is no file"):
        load_backbone(str(tmp_path / "none.safetensors"))
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(WeightsError, match="not a readable file of weights"):
        load_backbone(str(tmp_path / "text.safetensors"))
    with pytest.raises(WeightsError, match="no VGG-19 weights"):
        Vgg19({"conv.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"features\.2: weight has the shape"):
        Vgg19(state | {"features.2.weight": torch.zeros(64, 3, 3, 3)})
    with pytest.raises(WeightsError, match="not numbers"):
        Vgg19(state | {"features.0.bias": torch.full((64,), float("nan"))})
    with pytest.raises(SettingsError, match="not 'resnet'"):
        load_backbone("resnet")


def test_vgg19_that_was_not_fetched_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError, match="impasto models get vgg19"):
        backbones.load_vgg19_torchvision()


def test_a_damaged_vgg19_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    backbones.vgg19_path().parent.mkdir()
    backbones.vgg19_path().write_bytes(b"half a file")
    with pytest.raises(WeightsError, match="damaged"):
        backbones.load_vgg19_torchvision()


def test_vgg19_in_torchvisions_cache_is_verified_and_loaded(
    state: dict[str, torch.Tensor], cat: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    backbones.vgg19_path().parent.mkdir()
    torch.save(state, backbones.vgg19_path())
    monkeypatch.setattr(backbones, "VGG19_SHA256", backbones.file_sha256(backbones.vgg19_path()))
    loaded = backbones.load_vgg19_torchvision()
    torch.testing.assert_close(
        loaded(cat.rgb[None], ["relu2_1"])["relu2_1"], Vgg19(state)(cat.rgb[None], ["relu2_1"])["relu2_1"]
    )
