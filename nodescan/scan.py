"""ONE SLIDE, FROM FILE TO REPORT: open, find tissue, examine it tile by tile, measure what was found, conclude."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from nodescan.counting import counted
from nodescan.domain.deposits import Deposit, Detection
from nodescan.domain.doubts import dispersed_flags, joining_gap_flags
from nodescan.domain.geometry import PixelBox
from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.report import Flag, Provenance, SlideReport, SlideResult
from nodescan.domain.slide import BoundsUm, SlideRef
from nodescan.domain.verdict import NOT_JUDGED, conclude, deposit_flags
from nodescan.errors import RegionUnreadableError
from nodescan.examination import Examination, examine
from nodescan.imaging.decisive import MOST_ON_GLASS, glass_cells, is_constant
from nodescan.imaging.detections import DetectionSettings, find_detections
from nodescan.imaging.joining import gap_readings
from nodescan.imaging.nuclei import NucleiSettings
from nodescan.imaging.quality import QualitySettings, focus_flags, stain_flags
from nodescan.imaging.segmentation import SegmentationSettings, find_deposits, touches_edge, touches_unexamined
from nodescan.imaging.tissue import TissueSettings, excluded_flags, find_tissue
from nodescan.interfaces import OpenSlideFile, Progress, Slide, TilePredictor

_OVERVIEW_BLOCK_PX = 1024
_CROP_PX, _MOST_CROPS, _SMALLEST_CROP_UM, _CROP_READERS = 512, 30, 300.0, 2


@dataclass(frozen=True, slots=True)
class OverviewSettings:
    """The low magnification that tissue is sought at: any spacing from finest_um to coarsest_um per px will do."""

    finest_um: float
    coarsest_um: float


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """All that bears on a finding beside the model; a run's YAML holds every one of them."""

    overview: OverviewSettings
    tissue: TissueSettings
    quality: QualitySettings
    segmentation: SegmentationSettings
    nuclei: NucleiSettings
    detections: DetectionSettings


@dataclass(frozen=True, slots=True)
class Finding:
    """All that was found on one slide, before it is put into words."""

    tissue: TissueMask
    examination: Examination
    deposits: tuple[Deposit, ...]
    detections: tuple[Detection, ...]
    flags: tuple[Flag, ...]


