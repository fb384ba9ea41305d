"""Slides without a result raise no score: normal ones are left out, lesions of the others are missed."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.commands.evaluate import evaluate
from nodescan.domain.deposits import Detection
from nodescan.domain.flags import Flag
from nodescan.domain.report import SlideReport, Status
from nodescan.errors import UsageError
from nodescan.evaluation.compare import Comparison, compare
from nodescan.evaluation.evaluation_files import evaluation_as_json
from nodescan.evaluation.evaluation_page import key_facts, render
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.left_out import left_out
from nodescan.evaluation.reference import read_reference
from nodescan.evaluation.slide_results import subjects_of_challenge
from tests.evaluation.occasions import made_of
from tests.evaluation.test_compare import compared, truth_file
from tests.patients.made_reports import report, write_csv, write_run

pytestmark = pytest.mark.usefixtures("few_resamples")

NOT_HE = Flag("not_he", "The stain does not look like H&E.")
NOT_EXAMINED = replace(
    report("n", status=Status.INCOMPLETE, flags=(Flag("blurred_tissue", "all of it"),)),
    tumour_probability=None,
    examined_fraction=0.0,
)
UNREADABLE = report("n", status=Status.FAILED, flags=(Flag("unreadable", "truncated"),))
HALF_READ = replace(report("n", status=Status.FAILED), examined_fraction=0.5)
IHC = report("n", status=Status.INCOMPLETE, flags=(NOT_HE,), detections=(Detection(0.95, 9000.0, 9000.0),))


def reference(folder: Path, normal: list[str]) -> Path:
    """t has a lesion of 0.9 mm; its label and those of the normal slides stand in a table."""
    truth_file(folder / "truth", "t", "micro", (900.0,))
    write_csv(folder / "truth" / "labels.csv", "slide_id,label", "t,micro", *(f"{name},negative" for name in normal))
    return folder / "truth"


def tumour_slide() -> SlideReport:
    """A hit of 0.9 and a false positive of 0.99: sensitivity 1 from one false positive a slide on."""
    return report("t", (900.0,), detections=(Detection(0.9, 3000.0, 3000.0), Detection(0.99, 12_000.0, 12_000.0)))


def froc_note(comparison: Comparison) -> str:
    return next(fact.note for fact in key_facts(figures(comparison)) if fact.label == "FROC score")


def test_normal_slides_that_were_not_run_do_not_raise_the_froc_score(tmp_path: Path) -> None:
    """Challenge files of one slide: 4 of 6 points reached, with and without ten normal slides that nobody read."""
    normal = [f"n{number}" for number in range(10)]
    write_csv(tmp_path / "csv" / "t.csv", "0.99,48000,48000", "0.9,12000,12000")
    truth = read_reference(reference(tmp_path, normal))
    found = compare(
        subjects_of_challenge(tmp_path / "csv"), truth, FrocMode.EVERY_SLIDE, as_submitted=False, mpp_um=0.25
    )
    task = figures(found).lesion_task
    assert task is not None
    assert task.score.value == pytest.approx(4 / 6)
    assert (task.n_slides, task.n_lesions, task.normal_left_out) == (1, 1, tuple(normal))
    assert froc_note(found) == "1 lesion, 1 slide; slides without a result: 10 normal left out"
    content = evaluation_as_json(found, figures(found), occasion=made_of("truth"))
    assert content["froc_normal_slides_left_out"] == normal
    assert (content["n_froc_slides"], content["froc_tumour_slides_missed"]) == (1, [])


@pytest.mark.parametrize("normal", [UNREADABLE, HALF_READ, NOT_EXAMINED, IHC])
def test_normal_slides_without_a_result_do_not_raise_the_froc_score(tmp_path: Path, normal: SlideReport) -> None:
    """Failed, failed in part, not examined, not H&E: no slide to have been free of false positives."""
    found = compared(write_run(tmp_path / "run", [tumour_slide(), normal]), reference(tmp_path, ["n"]))
    task = figures(found).lesion_task
    assert task is not None
    assert task.score.value == pytest.approx(4 / 6)
    assert task.normal_left_out == ("n",)


def test_a_normal_slide_with_a_result_counts(tmp_path: Path) -> None:
    """Half a false positive a slide then."""
    found = compared(write_run(tmp_path / "run", [tumour_slide(), report("n")]), reference(tmp_path, ["n"]))
    task = figures(found).lesion_task
    assert task is not None
    assert task.score.value == pytest.approx(5 / 6)


@pytest.mark.parametrize(("label", "sizes", "score"), [("itc", (150.0,), 4 / 6), ("micro", (900.0,), 2 / 6)])
def test_a_tumour_slide_without_a_result_only_costs(
    tmp_path: Path, label: str, sizes: tuple[float, ...], score: float
) -> None:
    """Its lesions are missed; where all of them are ITC, which don't count, the score stays as it is."""
    truth = tmp_path / "truth"
    truth_file(truth, "t", "micro", (900.0,))
    truth_file(truth, "u", label, sizes)
    found = compared(write_run(tmp_path / "run", [tumour_slide()]), truth)
    task = figures(found).lesion_task
    assert task is not None
    assert task.score.value == pytest.approx(score)
    assert (task.n_slides, task.tumour_missed) == (1, ("u",))
    assert froc_note(found).endswith("slides without a result: 1 tumour counted as missed")


