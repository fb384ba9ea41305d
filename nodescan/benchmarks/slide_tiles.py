"""Pixels of a slide's tissue, for measurements that need real ones."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.config import load_config
from nodescan.domain.geometry import PixelBox
from nodescan.domain.slide import SlideRef
from nodescan.errors import SlideError
from nodescan.examination.tile_plan import Survey, plan
from nodescan.interfaces import Slide, TilePredictor
from nodescan.overview import overview_and_tissue
from nodescan.slides import open_slide


@dataclass(frozen=True, slots=True)
class TissueTiles:
    """An open slide, and which of its tiles hold tissue."""

    slide: Slide
    survey: Survey

    def tiles(self, most: int) -> Iterator[NDArray[np.uint8]]:
        """uint8 (1, input_px, input_px, 3): at most so many, evenly from all that hold tissue."""
        every = max(1, -(-len(self.survey.tiles) // most))
        for tile in self.survey.tiles[::every]:
            yield self.slide.read(self.survey.grid.input_box(*tile), self.survey.spacing)[None]

    def middle(self, side_px: int) -> NDArray[np.uint8]:
        """uint8 (side_px, side_px, 3): about the middle one of the tiles that hold tissue."""
        box = self.survey.grid.core(*self.survey.tiles[len(self.survey.tiles) // 2])
        left, top = box.left + (box.width - side_px) // 2, box.top + (box.height - side_px) // 2
        return self.slide.read(PixelBox(left, top, side_px, side_px), self.survey.spacing)


@contextmanager
def tissue_tiles(ref: SlideRef, predictor: TilePredictor) -> Iterator[TissueTiles]:
    """Open a slide and find its tissue. Raises SlideError where there is none."""
    with closing(open_slide(ref)) as slide:
        _, tissue = overview_and_tissue(slide, load_config().settings)
        survey = plan(slide, tissue, predictor)
        if not survey.tiles:
            raise SlideError(
                ref.path.name, "no tissue was found, so there is nothing to measure", "name a slide with tissue"
            )
        yield TissueTiles(slide, survey)
