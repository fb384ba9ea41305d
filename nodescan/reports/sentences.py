"""What the page says in sentences: the answer, and how sure it is."""

from collections.abc import Sequence

from nodescan.domain.class_bounds import (
    LowerBy,
    bound_holds,
    cut_and_open,
    decided_by_cells,
    lower_by,
    nearest_limit,
)
from nodescan.domain.classification import ITC_LIMIT_UM, CellCount, Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import JOINING_GAPS_UM, dispersed_count
from nodescan.domain.flags import NOT_JUDGED, codes_of
from nodescan.domain.lengths import told_apart
from nodescan.domain.naming import few
from nodescan.domain.report import Outcome, SlideReport, Status
from nodescan.domain.verdict import deciding
from nodescan.reports.class_doubts import class_doubts, joining_doubt
from nodescan.reports.wording import (
    CLASS_RULES,
    limit_words,
    percent,
    share_missed,
    size_words,
    unseen_words,
    untuned_words,
    without_paths,
)


def answer(report: SlideReport) -> str:
    """The sentence under the headline."""
    if report.status.without_result:
        why = f"{reason(report).rstrip('.')}."
        named = not why.partition(" ")[0].isalpha()  # it begins with a file's name
        return why if named else f"{why[:1].upper()}{why[1:]}"
    from_um = None if report.model is None else report.model.found_from_um
    if report.metastasis is None:
        return f"{_why_no_class(report)} This is not a negative result."
    if report.metastasis is Metastasis.NONE:
        said = ("No tumour was found in the sections examined.", limit_words(from_um), _of_joining(report))
        return " ".join(filter(None, said))
    rule = _by_cells(report.deposits) if decided_by_cells(report) else CLASS_RULES[report.metastasis]
    measured = "as measured, " if report.size_at_least and report.metastasis < Metastasis.MACRO else ""
    said = f"Largest contiguous deposit: {measured}{rule}{_unsure(report)}."
    more = _what_more(report) if report.at_least else ""
    return " ".join(filter(None, (said, more, _of_joining(report))))


def _of_joining(report: SlideReport) -> str:
    """What the class would be if other areas formed one deposit; where to look is said below."""
    near = "specks too small to count" if report.metastasis is Metastasis.NONE else "near foci"
    higher = "a macrometastasis" if report.metastasis is Metastasis.MICRO else "a micrometastasis or larger"
    said = {
        "may_be_one_deposit": f"What was found may be part of a longer deposit, {higher}",
        "joining_gap": f"The class depends on whether {near} are one deposit",
        "may_be_two_foci": "What was measured as one deposit may be two, and the class then lower",
    }.get(joining_doubt(report), "")
    return f"{said}: see “Look here first”." if said else ""


def _what_more(report: SlideReport) -> str:
    """Why the class is a lower bound."""
    assert report.metastasis is not None
    if report.metastasis is Metastasis.MACRO:
        return f"{unseen_words(report)}, so there may be larger or more deposits."
    why = f"{_cut_off_words(report)} cut off" if report.status is Status.COMPLETE else unseen_words(report)
    reasons = [f"the {reason}" for reason in lower_by(report) if reason in (LowerBy.SIZE, LowerBy.CELLS)]
    lower = f", or lower because of {' and '.join(reasons)}" if reasons else ""
    return f"{why}, so the true class may be higher{lower}."


def doubt(report: SlideReport) -> str:
    """Words beside the headline for what must not be overlooked; empty where there is nothing."""
    said = [report.status.value] if report.status is not Status.COMPLETE else ["cut off"] if report.at_least else []
    told = report.class_at_least and not bound_holds(report)  # then the doubts say so, too
    return "; ".join((*(() if told else said), *class_doubts(report)))


def _unsure(report: SlideReport) -> str:
    """Whose size may change the class: the largest deposit's where it can, else another's; "" where none can."""
    near = deciding(report.deposits)
    if not near:
        return ""
    if near[0] is report.deposits[0]:
        return ", but so near the limit that this is uncertain"
    limit, _, _ = nearest_limit(near[0])
    return f"; but the size of deposit {near[0].id} ({size_words(near[0])}) reaches the {limit / 1000:g} mm limit"


def reason(report: SlideReport) -> str:
    """Why a slide could not be judged, in its flags' words: of one that was looked at, in those of the first."""
    why = report.flags if report.outcome is Outcome.NOT_READ else report.flags[:1]
    said = " ".join(without_paths(flag.message, report) for flag in why)
    return said or "No reason was recorded. See the run's log."


def how_sure(report: SlideReport) -> tuple[str, ...]:
    """What the answer rests on and how far it carries."""
    doubts = _doubts(report)
    said = [doubts, _share_seen(report), "" if doubts else _distance_to_limits(report), _limit(report)]
    if report.metastasis is not None:
        alone = " Sizes of several deposits or sections are never added." if report.deposits else ""
        covers = f"The finding covers only the sections on this slide.{alone}"
        said += [_counting(report), _joining(report), covers]
    return tuple(filter(None, said))


