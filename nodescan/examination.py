"""What the network says of a slide's tissue, tile by tile, and how much of the tissue it could judge."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.domain.units import Spacing
from nodescan.errors import ModelError
from nodescan.guard import Reference, Settled, settled
from nodescan.imaging.coverage import coverage
from nodescan.imaging.missing import missing_cells
from nodescan.interfaces import ApproximatePredictor, Progress, Slide, TilePredictor
from nodescan.scan_settings import ScanSettings
from nodescan.survey import Survey, plan
from nodescan.tile_pass import Shown, show


@dataclass(frozen=True, slots=True)
class Examination:
    """What the network said of the tissue. wanted, blurred, unread, hidden : bool (H, W) on the map's cells.

    precision: in words, and how much was answered in which.
    """

    probability: ProbabilityMap
    frame_spacing: Spacing
    wanted: NDArray[np.bool_]
    blurred: NDArray[np.bool_]
    unread: NDArray[np.bool_]
    hidden: NDArray[np.bool_]
    precision: str

    @property
    def complete(self) -> bool:
        return bool(self.probability.examined[self.wanted].all())

    @property
    def examined_fraction(self) -> float:
        """Of the tissue; 0 where there is none."""
        return self._share(self.probability.examined)

    @property
    def blurred_fraction(self) -> float:
        return self._share(self.blurred)

    @property
    def unread_fraction(self) -> float:
        return self._share(self.unread)

    @property
    def hidden_fraction(self) -> float:
        return self._share(self.hidden)

    def _share(self, mask: NDArray[np.bool_]) -> float:
        wanted = int(np.count_nonzero(self.wanted))
        return int(np.count_nonzero(mask & self.wanted)) / wanted if wanted else 0.0


def examine(
    slide: Slide, tissue: TissueMask, *, predictor: TilePredictor, settings: ScanSettings, progress: Progress
) -> Examination:
    """The network's answer for every cell that touches tissue.

    What can't be read, what is blank where the overview shows stained tissue, what ink hides, and what is too blurred
    to judge, is not examined. Where a predictor's answers may be a little off, its reference answers again whatever
    could bear on a finding; see guard.settled. Raises UnmeasurableError where the slide has no magnification that the
    model accepts.
    """
    survey = plan(slide, tissue, predictor)
    hidden = _hidden_cells(tissue, survey)
    progress.slide_started(slide.ref.slide_id, len(survey.tiles))

    def whole(network: TilePredictor, done: Callable[[int, float], None]) -> Shown:
        shown = show(slide, survey, predictor=network, quality=settings.quality, done=done)
        return shown.without(missing_cells(shown.blank, tissue, shown.probability.spacing), hidden=hidden)

    def counted(tiles: int, megapixels: float) -> None:
        progress.tiles_done(slide.ref.slide_id, tiles, megapixels)

    def counted_before(_tiles: int, _megapixels: float) -> None:
        progress.tiles_done(slide.ref.slide_id, 0, 0.0)  # a sign of life

    if isinstance(predictor, ApproximatePredictor):
        reference, second_look = predictor.reference, predictor.second_look

        def again(network: TilePredictor, cells: NDArray[np.bool_]) -> Shown:
            part = survey.around(cells, network.geometry)
            return show(slide, part, predictor=network, quality=None, done=counted_before)

        def about(cells: NDArray[np.bool_]) -> Shown:
            shown = again(second_look, cells)
            lost = cells & shown.unread
            # Its tiles may reach what can't be read, and was never read, beside the survey's own.
            return shown.completed(again(reference, lost)) if lost.any() else shown

        def everywhere() -> Shown:
            return whole(reference, counted_before)

        try:
            found = settled(
                whole(predictor, counted),
                survey,
                Reference(about, everywhere),
                predictor=predictor,
                settings=settings,
            )
        except ModelError as error:  # no probabilities, or none at all: then the reference says what there is to say
            found = Settled(everywhere(), f"{reference.precision} ({predictor.precision} failed: {error})")
    else:
        found = Settled(whole(predictor, counted), predictor.precision)
    shown = found.shown
    return Examination(
        shown.probability, survey.spacing, survey.wanted, shown.blurred, shown.unread, hidden, found.precision
    )


def _hidden_cells(tissue: TissueMask, survey: Survey) -> NDArray[np.bool_]:
    """bool (H, W): cells that ink hides for the most part."""
    if tissue.hidden is None:
        return np.zeros_like(survey.wanted)
    cell = survey.spacing.scaled(survey.grid.tile.stride_px)
    return coverage(tissue.hidden, tissue.spacing, shape=survey.wanted.shape, spacing=cell) > 0.5
