"""From compared slides and patients to figures, each with its interval."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis
from nodescan.domain.staging import CAMELYON17
from nodescan.evaluation.agreement import confusion, kappa_of_numbers
from nodescan.evaluation.bootstrap import Estimate, estimate, estimates, share_by_unit, units_of
from nodescan.evaluation.compare import Comparison, SlideOutcome
from nodescan.evaluation.froc import Froc, FrocCurve
from nodescan.evaluation.operating_point import Calls, calls
from nodescan.evaluation.paired import Against
from nodescan.evaluation.size_figures import LargestTask, SizeTask, largest, sizes
from nodescan.evaluation.slide_auc import RocCurve, auc_of, roc_curve

CLASSES = tuple(found.word for found in Metastasis)
STAGES = tuple(rule.category for rule in CAMELYON17.rules)
NO_CLASS = "no class"

FEW_SLIDES = 30
"""With fewer slides of either kind, or patients, the AUC's interval is called approximate: its formula is one for many.
Of 40 patients with five slides each it held the true AUC in 93 to 95 of 100 simulated sets."""


@dataclass(frozen=True, slots=True)
class SlideTask:
    """One score a slide, tumour against normal. without_score: slides of the reference that gave none.

    in_part: those whose score is of what was examined alone, as they are incomplete; they count.
    """

    auc: Estimate
    curve: RocCurve
    n_tumour: int
    n_normal: int
    without_score: tuple[str, ...]
    in_part: tuple[str, ...]
    fewest_units: int | None = None

    @property
    def fewest(self) -> int:
        """Slides of the rarer kind, or patients with a slide of it, where these are fewer."""
        slides = min(self.n_tumour, self.n_normal)
        return slides if self.fewest_units is None else min(slides, self.fewest_units)


@dataclass(frozen=True, slots=True)
class LesionTask:
    """score: the mean of `sensitivities`, which are read at FALSE_POSITIVES a slide.

    n_slides: those with a result, which false positives are over. normal_left_out: normal slides without one;
    tumour_missed: tumour slides without one, whose lesions count as missed. normal_in_part: normal slides left out as
    nothing was found in the part that was examined; in_part: other incomplete slides, which count. without_detections:
    slides of either kind left out as they have no detections.csv.
    """

    score: Estimate
    sensitivities: tuple[Estimate, ...]
    curve: FrocCurve
    n_slides: int
    n_lesions: int
    normal_left_out: tuple[str, ...]
    tumour_missed: tuple[str, ...]
    normal_in_part: tuple[str, ...]
    in_part: tuple[str, ...]
    without_detections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassTask:
    """table : int64 (k, k + 1), the reference's word by row, the one found by column, "no class" first.

    kappa and accuracy are over those with a class.
    """

    rows: tuple[str, ...]
    table: NDArray[np.int64]
    kappa: Estimate
    accuracy: Estimate

    @property
    def columns(self) -> tuple[str, ...]:
        return (NO_CLASS, *self.rows)


@dataclass(frozen=True, slots=True)
class SubmissionTask:
    """kappa: of the stages in camelyon17_submission.csv, as the organisers score it: over all its patients.

    unread: those in it as pN0 though not read whole; n_absent: patients of the reference that aren't in it.
    """

    kappa: Estimate
    unread: tuple[str, ...]
    n_absent: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Every figure; None is one that the reference can't tell.

    without_class: slides of which the reference knows whether they show tumour and whose report has no class.
    by_patient: whether the slides of one patient were drawn together; False where no two are known to be of one.
    against: what the run was compared with, None where it was not. n_stages_not_run: patients whose true stage is known
    and of whom no slide was run.
    """

    slide_task: SlideTask | None
    lesion_task: LesionTask | None
    slide_classes: ClassTask | None
    stages: ClassTask | None
    sizes: SizeTask | None
    largest: LargestTask | None
    without_class: tuple[str, ...]
    by_patient: bool = False
    calls: tuple[Calls, ...] = ()
    against: Against | None = None
    submission: SubmissionTask | None = None
    node_classes: ClassTask | None = None
    n_stages_not_run: int = 0


def figures(comparison: Comparison) -> Figures:
    """Every figure that the comparison allows."""
    slide_classes = _slide_classes(comparison.slides)
    return Figures(
        slide_task=_slide_task(comparison.slides),
        lesion_task=_lesion_task(comparison),
        slide_classes=slide_classes,
        stages=_stages(comparison),
        node_classes=_node_classes(comparison),
        sizes=sizes(comparison.slides),
        largest=largest(comparison.slides),
        without_class=_without_class(comparison.slides),
        by_patient=_units(comparison.slides) is not None,
        calls=calls(comparison, classed=slide_classes is not None),
        submission=_submission(comparison),
        n_stages_not_run=len(comparison.stages_not_run),
    )


def _units(slides: Iterable[SlideOutcome]) -> NDArray[np.intp] | None:
    return units_of(slide.unit for slide in slides)


