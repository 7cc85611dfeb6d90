"""The house keeps its shape: who imports whom, what no file may do, how long a file may be.

``offences`` judges one source; the first tests show it offending sources that it must find, the last ones the
real sources.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from engine.core import limits
from gimp_plugin import wire

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("engine", "server", "gimp_plugin", "scripts", "tests", "benchmarks")
FLOORS = (  # of the engine: a room imports from itself and from what stands before it
    "core", "compute", "models", "color", "edges", "features", "networks", "regions", "files", "descent", "matching",
    "painters", "methods", "segmentation", "pipeline", "train",
)  # fmt: skip
MAX_FILES = 13  # in a room
MAX_LINES = 400
MAX_FUNCTION_LINES = 50
LONG_FUNCTIONS = {  # each is a list of what is asked or said, in one order
    ("server/page/page.py", "paint"),  # its arguments are the page's API
    ("gimp_plugin/filter/job.py", "stylize"),
}
SUPERVISOR_FORBIDDEN = {"torch", "torchvision", "gradio", "gradio_client", "numpy", "engine"}
WEB = {
    "http",
    "urllib",
    "socket",
    "socketserver",
    "starlette",
    "uvicorn",
    "gradio",
    "gradio_client",
    "requests",
    "httpx",
}
PLUGIN_FLOORS = ("gimp_plugin.settings", "gimp_plugin.wire", "gimp_plugin.client")  # for others than GIMP
PICKLES = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
UNPICKLERS_ERROR = "pickle.UnpicklingError"  # what torch.load(weights_only=True) refuses with: its name runs nothing
GIMP_OWN = {"gi"}
IMPORTERS = ("importlib.import_module", "__import__")
LOADERS = {"load", "load_state_dict_from_url"}


def offences(path: str, source: str) -> list[str]:
    """What a source does that the house forbids.

    Args:
        path: in the checkout, with slashes: decides which rules hold.
        source: its text.
    """
    tree = _tree_of(source)
    room = path.partition("/")[0]
    found = [
        f"{path}: {what}"
        for what in (
            *_forbidden_imports(path, room, tree),
            *_unsafe_loads(tree),
            *_shape_offences(path, source),
            *_long_functions(path, tree),
        )
    ]
    return sorted(found)


_tree_of = cache(ast.parse)


def _forbidden_imports(path: str, room: str, tree: ast.Module) -> Iterator[str]:
    for module, is_lazy in _imports(path, tree):
        top = module.split(".")[0]
        if top in PICKLES and module != UNPICKLERS_ERROR:
            yield f"imports {module}: weights come as safetensors"
        if room == "engine" and top in {*ROOMS, "install"} - {"engine"}:
            yield f"imports {module}: the engine knows nothing of ours"
        if room == "engine" and top in WEB | GIMP_OWN and module != "torch.hub":
            yield f"imports {module}: the engine knows neither HTTP nor GIMP"
        if room == "server" and top in {"scripts", "tests", "benchmarks", "install"}:
            yield f"imports {module}: not a room that the server may enter"
        if room == "server" and top == "gimp_plugin" and module not in PLUGIN_FLOORS:
            yield f"imports {module}: of the plug-in the server knows settings, wire and client only"
        if room == "gimp_plugin" and not _may_plugin_import(module):
            yield f"imports {module}: GIMP's Python has the standard library and gi only"
        if path in supervisor_sources() and not is_lazy and top in SUPERVISOR_FORBIDDEN:
            yield f"imports {module} at module level: the supervisor starts without it"
        if (path == "install.py" or path.startswith("scripts/installer/")) and not _may_installer_import(module):
            yield f"imports {module}: the set-up runs before anything is installed"


def _imports(path: str, tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """(full module name, whether it is imported only when a function runs or for types) of every import."""
    package = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".").split(".")
    parents = package if path.endswith("__init__.py") else package[:-1]
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, is_inside = waiting.pop()
        is_lazy = is_inside or _is_lazy_block(node)
        waiting += [(child, is_lazy) for child in ast.iter_child_nodes(node)]
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, is_lazy
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{module}.{alias.name}"
                yield (name if _is_ours(name) or name == UNPICKLERS_ERROR else module), is_lazy
        elif isinstance(node, ast.Call) and _dotted(node.func) in IMPORTERS:
            names = [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
            yield from ((str(name), is_lazy) for name in names)


def _is_ours(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return module.split(".", maxsplit=1)[0] in ROOMS and (path.is_dir() or path.with_suffix(".py").is_file())


def _is_lazy_block(node: ast.AST) -> bool:
    is_for_types = isinstance(node, ast.If) and _dotted(node.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    )
    return is_for_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _may_plugin_import(module: str) -> bool:
    top = module.partition(".")[0]
    is_sibling = (ROOT / "gimp_plugin" / f"{top}.py").is_file()
    return top in sys.stdlib_module_names or top in GIMP_OWN or top == "gimp_plugin" or is_sibling


def _may_installer_import(module: str) -> bool:
    allowed = ("scripts.installer", *PLUGIN_FLOORS)
    return module.partition(".")[0] in sys.stdlib_module_names or module.startswith(allowed)


@cache
def import_graph() -> dict[str, set[str]]:
    """Which module of ours imports which, lazily or not."""
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in _sources()}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        graph[module] = set()
        for name, _ in _imports(path, _tree_of((ROOT / path).read_text("utf-8"))):
            known = name if name in modules else name.rpartition(".")[0]  # a name of a module, or in one
            if known in modules and known != module:
                graph[module].add(known)
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other."""

    @cache
    def reached(start: str) -> frozenset[str]:
        found, waiting = set(), [start]
        while waiting:
            new = graph.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return frozenset(found)

    groups = {
        tuple(sorted(other for other in graph if other in reached(module) and module in reached(other)))
        for module in graph
        if module in reached(module)
    }
    return [list(group) for group in sorted(groups)]


