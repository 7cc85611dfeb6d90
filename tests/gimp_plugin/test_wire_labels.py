"""Label maps over the wire: both or none, and of the right shape."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gimp_plugin.wire import WireError
from tests.gimp_plugin.test_wire import a_plane, a_request


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"style_labels": None}, "both label maps"),
        ({"labels": None}, "both label maps"),
        ({"labels": a_plane("U8", (5, 4, 4))}, "they must match"),
        ({"style_labels": a_plane("U8", (5, 4))}, r"\(H, W, 4\)"),
        ({"auto_regions": True}, "not both"),
    ],
)
def test_label_maps_that_do_not_fit_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(WireError, match=words):
        dataclasses.replace(a_request(), **changes)
