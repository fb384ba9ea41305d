"""Reviews that a patient's stage lacks, because they lie beside the stages in a folder of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nodescan.domain.flags import Flag
from nodescan.domain.naming import few
from nodescan.patients.earlier_stages import all_corrections_in, next_aside, places_aside, stages_in
from nodescan.patients.staging import PatientResult, Staging


def with_reviews_aside(staging: Staging, folder: Path) -> Staging:
    """With a note at each patient of whose slides one was reviewed earlier, and has no correction in this staging.

    folder: of the run. A review that stands there counts, too, for this staging will move it.
    """
    now = {correction.slide_id for correction in staging.corrections}
    places = {slide_id: names for slide_id, names in _places(folder).items() if slide_id not in now}
    return replace(staging, patients=tuple(_noted(result, places) for result in staging.patients))


def _places(folder: Path) -> Mapping[str, Sequence[str]]:
    """slide_id -> names of the folders that hold corrections of it, or will."""
    found: dict[str, list[str]] = {}
    for place in (*places_aside(folder), folder):
        name = (next_aside(folder) if place == folder else place).name
        for slide_id in {str(row.get("slide_id")) for row in all_corrections_in(stages_in(place) or {})}:
            found.setdefault(slide_id, []).append(name)
    return found


def _noted(result: PatientResult, places: Mapping[str, Sequence[str]]) -> PatientResult:
    slides = sorted({section.slide_id for section in result.staged.specimen.sections} & places.keys())
    if not slides:
        return result
    names = {name for slide_id in slides for name in places[slide_id]}
    in_order: list[str] = sorted(names, key=lambda name: (len(name), name))
    folders = few(in_order, 5)
    of_slides = f"slide{'s' * (len(slides) > 1)} {few(slides, 5)}"
    text = (
        f"A reader's corrections of {of_slides} have no part in this stage. They lie in {folders}. Repeat nodescan "
        "stage with --corrections; if they no longer hold, move what lies there out of the results folder."
    )
    return replace(result, notes=(Flag("review_aside", text), *result.notes))
