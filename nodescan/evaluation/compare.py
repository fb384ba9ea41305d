"""Holds every slide against the reference: its score, its class, its detections, its sizes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nodescan.domain.classification import Metastasis
from nodescan.domain.naming import how_many
from nodescan.domain.units import Spacing
from nodescan.errors import UsageError
from nodescan.evaluation.froc import FrocMode, SlideHits, judge
from nodescan.evaluation.lesions import (
    CORNER_BIAS_PX,
    LEVEL_PX,
    MASK_ITC_PX,
    OFFICIAL_SPACING_UM,
    LesionMap,
    measured_lesions,
    official_itc_um,
    official_lesions,
)
from nodescan.evaluation.node_outcomes import NodeOutcome
from nodescan.evaluation.pairing import Pairing, all_missed, pair
from nodescan.evaluation.patient_outcomes import PatientOutcome, patient_outcomes
from nodescan.evaluation.reference import NOT_EXHAUSTIVE, Reference, ReferenceSlide
from nodescan.evaluation.slide_results import (
    Subject,
    assuming_nothing,
    by_slide_key,
    few_ids,
    made_alike,
    refuse_endings,
    refuse_gaps,
    refuse_strangers,
)
from nodescan.reports.detections import DetectionList
from nodescan.reports.geojson_report import DEPOSITS_GEOJSON, read_deposit_shapes
from nodescan.reports.made_with import MadeWith
from nodescan.reports.report_reader import StoredReport
from nodescan.slides.slide_ids import slide_key

_COARSER = 1.1
"""Above so many times the organisers' spacing their ITC limit is told: CAMELYON's own scanners stay below, at 0.25."""


@dataclass(frozen=True, slots=True)
class SlideOutcome:
    """A slide that the reference knows. subject: None where it was not run. hits, pairing: None where not scored.

    unpaired: why its sizes could not be held against the reference; "" where they were, or that is told elsewhere.
    """

    reference: ReferenceSlide
    subject: Subject | None
    hits: SlideHits | None = None
    pairing: Pairing | None = None
    unpaired: str = ""

    @property
    def slide_id(self) -> str:
        return self.reference.slide_id

    @property
    def score(self) -> float | None:
        """None where it was not run or gave none."""
        return None if self.subject is None else self.subject.score

    @property
    def found(self) -> Metastasis | None:
        """The class that its report gives it."""
        return None if self.report is None else self.report.metastasis

    @property
    def report(self) -> StoredReport | None:
        """None where it was not run, and for challenge files."""
        return None if self.subject is None else self.subject.report

    @property
    def unit(self) -> tuple[str, str]:
        """What it is drawn with in resamples: its patient, or itself."""
        return ("patient", self.patient_id) if self.patient_id else ("slide", self.slide_id)

    @property
    def patient_id(self) -> str:
        """By the reference or else the run's manifest; "" where neither says."""
        return self.reference.patient_id or (self.subject.patient_id if self.subject else "")

    @property
    def in_part(self) -> bool:
        """Whether it was run, and its score is of what was examined of it alone."""
        return self.subject is not None and self.subject.in_part


