"""What the page says in sentences: the answer, what to look at first, and how sure it is."""

from nodescan.domain.classification import ITC_LIMIT_UM, MICRO_LIMIT_UM, Metastasis
from nodescan.domain.deposits import Deposit, Detection
from nodescan.domain.report import SlideReport, Status
from nodescan.reports.wording import CLASS_RULES, millimetres, percent, size_words, without_paths

_PLACES = 3
"""At most so many deposits or places of one kind under "Look here first": it is for the first minute."""

_CELLS_COULD_CHANGE_UM = 100.0
"""An ITC from here to 0.2 mm may hold more than 200 cells, and would then be a micrometastasis (clinical-rules 1)."""


def answer(report: SlideReport) -> str:
    """The sentence under the headline."""
    if report.status in (Status.FAILED, Status.UNMEASURABLE):
        return reason(report)
    if report.metastasis is None:
        return f"{_why_no_class(report)} This is not a negative result."
    if report.metastasis is Metastasis.NONE:
        return "No tumour found in the sections examined."
    said = f"Largest contiguous deposit {size_words(report.deposits[0])}: {CLASS_RULES[report.metastasis]}."
    if report.at_least:
        return f"{said} Not all tissue was examined, so the true class may be higher."
    return f"{said} In the sections examined."


def reason(report: SlideReport) -> str:
    """Why a slide could not be judged, in its flags' words."""
    said = " ".join(without_paths(flag.message, report) for flag in report.flags)
    return said or "No reason was recorded; see the run's log."


def look_first(report: SlideReport) -> tuple[str, ...]:
    """What deserves the reader's first minute, the most important first."""
    if report.status is Status.FAILED:
        return ("Read this slide under the microscope, or mend the cause above and run it again.",)
    if report.status is Status.UNMEASURABLE:
        return ("Find the spacing (um per pixel of the largest level) of this scanner and give it with --mpp.",)
    said = [_borderline(deposit) for deposit in report.deposits if deposit.borderline][:_PLACES]
    if report.deposits:
        largest = report.deposits[0]
        said.append(f"Deposit {largest.id}, the largest ({size_words(largest)}): {place(largest.centre_um)}.")
    if report.examined_fraction is not None and report.examined_fraction < 1:
        said.append(f"The tissue that was not examined ({_missed(report)}), hatched in the overview.")
    if report.metastasis is Metastasis.ITC:
        said.extend(_cells(deposit) for deposit in report.deposits if _cells_matter(deposit))
    if not report.deposits:
        said.extend(_likely(detection) for detection in _likeliest(report))
    return tuple(said[: 2 * _PLACES]) or ("Nothing stands out.",)


def how_sure(report: SlideReport) -> tuple[str, ...]:
    """What the answer rests on and how far it carries."""
    said: list[str] = []
    if report.deposits and report.metastasis is not None:
        said.append(_distance_to_limits(report.deposits[0]))
    if report.tumour_probability is not None:
        said.append(f"Tumour score of the slide: {report.tumour_probability:.2f} on a scale from 0 to 1.")
    if report.examined_fraction is not None and report.tissue_area_mm2:
        whole = report.examined_fraction >= 1
        share = "All" if whole else percent(report.examined_fraction)
        said.append(f"{share} of the tissue found ({report.tissue_area_mm2:.1f} mm²) was examined.")
    if any(deposit.cells is None for deposit in report.deposits):
        said.append("Tumour cells were not counted: the class follows from size alone.")
    if report.metastasis is not None:
        said.append("It speaks of the sections on this slide only; sizes are never added over deposits or sections.")
    return tuple(said)


def place(point_um: tuple[float, float]) -> str:
    """A place in words that hold in every viewer."""
    return f"{point_um[0] / 1000:.2f} mm from the left and {point_um[1] / 1000:.2f} mm from the top of the image"


def _why_no_class(report: SlideReport) -> str:
    if any(flag.code == "no_tissue" for flag in report.flags):
        return "No tissue was found on this slide."
    if report.examined_fraction is not None and report.examined_fraction < 1 and not report.deposits:
        return f"Nothing was found, but {percent(1 - report.examined_fraction)} of the tissue was not examined."
    return "No class can be given, for the reasons listed under “Flags”."


def _missed(report: SlideReport) -> str:
    assert report.examined_fraction is not None
    share = 1 - report.examined_fraction
    if report.tissue_area_mm2 is None:
        return percent(share)
    return f"{percent(share)}, {share * report.tissue_area_mm2:.2g} mm²"


def _borderline(deposit: Deposit) -> str:
    limit, lower, upper = _nearest_limit(deposit)
    return (
        f"Borderline: deposit {deposit.id} ({size_words(deposit)}) reaches the {limit / 1000:g} mm limit between "
        f"{lower} and {upper}. Measure it under the microscope."
    )


def _nearest_limit(deposit: Deposit) -> tuple[float, str, str]:
    """The limit nearest to its size and the classes on its two sides."""
    if abs(deposit.diameter_um - ITC_LIMIT_UM) < abs(deposit.diameter_um - MICRO_LIMIT_UM):
        return ITC_LIMIT_UM, "isolated tumour cells", "micrometastasis"
    return MICRO_LIMIT_UM, "micrometastasis", "macrometastasis"


def _distance_to_limits(deposit: Deposit) -> str:
    limit, lower, upper = _nearest_limit(deposit)
    if deposit.borderline:
        return f"The size's uncertainty reaches the {limit / 1000:g} mm limit: {lower} or {upper}."
    side = "above" if deposit.diameter_um > limit else "below"
    away = abs(deposit.diameter_um - limit)
    return (
        f"The largest size lies {millimetres(away)} mm {side} the nearest limit ({limit / 1000:g} mm), "
        "more than its uncertainty."
    )


def _cells_matter(deposit: Deposit) -> bool:
    return (
        deposit.cells is None
        and deposit.metastasis is Metastasis.ITC
        and deposit.diameter_um >= _CELLS_COULD_CHANGE_UM
        and deposit.id <= _PLACES
    )


def _cells(deposit: Deposit) -> str:
    return (
        f"Deposit {deposit.id} ({size_words(deposit)}): with more than 200 tumour cells it would be a "
        "micrometastasis; they were not counted."
    )


def _likeliest(report: SlideReport) -> list[Detection]:
    return sorted(report.detections, key=lambda detection: -detection.confidence)[:_PLACES]


def _likely(detection: Detection) -> str:
    where = place((detection.x_um, detection.y_um))
    return f"Likeliest place, below the limit for a deposit (score {detection.confidence:.2f}): {where}."
