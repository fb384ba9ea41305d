"""Two runs of the same slides, figure by figure: the difference, resampled over slides that both have."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.classification import Metastasis
from nodescan.evaluation.agreement import kappa_of_numbers
from nodescan.evaluation.bootstrap import Estimate, estimates, units_of
from nodescan.evaluation.compare import Comparison, SlideOutcome, Unpaired
from nodescan.evaluation.slide_auc import roc_auc
from nodescan.reports.made_with import MadeWith
from nodescan.reports.wording import WITH_TUMOUR, settings_words
from nodescan.slides.slide_ids import slide_key


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both runs over the slides that both have it for. apart: the first less the second.

    name: as in evaluation.json. apart.n: the slides, or patients, that were resampled.
    """

    name: str
    first: float | None
    second: float | None
    apart: Estimate
    n_slides: int


@dataclass(frozen=True, slots=True)
class Against:
    """What a run was compared with. name: of the other run; made_with: what its reports were made with.

    unpaired: slides with lesions that a share of lesions found leaves out, and why.
    """

    name: str
    made_with: MadeWith | None
    differences: tuple[Difference, ...]
    unpaired: tuple[Unpaired, ...] = ()

    @property
    def made_words(self) -> str:
        """Model and own settings of the other run; "" where its reports name no model."""
        made = self.made_with
        return "" if made is None else ", ".join(filter(None, (made.model_words, settings_words(made.own_settings))))


_Pair = tuple[SlideOutcome, SlideOutcome]


def against(first: Comparison, second: Comparison, *, name: str) -> Against:
    """Both held against one reference. name: of the second run. A figure that no slide has in both is left out."""
    others = {slide_key(slide.slide_id): slide for slide in second.slides}
    keys = [(slide_key(slide.slide_id), slide) for slide in first.slides]
    both = [(_with_patient(slide, others[key]), others[key]) for key, slide in keys if key in others]
    found = [_auc(both), _kappa(both), *(_recall(both, kind) for kind in WITH_TUMOUR)]
    unpaired = tuple(_unpaired(both, name))
    return Against(name, second.made_with, tuple(one for one in found if one is not None), unpaired)


def _with_patient(slide: SlideOutcome, other: SlideOutcome) -> SlideOutcome:
    """The slide with its patient from the other run's manifest, where its own names none."""
    if slide.unit[0] == "patient" or other.unit[0] != "patient":
        return slide
    return replace(slide, reference=replace(slide.reference, patient_id=other.unit[1]))


def _auc(both: Sequence[_Pair]) -> Difference | None:
    known = [(slide, (slide.score, other.score)) for slide, other in both if slide.reference.tumour is not None]
    scored = [(slide, pair) for slide, pair in known if None not in pair]
    scores = np.array([pair for _, pair in scored], dtype=np.float64).reshape(-1, 2)
    tumour = np.array([bool(slide.reference.tumour) for slide, _ in scored], dtype=np.bool_)

    def of(run: int, drawn: NDArray[np.intp]) -> float:
        return roc_auc(scores[drawn, run], tumour[drawn])

    return _difference("slide_auc", [slide for slide, _ in scored], of)


def _kappa(both: Sequence[_Pair]) -> Difference | None:
    if any(a.reference.tumour and a.reference.label is None for a, _ in both):
        return None  # as in figures: the normal slides alone would give a false picture
    known = [(slide, (slide.reference.label, slide.found, other.found)) for slide, other in both]
    classed = [(slide, own) for slide, own in known if None not in own]
    codes = np.array([own for _, own in classed], dtype=np.intp).reshape(-1, 3)

    def of(run: int, drawn: NDArray[np.intp]) -> float:
        return kappa_of_numbers(codes[drawn, 0], codes[drawn, 1 + run], classes=len(Metastasis))

    return _difference("kappa_of_slide_classes", [slide for slide, _ in classed], of)


def _recall(both: Sequence[_Pair], kind: Metastasis) -> Difference | None:
    counts = [(slide, (_is_found(slide, kind), _is_found(other, kind))) for slide, other in both]
    kept = [(slide, runs) for slide, runs in counts if runs[0] and runs[0].keys() == runs[1].keys()]
    found = np.array([[sum(own.values()) for own in runs] for _, runs in kept], dtype=np.int64).reshape(-1, 2)
    there = np.array([len(runs[0]) for _, runs in kept], dtype=np.int64)

    def of(run: int, drawn: NDArray[np.intp]) -> float:
        return float(found[drawn, run].sum() / there[drawn].sum())

    return _difference(f"recall_{kind.word}", [slide for slide, _ in kept], of)


def _is_found(slide: SlideOutcome, kind: Metastasis) -> Mapping[int, bool]:
    """Whether each lesion of this true class is found, by its place among all lesions of the slide.

    Where runs have other pixel sizes, the same lesion may be of another true size, and so of another class.
    """
    if slide.pairing is None:
        return {}
    return {place: one.is_found for place, one in enumerate(slide.pairing.lesions) if one.true_class is kind}


def _unpaired(both: Sequence[_Pair], name: str) -> Iterator[Unpaired]:
    """Slides of which `_recall` leaves lesions out; those without a report are told of elsewhere. name: of the other
    run."""
    for slide, other in both:
        apart = [kind.word for kind in WITH_TUMOUR if _is_found(slide, kind).keys() != _is_found(other, kind).keys()]
        if not apart:
            continue
        if slide.pairing is not None and other.pairing is not None:
            here, there = (_pixel_size(one) for one in (slide, other))
            sizes = f"pixel size {here} here and {there} in {name}"
            yield Unpaired(slide.slide_id, f"{sizes}, so different lesions count as {' or '.join(apart)}")
        elif slide.pairing is None and slide.unpaired:
            yield Unpaired(slide.slide_id, slide.unpaired)
        elif slide.pairing is not None and other.unpaired:
            yield Unpaired(slide.slide_id, f"{other.unpaired} in {name}")


def _pixel_size(slide: SlideOutcome) -> str:
    info = None if slide.report is None else slide.report.info
    return "unknown um/px" if info is None else f"{float(info.spacing.mean):.4g} um/px"


def _difference(
    name: str, slides: Sequence[SlideOutcome], of: Callable[[int, NDArray[np.intp]], float]
) -> Difference | None:
    """of: the figure of run 0 or 1 over the slides that were drawn, NaN where it isn't defined."""
    if not slides:
        return None

    def statistic(drawn: NDArray[np.intp]) -> NDArray[np.float64]:
        one, other = of(0, drawn), of(1, drawn)
        return np.array([one, other, one - other])

    first, second, apart = estimates(len(slides), statistic, units=units_of(slide.unit for slide in slides))
    return Difference(name, first.value, second.value, apart, len(slides))
