"""A painting that is at hand is never painted again, and never taken for another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import methods
from engine.core.method import Job, MethodInfo
from engine.core.options import Option
from engine.core.types import Mask, Picture, Region, Settings, Style
from engine.files.presets import load_preset
from engine.pipeline.cache import CONTENT_BYTES, PaintingCache
from engine.pipeline.digest import AFTERWARDS, digest_of
from engine.pipeline.stylize import Stylized, stylize


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Job]]:
    """The jobs that the method "inverse" really painted; it darkens with the seed and is otherwise a negative."""
    jobs: list[Job] = []

    def paint(job: Job) -> torch.Tensor:
        jobs.append(job)
        return (1 - job.content.rgb) * (1 - job.settings.seed / 100)

    info = MethodInfo("inverse", "", "", "feed-forward", (), paint, (Option("file", "", ""),))
    monkeypatch.setitem(methods._registry, "inverse", info)
    yield jobs


def inverse(**more: Any) -> Settings:
    return Settings(method="inverse", **more)


AFTER = [
    {"color": "luminance"},
    {"color": "match"},
    {"color": "match", "color_map": "histogram"},
    {"photoreal": 0.7},
    {"blend": "hard"},
    {"blend": "mrf"},
    {"color": "luminance", "photoreal": 1.0, "blend": "mrf"},
]


@pytest.mark.slow
@pytest.mark.parametrize("after", AFTER, ids=lambda after: "-".join(map(str, after.values())))
def test_another_color_smoothing_or_edge_does_not_paint_and_gives_the_same_bits(
    after: dict[str, Any], counted: list[Job], portrait: Picture
) -> None:
    style, cache = Style("code", code=torch.zeros(3)), PaintingCache()
    mask = Mask((torch.arange(256.0).expand(256, 256) / 255).clone())
    stylize(portrait, [style], inverse(), mask=mask, cache=cache)
    reused = stylize(portrait, [style], inverse(**after), mask=mask, cache=cache)
    assert len(counted) == 1 and reused.report["reused"]
    anew = stylize(portrait, [style], inverse(**after), mask=mask)
    assert len(counted) == 2 and not anew.report["reused"]
    assert torch.equal(reused.picture.rgb, anew.picture.rgb)


@pytest.mark.parametrize("preset", [True, False], ids=["preset", "picture"])
def test_the_default_method_is_reused_with_the_same_bits(preset: bool, cat: Picture, coffee: Picture) -> None:
    styles = [load_preset("great-wave")] if preset else [Style("coffee", coffee)]
    cache = PaintingCache()
    stylize(cat, styles, cache=cache)
    for settings in (Settings(), Settings(color="luminance"), Settings(photoreal=1.0)):
        reused, anew = stylize(cat, styles, settings, cache=cache), stylize(cat, styles, settings)
        assert reused.report["reused"] and not anew.report["reused"]
        assert torch.equal(reused.picture.rgb, anew.picture.rgb)
    matched = stylize(cat, styles, Settings(color="match"), cache=cache)
    assert matched.report["reused"] == preset  # a style picture is recolored first: that is another painting
    assert stylize(cat, styles, Settings(color="match"), cache=cache).report["reused"]


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_strength_of_a_method_that_fades_does_not_paint_again(
    strength: float, counted: list[Job], portrait: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(methods._registry, "inverse", replace(methods.get("inverse"), fades=True))
    style, cache = Style("code", code=torch.zeros(3)), PaintingCache()
    stylize(portrait, [style], inverse(strength=0.6), cache=cache)
    reused = stylize(portrait, [style], inverse(strength=strength), cache=cache)
    assert len(counted) == 1 and reused.report["strength"] == strength
    assert reused.report["reused"] == (strength > 0)  # at 0 no painting is needed
    wanted = (1 - strength) * portrait.rgb + strength * (1 - portrait.rgb)
    assert torch.allclose(reused.picture.rgb, wanted, atol=1e-6)


def test_another_strength_of_the_default_method_does_not_paint_again(cat: Picture) -> None:
    style, cache = load_preset("great-wave"), PaintingCache()
    full = stylize(cat, [style], cache=cache)
    for settings in (Settings(strength=0.7, auto_strength=True), Settings(strength=0.4)):
        weaker = stylize(cat, [style], settings, cache=cache)
        assert not full.report["reused"] and weaker.report["reused"]
        wanted = torch.lerp(cat.rgb, full.picture.rgb, settings.strength)
        torch.testing.assert_close(weaker.picture.rgb, wanted)
        assert torch.equal(weaker.picture.rgb, stylize(cat, [style], settings).picture.rgb)


def test_the_right_strength_is_looked_for_once(
    counted: list[Job], cat: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("engine.pipeline.strength.choose_strength", lambda *_: asked.append(1) or 0.75)
    style, cache = Style("code", code=torch.zeros(3)), PaintingCache()
    for color in ("style", "luminance"):
        done = stylize(cat, [style], inverse(auto_strength=True, color=color), cache=cache)
        assert done.report["strength"] == 0.75
    assert len(asked) == 1
    stylize(cat, [style], inverse(auto_strength=True, seed=1), cache=cache)
    assert len(asked) == 2  # another painting
    for seed in range(100):
        job = Job(cat, [style], inverse(seed=seed))
        assert cache.strength(job, (), lambda: 0.5) == 0.5
    stylize(cat, [style], inverse(auto_strength=True), cache=cache)
    assert len(asked) == 3  # long ago: forgotten


def test_a_part_is_known_by_its_whole_and_its_place() -> None:
    whole, cache = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0)), PaintingCache()
    boxes = [(0, 0, 8, 8), (0, 8, 8, 8), (8, 0, 8, 8)]
    parts = [whole[:, top : top + height, left : left + width] for top, left, height, width in boxes]
    cache.know_part(parts[0], whole, boxes[0])
    assert parts[0] not in cache.sources  # nothing is known of the whole
    cache.sources[whole] = b"12"
    for part, box in zip(parts, boxes, strict=True):
        cache.know_part(part, whole, box)
    changed = parts[0].clone()
    cache.know_part(changed, whole, boxes[0])
    assert changed not in cache.sources  # it may hold anything
    assert len({cache.sources[part] for part in (whole, *parts)}) == 4
    cache.know_part(again := whole[:, :8, :8], whole, boxes[0])
    assert cache.sources[again] == cache.sources[parts[0]]


def with_a_pixel_changed(x: torch.Tensor) -> torch.Tensor:
    """By the least that a float can change, in the very last value."""
    changed = x.clone()
    changed.view(-1)[-1] = torch.nextafter(changed.view(-1)[-1], torch.tensor(2.0))
    return changed


def jobs_that_differ(tmp_path: Path) -> dict[str, Job]:
    """A job, and one for every single thing in which another can differ from it."""
    rgb, weight = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0)), torch.full((40, 50), 0.5)
    picture = Picture(rgb[:, :20, :20].contiguous(), weight[:20, :20])
    style = Style("a", picture, torch.zeros(4))
    job = Job(
        content=Picture(rgb, weight),
        styles=[style],
        settings=Settings(),
        mask=Mask(weight),
        regions=[Region(Mask(weight), Mask(weight[:20, :20]))],
        options={"n": 1},
    )
    weights = tmp_path / "weights"
    weights.write_bytes(b"1")
    other = with_a_pixel_changed
    settings = {
        "method": "gatys", "strength": 0.5, "style_size_px": 300, "size_px": 400, "backbone": str(weights), "seed": 1,
    }  # fmt: skip
    return {
        "itself": job,
        **{name: replace(job, settings=replace(job.settings, **{name: value})) for name, value in settings.items()},
        "content": replace(job, content=Picture(other(rgb), weight)),
        "content, other shape": replace(job, content=Picture(rgb.view(3, 50, 40), weight.view(50, 40))),
        "alpha": replace(job, content=Picture(rgb, other(weight))),
        "no alpha": replace(job, content=Picture(rgb)),
        "mask": replace(job, mask=Mask(other(weight))),
        "no mask": replace(job, mask=None),
        "region": replace(job, regions=[Region(Mask(other(weight)), Mask(weight[:20, :20]))]),
        "region's style": replace(job, regions=[Region(Mask(weight), Mask(other(weight[:20, :20])))]),
        "two regions": replace(job, regions=[*job.regions, *job.regions]),
        "style": replace(job, styles=[replace(style, picture=Picture(other(picture.rgb), picture.alpha))]),
        "style's alpha": replace(job, styles=[replace(style, picture=Picture(picture.rgb))]),
        "code": replace(job, styles=[replace(style, code=other(torch.zeros(4)))]),
        "share": replace(job, styles=[replace(style, weight=2.0)]),
        "two styles": replace(job, styles=[style, style]),
        "option": replace(job, options={"n": 2}),
        "option's name": replace(job, options={"m": 1}),
        "option's type": replace(job, options={"n": "1"}),
    }


def test_everything_that_a_painting_depends_on_makes_another_digest(tmp_path: Path) -> None:
    digests = {name: digest_of(job) for name, job in jobs_that_differ(tmp_path).items()}
    assert len(set(digests.values())) == len(digests)
    again = {name: digest_of(job) for name, job in jobs_that_differ(tmp_path).items() if name != "backbone"}
    assert again == {name: digest for name, digest in digests.items() if name != "backbone"}  # equal, not identical


def test_every_setting_counts_that_is_not_named_as_the_pipelines_own() -> None:
    """So that a setting that somebody adds tomorrow is safe today."""
    names = {field.name for field in fields(Settings)}
    assert set(AFTERWARDS) < names
    tested = {"method", "strength", "style_size_px", "size_px", "backbone", "seed"}
    assert names - set(AFTERWARDS) >= tested | {"device", "options"}


def test_a_method_never_sees_what_the_pipeline_does_afterwards(counted: list[Job], cat: Picture) -> None:
    """Or its painting would depend on what the digest leaves out."""
    style = Style("code", code=torch.zeros(3))
    stylize(cat, [style], inverse(color="luminance", photoreal=1.0, blend="mrf", composite=False, color_map="cholesky"))
    assert {name: getattr(counted[0].settings, name) for name in AFTERWARDS} == {
        name: getattr(Settings(), name) for name in AFTERWARDS
    }


def test_a_file_of_weights_that_was_replaced_is_another_one(tmp_path: Path, counted: list[Job], cat: Picture) -> None:
    weights, cache = tmp_path / "weights", PaintingCache()
    style = Style("code", code=torch.zeros(3))
    for content, n_painted in ((b"1", 1), (b"1", 1), (b"22", 2)):
        weights.write_bytes(content)
        os.utime(weights, (1, 1))
        stylize(cat, [style], inverse(options={"file": str(weights)}), cache=cache)
        assert len(counted) == n_painted


def test_a_name_that_is_no_file_is_painted_anew(counted: list[Job], cat: Picture) -> None:
    """What it means is known to the method alone, and may have changed."""
    style, cache = Style("code", code=torch.zeros(3)), PaintingCache()
    for _ in range(2):
        stylize(cat, [style], inverse(options={"file": "my network"}), cache=cache)
    assert len(counted) == 2 and len(cache) == 0


def test_a_folder_counts_with_its_files(tmp_path: Path, counted: list[Job], cat: Picture) -> None:
    style, cache = Style("code", code=torch.zeros(3)), PaintingCache()
    for content, n_painted in ((b"1", 1), (b"1", 1), (b"22", 2)):
        (tmp_path / "decoder").write_bytes(content)
        os.utime(tmp_path / "decoder", (1, 1))
        os.utime(tmp_path, (1, 1))
        stylize(cat, [style], inverse(options={"file": str(tmp_path)}), cache=cache)
        assert len(counted) == n_painted


def test_large_pictures_are_digested_to_the_last_byte() -> None:
    """In slices on several threads: a change in any of them, or two of them swapped, tells."""
    rgb = torch.rand(3, 1200, 1000, generator=torch.Generator().manual_seed(0))  # 14 MB: two slices
    job = Job(Picture(rgb), [Style("a", code=torch.zeros(1))], Settings())
    swapped = torch.cat((rgb.view(-1)[1800000:], rgb.view(-1)[:1800000])).view_as(rgb)
    first = rgb.clone()
    first[0, 0, 0] += 1e-3
    variants = [rgb, with_a_pixel_changed(rgb), first, swapped]
    assert len({digest_of(replace(job, content=Picture(x))) for x in variants}) == 4
    assert digest_of(replace(job, content=Picture(rgb.transpose(1, 2).contiguous().transpose(1, 2)))) == digest_of(job)


def test_the_oldest_goes_first_and_the_budget_holds() -> None:
    cache = PaintingCache(budget_bytes=250)
    paintings = {name: torch.full((25,), float(i)) for i, name in enumerate((b"a", b"b", b"c"))}  # 100 bytes each
    cache.keep(b"a", paintings[b"a"])
    cache.keep(b"b", paintings[b"b"])
    assert cache.find(b"a") is paintings[b"a"]
    cache.keep(b"c", paintings[b"c"])
    assert cache.find(b"b") is None and cache.find(b"a") is not None and cache.find(b"c") is not None
    assert cache.n_bytes <= cache.budget_bytes
    cache.keep(b"d", torch.zeros(1000))  # larger than all: not kept
    assert cache.find(b"d") is None and cache.n_bytes <= cache.budget_bytes
    cache.clear()
    assert len(cache) == 0


def test_a_view_counts_with_all_that_it_keeps_alive() -> None:
    cache = PaintingCache(budget_bytes=1000)
    cache.keep(b"a", torch.zeros(1000)[:10])
    assert len(cache) == 0


def test_pixels_are_told_apart_by_what_they_were_made_of_where_that_is_known() -> None:
    rgb = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    job, sources = Job(Picture(rgb), [Style("a", code=torch.zeros(1))], Settings()), PaintingCache().sources
    digests = [digest_of(job, sources)]
    assert digests == [digest_of(job)]
    for source in (b"12", b"13"):
        sources[rgb] = source
        digests.append(digest_of(job, sources))
    assert len(set(digests)) == 3
    copy = replace(job, content=Picture(rgb.clone()))  # of equal pixels, but nobody said what of
    assert digest_of(copy, sources) == digests[0]
    sources[copy.content.rgb] = b"12"
    assert digest_of(copy, sources) == digests[1]
    turned = replace(job, content=Picture(rgb.view(3, 50, 40)))
    sources[turned.content.rgb] = b"12"
    assert digest_of(turned, sources) != digests[1]


def test_the_content_that_was_asked_for_last_is_at_hand() -> None:
    cache, made = PaintingCache(), []

    def make() -> Picture:
        made.append(Picture(torch.rand(3, 4, 5)))
        return made[-1]

    first = cache.content(b"12", "U8 (4, 5, 4)", make)
    assert cache.content(memoryview(bytearray(b"12")), "U8 (4, 5, 4)", make) is first and len(made) == 1
    others = [cache.content(*other, make) for other in ((b"13", "U8 (4, 5, 4)"), (b"12", "U16 (4, 5, 4)"))]
    digests = {cache.sources[picture.rgb] for picture in (first, *others)}
    assert len(made) == 3 and len(digests) == 3
    assert cache.content(b"12", "U8 (4, 5, 4)", make) is not first  # only the last one is kept
    assert cache.sources[made[-1].rgb] == cache.sources[first.rgb]  # and yet it is known for the same
    cache.clear()
    cache.content(b"12", "U8 (4, 5, 4)", make)
    assert len(made) == 5


def test_a_content_that_takes_too_much_memory_is_not_kept() -> None:
    cache = PaintingCache()
    large = Picture(torch.empty(CONTENT_BYTES // 4 + 1)[:60].view(3, 4, 5))  # a view of what nothing ever writes to
    assert cache.content(b"1", "", lambda: large) is large
    assert cache.content(b"1", "", lambda: Picture(torch.zeros(3, 4, 5))) is not large


def test_the_lightness_of_a_painting_is_kept_with_it(counted: list[Job], cat: Picture) -> None:
    style, cache = Style("code", code=torch.zeros(3)), PaintingCache()
    stylize(cat, [style], inverse(), cache=cache)
    n_values = 4 * cat.rgb[0].numel()
    assert cache.n_bytes == 4 * n_values  # three channels of the painting, and its lightness
    painting = 1 - cat.rgb
    assert cache.lightness(painting) is None  # equal pixels, but nobody keeps them
    kept = stylize(cat, [style], inverse(), cache=cache).picture.rgb
    assert cache.n_bytes == 4 * n_values and torch.equal(kept, painting)
    cache.clear()
    assert cache.n_bytes == 0


@pytest.mark.parametrize("box", [(0, 0, 256, 256), (96, 96, 64, 64)], ids=["all", "selection"])
def test_a_selection_is_never_taken_for_the_whole_that_it_is_of(
    box: tuple[int, int, int, int], counted: list[Job], portrait: Picture
) -> None:
    """Although both are made of the same bytes."""
    style, cache = Style("code", code=torch.zeros(3)), PaintingCache()
    cache.sources[portrait.rgb] = b"portrait"
    stylize(portrait, [style], inverse(), cache=cache)
    top, left, height, width = box
    weight = torch.zeros(256, 256)
    weight[top : top + height, left : left + width] = 1
    mask = Mask(weight)
    found = [stylize(portrait, [style], inverse(), mask=mask, cache=cache).report["reused"] for _ in range(2)]
    assert found == [False, True] and counted[0].content.rgb is portrait.rgb
    assert (counted[1].content.rgb is portrait.rgb) == (height == 256)


@pytest.mark.parametrize("settings", [{}, {"composite": False}, {"color": "match"}], ids=str)
def test_writing_to_a_result_does_not_reach_the_one_that_is_kept(
    settings: dict[str, Any], counted: list[Job], cat: Picture
) -> None:
    style, cache = Style("code", code=torch.zeros(3)), PaintingCache()
    paint: Callable[[], Stylized] = lambda: stylize(cat, [style], inverse(**settings), cache=cache)  # noqa: E731
    with torch.inference_mode():
        first = paint().picture.rgb
        expected = first.clone()
        first.zero_()
        second = paint().picture.rgb
        assert torch.equal(second, expected)
        second.zero_()
        assert torch.equal(paint().picture.rgb, expected)
    assert len(counted) == 1


def test_what_was_cancelled_or_failed_is_not_kept(counted: list[Job], cat: Picture, monkeypatch: Any) -> None:
    cache = PaintingCache()

    def fail(_job: Job) -> torch.Tensor:
        raise RuntimeError("stop")

    info = methods._registry["inverse"]
    monkeypatch.setitem(methods._registry, "inverse", replace(info, paint=fail))
    with pytest.raises(RuntimeError, match="stop"):
        stylize(cat, [Style("code", code=torch.zeros(3))], inverse(), cache=cache)
    assert len(cache) == 0
