"""Translation: a network that was trained, without pairs, to turn pictures of one kind into another.

Sources: CycleGAN (Zhu 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks") and
DiscoGAN (Kim 2017, "Learning to Discover Cross-Domain Relations with Generative Adversarial Networks").

The network is the user's own (``impasto train unpaired``) or a file; the style picture is not looked at.
"""

from __future__ import annotations

from torch import Tensor

from engine.core.method import Job
from engine.core.options import Option
from engine.painters.of_one_network import register_network
from engine.painters.translate import load, translate

MODEL = Option("model", "", "the trained network: a file, or its name in the models folder", names="network")


def paint(kind: str, job: Job) -> Tensor:
    """Translate the picture with a network of a kind."""
    return translate(job, load(str(job.options["model"]), kind))


register_network("cyclegan", "Translation (CycleGAN)", "Zhu 2017", MODEL, paint)
register_network("discogan", "Translation (DiscoGAN)", "Kim 2017", MODEL, paint)
