"""What must fail is refused at the door, in one sentence: no job is accepted that cannot be done."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from gimp_plugin import wire
from server.supervisor import intake
from tests.server.running_engine import RunningEngine, frame_of, picture_request

PIXELS = wire.Plane("U8", (20, 30, 4), bytes(2400))
STYLE = wire.StyleEntry("b", picture=wire.Plane("U8", (10, 10, 4), bytes(400)))
CATALOG: dict[str, Any] = {
    "methods": [
        {"name": "anystyle", "takes": ["blend", "presets"], "options": [], "is_ready": True},
        {
            **{"name": "gatys", "takes": ["blend"], "is_ready": True},
            "options": [
                {"name": "statistic", "default": "gram", "choices": ["gram", "linear"], "low": None, "high": None},
                {"name": "iterations", "default": 200, "choices": [], "low": 1, "high": 2000},
                {"name": "weight", "default": 1.0, "choices": [], "low": None, "high": None},
            ],
        },
        {"name": "cyclegan", "takes": ["size"], "is_ready": False, "options": [{"name": "model", "default": ""}]},
        {"name": "johnson", "takes": ["size"], "is_ready": True, "options": [{"name": "model", "default": ""}]},
        {
            **{"name": "analogy", "takes": ["blend"], "is_ready": True},
            "options": [{"name": "pair", "default": ""}, {"name": "trained", "default": ""}],
        },
    ],
    "styles": [{"name": "starry-night"}, {"name": "wave"}],
    "segment_models": ["auto", "grabcut"],
}


def judge(frame: bytes, catalog: Any = CATALOG) -> str:
    """The code and the sentence of a refusal; "" if the header is taken. The pixels are not shown."""
    (length,) = struct.unpack_from("<Q", frame)
    try:
        intake.check(frame[: 8 + length], len(frame), catalog)
    except wire.WireError as error:
        assert error.message.endswith((".", "?", "that was it.")) and len(error.message) < 1000
        return f"{error.code}: {error.message}"
    return ""


def request(**changes: Any) -> bytes:
    return frame_of(wire.StylizeRequest(**{"content": PIXELS, "styles": (STYLE,), **changes}))


def changed(path: str, value: Any) -> bytes:
    """A valid request whose metadata has another value at a path such as "settings.strength"."""
    meta, planes = wire.unpack_frame("request", request())
    place: Any = meta
    *way, last = path.split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    header: dict[str, Any] = {"__metadata__": {"impasto": "request", "protocol": "1", "meta": json.dumps(meta)}}
    end = 0
    for name, plane in planes.items():
        start, end = end, end + len(plane.data)
        header[name] = {"dtype": plane.dtype, "shape": plane.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(bytes(plane.data) for plane in planes.values())


TAKEN = [
    request(),
    request(styles=(wire.StyleEntry("a", 2.0, "wave"), STYLE)),
    request(method="gatys", options={"statistic": "linear", "iterations": "20", "weight": -5}),
    request(method="johnson", options={"model": ""}),
    request(method="analogy", options={"trained": "la muse", "pair": ""}),
    frame_of(wire.SegmentRequest(PIXELS, (-5, 2, 28, 90), ((29, 19),), model="grabcut")),  # type: ignore[arg-type]
    frame_of(wire.SegmentRequest(PIXELS)),  # type: ignore[arg-type]
    frame_of(wire.SegmentRequest(PIXELS, lasso=wire.Plane("U8", PIXELS.shape[:2], bytes(len(PIXELS.data) // 4)))),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("frame", TAKEN)
def test_what_can_be_done_is_taken(frame: bytes) -> None:
    assert judge(frame) == "" and judge(frame, None) == ""


BAD: list[tuple[bytes, str]] = [
    *((changed("settings.strength", value), "strength") for value in (float("nan"), float("inf"), "1", None, True, 2)),
    *((changed("settings.seed", value), "seed") for value in (2**63, -1, 1.5, "1", [])),
    *((changed("settings.size_px", value), "") for value in (0, 15, 8193, 2**70, "64")),
    *((changed("settings.color", value), "color") for value in ("colour", 5, None, [], {})),
    *((changed("settings", value), "lacks a part") for value in (None, [], "x", 5)),
    *((changed("styles.0.weight", value), "weight") for value in (0, -1, 1e-320, 1e300, float("nan"), "1", True)),
    *((changed("styles.0.name", value), "name") for value in (None, 5, [])),
    *((changed("styles", value), "") for value in ([], {}, None, [5], "x")),
    *((changed("settings.options.a", value), "") for value in (None, [1], float("inf"), 1e300, 10**400)),
    (changed("settings.options", {f"o{i}": 1 for i in range(33)}), "at most 32"),
    (changed("settings.options", {"a": "x" * 2000}), "too long"),
    (request(styles=(wire.StyleEntry("a", preset="wav"),)), "Did you mean wave"),
    (request(styles=(wire.StyleEntry("a", preset="/etc/passwd"),)), "no style preset"),
    (request(method="pointillism"), "no method 'pointillism'"),
    (request(method="gatys", styles=(wire.StyleEntry("a", preset="wave"),)), "needs a style picture"),
    (request(method="anystyle", options={"iterations": 5}), "no option 'iterations'"),
    (request(method="gatys", options={"statistic": "x"}), "statistic must be one of"),
    *((request(method="gatys", options={"iterations": v}), "iterations must") for v in (0, 2001, "x", "1.5", "0,7")),
    *((request(method="gatys", options={"weight": v}), "weight must be") for v in ("nan", "1e400", "")),
    (request(method="cyclegan"), "needs a trained network"),
    (request(auto_regions=True, styles=(wire.StyleEntry("a", preset="wave"),)), "preset has no regions"),
    (request(auto_regions=True, styles=(STYLE, STYLE)), "exactly one style"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "sentence"), BAD)
def test_malformed_settings_are_unprocessable_at_once(frame: bytes, sentence: str) -> None:
    told = judge(frame)
    assert told.startswith("unprocessable: ") and sentence in told, told


FILES = [
    "/etc/passwd",
    "../x.pth",
    "..",
    ".bashrc",
    "~/x",
    "~root/x.pth",
    "C:\\x.pth",
    "a/b",
    "a\\b",
    "x\0.pth",
    "con:",
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("option", ["model", "trained", "pair", "anything"])
def test_no_option_names_a_file_by_its_path(option: str, name: str) -> None:
    for catalog in (CATALOG, None):  # also while the catalog is not known
        told = judge(request(method="johnson", options={option: name}), catalog)
        assert told.startswith("unprocessable: ") and "/" not in told and "passwd" not in told, told


def test_a_network_is_one_of_the_models_folder_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").touch()
    (tmp_path / "notes.md").touch()
    (tmp_path / "README").touch()
    (tmp_path / "pair").mkdir()
    catalog = {**CATALOG, intake.MODELS_FOLDER: str(tmp_path)}
    for name in ("mine", "mine.pth"):
        assert judge(request(method="johnson", options={"model": name}), catalog) == ""
        assert judge(request(method="cyclegan", options={"model": name}), catalog) == ""
        assert intake.find_network(name, tmp_path) == tmp_path / "mine.pth"
    assert intake.find_network("pair", tmp_path) == tmp_path / "pair"
    for name in ("README.md", "pyproject.toml", "notes.md", "notes", "README", "other", "MINE2"):
        told = judge(request(method="johnson", options={"model": name}), catalog)
        assert told.startswith("unprocessable: There is no network") and str(tmp_path) not in told and "mine" in told
    gone = {**CATALOG, intake.MODELS_FOLDER: str(tmp_path / "gone")}
    assert "it is empty" in judge(request(method="johnson", options={"model": "mine"}), gone)


def test_every_kind_of_network_that_the_engine_reads_can_be_named(tmp_path: Path) -> None:
    from engine.models import user_models
    from engine.networks import network_files

    for i, suffix in enumerate((*user_models.SUFFIXES, *network_files.SUFFIXES)):
        (tmp_path / f"n{i}{suffix}").touch()
        assert intake.find_network(f"n{i}", tmp_path).suffix == suffix


def test_the_worker_opens_no_file_by_its_name_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the supervisor knows no catalog it takes what the worker must refuse: README.md lies where it runs."""
    from server.worker.convert import options_of

    monkeypatch.setenv("IMPASTO_MODELS", str(tmp_path))
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    assert Path("README.md").is_file()
    for name in ("README.md", "/etc/passwd", "../x"):
        with pytest.raises(wire.WireError) as caught:
            options_of(wire.StylizeRequest(PIXELS, (STYLE,), method="johnson", options={"model": name}))
        assert caught.value.code == "unprocessable" and str(tmp_path) not in caught.value.message
    (tmp_path / "mine.pth").touch()
    mine = wire.StylizeRequest(PIXELS, (STYLE,), method="johnson", options={"model": "mine"})
    assert options_of(mine) == {"model": str(tmp_path / "mine.pth")}
    usual = wire.StylizeRequest(PIXELS, (STYLE,), method="wct", options={"model": "embedded"})
    assert options_of(usual) == {"model": "embedded"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"points": ((30, 5),)}, "outside the picture"),
        ({"others": ((5, -1),)}, "outside the picture"),
        ({"box": (25, 2, 90, 20)}, "leaves less than"),
        ({"box": (20, 20, 5, 5)}, "leaves less than"),
        ({"model": "sam"}, "no model 'sam'"),
    ],
)
def test_an_object_is_looked_for_in_the_picture_only(changes: dict[str, Any], sentence: str) -> None:
    told = judge(frame_of(wire.SegmentRequest(PIXELS, **{"points": ((5, 5),), **changes})))  # type: ignore[arg-type]
    assert told.startswith("unprocessable: ") and sentence in told