def test_official_figures_of_what_was_submitted_stay_as_the_script_has_them(tmp_path: Path) -> None:
    """There the CSV files that are present say how many slides there are: a file without points is a slide."""
    truth = read_reference(reference(tmp_path, ["n", "m"]))
    write_csv(tmp_path / "csv" / "t.csv", "0.99,48000,48000", "0.9,12000,12000")
    (tmp_path / "csv" / "n.csv").write_text("")
    found = compare(subjects_of_challenge(tmp_path / "csv"), truth, FrocMode.OFFICIAL, as_submitted=True, mpp_um=None)
    task = figures(found).lesion_task
    assert task is not None
    assert (task.n_slides, task.normal_left_out) == (2, ("m",))


TOO_MUCH_UNREAD = replace(report("u", status=Status.INCOMPLETE), status=Status.FAILED, tumour_probability=None)
POINTS = (Detection(0.9, 3000.0, 3000.0),)


@pytest.mark.parametrize(
    ("slide", "expected"),
    [
        (None, ((1, 1), (1, 2), (1, 1), (1, 2))),
        (report("u", status=Status.FAILED), ((1, 1), (1, 2), (1, 1), (1, 2))),
        (replace(report("u", status=Status.UNMEASURABLE), info=None), ((1, 1), (1, 2), (1, 1), (1, 2))),
        (TOO_MUCH_UNREAD, ((1, 1), (1, 2), (1, 2), (1, 2))),
        (replace(report("u", flags=(NOT_HE,), status=Status.INCOMPLETE)), ((1, 1), (1, 2), (1, 2), (1, 2))),
        (report("u", status=Status.INCOMPLETE, detections=POINTS), ((1, 1), (1, 2), (1, 2), (2, 2))),
        (report("u", (900.0,), status=Status.INCOMPLETE), ((2, 2), (2, 2), (2, 2), (2, 2))),
        (report("u", (150.0,), status=Status.INCOMPLETE), ((1, 1), (1, 2), (2, 2), (2, 2))),
        (replace(report("u", (150.0,)), at_least=True), ((1, 1), (1, 2), (2, 2), (2, 2))),
    ],
)
def test_a_tumour_slide_that_was_not_read_whole_counts_by_one_rule_in_each_figure(
    tmp_path: Path, slide: SlideReport | None, expected: tuple[tuple[int, int], ...]
) -> None:
    """Row by row as docs/tables.md has it, beside a slide whose lesion was found. Hits and cases of sensitivity, that
    of all, recall and FROC."""
    truth = tmp_path / "truth"
    for name in ("a", "u"):
        truth_file(truth, name, "micro", (900.0,))
    write_csv(truth / "labels.csv", "slide_id,label", "a,micro", "u,micro")
    run = write_run(tmp_path / "run", [report("a", (900.0,)), *([] if slide is None else [slide])])
    found = figures(compared(run, truth))
    large, task = found.calls[1], found.lesion_task
    assert found.sizes is not None
    assert task is not None
    shares = (large.sensitivity, large.sensitivity_of_all, found.sizes.recall[1])
    counts = [(one.value, one.n) for one in shares]
    assert [*counts, (task.score.value, task.n_lesions)] == [(hits / n, n) for hits, n in expected]


