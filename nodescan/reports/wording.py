"""How findings are put into words and numbers: one way for the page, the pictures and the tables."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from math import floor

from nodescan.domain.class_bounds import size_bound_holds
from nodescan.domain.classification import ITC_CELL_LIMIT, ITC_LIMIT_UM, MICRO_LIMIT_UM, Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.flags import FLAGS, codes_of
from nodescan.domain.lengths import size_in_mm, two_digits
from nodescan.domain.report import ModelIdentity, SlideReport, Status
from nodescan.domain.slide import SlideRef

CLASS_WORDS = {
    Metastasis.NONE: "Negative",
    Metastasis.ITC: "Isolated tumour cells",
    Metastasis.MICRO: "Micrometastasis",
    Metastasis.MACRO: "Macrometastasis",
}

WITH_TUMOUR = (Metastasis.ITC, Metastasis.MICRO, Metastasis.MACRO)

CLASS_RULES = {
    Metastasis.NONE: "no tumour found",
    Metastasis.ITC: "0.2 mm or smaller",
    Metastasis.MICRO: "larger than 0.2 mm, up to 2 mm",
    Metastasis.MACRO: "larger than 2 mm",
}

TILE_RULES = {
    **CLASS_RULES,
    Metastasis.ITC: f"0.2 mm or smaller, at most {ITC_CELL_LIMIT} cells",
    Metastasis.MICRO: f"larger than 0.2 mm, up to 2 mm, or more than {ITC_CELL_LIMIT} cells",
}
"""The rules beside a number of slides or nodes, of which some may have their class by cells (clinical-rules 1)."""

_LEFT_OUT = {
    "pen": "pen marks",
    "edge": "slide edges and scratches",
    "debris": "dust and debris",
    "small": "specks",
}

NOT_JUDGED_WORDS = "not judged"
"""Of a slide that the network can't judge, instead of what it says there."""

CUT_OFF = "cut off"
"""Of a deposit that ends where nobody looked, beside its size."""

UNMEASURED = "should contain the true size for about 95 % of compact deposits, but that was not measured for this model"
"""Of "±", where nothing says on which deposits its width was measured."""

_TOO_SMALL_WHERE = "a deposit merges with a false neighbour or breaks into pieces"

_NAME_LENGTH, _UID_DOTS, _LONG = 3, 3, 5
"""Signs of a word and dots of a UID that are a name, and signs of a number that no sentence has before a slash."""

SHORT_HEX = 8
"""Characters of a sha256 that stand where a reader compares two pages; the whole one stands under Provenance."""

NOT_COUNTED = "not assessed"

NOT_NEEDED = "not needed"
"""Cells of what is surely larger than 0.2 mm: their number can't change its class."""


def size_words(deposit: Deposit) -> str:
    """Size and uncertainty, e.g. "2.62 ± 0.05 mm"."""
    return size_in_mm(deposit.diameter_um, deposit.diameter_uncertainty_um)


def bound_words(size: str, *, at_least: bool) -> str:
    """The size of a largest deposit, "at least ..." where what wasn't seen may hold more of it, or a larger one."""
    return f"at least {size}" if at_least else size


def badges(deposit: Deposit, near: Sequence[Deposit]) -> tuple[str, ...]:
    """What must not be overlooked beside a deposit's size. near: those on whose sizes the slide's class hangs.

    What is within its uncertainty of a limit is borderline only among those, as in the flags (docs/flags.md).
    """
    limit = "borderline" if deposit in near else "near a limit"
    said = ((CUT_OFF, deposit.cut_off), (limit, deposit.borderline))
    return tuple(words for words, holds in said if holds)


def cell_words(deposit: Deposit) -> str:
    """Tumour cells and uncertainty, e.g. "62 ± 22"; where they were not counted, why."""
    if deposit.cells is None:
        small = deposit.diameter_um <= ITC_LIMIT_UM or cells_may_decide(deposit)
        return NOT_COUNTED if small else NOT_NEEDED
    return str(deposit.cells.number if deposit.cells.uncertainty is None else deposit.cells)


