"""What is shown to the network, the first time and a second."""

from pathlib import Path

import numpy as np

from nodescan.domain.geometry import TileGrid
from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.examination.tile_plan import Survey, plan
from nodescan.imaging.stitching import fitted_tiles
from nodescan.inference.card import load_card
from nodescan.inference.fast_predictor import SECOND_LOOK_CORE_PX, second_look_tile
from nodescan.inference.random_model import random_model
from tests.fakes import ColourPredictor
from tests.painted import PaintedSlide, painted


def test_a_network_that_pads_is_asked_again_in_the_tiles_of_the_first_time(tmp_path: Path) -> None:
    """What it says of a cell depends on the tile; what others say doesn't, so theirs are smaller, and fitted."""
    wanted = np.zeros((64, 64), dtype=np.bool_)
    wanted[3:60, 5:50] = True
    tissue = TissueMask(wanted, Spacing.square(16.0))
    made = load_card(random_model(tmp_path, "p4m-small", core_px=512))
    for architecture, core_px in (("resnet18", 512), ("p4m-small", SECOND_LOOK_CORE_PX)):
        card = made.model_copy(update={"architecture": architecture})
        grid = TileGrid(1024, 1024, card.geometry())
        survey = Survey(grid, Spacing.square(1.0), wanted, fitted_tiles(grid, wanted), tissue)
        cells = np.zeros_like(wanted)
        cells[40, 40] = True
        part = survey.around(cells, second_look_tile(card))
        assert part.grid.tile.core_px == core_px
        assert part.tiles == (((35, 37),) if core_px == 512 else ((40, 40),))


def test_a_cell_that_one_pixel_of_tissue_touches_is_shown() -> None:
    """One of the 256 that a cell holds is enough, and its neighbours aren't shown for it."""
    tissue = np.zeros((1024, 1024), dtype=np.bool_)
    tissue[16 * 9 + 15, 16 * 40] = True
    survey = plan(PaintedSlide(painted(glass_only=True)), TissueMask(tissue, Spacing.square(0.95)), ColourPredictor())
    assert np.argwhere(survey.wanted).tolist() == [[9, 40]]
    assert len(survey.tiles) == 1


def test_nothing_is_shown_of_a_slide_without_tissue() -> None:
    """No cell is wanted, so no tile is read."""
    nothing = TissueMask(np.zeros((1024, 1024), dtype=np.bool_), Spacing.square(0.95))
    survey = plan(PaintedSlide(painted(glass_only=True)), nothing, ColourPredictor())
    assert not survey.wanted.any()
    assert survey.tiles == ()