@pytest.mark.parametrize(
    ("slide", "expected"),
    [
        (None, ((1, 1), (1, 2), 1, 2)),
        (report("u", status=Status.FAILED), ((1, 1), (1, 2), 1, 2)),
        (replace(report("u", status=Status.UNMEASURABLE), info=None), ((1, 1), (1, 2), 1, 2)),
        (replace(report("u", flags=(NOT_HE,), status=Status.INCOMPLETE)), ((1, 1), (1, 2), 1, 2)),
        (report("u", status=Status.INCOMPLETE, detections=POINTS), ((1, 1), (1, 2), 1, 2)),
        (report("u", (150.0,), status=Status.INCOMPLETE), ((1, 1), (1, 2), 2, 3)),
        (replace(report("u", (150.0,)), at_least=True), ((1, 1), (1, 2), 2, 3)),
        (report("u", (900.0,), status=Status.INCOMPLETE), ((1, 2), (1, 2), 2, 3)),
        (report("u", (150.0,)), ((2, 2), (2, 2), 2, 3)),
    ],
)
def test_a_normal_slide_that_was_not_read_whole_is_not_called_negative(
    tmp_path: Path, slide: SlideReport | None, expected: tuple[tuple[int, int], tuple[int, int], int, int]
) -> None:
    """Row by row as docs/tables.md has it, beside a normal slide that was read whole: right calls and cases of
    specificity above isolated tumour cells and of that of all, slides of false deposits and of FROC."""
    truth = reference(tmp_path, ["n", "u"])
    run = write_run(tmp_path / "run", [tumour_slide(), report("n"), *([] if slide is None else [slide])])
    found = figures(compared(run, truth))
    large = found.calls[1]
    assert found.sizes is not None
    assert found.lesion_task is not None
    counts = [(one.value, one.n) for one in (large.specificity, large.specificity_of_all)]
    assert counts == [(right / n, n) for right, n in expected[:2]]
    assert (found.sizes.n_classed - 1, found.lesion_task.n_slides) == expected[2:]


def test_a_slide_whose_class_may_be_higher_is_named_where_it_counts_as_without_one(tmp_path: Path) -> None:
    """At least isolated tumour cells: tumour for certain, and neither a micrometastasis nor none."""
    run = write_run(tmp_path / "run", [tumour_slide(), report("n", (150.0,), status=Status.INCOMPLETE)])
    found = compared(run, write_csv(tmp_path / "r.csv", "slide_id,label", "t,micro", "n,itc"))
    scored = figures(found)
    tumour, large = scored.calls
    assert (tumour.table.tolist(), tumour.without_class) == ([[2, 0], [0, 0]], (0, 0))
    assert (large.table.tolist(), large.without_class) == ([[1, 0], [0, 0]], (0, 1))
    named = {fact.label: fact.note for fact in left_out(found, scored)}
    assert named[
        "Slides whose class is a lower bound below micrometastasis, so left out of sensitivity, specificity, "
        "predictive values of micro+"
    ] == ("n")