def cells_may_decide(deposit: Deposit) -> bool:
    """Whether its size reaches 0.2 mm and nobody counted its cells: if it is no larger, their number decides."""
    return deposit.cells is None and deposit.borderline and deposit.shortest_um <= ITC_LIMIT_UM


def found_words(deposit: Deposit, report: SlideReport) -> str:
    """A deposit's class in words; on a slide that was not judged it has none."""
    return NOT_JUDGED_WORDS.capitalize() if report.not_judged else CLASS_WORDS[deposit.metastasis]


def limit_words(found_from_um: float | None, *, whole: bool = True) -> str:
    """What finding nothing does not exclude, by the model's own detection limit; "" where its card says none.

    whole: whether all tissue was examined.
    """
    there = "" if whole else ", even in the tissue that was examined"
    if found_from_um is None:
        return ""
    missed = "Micrometastases" if ITC_LIMIT_UM < found_from_um <= MICRO_LIMIT_UM else "Deposits"
    return (
        f"{missed} up to about {found_from_um / 1000:g} mm, thin ones above all, and isolated tumour cells are not "
        f"excluded{there}: this model misses some of them on synthetic slides."
    )


def not_excluded_words(found_from_um: float | None) -> str:
    """The same in a few words, beside a headline; "" where the model's card says nothing."""
    if found_from_um is None:
        return ""
    return f"deposits below {found_from_um / 1000:g} mm not excluded (limit from synthetic slides)"


def uncertainty_words(model: ModelIdentity | None) -> str:
    """What "±" means in a report of this model: as measured on composite slides (docs/measured.md), or not measured.

    15 of 23 is of the released model's thin deposits.
    """
    if model is not None and not model.uncertainty_measured:
        return f"“±” {UNMEASURED}. It can be too small, above all where {_TOO_SMALL_WHERE}."
    return (
        "“±” should contain the true size for about 95 % of compact deposits; of thin ones it did for 15 of 23 "
        f"(released model). It can be too small where {_TOO_SMALL_WHERE}."
    )


def unseen_words(report: SlideReport) -> str:
    """Why there may be more than was found on a slide that is incomplete, or whose class is a lower bound."""
    if report.examined_fraction != 1:
        return "Not all tissue was examined"
    alone = "levels_disagree" not in codes_of(report.flags)
    return "The model may have missed tumour" if alone and untuned_words(report) else "Tissue may have been missed"


def not_whole_words(report: SlideReport) -> tuple[str, ...]:
    """Where to look on a slide that is incomplete though all tissue that was found was examined."""
    missed = {
        "levels_disagree": "it may hold tissue that was not found.",
        "model_not_tuned": "the model was not tuned in its present form, or failed on phantoms, and may have missed "
        "tumour.",
    }
    codes = codes_of(report.flags)
    return tuple(f"The whole slide under the microscope: {why}" for code, why in missed.items() if code in codes)


def messages(report: SlideReport, code: str) -> tuple[str, ...]:
    """What the flags of this code say."""
    return tuple(flag.message for flag in report.flags if flag.code == code)


def untuned_words(report: SlideReport) -> str:
    """What is said of a model that wasn't tuned; "" of one that was."""
    return next(iter(messages(report, "model_not_tuned")), "")


def slide_size_words(report: SlideReport) -> str:
    """The largest deposit's size, "at least 0.79 ± 0.02 mm" for a lower bound that holds; "" for none."""
    if report.not_judged:
        return NOT_JUDGED_WORDS
    largest = max(report.deposits, key=lambda deposit: deposit.diameter_um, default=None)
    return "" if largest is None else bound_words(size_words(largest), at_least=size_bound_holds(report))


def slide_score_words(score: float) -> str:
    """A slide's score, rounded down: never as high as what it is below."""
    return f"{floor(score * 1000) / 1000:.3f}"


def flag_title(code: str) -> str:
    """A flag's title: "not_he" is "Not H&E". A code that only another version knew is shown in its own words."""
    kind = FLAGS.get(code)
    return code.replace("_", " ").capitalize() if kind is None else kind.title


