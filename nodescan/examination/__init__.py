"""The network's answers for a slide's tissue, tile by tile, and how much of the tissue it could judge."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.maps import NotExamined, ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.errors import ModelError
from nodescan.examination.second_look.guard import DistrustedError, recheck
from nodescan.examination.tile_batches import TileReader
from nodescan.examination.tile_pass import TileAnswers, answer_tiles
from nodescan.examination.tile_plan import Survey
from nodescan.imaging.coverage import coverage
from nodescan.imaging.missing_data import missing_cells
from nodescan.imaging.untrusted_areas import dark_cells, pale_cells, veiled_cells
from nodescan.interfaces import ApproximatePredictor, Progress, TilePredictor
from nodescan.scan_settings import ScanSettings


@dataclass(frozen=True, slots=True)
class Examination:
    """What the network said of the tissue. wanted : bool (H, W), the map's cells that touch tissue.

    reasons : uint8 (H, W), the NotExamined of wanted cells that weren't examined, 0 elsewhere.
    shares : float16 (H, W, SHARES), what a cell's pixels look like, also for unwanted cells; see untrusted_areas.py.
    frame_spacing: of the pixels that the network was shown. (The map's own spacing is that of its cells.)
    precision: in words, the network's number format, and the share of the tissue that float32 answered again.
    """

    probability: ProbabilityMap
    frame_spacing: Spacing
    wanted: NDArray[np.bool_]
    reasons: NDArray[np.uint8]
    shares: NDArray[np.float16]
    precision: str

    @property
    def complete(self) -> bool:
        return bool(self.probability.examined[self.wanted].all())

    @property
    def examined_share(self) -> float:
        """How much of the tissue was examined; 0 where there is none."""
        return self._share(self.probability.examined & self.wanted)

    def share_of(self, reason: NotExamined) -> float:
        """How much of the tissue wasn't examined for this reason; 0 where there is no tissue."""
        return self._share(self.reasons == reason)

    def _share(self, cells: NDArray[np.bool_]) -> float:
        wanted = int(np.count_nonzero(self.wanted))
        return int(np.count_nonzero(cells)) / wanted if wanted else 0.0


def examine(reader: TileReader, *, predictor: TilePredictor, settings: ScanSettings, progress: Progress) -> Examination:
    """The network's answer for every cell that touches tissue.

    Not examined is what can't be read, what is blank although the overview shows stained tissue, what ink hides, and
    what is too blurred, too pale or too badly scanned to judge. If a predictor's answers may be a little off, its
    reference answers again everything that could change a finding; see second_look/.
    """
    survey = reader.survey
    progress.slide_started(reader.slide.ref.slide_id, len(survey.tiles))
    looks = _SlidePasses(reader, _hidden_cells(survey), settings, progress)
    if isinstance(predictor, ApproximatePredictor):
        shown, precision = looks.guarded(predictor)
    else:
        shown, precision = looks.whole(predictor), predictor.precision
    return Examination(
        probability=shown.probability,
        frame_spacing=survey.spacing,
        wanted=survey.wanted,
        reasons=shown.reasons,
        shares=shown.shares,
        precision=precision,
    )


@dataclass(frozen=True, slots=True)
class _SlidePasses:
    """Shows a slide to networks: all planned tiles, or once more the tiles that answer some of the cells.

    hidden : bool (H, W), the cells that ink hides. Tiles that are shown once more give progress signs of life, but
    aren't counted.
    """

    reader: TileReader
    hidden: NDArray[np.bool_]
    settings: ScanSettings
    progress: Progress

    def guarded(self, predictor: ApproximatePredictor) -> tuple[TileAnswers, str]:
        """The predictor's answers, replaced by its reference's wherever they could change a finding."""
        about = partial(self._about, predictor)
        try:
            first = self.whole(predictor)
            return recheck(first, self.reader.survey, about, predictor=predictor, settings=self.settings)
        except DistrustedError as error:
            why = str(error)
        except ModelError as error:  # wrong answers, or none: then the reference answers everything
            why = f"{predictor.precision} failed: {error}"
        return self.whole(predictor.reference, counted=False), f"{predictor.reference.precision} ({why})"

    def whole(self, network: TilePredictor, *, counted: bool = True) -> TileAnswers:
        done = self._count if counted else self._live
        survey, quality = self.reader.survey, self.settings.quality
        shown = answer_tiles(self.reader, predictor=network, quality=quality, done=done)
        spacing = shown.probability.spacing
        missing = missing_cells(shown.blank, survey.tissue, spacing)
        read = survey.wanted & ~missing & ~shown.unread
        seen = read & ~self.hidden
        pale = pale_cells(shown.shares, seen, spacing, quality.pale)
        dark = dark_cells(shown.shares, seen, spacing, quality.faults)
        veiled = veiled_cells(shown.shares, read, spacing) & ~dark  # solid ink has paler ink around it
        return shown.judged(pale=pale, dark=dark, missing=missing, hidden=self.hidden | veiled)

    def _about(self, predictor: ApproximatePredictor, cells: NDArray[np.bool_]) -> TileAnswers:
        """The reference's answers for these cells, bool (H, W), and for some beside them."""
        shown = self._again(predictor.second_look, cells)
        lost = cells & shown.unread
        # Its tiles may reach unreadable pixels outside the survey's tiles, which nobody tried to read before.
        return shown.completed(self._again(predictor.reference, lost)) if lost.any() else shown

    def _again(self, network: TilePredictor, cells: NDArray[np.bool_]) -> TileAnswers:
        part = TileReader(self.reader.slide, self.reader.survey.around(cells, network.geometry))
        return answer_tiles(part, predictor=network, quality=None, done=self._live)

    def _count(self, tiles: int, megapixels: float) -> None:
        self.progress.tiles_done(self.reader.slide.ref.slide_id, tiles, megapixels)

    def _live(self, _tiles: int, _megapixels: float) -> None:
        self._count(0, 0.0)


def _hidden_cells(survey: Survey) -> NDArray[np.bool_]:
    """bool (H, W): cells that ink hides for the most part."""
    tissue = survey.tissue
    if tissue.hidden is None:
        return np.zeros_like(survey.wanted)
    return coverage(tissue.hidden, tissue.spacing, shape=survey.wanted.shape, spacing=survey.cell) > 0.5
