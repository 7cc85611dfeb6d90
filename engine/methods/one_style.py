"""One style in one pass: a network that was trained for a single style picture (Johnson 2016, Ulyanov 2017).

Sources: Johnson 2016, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution". It normalizes by the
moments of the training, so nothing has to be measured first, and all tiles and pictures are alike. Ulyanov 2017,
"Improved Texture Networks", keeps instance normalization at use. It takes away each picture's own contrast, so that
pale and strong photos are painted alike.

The style is in the network. ``impasto train style --style FILE`` makes one of any picture in minutes, and files of
others load (see ``engine.networks.network_files``).
"""

from __future__ import annotations

from torch import Tensor

from engine.core.method import Job
from engine.painters.of_one_network import register_network
from engine.painters.single_style import MODEL, load_one_style, paint_one_style


def paint(kind: str, job: Job) -> Tensor:
    """Paint the picture in the style of a network of a kind."""
    return paint_one_style(job, load_one_style(str(job.options["model"]), kind))


register_network("johnson", "One style (Johnson)", "Johnson 2016", MODEL, paint)
register_network("ulyanov", "One style (Ulyanov)", "Ulyanov 2017", MODEL, paint)
