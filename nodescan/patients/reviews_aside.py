"""Corrections that a patient's stage lacks, because they lie beside the stages in a folder of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nodescan.domain.flags import Flag
from nodescan.domain.naming import few
from nodescan.patients.applied import Applied, lacking
from nodescan.patients.earlier_stages import next_aside, places_aside, stored_corrections
from nodescan.patients.staging import PatientResult, Staging

_NAMED = 5
"""So many corrections, readers and folders stand in a note."""


def with_reviews_aside(staging: Staging, folder: Path) -> Staging:
    """With a note at each patient of whose slides one was corrected earlier, as nobody says it in this staging.

    It doesn't matter who corrected it: another reader, or the same one, who said something else. A comment or a day
    that was changed takes nothing out of the stage. folder: of the run. A review that stands there counts, too, for
    this staging will move it.
    """
    places = [(place.name, place) for place in places_aside(folder)] + [(next_aside(folder).name, folder)]
    given = [_without_remarks(one) for one in staging.corrections]
    aside = {name: lacking(map(_without_remarks, stored_corrections(place)), given) for name, place in places}
    return replace(staging, patients=tuple(_noted(result, aside) for result in staging.patients))


def _noted(result: PatientResult, aside: Mapping[str, Sequence[Applied]]) -> PatientResult:
    """aside: name of a folder -> the corrections there that the staging lacks."""
    slides = {section.slide_id for section in result.staged.specimen.sections}
    own = {name: [one for one in corrections if one.slide_id in slides] for name, corrections in aside.items()}
    lost = [one for corrections in own.values() for one in corrections]
    if not lost:
        return result
    readers = few(sorted({one.by for one in lost}), _NAMED)
    what = few(list(dict.fromkeys(map(_words, lost))), _NAMED)
    folders = few([name for name, corrections in own.items() if corrections], _NAMED)
    text = (
        f"Earlier corrections by {readers} have no part in this stage: {what}. They lie in {folders}, with the stage "
        "that they gave. Decide which still hold, and repeat nodescan stage with these in the file of --corrections. "
        "Once none of the others is needed, move what lies there out of the results folder."
    )
    return replace(result, notes=(Flag("review_aside", text), *result.notes))


def _without_remarks(one: Applied) -> Applied:
    return replace(one, comment="", date="")


def _words(one: Applied) -> str:
    """A correction in a list of several: "resize of deposit 1 on slide a1 (macro, 2.30 mm)"."""
    number = "" if one.deposit_id is None or one.centre_um is not None else f" of deposit {one.deposit_id}"
    after = f" ({one.after})" if one.after else ""
    return f"{one.action}{number} on slide {one.slide_id}{after}"
