"""Lesions of the reference that no measured size can be held against, so that lesions.csv lists them all the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nodescan.domain.classification import Metastasis
from nodescan.domain.units import Spacing
from nodescan.evaluation.compare import SlideOutcome

NOT_RUN, NO_OUTLINES = "not_run", "no_outlines"
"""Why: the slide has no report, or its report has no deposits.geojson. Else a report's status says why."""

_ANY = Spacing.square(1.0)
"""What lesions are counted by where no spacing is known."""


@dataclass(frozen=True, slots=True)
class UnmeasuredLesion:
    """true_um, true_class: None where the slide's pixel size isn't known, and the reference doesn't state sizes.

    why: NOT_RUN, NO_OUTLINES, or the status of a report without a pixel size.
    """

    slide_id: str
    true_um: float | None
    true_class: Metastasis | None
    why: str


def unmeasured_lesions(slides: Sequence[SlideOutcome]) -> tuple[UnmeasuredLesion, ...]:
    """Of all slides without a pairing whose lesions the reference shows; none where no slide has a report, as challenge
    files have none.

    Raises AnnotationError for a lesion file that can't be read.
    """
    if all(slide.report is None for slide in slides):
        return ()
    return tuple(lesion for slide in slides if slide.pairing is None for lesion in _lesions(slide))


def _lesions(slide: SlideOutcome) -> Iterator[UnmeasuredLesion]:
    file, report = slide.reference.lesions, slide.report
    if file is None:
        return
    info = None if report is None else report.info
    deposits = file.deposits(_ANY) if info is None else file.deposits(info.spacing, info.shown_from_px)
    sized = info is not None or file.kind_of_file == "truth"
    why = NOT_RUN if report is None else report.status.value if info is None else NO_OUTLINES
    for deposit in deposits:
        size, kind = (deposit.diameter_um, deposit.metastasis) if sized else (None, None)
        yield UnmeasuredLesion(slide.reference.slide_id, size, kind, why)