def causes_fixed(reports: Iterable[SlideReport]) -> str:
    """What must come before slides without a result are tried again: the start of a sentence."""
    unmeasurable = any(report.status is Status.UNMEASURABLE for report in reports)
    how = " (for a missing pixel size with --mpp UM, or the manifest's column mpp)" if unmeasurable else ""
    return f"After fixing the causes{how}"


def left_out_words(reason: str) -> str:
    """What an excluded area holds, in plain words: "small" becomes "specks"."""
    return _LEFT_OUT.get(reason, reason.replace("_", " "))


def percent(share: float) -> str:
    """A share of 1 in percent; never "100 %" unless it is whole, nor "0 %" unless it is nothing."""
    if share >= 1 or share <= 0:
        return f"{share:.0%}".replace("%", " %")
    for places in range(1, 12):
        text = f"{share * 100:.{places}f}"
        if 0 < float(text) < 100:
            return f"{text} %"
    return f"{share * 100!r} %"


def share_missed(share: float) -> str:
    """A share of the tissue that was not examined, in percent, with two digits as in the flags that say why."""
    hundredths = 100 * share
    return f"{two_digits(hundredths)} %" if 0.001 <= hundredths < 99.5 else percent(share)


def minute_words(when: datetime) -> str:
    """Day and minute."""
    return when.strftime("%Y-%m-%d %H:%M") + (" UTC" if when.utcoffset() == timedelta(0) else "")


def settings_words(own_settings: str) -> str:
    """That settings are a user's own; "" where they are the released ones. own_settings: see versions.own_settings."""
    return f"own settings ({own_settings[:SHORT_HEX]})" if own_settings else ""


def running_words(name: str, *known: str) -> str:
    """What stands on each printed sheet: whose page it is, and what tells it from others of that name."""
    said = ", ".join(filter(None, known))
    return f"{name} \u00b7 {said}" if said else name


def without_paths(text: str, report: SlideReport) -> str:
    """The text with the slide's folder taken out: reports travel, and folder names may name a patient. So may the
    file's name: where a manifest gave the slide another, that stands in its place."""
    path = report.slide.path
    places = {path}
    with suppress(FileNotFoundError):  # the working directory is gone
        places.add(path.absolute())
    for place in sorted(places, key=lambda place: -len(str(place))):
        text = text.replace(str(place), place.name)
        folder = str(place.parent)
        if place.is_absolute() and place.parent != place.parent.parent:
            text = text.replace(folder, "the slide's folder")
    return _with_id(text, report.slide) if report.slide.renamed else text


def _with_id(text: str, slide: SlideRef) -> str:
    """The text with the slide_id for the file's name, also in names made of it: a folder or file beside it, or the copy
    that a command makes.

    Only where no number, no common word and no run.log can be meant: "0" stands in sizes, "um" in units, "a" in
    sentences.
    """
    path, begins = slide.path, r"(?<![\w.-])"  # not inside a slide_id: what is read back is put into words again
    suffix = "" if path.suffix[1:].isdigit() else path.suffix  # as of a DICOM file, 1.2.840.7
    is_word = path.name.islower() and path.name.isalpha()
    if suffix or (_is_name(path.name) and not is_word):
        text = re.sub(rf"{begins}{re.escape(path.name)}(?!\w)", lambda _: slide.slide_id + suffix, text)
    after = r"/|\.[A-Za-z]|-\w+\.tif" if _is_name(path.stem) or len(path.stem) >= _LONG else r"-\w+\.tif"
    return re.sub(rf"{begins}(?!run\.log\b){re.escape(path.stem)}(?={after})", lambda _: slide.slide_id, text)


def _is_name(word: str) -> bool:
    """Whether it can be nothing but a name: letters with digits, or three and more with a letter, or as a DICOM UID."""
    letters, digits = (any(map(kind, word)) for kind in (str.isalpha, str.isdigit))
    return (letters and (digits or len(word) >= _NAME_LENGTH)) or word.count(".") >= _UID_DOTS
