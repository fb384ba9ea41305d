"""`nodescan evaluate`: a run, or any system's challenge files, against a reference."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from nodescan.commands import grouped_help as groups
from nodescan.commands.options import COMPLETE, NOT_COMPLETE, check_mpp, mpp_option
from nodescan.commands.tables import print_json
from nodescan.errors import UsageError
from nodescan.evaluation import EVALUATION
from nodescan.streams import tell

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from collections.abc import Mapping, Sequence

    from nodescan.evaluation.compare import Comparison
    from nodescan.evaluation.figures import Figures
    from nodescan.evaluation.provenance import Occasion
    from nodescan.evaluation.slide_results import Subject

Out = Annotated[
    Path | None,
    typer.Argument(
        metavar="OUT", help="Results folder of a run whose reports are scored.", rich_help_panel=groups.SCORED
    ),
]
ReferenceOption = Annotated[
    Path,
    typer.Option(
        "--reference",
        metavar="CSV|FOLDER",
        help="A CSV of labels, or a folder with one mask (at pyramid level 5) or one outline file per slide.",
        rich_help_panel=groups.SCORED,
    ),
]
Detections = Annotated[
    Path | None,
    typer.Option(
        "--detections",
        metavar="DIR",
        help="Score a folder of challenge files (CSV: confidence,x,y) instead of a run.",
        rich_help_panel=groups.SCORED,
    ),
]
Mpp = Annotated[
    float | None,
    mpp_option(
        "Pixel size at full resolution (um per pixel) where no report states it, as with --detections.",
        group=groups.SCORED,
    ),
]
Official = Annotated[
    bool,
    typer.Option(
        "--official",
        help="Compute the lesion score as CAMELYON16's organisers do.",
        rich_help_panel=groups.SCORING,
    ),
]
AsSubmitted = Annotated[
    bool,
    typer.Option(
        "--as-submitted",
        help="With --official: score only the slides that have a result, as the organisers' script does.",
        rich_help_panel=groups.SCORING,
    ),
]
AgainstOption = Annotated[
    Path | None,
    typer.Option(
        "--against",
        metavar="OTHER",
        help="Results folder of another run of the same slides: also give how far slide AUC, kappa and the shares of "
        "lesions found differ.",
        rich_help_panel=groups.SCORING,
    ),
]
To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="DIR",
        help="Folder for the evaluation.",
        show_default=f"OUT/{EVALUATION}",
        rich_help_panel=groups.RESULTS,
    ),
]
CamelyonCsv = Annotated[
    Path | None,
    typer.Option(
        "--camelyon-csv",
        metavar="DIR",
        help="Also write the run's detections as challenge files.",
        rich_help_panel=groups.RESULTS,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the content of evaluation.json.", rich_help_panel=groups.RESULTS)
]


def evaluate(
    reference: ReferenceOption,
    out: Out = None,
    detections: Detections = None,
    official: Official = False,
    as_submitted: AsSubmitted = False,
    camelyon_csv: CamelyonCsv = None,
    mpp: Mpp = None,
    other: AgainstOption = None,
    to: To = None,
    as_json: AsJson = False,
) -> int:
    """Score a run, or the challenge files of any system, against masks, outlines or labels.

    Figures have 95 % intervals.
    """
    _check_options(out, detections, mpp, official=official, as_submitted=as_submitted)
    _check_other(out, other)
    from nodescan.evaluation.compare import compare
    from nodescan.evaluation.evaluation_files import check_evaluation_place, evaluation_as_json, write_evaluation
    from nodescan.evaluation.figures import figures
    from nodescan.evaluation.froc import FrocMode
    from nodescan.evaluation.paired import against
    from nodescan.evaluation.provenance import occasion_of
    from nodescan.evaluation.reference import read_reference
    from nodescan.evaluation.slide_results import subjects_of_challenge, subjects_of_run
    from nodescan.whole_files import refuse_link

    truth = read_reference(reference)
    scored = cast("Path", detections) if out is None else out
    occasion = occasion_of(
        reference, truth, scored=scored, as_submitted=as_submitted, mpp_um=mpp
    )  # before the reports are read: whatever is scanned from now on is later
    subjects = subjects_of_challenge(scored) if out is None else subjects_of_run(out)
    read = (("--reference", reference), ("--detections", detections))
    folder = to or (None if out is None else out / EVALUATION)
    if folder is not None:
        if to is None:
            refuse_link(folder)
        check_evaluation_place(folder, read)
    unwritten = () if camelyon_csv is None else _write_challenge(subjects, camelyon_csv, read)
    mode = FrocMode.OFFICIAL if official else FrocMode.EVERY_SLIDE
    comparison = compare(subjects, truth, mode, as_submitted=as_submitted, mpp_um=mpp)
    left_over = () if out is None else _left_over(comparison, out)
    comparison = replace(comparison, notes=(*comparison.notes, *left_over, *unwritten))
    found = figures(comparison)
    if other is not None:
        try:
            second = compare(subjects_of_run(other), truth, mode, as_submitted=as_submitted, mpp_um=mpp)
        except UsageError as error:
            raise UsageError(f"--against {other}: {error}") from error
        name = other.resolve().name
        found = replace(found, against=against(comparison, second, name=name))
        comparison = replace(comparison, notes=(*comparison.notes, *_of_other(comparison, second, other)))
    paths = () if folder is None else write_evaluation(comparison, found, folder, occasion=occasion)
    if as_json:
        print_json(evaluation_as_json(comparison, found, occasion=occasion))
    else:
        _print(comparison, found, occasion, paths)
    return NOT_COMPLETE if comparison.missing or comparison.without_detections else COMPLETE


def _check_options(
    out: Path | None, detections: Path | None, mpp: float | None, *, official: bool, as_submitted: bool
) -> None:
    """Raises UsageError for options that can't stand together, and for a pixel size that no scanner has."""
    if (out is None) == (detections is None):
        raise UsageError("evaluate: name the folder of a run, or --detections DIR, one of the two")
    if as_submitted and not official:
        raise UsageError("--as-submitted: says how --official treats missing slides; add --official")
    if mpp is not None and official:
        raise UsageError(
            "--mpp: --official takes 0.243 um for every slide, as the organisers' script does; leave out one"
        )
    if mpp is not None:
        check_mpp(mpp)


