"""What the page says under “Look here first”: what deserves the reader's first minute."""

from typing import NamedTuple

from nodescan.domain.class_bounds import OF_WHOLE_SLIDE, cut_and_open, hanging_on_cells, nearest_limit
from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.flags import NOT_SHOWN, UNEXAMINED, codes_of
from nodescan.domain.lengths import two_digits
from nodescan.domain.report import Outcome, SlideReport
from nodescan.domain.verdict import REVIEW_ITC_UM, deciding
from nodescan.imaging.detections import MOST_PLACES, STRONG, likeliest_places
from nodescan.reports.class_doubts import joining_doubt
from nodescan.reports.places import LETTERS, centre, scanned_from_um, score_words, short_place
from nodescan.reports.wording import cell_words, cells_may_decide, messages, not_whole_words, share_missed, size_words


def look_first(report: SlideReport) -> tuple[str, ...]:
    """What deserves the reader's first minute, the most important first."""
    said: list[str] = []
    if report.status.without_result:
        said.append(
            "Fix the cause above and run the slide again. Until then, read it under the microscope. Record its class "
            "as a correction with the action “read”: then it counts in the patient's stage."
        )
    match report.outcome:
        case Outcome.NOT_READ:
            return tuple(said)
        case Outcome.NO_TISSUE:
            return ("The slide itself: it may hold tissue that was not recognised.",)
        case Outcome.NOT_JUDGED:
            return ("The whole slide under the microscope: the network's answers on it mean nothing.",)
    said.extend(message for code in OF_WHOLE_SLIDE for message in messages(report, code))
    said.extend(not_whole_words(report))
    said.extend(messages(report, joining_doubt(report))[:1])
    near = deciding(report.deposits) if report.metastasis is not None else ()
    said.extend(_deposits(report, near))
    if report.examined_fraction is not None and report.examined_fraction < 1:
        hatched = "" if codes_of(report.flags) & NOT_SHOWN else ", hatched in the overview"
        said.append(f"The tissue that was not examined ({_missed(report)}){hatched}. Read it under the microscope.")
    said.extend(f"{message} It counts as examined." for message in messages(report, "small_pale_area"))
    said.extend(_likeliest(report))
    return tuple(said) or ("Nothing stands out.",)


def told_whole(report: SlideReport) -> frozenset[str]:
    """Codes of the flags that look_first tells with all that they say."""
    if report.outcome not in (Outcome.JUDGED, Outcome.NOTHING_EXAMINED):
        return frozenset()
    near = deciding(report.deposits) if report.metastasis is not None else ()
    named = {deposit.id for deposit in _worth_a_look(report, near)}
    of_sizes = (("deposit_cut_off", _cut(report)), ("borderline", near))
    told = (code for code, deposits in of_sizes if deposits and named.issuperset(one.id for one in deposits))
    return frozenset({*OF_WHOLE_SLIDE, "small_pale_area", joining_doubt(report), *told})


def _missed(report: SlideReport) -> str:
    """How much of the tissue was not examined, and why."""
    assert report.examined_fraction is not None
    share, codes = 1 - report.examined_fraction, codes_of(report.flags)
    area = "" if report.tissue_area_mm2 is None else f", {two_digits(share * report.tissue_area_mm2)} mm²"
    why = ", ".join(words for code, words in UNEXAMINED.items() if code in codes)
    return f"{share_missed(share)}{area}{f'; {why}' if why else ''}"


def _worth_a_look(report: SlideReport, near: tuple[Deposit, ...]) -> tuple[Deposit, ...]:
    """Deposits on which the class hangs, those cut off first, then the largest: at most MOST_PLACES of each kind.

    near: those on whose sizes it hangs.
    """
    kinds = (_cut(report), near, hanging_on_cells(report), report.deposits)
    first = {deposit.id: deposit for kind in kinds for deposit in kind[:MOST_PLACES]}
    return tuple(first.values())


def _deposits(report: SlideReport, near: tuple[Deposit, ...]) -> tuple[str, ...]:
    """Size and place of each deposit that is worth a look, and what its class hangs on; what holds for several is said
    once, below them.

    near: those on whose sizes the slide's class hangs.
    """
    shown = _worth_a_look(report, near)
    notes = {deposit.id: _notes(deposit, report, near) for deposit in shown}
    sharing: dict[_Note, list[int]] = {}
    for number, of_one in notes.items():
        for note in of_one:
            sharing.setdefault(note, []).append(number)
    together: dict[tuple[int, ...], list[str]] = {}
    for note, numbers in sharing.items():
        if len(numbers) > 1:
            together.setdefault(tuple(sorted(numbers)), []).append(note.of_several)
    said: list[str] = []
    for deposit in shown:
        largest = ", the largest" if deposit is report.deposits[0] and report.n_foci > 1 else ""
        own = [note.of_one for note in notes[deposit.id] if len(sharing[note]) == 1]
        where = f"Deposit {deposit.id}{largest}, {size_words(deposit)} ({short_place(deposit.centre_um, report)})."
        said.append(" ".join((where, *own)))
    said.extend(f"Deposits {_listed(numbers)} {' They '.join(words)}" for numbers, words in together.items())
    return tuple(said)


