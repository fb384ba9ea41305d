"""The bench's figures fit each other, whatever the machine."""

from pathlib import Path

import pytest

from nodescan.bench import Speed, measure_stages
from nodescan.config import load_config
from tests.fakes import ColourPredictor, Listener, paint_slide


class OnGpu(ColourPredictor):
    """The colour predictor, said to run beside the cores that read."""

    device = "cuda:0"


def measured(slide: Path, predictor: ColourPredictor) -> Speed:
    return measure_stages(slide, predictor, Listener())


def test_useful_share_is_tissue_over_what_is_fed(tmp_path: Path) -> None:
    """576 px of tissue both ways with the mask's own rim around them, in 3 x 3 tiles that each take 320 px."""
    speed = measured(paint_slide(tmp_path / "a.tif"), ColourPredictor())
    fed_px = 9 * 320**2
    assert speed.tiles == 9
    assert speed.useful_share == pytest.approx(speed.tissue_megapixels * 1e6 / fed_px)
    rim_px = load_config().settings.tissue.margin_um / 0.95
    assert speed.useful_share == pytest.approx((576 + 2 * rim_px) ** 2 / fed_px, rel=0.06)  # a cell is 16 px


def test_efficiency_is_end_to_end_over_what_both_stages_allow(tmp_path: Path) -> None:
    """Where cores are shared the times add up; beside a GPU the slower stage alone is the limit."""
    slide = paint_slide(tmp_path / "a.tif")
    shared = measured(slide, ColourPredictor())
    seconds = 1 / shared.decode_mpx_s + 1 / shared.network_mpx_s
    assert shared.efficiency == pytest.approx(shared.end_to_end_mpx_s * seconds / shared.useful_share)
    beside = measured(slide, OnGpu())
    slower = min(beside.decode_mpx_s, beside.network_mpx_s)
    assert beside.efficiency == pytest.approx(beside.end_to_end_mpx_s / (slower * beside.useful_share))