def scan_slide(
    ref: SlideRef, *, open_slide: OpenSlideFile, predictor: TilePredictor, settings: ScanSettings, progress: Progress
) -> SlideResult:
    """Read one slide, find and measure its deposits, and say what follows.

    Raises SlideError where the slide can't be used at all; areas that can't be read are marked as not
    examined and make the slide incomplete.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    slide = open_slide(ref)
    try:
        overview, unseen = view_whole(slide, settings.overview, progress)
        tissue = with_unseen(find_tissue(overview.pixels, overview.spacing, settings.tissue), unseen)
        of_tissue = tissue_flags(overview, tissue, settings)
        examination = examine(slide, tissue, predictor=predictor, settings=settings, progress=progress)
        sized = find_deposits(examination.probability, predictor.decision, settings.segmentation)
        crops = begin_close_ups(slide, sized)
        deposits = counted(slide, sized, settings.nuclei)
        detections = find_detections(examination.probability, settings.detections)
        flags = (
            *(Flag(code, message) for code, message in slide.info.warnings),
            *of_tissue,
            *examination_flags(examination),
            *doubts(deposits, examination, tissue, predictor=predictor, bounds=slide.info.bounds_um),
            *deposit_flags(deposits),
            *pattern_flags(sized, examination, predictor, settings),
        )
        finding = Finding(tissue, examination, deposits, detections, flags)
        provenance = Provenance(
            versions={},
            config_sha256="",
            slide_fingerprint=slide.fingerprint(),
            device=predictor.device,
            precision=examination.precision,
            started=started.isoformat(timespec="seconds"),
            seconds=time.monotonic() - clock,
        )
        report = report_of(slide, finding, predictor, provenance)
        pictures = crops()
    finally:
        slide.close()
    return SlideResult(report, examination.probability, tissue, overview, pictures)


def report_of(slide: Slide, finding: Finding, predictor: TilePredictor, provenance: Provenance) -> SlideReport:
    """What is said of the slide. tumour_probability is the confidence of its likeliest detection, 0 without any.

    Where nothing was examined there is none: 0 would say that the network had looked.

    The batch, which knows them, fills in the provenance's versions and the configuration's sha256.
    """
    examined = finding.examination.examined_fraction > 0
    verdict = conclude(
        finding.deposits,
        tissue_found=bool(finding.tissue.tissue.any()),
        all_examined=finding.examination.complete,
        classifiable=not {flag.code for flag in finding.flags} & NOT_JUDGED,
    )
    return SlideReport(
        slide=slide.ref,
        status=verdict.status,
        metastasis=verdict.metastasis,
        at_least=verdict.at_least,
        deposits=finding.deposits,
        detections=finding.detections,
        tumour_probability=max((d.confidence for d in finding.detections), default=0.0) if examined else None,
        tissue_area_mm2=finding.tissue.area_um2 / 1e6,
        examined_fraction=finding.examination.examined_fraction,
        unread_fraction=finding.examination.unread_fraction,
        flags=finding.flags,
        info=slide.info,
        analysis_spacing=finding.examination.frame_spacing,
        model=predictor.model,
        provenance=provenance,
    )


def view_whole(
    slide: Slide, settings: OverviewSettings, progress: Progress | None = None
) -> tuple[Picture, NDArray[np.bool_]]:
    """The slide at low magnification, and bool (H, W): pixels that could not be read (white in the picture).

    progress: gets signs of life, because a slide without a pyramid may take minutes.
    """
    spacing = slide.frame_spacing(settings.finest_um, settings.coarsest_um)
    width, height = slide.frame_size(spacing)
    pixels = np.full((height, width, 3), 255, dtype=np.uint8)
    unseen = np.zeros((height, width), dtype=np.bool_)
    for top in range(0, height, _OVERVIEW_BLOCK_PX):
        if progress is not None and top > 0:
            progress.tiles_done(slide.ref.slide_id, 0, 0.0)
        for left in range(0, width, _OVERVIEW_BLOCK_PX):
            box = PixelBox(left, top, min(_OVERVIEW_BLOCK_PX, width - left), min(_OVERVIEW_BLOCK_PX, height - top))
            window = slice(box.top, box.bottom), slice(box.left, box.right)
            try:
                pixels[window] = slide.read(box, spacing)
            except RegionUnreadableError:
                unseen[window] = True
    return Picture(pixels, 0.0, 0.0, spacing), unseen


def with_unseen(tissue: TissueMask, unseen: NDArray[np.bool_]) -> TissueMask:
    """What could not be seen may be tissue, so it is to be examined: at another magnification it may yet be read."""
    if not unseen.any():
        return tissue
    excluded = tuple((reason, mask & ~unseen) for reason, mask in tissue.excluded)
    hidden = None if tissue.hidden is None else tissue.hidden & ~unseen
    return replace(tissue, tissue=tissue.tissue | unseen, excluded=excluded, hidden=hidden, unseen=unseen)


def tissue_flags(overview: Picture, tissue: TissueMask, settings: ScanSettings) -> tuple[Flag, ...]:
    """What the overview says: no tissue, areas left out, a stain that the network wasn't taught."""
    if not tissue.tissue.any():
        none = Flag("no_tissue", "No tissue was found, so nothing was examined; see the overview and check the slide.")
        return (none, *excluded_flags(tissue, settings.tissue))
    stain = stain_flags(overview.pixels, tissue, settings.quality)
    return (*stain, *excluded_flags(tissue, settings.tissue))