@pytest.mark.parametrize("code", ["not_he", "constant_output"])
def test_the_score_of_a_slide_that_was_not_judged_is_no_score(tmp_path: Path, code: str) -> None:
    """A normal slide of another stain that scores 0.95 made the AUC 0.5; it is left out, and said so."""
    unjudged = replace(IHC, flags=(Flag(code, "No class is given."),))
    run = write_run(tmp_path / "run", [tumour_slide(), unjudged, report("m")])
    found = compared(run, reference(tmp_path, ["n", "m"]))
    scored = figures(found)
    assert scored.slide_task is not None
    assert scored.slide_task.auc.value == 1.0
    assert (scored.slide_task.n_normal, scored.slide_task.without_score) == (1, ("n",))
    why = "the interval is approximate, because one kind has fewer than 30 slides"
    assert key_facts(scored)[0].note == f"1 tumour, 1 normal slides; 1 without a score left out; {why}"
    assert ("Not judged (not H&E, or the same answer everywhere), so without a score", "n") in [
        (fact.label, fact.note) for fact in left_out(found, scored)
    ]
    content = evaluation_as_json(found, scored, occasion=made_of("truth"))
    assert content["slides_not_judged"] == content["slides_without_score"] == ["n"]
    assert "Not judged (not H&amp;E" in render(found, scored, occasion=made_of("truth"))


def test_a_slide_without_a_class_is_named(tmp_path: Path) -> None:
    """Incomplete with nothing found, of a stated 900 um: part of no kappa and no bias, and the page says so."""
    run = write_run(tmp_path / "run", [tumour_slide(), report("n", status=Status.INCOMPLETE), report("m", (2600.0,))])
    header = "slide_id,label,largest_deposit_um"
    found = compared(run, write_csv(tmp_path / "r.csv", header, "t,micro,900", "n,micro,900", "m,macro,2600"))
    scored = figures(found)
    assert scored.slide_classes is not None
    assert scored.slide_classes.kappa.n == 2
    assert [(fact.label, fact.value, fact.note) for fact in left_out(found, scored)] == [
        (
            "Without a class, so left out of kappa, right class, sensitivity, specificity, predictive values, largest "
            "size",
            "1",
            "n",
        ),
        ("Incomplete, so scored only by the part that was examined", "1", "n (90.0 %)"),
    ]
    assert key_facts(scored)[-2].note == "largest deposit of a slide, measured minus stated; 2 of 3 slides"
    content = evaluation_as_json(found, scored, occasion=made_of("r.csv"))
    assert content["slides_without_class"] == ["n"]
    assert content["largest_size_agreement"]["n_stated"] == 3
    assert "Without a class, so left out" in render(found, scored, occasion=made_of("r.csv"))


def test_official_figures_refuse_a_slide_of_another_stain_or_leave_it_out(tmp_path: Path) -> None:
    """Its points mean nothing: it is no slide without false positives, and no slide with them."""
    run, truth = write_run(tmp_path / "run", [tumour_slide(), IHC]), reference(tmp_path, ["n"])
    with pytest.raises(UsageError, match=r"no detections for 1 slide of the reference.*n; run them"):
        compared(run, truth, FrocMode.OFFICIAL)
    found = compared(run, truth, FrocMode.OFFICIAL, as_submitted=True)
    task = figures(found).lesion_task
    assert task is not None
    assert (found.missing, task.n_slides, task.normal_left_out) == (("n",), 1, ("n",))


def test_a_slide_without_a_result_gets_no_challenge_file(tmp_path: Path) -> None:
    """An empty one would say that nothing was found; the command says with its exit code that one is missing."""
    run, truth = write_run(tmp_path / "run", [tumour_slide(), IHC, report("m")]), reference(tmp_path, ["n", "m"])
    code = evaluate(truth, run, camelyon_csv=tmp_path / "csv", as_json=True)
    assert code == 1
    assert sorted(path.name for path in (tmp_path / "csv").iterdir()) == ["m.csv", "t.csv"]