@dataclass(frozen=True, slots=True)
class Unpaired:
    """A slide with a report whose sizes could not be held against the reference, and why."""

    slide_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All slides and patients. missing: of the reference, without a usable result; unknown: run, not in the reference.

    not_judged: known slides on which the network's answers mean nothing. unscored: tumour slides whose lesions the
    reference doesn't show. made_with: what all reports were made
    with, None where none says. notes: sentences the reader of the figures needs. without_detections: slides with a
    result that the lesion task leaves out, for want of a detections.csv. stages_not_run: patients without any slide
    run whose true stage is known. nodes: see node_outcomes.
    """

    mode: FrocMode
    slides: tuple[SlideOutcome, ...]
    patients: tuple[PatientOutcome, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    not_judged: tuple[str, ...]
    unscored: tuple[str, ...]
    patients_not_run: tuple[str, ...]
    made_with: MadeWith | None
    notes: tuple[str, ...]
    without_detections: tuple[str, ...] = ()
    stages_not_run: tuple[PatientOutcome, ...] = ()
    nodes: tuple[NodeOutcome, ...] = ()

    @property
    def unpaired(self) -> tuple[Unpaired, ...]:
        """Slides that the size agreement leaves out."""
        return tuple(Unpaired(slide.slide_id, slide.unpaired) for slide in self.slides if slide.unpaired)


def compare(
    subjects: Mapping[str, Subject], reference: Reference, mode: FrocMode, *, as_submitted: bool, mpp_um: float | None
) -> Comparison:
    """Hold the subjects against the reference; slides are matched as slide_key matches names.

    A slide without a usable result is refused in official mode unless as_submitted, where it shrinks slides and
    lesions as in the organisers' script; in the other mode its lesions count as missed, and it is no slide to have
    been free of false positives. One that has a result, but no detections.csv, is left out there. mpp_um: spacing of
    level 0 where no report tells it. Raises UsageError where what there is allows no score, or its reports are of
    several models, and AnnotationError for a lesion file that can't be read or isn't its slide's.
    """
    by_key = by_slide_key(subjects)
    reference = reference.for_run(subject.slide_id for subject in by_key.values())
    missing = [slide.slide_id for key, slide in reference.slides.items() if key not in by_key]
    refuse_endings(reference.name, reference.slides, missing, by_key)
    if missing and not as_submitted:
        reference = assuming_nothing(reference, by_key, missing)
    known = {key: slide for key in by_key if (slide := reference.find(by_key[key].slide_id)) is not None}
    missing += [by_key[key].slide_id for key in known if by_key[key].score is None]
    unplaced = [by_key[key].slide_id for key in known if reference.has_lesions and by_key[key].lacks_detections]
    if mode is FrocMode.OFFICIAL and not as_submitted:
        refuse_gaps(missing, unplaced)
    refuse_strangers(known, reference)
    made = made_alike([by_key[key] for key in known])
    slides = [(slide, by_key.get(key)) for key, slide in {**reference.slides, **known}.items()]
    outcomes = [_outcome(*one, mode, mpp_um) if reference.has_lesions else SlideOutcome(*one) for one in slides]
    outcomes.sort(key=lambda outcome: outcome.slide_id)
    unscored = [slide.slide_id for slide in outcomes if reference.has_lesions and slide.reference.lacks_lesions]
    if mode is FrocMode.OFFICIAL and unscored:
        raise UsageError(
            f"the reference shows no lesions of {how_many(len(unscored), 'tumour slide')}: {few_ids(unscored)}"
        )
    known_patients = patient_outcomes(by_key, reference)
    return Comparison(
        mode=mode,
        slides=tuple(outcomes),
        patients=tuple(one for one in known_patients.outcomes if one.was_run),
        missing=tuple(sorted(missing)),
        unknown=tuple(sorted(subject.slide_id for key, subject in by_key.items() if key not in known)),
        not_judged=tuple(sorted(slide.slide_id for key, slide in known.items() if not by_key[key].judged)),
        unscored=tuple(unscored),
        patients_not_run=known_patients.not_run,
        made_with=made,
        notes=(
            *reference.notes,
            *_notes(outcomes, reference, mode, mpp_um),
            *_lesion_notes(outcomes, mode),
            *known_patients.notes,
        ),
        without_detections=tuple(sorted(unplaced)),
        stages_not_run=tuple(one for one in known_patients.outcomes if not one.was_run),
        nodes=known_patients.nodes,
    )


def _outcome(slide: ReferenceSlide, subject: Subject | None, mode: FrocMode, mpp_um: float | None) -> SlideOutcome:
    """A slide held against a reference that shows lesions."""
    hits = None if slide.lacks_lesions else _hits(slide, subject, mode, mpp_um)
    reason, pairing = _pairing(slide, subject)
    return SlideOutcome(slide, subject, hits, pairing, reason)


def _hits(slide: ReferenceSlide, subject: Subject | None, mode: FrocMode, mpp_um: float | None) -> SlideHits | None:
    """None where a slide is left out: without a result in official mode, normal and without one in the other, with a
    result and no places of what was found.

    A normal slide that nobody read has no false positives: as a slide it would raise the score. So would one of which
    a part was read and nothing found, but the organisers' script counts every slide that has a file.
    """
    detections = subject.detections if subject is not None and subject.has_result else None
    unplaced = subject is not None and subject.lacks_detections
    if detections is None and (mode is FrocMode.OFFICIAL or not slide.tumour or unplaced):
        return None
    if mode is FrocMode.EVERY_SLIDE and not slide.tumour and subject is not None and subject.open_negative:
        return None
    lesions = _lesions(slide, subject, mode, mpp_um) if slide.tumour else None
    if detections is None:
        nothing = DetectionList(slide.slide_id, *(np.zeros(0, dtype=np.float64) for _ in range(3)))
        return replace(judge(nothing, lesions, mode), has_result=False)
    return judge(detections, lesions, mode)


def _lesions(slide: ReferenceSlide, subject: Subject | None, mode: FrocMode, mpp_um: float | None) -> LesionMap:
    assert slide.lesions is not None
    info = None if subject is None or subject.report is None else subject.report.info
    size_px = None if info is None else (info.width_px, info.height_px)
    shown_from_px = (0.0, 0.0) if info is None else info.shown_from_px
    drawn = slide.lesions.mask(size_px, shown_from_px)
    if not drawn.tumour.any() and not slide.lesions.kind().tumour:
        raise UsageError(
            f"{slide.lesions.path.name} shows no tumour, but {slide.slide_id} is labelled tumour; correct one"
        )
    if mode is FrocMode.OFFICIAL:
        return replace(official_lesions(drawn.tumour), origin=drawn.origin, whole=drawn.whole)
    level0 = info.spacing if info is not None else Spacing.square(mpp_um or OFFICIAL_SPACING_UM)
    found = replace(measured_lesions(drawn.tumour, float(level0.mean)), origin=drawn.origin, whole=drawn.whole)
    return replace(found, itc=slide.lesions.itc(found, level0, shown_from_px))


def _pairing(slide: ReferenceSlide, subject: Subject | None) -> tuple[str, Pairing | None]:
    """Sizes can be compared where the slide was measured and its lesions, or their absence, are known.

    The reason why they can't, "" where they can and where that is told elsewhere: a slide without a report, or without
    lesions in the reference. Lesions of a slide without a class count as missed, if its spacing tells their size.
    """
    report = None if subject is None else subject.report
    if report is None or (slide.lesions is None and slide.tumour is not False):
        return "", None
    without_class = f"{report.status.value}, without a class"
    if report.info is None:
        return without_class, None
    lesions = slide.lesions.deposits(report.info.spacing, report.info.shown_from_px) if slide.lesions else ()
    if report.metastasis is None:
        missed = all_missed(slide.slide_id, lesions) if lesions else None
        return without_class + ("; its lesions count as missed" if lesions else ""), missed
    shapes = read_deposit_shapes(report)
    if shapes is None:
        return f"has no {DEPOSITS_GEOJSON}", None
    return "", pair(slide.slide_id, lesions, report.deposits, shapes)


def _notes(slides: Sequence[SlideOutcome], reference: Reference, mode: FrocMode, mpp_um: float | None) -> Iterator[str]:
    """What was assumed."""
    if assumed := [slide.slide_id for slide in slides if slide_key(slide.slide_id) not in reference.slides]:
        yield f"assumed normal: {how_many(len(assumed), 'slide')} without a mask or outline: {few_ids(assumed)}"
    unknown_spacing = any(slide.subject is not None and slide.report is None for slide in slides)
    if mode is FrocMode.EVERY_SLIDE and reference.has_lesions and unknown_spacing and mpp_um is None:
        used = f"{OFFICIAL_SPACING_UM} um/px was used for lesions; give another with --mpp"
        yield f"no pixel size is known, so {used}"


def _lesion_notes(slides: Sequence[SlideOutcome], mode: FrocMode) -> Iterator[str]:
    """What makes false positives of points that may be none, sizes of masks longer than they are, and lesions above 0.2
    mm isolated tumour cells, as pixels are coarse or are not the slide's own."""
    scored = [(slide, slide.hits) for slide in slides if slide.hits is not None and slide.reference.tumour]
    if outside := [slide.slide_id for slide, hits in scored if hits.outside]:
        yield f"points outside of the mask count as false positives; are x and y level-0 pixels? {few_ids(outside)}"
    if partly := [slide.slide_id for slide, _ in scored if slide.slide_id.casefold() in NOT_EXHAUSTIVE]:
        yield f"not every lesion is outlined, so a false positive may be tumour: {few_ids(partly)}"
    if any(slide.pairing is not None and slide.reference.on_mask for slide in slides):
        yield (
            f"sizes of masks at level 5 are up to about {CORNER_BIAS_PX} px ({CORNER_BIAS_PX * LEVEL_PX:.0f} of level "
            "0) too long, because they are measured from corner to corner. The bias of size, true classes, recall by "
            "class and the table of lesions by true size include this error: a lesion just below 0.2 or 2 mm may have "
            "the next class. Outlines avoid this"
        )
    if mode is FrocMode.EVERY_SLIDE and any(slide.reference.on_mask for slide, _ in scored):
        yield (
            f"on masks, lesions that exceed 200 um by up to {MASK_ITC_PX * LEVEL_PX:.0f} px of level 0 may count as "
            "isolated tumour cells and be left out of the lesion task; outlines avoid this"
        )
    tumour = [(slide.slide_id, slide.report) for slide in slides if slide.reference.tumour]
    sizes_um = {name: report.info.spacing.mean for name, report in tumour if report is not None and report.info}
    coarse = {name: float(um) for name, um in sizes_um.items() if um > OFFICIAL_SPACING_UM * _COARSER}
    if mode is FrocMode.OFFICIAL and coarse:
        longest_um = official_itc_um(max(coarse.values()))
        yield (
            f"the organisers' script assumes {OFFICIAL_SPACING_UM} um/px for every slide; on coarser slides, lesions "
            f"up to about {longest_um:.0f} um count as isolated tumour cells and are left out: {few_ids(coarse)}"
        )
