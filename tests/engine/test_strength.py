"""The strength that is chosen: full where the picture bears it, less where it would be lost, always the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.core.types import Mask, Picture, Settings
from engine.files.presets import load_preset
from engine.pipeline import strength
from engine.pipeline.stylize import stylize


def toward_noise(content: Picture, _mask: Mask | None, share: float) -> Tensor:
    noise = torch.rand(content.rgb.shape, generator=torch.Generator().manual_seed(1))
    return content.rgb.lerp(noise, share)


def test_what_leaves_the_picture_alone_gets_full_strength(cat: Picture) -> None:
    assert strength.choose_strength(cat, None, lambda picture, _mask, _share: picture.rgb) == 1


def test_what_destroys_the_picture_is_held_back_to_the_limit(cat: Picture) -> None:
    chosen = strength.choose_strength(cat, None, toward_noise)
    small, _ = strength.shrink(cat, None)
    before = strength.seen(small.rgb)

    def moved(share: float) -> float:
        return strength.moved(before, strength.seen(toward_noise(small, None, share)), None)

    assert strength.WEAKEST <= chosen < 1
    assert moved(1.0) > strength.LIMIT
    assert chosen == strength.WEAKEST or moved(chosen) <= strength.LIMIT
    assert moved(chosen + 1 / 16) > strength.LIMIT


def test_only_what_is_painted_counts(cat: Picture, disc: Mask) -> None:
    def far_from_the_disc(content: Picture, mask: Mask | None, share: float) -> Tensor:
        assert mask is not None
        outside = torch.nn.functional.max_pool2d(mask.weight[None, None], 41, 1, 20)[0] == 0  # beyond what features see
        return torch.where(outside, toward_noise(content, mask, share), content.rgb)

    assert strength.choose_strength(cat, disc, far_from_the_disc) == 1


def test_unrelated_pictures_are_two_apart(cat: Picture, coffee: Picture) -> None:
    square = [picture.rgb[:, :160, :160] for picture in (cat, coffee)]
    apart = strength.moved(strength.seen(square[0]), strength.seen(square[1]), None)
    assert apart == pytest.approx(2, abs=0.35)


def test_auto_is_reported_and_gives_the_picture_of_that_strength(cat: Picture) -> None:
    style = load_preset("edtaonisl")
    chosen = stylize(cat, [style], Settings(auto_strength=True))
    assert chosen.report["strength_chosen"] is True
    plain = stylize(cat, [style], Settings(strength=chosen.report["strength"]))
    assert plain.report["strength_chosen"] is False
    assert torch.equal(chosen.picture.rgb, plain.picture.rgb)


def test_holding_back_is_told_and_a_strength_that_was_asked_for_is_not(
    cat: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.pipeline.strength.choose_strength", lambda *_: 0.75)
    style = load_preset("edtaonisl")
    told = stylize(cat, [style], Settings(auto_strength=True)).report
    assert told["strength"] == 0.75
    assert told["notes"] == ["held back to a strength of 75%: at 100% the picture would be lost"]
    assert stylize(cat, [style], Settings(strength=0.75)).report["notes"] == []