def test_a_frame_that_is_no_request_is_a_bad_one() -> None:
    result = b"".join(bytes(part) for part in wire.StylizeResult(PIXELS, {}).pack())
    assert judge(result).startswith("bad_request: ")
    extra = {"content": PIXELS, "style.0": PIXELS, "style.7": PIXELS}
    meta, _ = wire.unpack_frame("request", request())
    told = judge(b"".join(bytes(part) for part in wire.pack_frame("request", meta, extra)))
    assert told == "unprocessable: The request has a plane that nothing asks for."


def test_the_engine_answers_422_and_keeps_nothing(engine: RunningEngine) -> None:
    for frame in (changed("settings.strength", 7), changed("styles.0.weight", 1e-320), request(method="nothing")):
        answer = engine.put(frame)
        assert (answer.status, answer.code) == (422, "unprocessable")
    unknown = wire.StylizeRequest(PIXELS, (wire.StyleEntry("x", preset="not-there"),))
    assert engine.put(unknown).status == 422
    assert engine.spooled == []


def test_a_refusal_does_not_wait_for_the_pixels(engine: RunningEngine) -> None:
    """Of a request of half a gigabyte the header alone is sent."""
    from tests.server.test_app import head, raw

    content = wire.Plane("F32", (1, 1, 4), bytes(16))
    frame = frame_of(wire.StylizeRequest(content, (wire.StyleEntry("x", preset="not-there"),)))
    frame = frame.replace(
        b'"shape": [1, 1, 4], "data_offsets": [0, 16]', b'"shape": [5600, 6000, 4], "data_offsets": [0, 537600000]'
    )
    text = frame[8:-16].rstrip()
    whole = struct.pack("<Q", len(text)) + text
    answer = raw(engine, head(engine, f"Content-Length: {len(whole) + 537_600_000}") + whole, hang_up=False)
    assert answer.startswith(b"HTTP/1.1 422 ") and b"no style preset" in answer


def test_while_the_catalog_is_not_known_the_worker_judges(engine: RunningEngine) -> None:
    frame = frame_of(picture_request())
    assert judge(frame, None) == "" and judge(frame).startswith("unprocessable")