def test_a_slide_without_detections_csv_is_left_out_of_the_lesion_task_by_name(tmp_path: Path) -> None:
    """`run --reports json` found its lesion and wrote no place of it: that is no lesion missed, nor a free slide."""
    u, m = report("u", (900.0,)), report("m")
    truth = reference(tmp_path, ["n", "m"])
    truth_file(truth, "u", "micro", (900.0,))
    write_csv(truth / "labels.csv", "slide_id,label", "t,micro", "u,micro", "n,negative", "m,negative")
    run = write_run(tmp_path / "run", [tumour_slide(), report("n"), u, m])
    before = figures(compared(run, truth)).lesion_task
    for name in ("u", "m"):
        (run / name / "detections.csv").unlink()
    found = compared(run, truth)
    scored = figures(found)
    task = scored.lesion_task
    assert before is not None
    assert task is not None
    assert (before.n_lesions, before.n_slides) == (2, 4)
    assert (task.n_lesions, task.n_slides, task.tumour_missed, task.normal_left_out) == (1, 2, (), ())
    assert task.score.value == pytest.approx(5 / 6)
    assert froc_note(found) == "1 lesion, 2 slides; 2 slides without detections.csv left out"
    label = "Left out of the lesion task, because they have no detections.csv (run them again with csv among --reports)"
    assert (label, "m, u") in [(fact.label, fact.note) for fact in left_out(found, scored)]
    content = evaluation_as_json(found, scored, occasion=made_of("truth"))
    assert (content["slides_without_detections"], content["slides_without_result"]) == (["m", "u"], [])
    assert scored.slide_task is not None
    assert (scored.slide_task.n_tumour, scored.slide_task.n_normal) == (2, 2)


def test_a_run_without_any_detections_csv_has_no_froc_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0.000 it was, for slides that were found; and challenge files that were asked for didn't come, without a word."""
    truth = reference(tmp_path, ["n"])
    run = write_run(tmp_path / "run", [tumour_slide(), report("n"), replace(IHC, slide=report("x").slide)])
    for name in ("t", "n", "x"):
        (run / name / "detections.csv").unlink()
    assert evaluate(truth, run, camelyon_csv=tmp_path / "csv") == 1
    told = capsys.readouterr().out
    assert "FROC" not in told
    assert "(run them again with csv among --reports): 2: n, t\n" in told
    assert "--camelyon-csv wrote no file for n, t, which have no detections.csv; run them again with csv" in told
    assert "--camelyon-csv wrote no file for x, which have no result" in told


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (
            [report("n")],
            "1 slide of the reference.*: t; run them with csv among --reports \\(no detections.csv: t\\), or",
        ),
        ([], "2 slides of the reference.*: n, t; run them with csv among --reports \\(no detections.csv: t\\), or"),
    ],
)
def test_official_figures_ask_for_detections_csv(tmp_path: Path, others: list[SlideReport], told: str) -> None:
    """Run again as it was, the slide would lack them again."""
    truth = reference(tmp_path, ["n"])
    run = write_run(tmp_path / "run", [tumour_slide(), *others])
    (run / "t" / "detections.csv").unlink()
    with pytest.raises(UsageError, match=told):
        compared(run, truth, FrocMode.OFFICIAL)


def test_a_slide_that_was_read_in_part_is_no_silent_negative(tmp_path: Path) -> None:
    """46 % examined, nothing found: no slide to have been free of false positives, and named beside both figures."""
    half = replace(report("n", status=Status.INCOMPLETE), examined_fraction=0.469)
    part = replace(report("u", (900.0,), status=Status.INCOMPLETE), examined_fraction=0.8)
    truth = reference(tmp_path, ["n"])
    truth_file(truth, "u", "micro", (900.0,))
    (truth / "labels.csv").unlink()
    write_csv(truth / "labels.csv", "slide_id,label", "t,micro", "u,micro", "n,negative")
    found = compared(write_run(tmp_path / "run", [tumour_slide(), half, part]), truth)
    scored = figures(found)
    task = scored.lesion_task
    assert task is not None
    assert (task.n_slides, task.normal_in_part, task.in_part, task.normal_left_out) == (2, ("n",), ("u",), ())
    assert froc_note(found) == (
        "2 lesions, 2 slides; 1 normal slide, incomplete with nothing found, left out; "
        "1 incomplete, scored by the part that was examined"
    )
    note = (
        "2 tumour, 1 normal slides; 2 incomplete, scored by the part that was examined; the interval is approximate, "
    )
    assert key_facts(scored)[0].note == f"{note}because one kind has fewer than 30 slides"
    rows = [(fact.label, fact.note) for fact in left_out(found, scored)]
    assert ("Incomplete, so scored only by the part that was examined", "n (46.9 %), u (80.0 %)") in rows
    assert ("Normal slides, incomplete with nothing found, left out of the FROC score", "n") in rows
    content = evaluation_as_json(found, scored, occasion=made_of("truth"))
    assert content["slides_not_read_whole"] == ["n", "u"]
    assert content["froc_normal_slides_in_part_left_out"] == ["n"]
    official = figures(compared(tmp_path / "run", truth, FrocMode.OFFICIAL)).lesion_task
    assert official is not None
    assert (official.n_slides, official.in_part) == (3, ("n", "u"))