def _slide_task(slides: Sequence[SlideOutcome]) -> SlideTask | None:
    scored = [(slide, slide.score) for slide in slides if slide.reference.tumour is not None]
    with_score = [(slide, score) for slide, score in scored if score is not None]
    if not with_score:
        return None
    scores = np.array([score for _, score in with_score], dtype=np.float64)
    tumour = np.array([bool(slide.reference.tumour) for slide, _ in with_score])
    units = [slide.unit for slide, _ in with_score]
    kinds = [{unit for unit, own in zip(units, tumour.tolist(), strict=True) if own is kind} for kind in (True, False)]
    return SlideTask(
        auc=auc_of(scores, tumour, units_of(units)),
        fewest_units=min(map(len, kinds)),
        curve=roc_curve(scores, tumour),
        n_tumour=int(tumour.sum()),
        n_normal=int((~tumour).sum()),
        without_score=_names(slide for slide, score in scored if score is None),
        in_part=_names(slide for slide, _ in with_score if slide.in_part),
    )


def _lesion_task(comparison: Comparison) -> LesionTask | None:
    scored = [slide for slide in comparison.slides if slide.hits is not None]
    hits = [slide.hits for slide in scored if slide.hits is not None]
    froc = Froc(hits, comparison.mode)
    if froc.n_lesions == 0:
        return None

    def statistic(drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        found = froc.sensitivities(drawn)
        return np.append(found, found.mean())

    *sensitivities, score = estimates(len(hits), statistic, units=_units(scored))
    left_out = [slide for slide in comparison.slides if slide.hits is None and not slide.reference.tumour]
    normal = [slide for slide in left_out if slide.subject is None or not slide.subject.lacks_detections]
    missed = [slide for slide in scored if slide.hits is not None and not slide.hits.has_result]
    return LesionTask(
        score=score,
        sensitivities=tuple(sensitivities),
        curve=froc.curve(),
        n_slides=len(hits) - len(missed),
        n_lesions=froc.n_lesions,
        normal_left_out=_names(slide for slide in normal if not slide.in_part),
        tumour_missed=_names(missed),
        normal_in_part=_names(slide for slide in normal if slide.in_part),
        in_part=_names(slide for slide in scored if slide.in_part),
        without_detections=comparison.without_detections,
    )


def _names(slides: Iterable[SlideOutcome]) -> tuple[str, ...]:
    return tuple(slide.slide_id for slide in slides)


def _slide_classes(slides: Sequence[SlideOutcome]) -> ClassTask | None:
    """Only slides with a report: a list of detections has no class.

    None where the reference doesn't class every tumour slide: the normal ones alone would give a false picture.
    """
    if any(slide.reference.tumour and slide.reference.label is None for slide in slides):
        return None
    read = [(slide, slide.reference.label) for slide in slides if slide.report is not None]
    pairs = [
        (label.word, "" if slide.found is None else slide.found.word) for slide, label in read if label is not None
    ]
    names = [slide.unit for slide, label in read if label is not None]
    return class_task(pairs, CLASSES, names=names) if pairs else None


def _without_class(slides: Sequence[SlideOutcome]) -> tuple[str, ...]:
    """Slides that classes, calls and `largest` can't count: run, but incomplete with nothing found, or failed."""
    read = [slide for slide in slides if slide.report is not None and slide.reference.tumour is not None]
    return _names(slide for slide in read if slide.found is None)


def _stages(comparison: Comparison) -> ClassTask | None:
    pairs = [(patient.true_stage, patient.found_stage or "") for patient in comparison.patients]
    return class_task(pairs, STAGES) if pairs else None


def _node_classes(comparison: Comparison) -> ClassTask | None:
    nodes = [one for one in comparison.nodes if one.was_run]
    pairs = [(one.true_class.word, "" if one.found is None else one.found.word) for one in nodes]
    return class_task(pairs, CLASSES, names=[one.patient_id for one in nodes]) if pairs else None


def _submission(comparison: Comparison) -> SubmissionTask | None:
    stated = [(patient.true_stage, patient.submitted) for patient in comparison.patients]
    pairs = [(true, submitted) for true, submitted in stated if submitted is not None]
    if not pairs:
        return None
    unread = tuple(patient.patient_id for patient in comparison.patients if patient.submitted_unread)
    n_absent = len(comparison.patients_not_run) + len(stated) - len(pairs)
    return SubmissionTask(class_task(pairs, STAGES).kappa, unread, n_absent)


def class_task(
    pairs: Sequence[tuple[str, str]], order: tuple[str, ...], *, names: Sequence[Hashable] | None = None
) -> ClassTask:
    """found "" stands for no class: shown in its own column, and no part of kappa. names: the unit of each pair, see
    `units_of`; None: each is its own."""
    classed = [(true, found) for true, found in pairs if found]
    units = None if names is None else units_of(name for name, (_, found) in zip(names, pairs, strict=True) if found)
    codes = np.array([(order.index(true), order.index(found)) for true, found in classed], dtype=np.intp).reshape(-1, 2)
    table = confusion(pairs, order, ("", *order))

    def kappa(drawn: NDArray[np.intp]) -> float:
        return kappa_of_numbers(codes[drawn, 0], codes[drawn, 1], classes=len(order))

    right = codes[:, 0] == codes[:, 1]
    accuracy = share_by_unit(right, np.ones(len(codes)), units)
    return ClassTask(order, table, estimate(len(codes), kappa, units=units), accuracy)
