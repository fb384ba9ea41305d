"""A card is given ranges for eight bits only where they were tried."""

from pathlib import Path

import pytest
import torch

from nodescan.inference.card import load_card
from nodescan.inference.device import int8_precision
from nodescan.inference.fast_predictor import TOLERANCE
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.openvino_streams import installed
from nodescan.inference.random_model import random_model
from training.tuning import eight_bits
from training.tuning.eight_bits import with_ranges

own = int8_precision(torch.device("cpu"))
able = installed() and own is not None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(eight_bits, "_tiles", lambda _folder, _slides, side_px: made_tiles(4, side_px)[:, None])
    return random_model(tmp_path / "model", "p4m-small", core_px=128)


@pytest.mark.skipif(not able, reason="this machine can't compute in eight bits")
def test_ranges_that_keep_near_float32_stand_on_the_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each inner convolution; none where answers are too far off, on this processor or on one with less."""
    ranges = with_ranges(folder, ()).int8_ranges
    assert ranges is not None
    assert len(ranges) == len(load_card(folder).int8_ranges or ())
    for precision in {own, "int8-16"}:
        with monkeypatch.context() as patched:
            patched.setitem(TOLERANCE, precision, 1e-6)
            assert with_ranges(folder, ()).int8_ranges is None


def test_where_they_cannot_be_tried_there_are_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card with ranges is trusted."""
    monkeypatch.setattr(eight_bits, "installed", lambda: False)
    assert with_ranges(folder, ()).int8_ranges is None