def test_a_slide_read_in_part_in_which_something_was_found_counts(tmp_path: Path) -> None:
    """A false deposit costs, read whole or not."""
    false = report("n", (900.0,), status=Status.INCOMPLETE)
    task = figures(
        compared(write_run(tmp_path / "run", [tumour_slide(), false]), reference(tmp_path, ["n"]))
    ).lesion_task
    assert task is not None
    assert (task.n_slides, task.normal_in_part, task.in_part) == (2, (), ("n",))


def test_a_size_that_is_one_at_least_is_no_measurement(tmp_path: Path) -> None:
    """600 um seen of 2,000 were a bias of -1,400; it counts as found, and the page names it."""
    truth = tmp_path / "truth"
    for name, true_um in (("a", 900.0), ("b", 900.0), ("c", 2000.0)):
        truth_file(truth, name, "micro", (true_um,))
    write_csv(truth / "labels.csv", "slide_id,label,largest_deposit_um", "a,micro,900", "b,micro,900", "c,micro,2000")
    whole = report("c", (600.0,))
    cut = replace(whole, deposits=(replace(whole.deposits[0], cut_off=True),), at_least=True)
    found = compared(write_run(tmp_path / "run", [report("a", (910.0,)), report("b", (930.0,)), cut]), truth)
    scored = figures(found)
    assert scored.sizes is not None
    assert scored.largest is not None
    assert scored.sizes.agreement.bias.value == pytest.approx(20.0, abs=0.1)
    assert scored.largest.agreement.bias.value == pytest.approx(20.0)
    assert scored.sizes.recall[1].value == 1.0
    notes = {fact.label: fact.note for fact in key_facts(scored)}
    assert notes["Bias of size"] == "measured minus true, 2 matched pairs measured whole"
    assert notes["Bias of largest size"] == "largest deposit of a slide, measured minus stated; 2 of 3 slides"
    rows = [(fact.label, fact.note) for fact in left_out(found, scored)]
    label = "Lesions whose deposit may be larger than measured: counted as found, left out of bias and limits"
    assert (label, "c") in rows
    label = "Slides whose largest deposit may be larger than measured: left out of the bias of the largest size"
    assert (label, "c") in rows
    content = evaluation_as_json(found, scored, occasion=made_of("truth"))
    assert content["size_agreement"]["n_may_be_larger"] == content["largest_size_agreement"]["n_may_be_larger"] == 1
    assert content["size_agreement"]["n_pairs"] == content["largest_size_agreement"]["n_pairs"] == 2
    assert content["size_agreement"]["n_matched"] == content["largest_size_agreement"]["n_matched"] == 3
    assert "c: 2.00 mm" not in render(found, scored, occasion=made_of("truth"))


def test_a_slide_without_a_class_is_left_out_of_no_figure_that_is_not_there(tmp_path: Path) -> None:
    """Where only tumour and normal are known there is neither kappa nor size, so nothing is said of these; whether it
    is a tumour slide or a normal one."""
    run = write_run(tmp_path / "run", [tumour_slide(), report("n", status=Status.INCOMPLETE), report("m", (2600.0,))])
    for kind in ("normal", "tumor"):
        found = compared(run, write_csv(tmp_path / "r.csv", "slide_id,label", "t,tumor", f"n,{kind}", "m,tumor"))
        scored = figures(found)
        assert (scored.slide_classes, scored.largest, scored.without_class) == (None, None, ("n",))
        labels = [fact.label for fact in left_out(found, scored) if "Without a class" in fact.label]
        assert labels == ["Without a class, so left out of sensitivity, specificity, predictive values"]