def examination_flags(examination: Examination) -> tuple[Flag, ...]:
    """What was not examined and why, and a network that answers the same everywhere."""
    flags = list(focus_flags(examination.blurred_fraction))
    if examination.unread_fraction > 0:
        share = f"{100 * examination.unread_fraction:.2g} %"
        flags.append(
            Flag("unread_tissue", f"{share} of the tissue could not be read from the file and was not examined.")
        )
    if examination.hidden_fraction > 0:
        share = f"{100 * examination.hidden_fraction:.2g} %"
        text = f"{share} of the tissue lies under pen marks and was not examined: clean the slide and scan it again."
        flags.append(Flag("tissue_under_ink", text))
    if is_constant(examination.probability):
        text = "The network answers the same everywhere, so its answer means nothing: check the model and the slide."
        flags.append(Flag("constant_output", text))
    return tuple(flags)


def doubts(
    deposits: Sequence[Deposit],
    examination: Examination,
    tissue: TissueMask,
    *,
    predictor: TilePredictor,
    bounds: BoundsUm,
) -> tuple[Flag, ...]:
    """Deposits that end where nothing was examined or scanned, and tumour where there is next to no tissue."""
    map_, rule = examination.probability, predictor.decision
    uncertain = () if examination.complete else deposits
    beside = [
        deposit.id for deposit in uncertain if touches_unexamined(deposit, map_, wanted=examination.wanted, rule=rule)
    ]
    at_edge = [deposit.id for deposit in deposits if touches_edge(deposit, bounds, map_, rule=rule)]
    flags = [
        Flag("deposit_cut_off", f"Deposit(s) {', '.join(map(str, cut[:8]))} {where} and may be larger.")
        for cut, where in (
            (beside, "border on tissue that was not examined"),
            (at_edge, "lie at the edge of what was scanned"),
        )
        if cut
    ]
    positive = map_.examined & (map_.values >= rule.threshold)
    if deposits and positive.any():
        on_glass = float(glass_cells(tissue, map_)[positive].mean())
        if on_glass > MOST_ON_GLASS:
            text = f"{100 * on_glass:.0f} % of what was called tumour lies on glass: the model may not suit this slide."
            flags.append(Flag("tumour_on_glass", text))
    return tuple(flags)


def pattern_flags(
    deposits: Sequence[Deposit], examination: Examination, predictor: TilePredictor, settings: ScanSettings
) -> tuple[Flag, ...]:
    """Many small foci spread wide, and a class that hangs on whether near foci are one; judged by size, uncounted."""
    readings = gap_readings(examination.probability, predictor.decision, settings.segmentation, found=deposits)
    return (*dispersed_flags(deposits), *joining_gap_flags(readings))


def begin_close_ups(slide: Slide, deposits: Sequence[Deposit]) -> Callable[[], Mapping[int, Picture]]:
    """Reads each of the largest deposits with its surroundings, at the finest magnification that fits the picture.

    Returns what waits for the pictures, by deposit: they are read while the flags are worked out.
    """
    pool = ThreadPoolExecutor(_CROP_READERS, thread_name_prefix="close-up")
    coming = [(deposit.id, pool.submit(_close_up, slide, deposit)) for deposit in deposits[:_MOST_CROPS]]
    pool.shutdown(wait=False)

    def pictures() -> Mapping[int, Picture]:
        read = ((number, picture.result()) for number, picture in coming)
        return {number: picture for number, picture in read if picture is not None}

    return pictures


def _close_up(slide: Slide, deposit: Deposit) -> Picture | None:
    """None where it can't be read: the deposit stands in the report all the same, without its picture."""
    native = slide.info.spacing
    side_um = max(1.4 * deposit.diameter_um, _SMALLEST_CROP_UM)
    spacing = native.scaled(max(1, int(np.ceil(side_um / (_CROP_PX * native.mean)))))
    width, height = round(side_um / spacing.x), round(side_um / spacing.y)
    x, y = deposit.centre_um
    box = PixelBox(round(x / spacing.x - width / 2), round(y / spacing.y - height / 2), width, height)
    try:
        return Picture(slide.read(box, spacing), box.left * spacing.x, box.top * spacing.y, spacing)
    except RegionUnreadableError:
        return None
