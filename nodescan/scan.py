"""ONE SLIDE, FROM FILE TO REPORT: open, find tissue, examine it tile by tile, measure what was found, conclude.

Read `scan_slide` first. Its steps, and where each is told in full:

1. overview.py: the slide at low magnification, and imaging/tissue.py: where its tissue is.
2. examination/: the network's answer for every cell of tissue. tile_plan.py in it lays tiles on the tissue,
   tile_batches.py reads them ahead of the network, tile_pass.py keeps what it says of them, and second_look/ has
   float32 answer again what could change a finding.
3. imaging/segmentation.py: the map of answers becomes deposits, outlined and measured; imaging/pieces.py: in which
   separate piece of tissue each lies.
4. counting.py: tumour cells, where their number can change a class; close_ups.py: pictures of the largest deposits,
   or of the likeliest places.
5. slide_flags.py: what a reader must know beside the finding; spacing_check.py: whether nuclei are as large as the
   spacing says; level_check.py: whether its magnifications show the same; tissue_check.py: whether the scan has a
   fault, and its tissue looks like what the network was trained on; domain/verdict.py: status and class.

What is called `wait_for_...` was begun before, and runs in a thread beside step 2.

Whoever scans many slides calls it by batch/slide_task.py, which writes the reports; see batch/run.py. Two slides may be
under way in a process: slide_queue.py has one go through step 1 while the network is the other's.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from nodescan.close_ups import begin_close_ups, begin_place_close_ups
from nodescan.counting import with_cell_counts
from nodescan.domain.deposits import Deposit, Detection
from nodescan.domain.flags import NOT_JUDGED, NOT_SHOWN, STOPS_COMPLETE, Flag, codes_of
from nodescan.domain.maps import NotExamined, TissueMask
from nodescan.domain.report import SlideReport, SlideResult
from nodescan.domain.slide import SlideRef
from nodescan.domain.verdict import conclude
from nodescan.examination import Examination, examine
from nodescan.examination.tile_batches import read_first_tiles
from nodescan.examination.tile_plan import plan
from nodescan.imaging.detections import find_detections, likeliest_places
from nodescan.imaging.pieces import Pieces, find_pieces
from nodescan.imaging.segmentation import find_foci
from nodescan.interfaces import KnownTissue, OpenSlideFile, Progress, Slide, TilePredictor
from nodescan.level_check import begin_level_check
from nodescan.overview import overview_and_tissue, overview_bytes
from nodescan.scan_settings import ScanSettings
from nodescan.slide_flags import (
    examination_flags,
    finding_flags,
    mark_cut_off,
    model_flags,
    small_pale_flags,
    tissue_flags,
)
from nodescan.slide_queue import Turn, alone
from nodescan.spacing_check import spacing_flags
from nodescan.threads import start_in_thread
from nodescan.tissue_check import check_fields


@dataclass(frozen=True, slots=True)
class Finding:
    """All that was found on one slide, that a report concludes from."""

    tissue: TissueMask
    examination: Examination
    deposits: tuple[Deposit, ...]
    detections: tuple[Detection, ...]
    flags: tuple[Flag, ...]
    pieces: Pieces


@dataclass(frozen=True, slots=True)
class ScanTools:
    """What slides are scanned with."""

    open_slide: OpenSlideFile
    predictor: TilePredictor
    settings: ScanSettings
    known_tissue: KnownTissue | None = None


def scan_slide(ref: SlideRef, tools: ScanTools, *, progress: Progress, turn: Turn | None = None) -> SlideResult:
    """Read one slide, find and measure its deposits, and say what follows; the report has no provenance yet.

    turn: where another slide may be scanned in this process, too. Raises SlideError where the slide can't be used at
    all; areas that can't be read are marked as not examined and make the slide incomplete.
    """
    turn, predictor, settings = turn or alone(), tools.predictor, tools.settings
    with closing(tools.open_slide(ref)) as slide:
        turn.wait_for_room(overview_bytes(slide, settings.overview))
        overview, tissue = overview_and_tissue(slide, settings, progress, analysed_um=predictor.spacing_range_um)
        wait_for_tissue_flags = start_in_thread("tissue-flags", tissue_flags, overview, tissue, settings)
        wait_for_spacing_flags = start_in_thread("spacing-check", spacing_flags, slide, overview, tissue)
        survey = plan(slide, tissue, predictor)
        wait_for_fields = start_in_thread(
            "tissue-check", check_fields, slide, tissue, tools.known_tissue, predictor.spacing_range_um
        )
        reader = read_first_tiles(slide, survey, predictor)
        wait_for_level_flags = begin_level_check(slide, overview, survey, settings.quality)
        with turn.network():
            examination = examine(reader, predictor=predictor, settings=settings, progress=progress)
        foci = find_foci(examination.probability, predictor.decision, settings.segmentation)
        sized, cut = mark_cut_off(foci.deposits(), examination, tissue, rule=predictor.decision)
        wait_for_close_ups = begin_close_ups(slide, sized, survey.spacing)
        pieces = find_pieces(tissue)
        deposits = pieces.placed(with_cell_counts(slide, sized, settings.nuclei))
        detections = find_detections(examination.probability, settings.detections)
        places = () if deposits else likeliest_places(detections, ())
        wait_for_places = begin_place_close_ups(slide, places, survey.spacing)
        about_slide = (
            *slide.info.warnings,
            *wait_for_tissue_flags(),
            *examination_flags(examination),
            *small_pale_flags(examination, settings.quality.pale),
            *model_flags(predictor.model),
            *wait_for_level_flags(examination),
        )
        about_finding: tuple[Flag, ...] = ()
        if _judged(about_slide):  # else nothing that the network marked is a finding
            about_finding = (
                *wait_for_spacing_flags(),
                *wait_for_fields().flags(found=bool(deposits)),
                *finding_flags(deposits, cut, foci, examination, tissue),
            )
        finding = Finding(tissue, examination, deposits, detections, (*about_slide, *about_finding), pieces)
        result = SlideResult(
            report=report_of(slide, finding, predictor),
            probability=examination.probability,
            tissue=tissue,
            overview=overview,
            close_ups=wait_for_close_ups(),
            place_close_ups=wait_for_places(),
            fingerprint=slide.fingerprint(),
            precision=examination.precision,
        )
    hidden = bool(codes_of(finding.flags) & NOT_SHOWN)
    return replace(result, overview=None, close_ups=None, place_close_ups=()) if hidden else result


def report_of(slide: Slide, finding: Finding, predictor: TilePredictor) -> SlideReport:
    """What is said of the slide. tumour_probability is the confidence of its likeliest detection, 0 without any.

    It is None where nothing was examined, or the network can't judge the slide: 0 would say that it had looked.
    """
    judged = _judged(finding.flags)
    whole = not codes_of(finding.flags) & STOPS_COMPLETE
    looked = finding.examination
    examined = looked.examined_share
    scored = judged and examined > 0
    verdict = conclude(
        finding.deposits,
        tissue_found=bool(finding.tissue.tissue.any()),
        all_examined=whole and looked.complete,
        classifiable=judged,
    )
    return SlideReport(
        slide=slide.ref,
        status=verdict.status,
        metastasis=verdict.metastasis,
        at_least=verdict.at_least,
        deposits=finding.deposits,
        detections=finding.detections,
        tumour_probability=max((d.confidence for d in finding.detections), default=0.0) if scored else None,
        tissue_area_mm2=finding.tissue.area_um2 / 1e6,
        examined_fraction=examined,
        unread_fraction=looked.share_of(NotExamined.UNREAD),
        tissue_pieces=finding.pieces.count,
        flags=finding.flags,
        info=slide.info,
        analysis_spacing=looked.frame_spacing,
        model=predictor.model,
    )


def _judged(flags: Sequence[Flag]) -> bool:
    return not codes_of(flags) & NOT_JUDGED