def _check_other(out: Path | None, other: Path | None) -> None:
    """Raises UsageError for two runs that are one or none."""
    if other is not None and out is None:
        raise UsageError("--against: compares two runs; name the folder of the first instead of --detections")
    if other is not None and out is not None and other.resolve() == out.resolve():
        raise UsageError(f"--against: {other} is the run itself; name another run of the same slides")


def _of_other(first: "Comparison", second: "Comparison", other: Path) -> tuple[str, ...]:
    """Which slides the second run alone has no result of: on hard ones that it lacks it would look as good.

    other: its folder.
    """
    from nodescan.evaluation.slide_results import few_ids

    lacking = {*second.missing, *second.not_judged} - {*first.missing, *first.not_judged}
    said = (
        f"without a result in {other.resolve().name} alone, so left out of the differences: {few_ids(sorted(lacking))}"
    )
    return (said,) if lacking else ()


def _left_over(comparison: "Comparison", out: Path) -> tuple[str, ...]:
    """A sentence on the slides that count though the run's table has no row of them, if there are any."""
    from nodescan.domain.naming import few
    from nodescan.evaluation.slide_results import without_row

    counted = [slide.subject.slide_id for slide in comparison.slides if slide.subject is not None]
    left = without_row(out, counted)
    if not left:
        return ()
    return (
        f"scored although summary.csv has no row for them: {few(left, 8)}. An earlier run left their reports, perhaps "
        "under a former name of the slide. Remove their folders if they don't belong here",
    )


def _write_challenge(
    subjects: "Mapping[str, Subject]", folder: Path, read: "Sequence[tuple[str, Path | None]]"
) -> tuple[str, ...]:
    """Slides without a result get no file, for an empty one would say that nothing was found; nor do those whose
    detections.csv wasn't written. A sentence on each kind."""
    from nodescan.evaluation.challenge_files import write_challenge_files
    from nodescan.evaluation.slide_results import few_ids
    from nodescan.overwrite_checks import check_inputs

    known = [
        (slide_id, subject.detections)
        for slide_id, subject in subjects.items()
        if subject.has_result and subject.detections is not None
    ]
    check_inputs(read, (folder / f"{slide_id}.csv" for slide_id, _ in known))
    write_challenge_files(known, folder)
    unplaced = [slide_id for slide_id, subject in subjects.items() if subject.lacks_detections]
    unread = [slide_id for slide_id, subject in subjects.items() if subject.score is None]
    causes = (
        (unplaced, "which have no detections.csv; run them again with csv among --reports"),
        (unread, "which have no result"),
    )
    return tuple(f"--camelyon-csv wrote no file for {few_ids(ids)}, {why}" for ids, why in causes if ids)


def _print(comparison: "Comparison", found: "Figures", occasion: "Occasion", paths: tuple[Path, ...]) -> None:
    from nodescan.domain.report import NOT_FOR_CLINICAL_USE
    from nodescan.evaluation.bootstrap import number_words
    from nodescan.evaluation.evaluation_page import SOFTWARE_ALONE, against_facts, key_facts
    from nodescan.evaluation.froc import FALSE_POSITIVES
    from nodescan.evaluation.left_out import left_out
    from nodescan.evaluation.provenance import mode_words
    from nodescan.reports.wording import settings_words

    facts = (*key_facts(found), *(() if found.against is None else against_facts(found.against)))
    width = max([23, *(len(fact.label) for fact in facts)]) + 1
    if comparison.made_with is not None:
        tell(f"{'Model:':<{width}} {comparison.made_with.model_words}")
        if settings := settings_words(comparison.made_with.own_settings):
            tell(f"{'Settings:':<{width}} {settings}")
    for fact in facts:
        tell(f"{fact.label + ':':<{width}} {fact.value:<30} {fact.note}".rstrip())
    if found.against is not None and found.against.made_words:
        tell(f"{found.against.name}: {found.against.made_words}")
    if found.lesion_task is not None:
        tell(f"lesion task, {mode_words(comparison, occasion)}")
        for at, value in zip(FALSE_POSITIVES, found.lesion_task.sensitivities, strict=True):
            tell(f"  at {at:>4g} false positives per slide: {number_words(value)}")
    for fact in left_out(comparison, found):
        tell(f"{fact.label}: {fact.value}{': ' + fact.note if fact.note else ''}")
    tell(SOFTWARE_ALONE)
    for path in paths:
        tell(f"written: {path}")
    if not paths:
        tell("nothing was written; add --to DIR to write the page with its plots, the JSON and the tables")
    tell(NOT_FOR_CLINICAL_USE)