def _doubts(report: SlideReport) -> str:
    """What the class may hang on, as beside the headline."""
    said = "; ".join(class_doubts(report))
    return f"{f'The class {said}' if said.startswith('may be') else f'{said[:1].upper()}{said[1:]}'}." if said else ""


def _share_seen(report: SlideReport) -> str:
    """Of the tissue, what was examined, or not judged; "" where all was examined, which stands under the answer."""
    seen = report.examined_fraction
    if seen is None or not report.tissue_area_mm2 or (seen >= 1 and not report.not_judged):
        return ""
    share = "All" if seen >= 1 else percent(seen)
    done = "shown to the network, which can't judge it" if report.not_judged else "examined"
    return f"{share} of the tissue found ({report.tissue_area_mm2:.1f} mm²) was {done}."


def _why_no_class(report: SlideReport) -> str:
    match report.outcome:
        case Outcome.NO_TISSUE:
            return "No tissue was found on this slide."
        case Outcome.NOT_JUDGED:
            why = next(flag.message for flag in report.flags if flag.code in NOT_JUDGED)
            return without_paths(why, report)
        case Outcome.NOTHING_EXAMINED:
            return "None of the tissue was examined."
    if report.examined_fraction is not None and report.examined_fraction < 1 and not report.deposits:
        return f"Nothing was found, but {share_missed(1 - report.examined_fraction)} of the tissue was not examined."
    return untuned_words(report) or "No class can be given, for the reasons listed under “Flags”."


def _cut_off_words(report: SlideReport) -> str:
    names = [str(deposit.id) for deposit in cut_and_open(report)]
    return f"Deposit {names[0]} is" if len(names) == 1 else f"Deposits {few(names, 5)} are"


def _distance_to_limits(report: SlideReport) -> str:
    """How far the largest size is from the nearest limit.

    "" where cells give its class, or it is cut off.
    """
    if report.metastasis is None or not report.deposits:
        return ""
    largest = report.deposits[0]
    if largest.raised_by_cells or largest in cut_and_open(report):
        return ""
    limit, _, _ = nearest_limit(largest)
    side = "above" if largest.diameter_um > limit else "below"
    away, unsure = told_apart(abs(largest.diameter_um - limit), largest.diameter_uncertainty_um)
    return (
        f"The largest size lies {away} mm {side} the nearest limit ({limit / 1000:g} mm), "
        f"more than its uncertainty ({unsure} mm)."
    )


def _by_cells(deposits: Sequence[Deposit]) -> str:
    """Whose cells make a micrometastasis of what is ITC by size: the largest deposit's, another's, or all together."""
    raised = next((deposit for deposit in deposits if deposit.raised_by_cells), None)
    if raised is deposits[0]:
        return "0.2 mm or smaller, but with more than 200 tumour cells"
    if raised is not None:
        return f"0.2 mm or smaller, but deposit {raised.id} has more than 200 tumour cells"
    cells = dispersed_count(deposits) or CellCount(0)
    return f"0.2 mm or smaller, but with {cells} tumour cells over the dispersed foci"


def _counting(report: SlideReport) -> str:
    """What the cells had to do with the class; "" where they can't change it."""
    small = [deposit for deposit in report.deposits if deposit.diameter_um <= ITC_LIMIT_UM]
    if not small:
        return ""
    if decided_by_cells(report):
        return "The class follows from the number of tumour cells, which is an estimate. Review the count."
    missed = sum(deposit.cells is None for deposit in small)
    if missed == len(small):
        return "Tumour cells were not counted, so the class follows from size alone."
    left = f", but not in {missed} of {len(small)}" if missed else ""
    return f"Tumour cells were counted in deposits up to 0.2 mm{left}. The counts are estimates."


def _joining(report: SlideReport) -> str:
    """That no gap would change the class (clinical-rules 2); where one would, or they may be one, a flag says so."""
    codes = codes_of(report.flags)
    if joining_doubt(report) or report.n_foci < 2 or report.metastasis is Metastasis.MACRO:
        return ""
    *smaller, widest = (f"{gap_um:g}" for gap_um in JOINING_GAPS_UM if gap_um > 0)
    apart = ", or joining none," if "foci_joined" in codes else ""
    gaps = f"{', '.join(smaller)} or {widest} µm"
    return f"Joining foci across gaps of {gaps}{apart} would not change the class."


def _limit(report: SlideReport) -> str:
    """What a slide doesn't exclude where nothing was found in the part examined, or isolated tumour cells alone: these
    leave a node as negative as none. A negative slide says it in the answer."""
    unclassed = report.metastasis is None and not report.status.without_result
    in_vain = unclassed and report.outcome is Outcome.JUDGED and not report.deposits
    if report.model is None or not (in_vain or report.metastasis is Metastasis.ITC):
        return ""
    return limit_words(report.model.found_from_um, whole=report.examined_fraction == 1)