class _Note(NamedTuple):
    """What is said of one deposit, and of several after "Deposits 1 and 2"."""

    of_one: str
    of_several: str


def _notes(deposit: Deposit, report: SlideReport, near: tuple[Deposit, ...]) -> tuple[_Note, ...]:
    """What the class of a deposit hangs on, and what to do."""
    said: list[_Note] = []
    cut, borderline = deposit in _cut(report), deposit in near
    if cut:
        end = f"cut off, at {_ends(report)}, and may be larger."
        do = "Scan what is missing." if borderline else "Measure under the microscope, or scan what is missing."
        said.append(_Note(f"It is {end} {do}", f"are {end} {do}"))
    if borderline:
        limit, lower, upper = nearest_limit(deposit)
        end = f"the {limit / 1000:g} mm limit between {lower} and {upper}. Measure under the microscope."
        one, several = "It is borderline: its size reaches", "are borderline: their sizes reach"
        said.append(_Note(f"{one} {end}", f"{several} {end}"))
    if deposit in hanging_on_cells(report):
        end = f"{cell_words(deposit)} tumour cells. Count them: more than 200 are a micrometastasis."
        said.append(_Note(f"Its class depends on {end}", f"each depend on {end}"))
    elif report.metastasis is Metastasis.ITC and _cells_matter(deposit):
        end = "not counted: with more than 200 tumour cells"
        one = f"Its cells were {end} it would be a micrometastasis."
        said.append(_Note(one, f"have cells that were {end} each would be a micrometastasis."))
    elif borderline and cells_may_decide(deposit):
        said.append(
            _Note(
                "If it is 0.2 mm or smaller, count its cells: more than 200 are a micrometastasis.",
                "need a count of cells if 0.2 mm or smaller: more than 200 are a micrometastasis.",
            )
        )
    return tuple(said)


def _listed(numbers: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _cut(report: SlideReport) -> tuple[Deposit, ...]:
    """Deposits that are cut off: where that could raise the class, and on a slide without one."""
    if report.metastasis is not None:
        return cut_and_open(report)
    return tuple(deposit for deposit in report.deposits if deposit.cut_off)


def _ends(report: SlideReport) -> str:
    """Where a deposit of this slide may be cut off."""
    ink = "a pen mark" if "tissue_meets_ink" in codes_of(report.flags) else ""
    unseen = "tissue that was not examined" if report.examined_fraction != 1 else ""
    *others, last = filter(None, (ink, "the edge of the scan", unseen))
    return f"{', '.join(others)} or {last}" if others else last


def _cells_matter(deposit: Deposit) -> bool:
    """Whether a count that nobody made could raise its class; told of the largest alone, for many may be as small."""
    small = deposit.metastasis is Metastasis.ITC and deposit.diameter_um >= REVIEW_ITC_UM
    return deposit.cells is None and small and deposit.id <= MOST_PLACES


def _likeliest(report: SlideReport) -> tuple[str, ...]:
    """The likeliest places outside of deposits, by their letters where the overview marks them."""
    places = likeliest_places(report.detections, report.deposits)
    seed = None if report.model is None else report.model.seed_threshold
    marked = not report.deposits and not codes_of(report.flags) & NOT_SHOWN
    said: list[str] = []
    for number, found in enumerate(places):
        name = "Next likeliest" if number else "Likeliest place"
        if marked:
            name = f"Place {LETTERS[number]}{'' if number else ', the likeliest'}"
        small = ", though it may be a small one" if found.confidence > STRONG else ""
        what = "" if number else f", not taken for a deposit{small}"
        score = score_words(found, seed)
        seed = None if seed is not None and found.confidence < seed else seed  # what a deposit needs is said once
        where = short_place((found.x_um, found.y_um), report)
        numbers = f"; in corrections {centre((found.x_um, found.y_um))} µm"
        said.append(f"{name}{what}: {score} ({where}{numbers if any(scanned_from_um(report)) else ''}).")
    return tuple(said)