def floor_of(module: str) -> int:
    """Of a module of the engine; what is none of its rooms stands below all."""
    room = module.split(".")[1] if module.startswith("engine.") else ""
    return FLOORS.index(room) if room in FLOORS else -1


@cache
def supervisor_sources() -> frozenset[str]:
    """Server modules that start with ``server/supervisor/main.py``: it, and what is imported at module level."""
    found, waiting = set(), ["server/supervisor/main.py"]
    while waiting:
        path = waiting.pop()
        if path in found or not (ROOT / path).is_file():
            continue
        found.add(path)
        modules = _imports(path, _tree_of((ROOT / path).read_text("utf-8")))
        waiting += [f"{module.replace('.', '/')}.py" for module, is_lazy in modules if not is_lazy]
    return frozenset(path for path in found if path.startswith("server/"))


def _unsafe_loads(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _dotted(node.func).startswith("torch.") and _name(node.func) in LOADERS:
            is_safe = any(
                key.arg == "weights_only" and isinstance(key.value, ast.Constant) and key.value.value is True
                for key in node.keywords
            )
            if not is_safe:
                yield f"line {node.lineno}: {_dotted(node.func)} without weights_only=True runs its code"


def _shape_offences(path: str, source: str) -> Iterator[str]:
    n_lines = source.count("\n")
    if n_lines > MAX_LINES:
        yield f"{n_lines} lines: split it by noun, {MAX_LINES} at most"
    if Path(path).stem in ("utils", "util", "helpers", "helper", "misc", "common"):
        yield "a name that says nothing: name the noun"


def _long_functions(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (path, node.name) not in LONG_FUNCTIONS:
            n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if n_lines > MAX_FUNCTION_LINES:
                yield f"{node.name} has {n_lines} lines: a function has {MAX_FUNCTION_LINES} at most"


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _name(node: ast.AST) -> str:
    return _dotted(node).rpartition(".")[2]


OFFENDERS = [
    ("engine/color/recolor.py", "from server.supervisor.jobs import Queue\n", "knows nothing of ours"),
    ("engine/color/recolor.py", "import gimp_plugin.wire\n", "knows nothing of ours"),
    ("engine/color/recolor.py", "def f():\n    from gimp_plugin import wire\n", "knows nothing of ours"),
    ("engine/files.py", "from urllib.request import urlopen\n", "neither HTTP nor GIMP"),
    ("engine/files.py", "import http.client\n", "neither HTTP nor GIMP"),
    ("engine/files.py", "import gi\n", "neither HTTP nor GIMP"),
    ("server/routes.py", "from gimp_plugin import canvas\n", "wire and client only"),
    ("server/routes.py", "from gimp_plugin.launch import ensure_engine\n", "wire and client only"),
    ("server/routes.py", "from scripts.demo import main\n", "not a room"),
    ("server/supervisor/app.py", "import torch\n", "the supervisor starts without it"),
    ("server/supervisor/main.py", "from engine.pipeline.stylize import stylize\n", "the supervisor starts without it"),
    (
        "server/supervisor/main.py",
        "try:\n    import gradio\nexcept ImportError:\n    pass\n",
        "the supervisor starts without it",
    ),
    ("gimp_plugin/image/canvas.py", "import numpy as np\n", "standard library and gi only"),
    ("gimp_plugin/image/canvas.py", "from engine.core.types import Picture\n", "standard library and gi only"),
    ("gimp_plugin/image/canvas.py", "from ...engine import types\n", "standard library and gi only"),
    ("scripts/installer/places.py", "import platformdirs\n", "before anything is installed"),
    ("install.py", "import importlib\nimportlib.import_module('torch')\n", "before anything is installed"),
    ("engine/models/shipped.py", "import torch\nw = torch.load('a.pth')\n", "without weights_only=True"),
    (
        "engine/models/shipped.py",
        "import torch\nw = torch.load('a.pth', weights_only=False)\n",
        "without weights_only=True",
    ),
    (
        "benchmarks/peers.py",
        "import torch\nw = torch.hub.load_state_dict_from_url('x')\n",
        "without weights_only=True",
    ),
    ("tests/test_x.py", "import pickle\n", "safetensors"),
    ("engine/models/shipped.py", "from pickle import UnpicklingError, loads\n", "safetensors"),
    ("server/utils.py", "", "says nothing"),
    ("server/supervisor/jobs.py", "x = 1\n" * 401, "401 lines"),
    ("server/supervisor/jobs.py", "def f():\n" + "    x = 1\n" * 50, "f has 51 lines"),
]

INNOCENTS = [
    ("engine/color/recolor.py", "import torch\nfrom engine.core.types import Picture\n"),
    (
        "server/worker/convert.py",
        "import torch\nfrom engine.core.types import Picture\nfrom gimp_plugin.wire import Plane\n",
    ),
    (
        "server/routes.py",
        "from gimp_plugin import wire\nfrom gimp_plugin.client import Engine\nimport starlette\n",
    ),
    ("server/supervisor/main.py", "def serve_page():\n    import gradio\n"),
    (
        "gimp_plugin/image/canvas.py",
        "from gi.repository import Gimp\nimport json\nfrom gimp_plugin import wire\n",
    ),
    ("install.py", "from scripts.installer import interpreter\nimport sys\n"),
    ("engine/models/shipped.py", "import torch\nw = torch.load('a.pth', weights_only=True)\n"),
    ("engine/models/shipped.py", "from pickle import UnpicklingError\n"),
    ("server/supervisor/jobs.py", "x = 1\n" * 400),
    ("server/supervisor/jobs.py", "def f():\n" + "    x = 1\n" * 49),
]


@pytest.mark.parametrize(("path", "source", "expected"), OFFENDERS)
def test_an_offending_source_is_found(path: str, source: str, expected: str) -> None:
    found = offences(path, source)
    assert len(found) == 1 and expected in found[0], found


@pytest.mark.parametrize(("path", "source"), INNOCENTS)
def test_an_innocent_source_is_left_alone(path: str, source: str) -> None:
    assert offences(path, source) == []


def _sources() -> list[str]:
    """Python files of the checkout that git keeps or would keep, with slashes."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    names = listed.stdout.splitlines() if listed.returncode == 0 else _walk()
    return [name for name in names if (ROOT / name).is_file()]


def _walk() -> list[str]:
    """The same without git (a checkout that was downloaded as an archive)."""
    paths = [ROOT / "install.py", *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    return [path.relative_to(ROOT).as_posix() for path in paths if "__pycache__" not in path.parts]


def test_the_supervisors_modules_are_found_through_their_imports() -> None:
    assert {
        "server/supervisor/main.py",
        "server/supervisor/app.py",
        "server/supervisor/jobs.py",
    } <= supervisor_sources()
    assert "server/worker/process.py" not in supervisor_sources()


def test_all_sources_are_seen() -> None:
    expected = {"install.py", "gimp_plugin/wire/frames.py", "engine/core/types.py", "tests/test_house.py"}
    assert expected <= set(_sources())


def test_all_sources_keep_the_rules() -> None:
    found = [offence for path in _sources() for offence in offences(path, (ROOT / path).read_text("utf-8"))]
    assert not found, "\n".join(found)


def test_no_file_imports_one_that_imports_it() -> None:
    """Not even through others, or lazily."""
    graph = import_graph()
    assert not circles(graph), "\n".join(" <-> ".join(circle) for circle in circles(graph))


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e2"}, "e2": {"e"}}
    assert circles(graph) == [["b", "c"], ["e", "e2"]]


def test_rooms_of_the_engine_import_only_from_floors_below() -> None:
    upwards = [
        f"{importer} imports {imported}"
        for importer, targets in import_graph().items()
        for imported in targets
        if importer.startswith("engine.") and floor_of(imported) > floor_of(importer)
    ]
    assert not upwards, "\n".join(upwards)


def test_no_room_is_crowded_and_nothing_lies_flat_in_the_engine() -> None:
    rooms: dict[str, list[str]] = {}
    for path in _sources():
        if path.startswith(("engine/", "server/", "gimp_plugin/")) and not path.endswith("/__init__.py"):
            rooms.setdefault(path.rpartition("/")[0], []).append(path)
    assert "engine" not in rooms, rooms["engine"]
    assert {room for room in rooms if room.startswith("engine")} >= {f"engine/{room}" for room in FLOORS}
    crowded = {room: len(files) for room, files in rooms.items() if len(files) > MAX_FILES}
    assert not crowded, crowded


def test_no_module_of_the_engine_has_the_name_of_another() -> None:
    names = Counter(Path(path).stem for path in _sources() if path.startswith("engine/") and "__" not in path)
    assert [name for name, n in names.items() if n > 1] == []


def test_the_supervisor_starts_without_torch_and_gradio() -> None:
    """What the syntax tree cannot see: an import of an import."""
    code = "import sys, server.supervisor.main; print(sorted({'torch', 'gradio', 'numpy'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_the_wire_and_the_engine_agree_on_the_largest_picture() -> None:
    assert wire.MAX_PIXELS == limits.MAX_PIXELS
