"""The closed-form smoothing beside SciPy's direct solver: ``python -m benchmarks.smoothing [--out DIR]``.

Three sample photos at 256 x 192 and 512 x 384, painted with a crude brush (a hard case: noise, other colors), each
solver in a fresh process so that its memory is its own; then a large picture by the bounded variant and by the guided
filter. Writes smoothing.json and smoothing.md where ``--out`` says, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import computer, in_fresh_process, report_rows
from benchmarks.speed import size_of, sizes_of
from engine.compute.threads import wait_briefly

PHOTOS = ("astronaut", "coffee", "rocket")
SIZES = "256x192,512x384"
LARGE = "4000x3000"
Row = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """The command.

    Returns:
        0 done, 1 a solver failed.
    """
    wait_briefly()  # as the product does
    options = _parser().parse_args(argv)
    if options.measure:
        print(json.dumps(measure(options.measure, options.photo, options.size, options.answer)))
        return 0
    rows = run_all(options)
    return report_rows(options.out, "smoothing", rows, format_table(rows))


def run_all(options: argparse.Namespace) -> list[Row]:
    """A row per photo, size and solver; solvers take turns."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            for photo in PHOTOS:
                answers = {}
                for solver in ("exact", "scipy"):
                    answers[solver] = Path(folder) / f"{solver}.npy"
                    rows.append(_in_fresh_process(solver, photo, size, answers[solver]))
                if all(path.exists() for path in answers.values()):
                    apart = np.abs(np.load(answers["exact"]) - np.load(answers["scipy"])).max()
                    rows[-2]["farthest"] = float(apart) * 255
        rows += [_in_fresh_process(way, PHOTOS[0], options.large, None) for way in ("bounded", "guided")]
    return rows


def _in_fresh_process(solver: str, photo: str, size: tuple[int, int], answer: Path | None) -> Row:
    print(f"{solver}, {photo}, {size[0]} x {size[1]}", file=sys.stderr)
    words = ["--measure", solver, "--photo", photo, "--size", f"{size[0]}x{size[1]}"]
    words += [] if answer is None else ["--answer", str(answer)]
    row: Row = {"solver": solver, "photo": photo, "width": size[0], "height": size[1]}
    return row | in_fresh_process("benchmarks.smoothing", words)


def measure(solver: str, photo: str, size: tuple[int, int], answer: Path | None) -> Row:
    """Solve in this process.

    Returns:
        "seconds" (the second of two runs, SciPy's only one), "cpu_seconds" (of all cores), "extra_bytes" (peak above
        the idle process with the pictures).
    """
    import torch  # noqa: PLC0415  (loaded before memory is measured, by the process that needs it)

    from benchmarks import memory  # noqa: PLC0415
    from engine.edges.smoothing import smooth_photoreal  # noqa: PLC0415

    content = load_photo(photo, size)
    painted = brushed(content)

    def ours() -> torch.Tensor:
        with torch.inference_mode():
            return smooth_photoreal(painted, content, 1.0, way=solver)  # type: ignore[arg-type]

    if solver != "scipy":
        small = content[:, :64, :64].contiguous()
        smooth_photoreal(small, small, 1.0, way=solver)  # type: ignore[arg-type]
    idle_bytes = memory.resident_bytes()
    memory.reset_peak()
    for _ in range(1 if solver == "scipy" else 2):
        began, began_cpu = time.perf_counter(), time.process_time()
        result = direct_solution(painted, content) if solver == "scipy" else ours()
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    if answer is not None:
        np.save(answer, result.clamp(0, 1).double().numpy())
    extra_bytes = memory.peak_bytes() - idle_bytes
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "extra_bytes": extra_bytes}


def load_photo(name: str, size: tuple[int, int]) -> Any:
    """A sample photo of scikit-image as (3, H, W)."""
    import torch  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415
    from skimage import data  # noqa: PLC0415

    image = Image.fromarray(getattr(data, name)()).resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float().contiguous() / 255


def brushed(content: Any) -> Any:
    """A crude painting: other colors, blurred edges, strokes."""
    import torch  # noqa: PLC0415
    from torch.nn import functional as F  # noqa: PLC0415

    strokes = torch.rand(content.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    blurred = F.avg_pool2d(content.flip(0)[None], 9, stride=1, padding=4, count_include_pad=False)[0]
    return (blurred + 0.3 * strokes).clamp(0, 1)


def direct_solution(painted: Any, content: Any) -> Any:
    """SuperLU, by the symmetric ordering that suits it best."""
    import scipy.sparse  # noqa: PLC0415
    import scipy.sparse.linalg  # noqa: PLC0415
    import torch  # noqa: PLC0415

    from engine.edges.matting import BETA, EPS, OFFSETS, laplacian  # noqa: PLC0415

    height, width = content.shape[1:]
    weight = BETA / (9 * (1 - BETA))
    values = laplacian(content, EPS).numpy() * weight
    values[0] += 1
    index = np.arange(height * width).reshape(height, width)
    parts = []
    for (dy, dx), plane in zip(OFFSETS, values, strict=True):
        here = index[: height - dy, max(0, -dx) : width - max(0, dx)]
        there = index[dy:, max(0, dx) : width + min(0, dx)]
        entries = plane[: height - dy, max(0, -dx) : width - max(0, dx)]
        parts.append((entries, here, there))
        if (dy, dx) != (0, 0):
            parts.append((entries, there, here))
    entries, rows, columns = (np.concatenate([part[i].ravel() for part in parts]) for i in range(3))
    matrix = scipy.sparse.csc_matrix((entries, (rows, columns)), shape=(height * width,) * 2)
    options = {"SymmetricMode": True}
    factors = scipy.sparse.linalg.splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
    return torch.from_numpy(factors.solve(painted.double().flatten(1).numpy().T).T.copy()).view(painted.shape)


def format_table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| size | photo | solver | seconds | CPU seconds | memory | farthest from SciPy's, of 255 |",
        "|---" * 7 + "|",
    ]
    for row in rows:
        cells = [f"{row['width']} x {row['height']}", row["photo"], row["solver"]]
        if "error" in row:
            cells += [f"failed: {row['error']}", "", "", ""]
        else:
            cells += [f"{row['seconds']:.2f}", f"{row['cpu_seconds']:.2f}", f"{row['extra_bytes'] / 1e6:.0f} MB"]
            cells += [f"{row['farthest']:.2f}" if "farthest" in row else "-"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", computer(), ""])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.smoothing", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--sizes", type=sizes_of, default=sizes_of(SIZES), metavar="WxH,...")
    parser.add_argument("--large", type=size_of, default=size_of(LARGE), metavar="WxH")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write smoothing.json and smoothing.md")
    parser.add_argument("--measure", choices=["exact", "scipy", "bounded", "guided"], help=argparse.SUPPRESS)
    parser.add_argument("--photo", choices=PHOTOS, default=PHOTOS[0], help=argparse.SUPPRESS)
    parser.add_argument("--size", type=size_of, help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
