"""A run held against a reference: every figure by hand on a handful of slides, and nothing dropped in silence."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Detection
from nodescan.domain.flags import Flag
from nodescan.domain.report import Status
from nodescan.domain.units import Micrometers, Spacing
from nodescan.errors import AnnotationError, UsageError
from nodescan.evaluation.challenge_files import write_challenge_files
from nodescan.evaluation.compare import Comparison, compare
from nodescan.evaluation.evaluation_files import evaluation_as_json, write_evaluation
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.lesion_files import lesion_file
from nodescan.evaluation.lesions import official_lesions
from nodescan.evaluation.reference import read_reference
from nodescan.evaluation.slide_results import subjects_of_challenge, subjects_of_run
from nodescan.labels import read_labels
from tests.evaluation.occasions import made_of
from tests.patients.made_reports import SPACING_UM, WORD_SIZES, report, write_csv, write_findings, write_run

pytestmark = pytest.mark.usefixtures("few_resamples")

OFFICIAL, EVERY = FrocMode.OFFICIAL, FrocMode.EVERY_SLIDE


def truth_file(folder: Path, slide_id: str, label: str, sizes_um: tuple[float, ...]) -> None:
    """Planted where tests' reports have their deposits."""
    deposits = [
        {"centre_um": [3000.0 * number, 3000.0], "diameter_um": size}
        for number, size in enumerate(sorted(sizes_um, reverse=True), 1)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    content = {"um_per_px": SPACING_UM, "label": label, "deposits": deposits}
    (folder / f"{slide_id}.truth.json").write_text(json.dumps(content))


def planted(folder: Path) -> tuple[Path, Path]:
    """Four slides: found with 20 um too much, found with a false deposit, missed, and clean."""
    truth, run = folder / "truth", folder / "run"
    truth_file(truth, "s1", "macro", (2600.0, 400.0))
    truth_file(truth, "s2", "itc", (150.0,))
    truth_file(truth, "s3", "micro", (500.0,))
    truth_file(truth, "s4", "negative", ())
    write_run(
        run,
        [
            report("s1", (2620.0, 420.0)),
            report("s2", (170.0, 60.0)),
            report("s3", detections=(Detection(0.3, 12_000.0, 12_000.0),)),
            report("s4"),
        ],
    )
    return run, truth


def compared(run: Path, truth: Path, mode: FrocMode = EVERY, *, as_submitted: bool = False) -> Comparison:
    return compare(subjects_of_run(run), read_reference(truth), mode, as_submitted=as_submitted, mpp_um=None)


def test_every_figure_of_four_slides_by_hand(tmp_path: Path) -> None:
    """AUC, FROC, classes, sizes: small enough to be worked out."""
    found = figures(compared(*planted(tmp_path)))
    # scores: s1 and s2 0.9, s3 0.3, s4 0.02: every tumour slide above the normal one
    assert found.slide_task.auc.value == 1.0
    # lesions: two of s1, one of s3; the ITC of s2 doesn't count; false positives: s2's 60 um (0.9), s3's point (0.3)
    assert (found.lesion_task.n_lesions, found.lesion_task.n_slides) == (3, 4)
    assert [value.value for value in found.lesion_task.sensitivities] == pytest.approx([2 / 3] * 6)
    classes = found.slide_classes
    assert classes.table.tolist() == [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert classes.accuracy.value == 0.75
    sizes = found.sizes
    assert sizes.agreement.bias.value == pytest.approx(20.0, abs=0.1)
    assert sizes.agreement.bias.n == 4
    assert sizes.classes.tolist() == [[0, 0, 1, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    assert [value.value for value in sizes.recall] == [1.0, 0.5, 1.0]
    assert sizes.false_deposits.value == 0.25


def test_every_figure_has_its_interval_in_json(tmp_path: Path) -> None:
    """By name, beside it; the page holds the three plots and nothing from elsewhere."""
    run, truth = planted(tmp_path)
    comparison = compared(run, truth)
    found = figures(comparison)
    paths = write_evaluation(comparison, found, run / "evaluation", occasion=made_of("truth"))
    assert {path.name for path in paths} == {
        "evaluation.json",
        "evaluation.html",
        "slide_scores.csv",
        "lesions.csv",
        "largest_sizes.csv",
    }
    content = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert content["slide_auc"] == 1.0
    assert content["interval"]["of_shares"].startswith("Wilson; with the effective number of cases")
    assert content["interval"]["of_false_deposits"] == "Garwood, or the bootstrap's where that is wider"
    page = (run / "evaluation/evaluation.html").read_text()
    assert "Wilson&#39;s for shares (cases of one slide or patient count as fewer)" in page
    assert content["slide_auc_interval"] == [pytest.approx(0.3216, abs=1e-4), 1.0]  # three slides above one
    for name in ("froc_score", "kappa"):
        low, high = content[f"{name}_interval"]
        assert low <= content[name] <= high
    assert len(content["sensitivities"]) == len(content["sensitivities_interval"]) == 6
    assert content["size_agreement"]["bias_um"] == pytest.approx(20.0, abs=0.1)
    page = (run / "evaluation" / "evaluation.html").read_text()
    assert page.count("<svg") == 2
    assert "20.0 µm (" in page
    assert not re.search(r"\d um\b|\(um\)", page)
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_a_failed_slide_is_refused_by_the_official_mode_and_counts_as_missed_by_the_other(tmp_path: Path) -> None:
    """Leaving it out would raise the score: 1.0 instead of 0.5."""
    truth = tmp_path / "truth"
    truth_file(truth, "s1", "macro", (2600.0,))
    truth_file(truth, "s2", "macro", (2600.0,))
    truth_file(truth, "s3", "negative", ())
    run = write_run(
        tmp_path / "run",
        [
            report("s1", (2600.0,)),
            report("s2", status=Status.FAILED, flags=(Flag("unreadable", "truncated"),)),
            report("s3", detections=(Detection(0.1, 50.0, 50.0),)),
        ],
    )
    with pytest.raises(UsageError, match=r"no detections for 1 slide of the reference.*s2"):
        compared(run, truth, OFFICIAL)
    as_submitted = figures(compared(run, truth, OFFICIAL, as_submitted=True))
    assert (as_submitted.lesion_task.n_slides, as_submitted.lesion_task.n_lesions) == (2, 1)
    assert as_submitted.lesion_task.score.value == 1.0
    every = compared(run, truth)
    assert every.missing == ("s2",)
    assert figures(every).lesion_task.score.value == 0.5
    assert figures(every).slide_task.without_score == ("s2",)


def test_slides_that_the_size_agreement_leaves_out_are_listed(tmp_path: Path) -> None:
    """A run without deposits.geojson, and a slide without a class, are named with the reason; the rest still counts."""
    run, truth = planted(tmp_path)
    (run / "s2" / "deposits.geojson").unlink()
    truth_file(truth, "s5", "macro", (2600.0,))
    write_run(run, [report("s5", status=Status.INCOMPLETE, flags=(Flag("unread_tissue", "9 %"),))])
    comparison = compared(run, truth)
    assert [(left.slide_id, left.reason) for left in comparison.unpaired] == [
        ("s2", "has no deposits.geojson"),
        ("s5", "incomplete, without a class; its lesions count as missed"),
    ]
    found = figures(comparison)
    assert found.sizes.classes.tolist() == [[0, 0, 0, 0, 0], [1, 0, 0, 1, 0], [1, 0, 0, 0, 1]]
    assert [value.value for value in found.sizes.recall] == [None, 0.5, 0.5]
    assert (found.sizes.false_deposits.value, found.sizes.false_deposits.n) == (0.0, 3)
    content = evaluation_as_json(comparison, found, occasion=made_of("truth"))
    assert content["slides_without_sizes"][0] == {"slide_id": "s2", "reason": "has no deposits.geojson"}
    write_evaluation(comparison, found, run / "evaluation", occasion=made_of("truth"))
    page = (run / "evaluation" / "evaluation.html").read_text()
    assert "s2 (has no deposits.geojson), s5 (incomplete, without a class; its lesions count as missed)" in page
    assert "s5,2600.0,macro,,missed,false" in (run / "evaluation" / "lesions.csv").read_text()
    assert "likeliest detection" in page


def lesions_csv(run: Path, truth: Path) -> list[str]:
    """The rows of lesions.csv without its header, of slides that the run has no size of."""
    comparison = compared(run, truth)
    write_evaluation(comparison, figures(comparison), run / "evaluation", occasion=made_of("truth"))
    rows = (run / "evaluation" / "lesions.csv").read_text().splitlines()[1:]
    return [row for row in rows if row.split(",")[4] not in ("missed", "macro", "micro", "itc")]


def test_no_lesion_of_the_reference_is_lacking_in_the_list(tmp_path: Path) -> None:
    """Nor one of a slide that was not run, failed, or lost its outlines; the figures are those without them."""
    run, truth = planted(tmp_path)
    assert lesions_csv(run, truth) == []
    before = figures(compared(run, truth)).sizes
    truth_file(truth, "s5", "macro", (2600.0, 300.0))
    truth_file(truth, "s6", "micro", (600.0,))
    truth_file(truth, "s7", "negative", ())
    write_run(run, [report("s6", status=Status.FAILED, flags=(Flag("unreadable", "truncated"),))])
    rows = ["s5,2600.0,macro,,not_run,false,,", "s5,300.0,micro,,not_run,false,,", "s6,600.0,micro,,failed,false,,"]
    assert lesions_csv(run, truth) == rows
    after = figures(compared(run, truth)).sizes
    assert after.lesions == before.lesions
    assert after.recall == before.recall
    (run / "s2" / "deposits.geojson").unlink()
    assert lesions_csv(run, truth) == ["s2,150.0,itc,,no_outlines,false,,", *rows]


def test_lesions_of_a_slide_whose_pixel_size_nobody_knows_are_listed_without_a_size(tmp_path: Path) -> None:
    """A mask of two squares, of a slide that was not run; the file is written, too, if no lesion was measured."""
    truth = tmp_path / "truth"
    truth.mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[4:20, 4:20] = mask[40:50, 40:50] = 255
    Image.fromarray(mask).save(truth / "s9_mask.png")
    write_csv(truth / "labels.csv", "slide_id,label", "s9,tumor", "s1,normal")
    run = write_run(tmp_path / "run", [report("s1")])
    assert lesions_csv(run, truth) == ["s9,,,,not_run,false,,"] * 2


def test_each_measured_lesion_has_its_uncertainty_and_whether_it_holds_the_truth(tmp_path: Path) -> None:
    """20 um off with a "±" of 4 um; a missed lesion has neither."""
    run, truth = planted(tmp_path)
    comparison = compared(run, truth)
    write_evaluation(comparison, figures(comparison), run / "evaluation", occasion=made_of("truth"))
    head, *rows = (run / "evaluation" / "lesions.csv").read_text().splitlines()
    assert head.endswith(",may_be_larger,uncertainty_um,within")
    assert [row.split(",")[5:] for row in rows] == [["false", "4.0", "false"]] * 3 + [["false", "", ""]]
    largest = (run / "evaluation" / "largest_sizes.csv").read_text().splitlines()
    assert "s1,2600.0,macro,2620.0,macro,false,4.0,false" in largest


def test_strangers_on_both_sides_are_listed(tmp_path: Path) -> None:
    """A slide that only one side knows is named; no slide in common is an error."""
    run = write_run(tmp_path / "run", [report("s1", (2600.0,)), report("extra")])
    reference = write_csv(tmp_path / "r.csv", "slide_id,label", "s1,macro", "s9,negative")
    found = compared(run, reference)
    assert (found.missing, found.unknown) == (("s9",), ("extra",))
    with pytest.raises(UsageError, match=r"lists none of the slides that were run; its slides are named q1"):
        compared(run, write_csv(tmp_path / "q.csv", "slide_id,label", "q1,macro"))


def test_challenge_files_score_as_the_run_does(tmp_path: Path) -> None:
    """What is exported for the challenge gives the same official figures when it is read back."""
    run, truth = planted(tmp_path)
    subjects = subjects_of_run(run)
    write_challenge_files(((key, subject.detections) for key, subject in subjects.items()), tmp_path / "csv")
    reference = read_reference(truth)
    one = figures(compare(subjects, reference, OFFICIAL, as_submitted=False, mpp_um=None))
    again = subjects_of_challenge(tmp_path / "csv")
    other = figures(compare(again, reference, OFFICIAL, as_submitted=False, mpp_um=None))
    assert one.lesion_task.score == other.lesion_task.score
    assert one.lesion_task.sensitivities == other.lesion_task.sensitivities


def test_official_score_from_masks_by_hand(tmp_path: Path) -> None:
    """Two tumour slides, one normal, in the organisers' own kinds of files.

    t1: two lesions, 0.8 and 0.6; t2: one lesion, missed, and a false positive of 0.7; n1: one of 0.5. Thresholds
    without 0: 0.5 (2/3, 2/3), 0.6 (1/3, 2/3), 0.7 (1/3, 1/3), 0.8 (0, 1/3), (0, 0). At 1/4: 1/3; at 1/2: 2/3.
    """
    masks, csvs = tmp_path / "masks", tmp_path / "csv"
    masks.mkdir()
    csvs.mkdir()
    for name, columns in (("Test_001", (10, 80)), ("Test_002", (10,))):
        pixels = np.zeros((100, 150), dtype=np.uint8)
        for left in columns:
            pixels[20:60, left : left + 40] = 255
        Image.fromarray(pixels).save(masks / f"{name}_Mask.tif")
    (csvs / "Test_001.csv").write_text("0.8,640,960\n0.4,700,960\n0.6,2900,960\n")
    (csvs / "Test_002.csv").write_text("0.7,4700,3000\n")
    (csvs / "Test_003.csv").write_text("0.5,99999,99999\n")
    comparison = compare(subjects_of_challenge(csvs), read_reference(masks), OFFICIAL, as_submitted=False, mpp_um=None)
    found = figures(comparison).lesion_task
    assert [value.value for value in found.sensitivities] == pytest.approx([1 / 3, *[2 / 3] * 5])
    assert found.score.value == pytest.approx((1 / 3 + 5 * 2 / 3) / 6)
    assert "assumed normal: 1 slide without a mask or outline: Test_003" in comparison.notes
    (masks / "Test_003.geojson.zip").write_text("")
    comparison = compare(subjects_of_challenge(csvs), read_reference(masks), OFFICIAL, as_submitted=False, mpp_um=None)
    assert comparison.unknown == ("Test_003",)
    assert any("because Test_003.geojson.zip may show the tumour of one" in note for note in comparison.notes)


def test_every_camelyon17_stage_from_true_reports(shared: Path, tmp_path: Path) -> None:
    """500 reports with the true labels: kappa 1.0 of slides and patients, and the submission equals the reference."""
    path = shared / "data" / "camelyon17" / "stage_labels.csv"
    labels = read_labels(path)
    run = write_findings(
        tmp_path / "run", [report(slide.slide_id, WORD_SIZES[slide.label.word]) for slide in labels.slides]
    )
    comparison = compared(run, path)
    found = figures(comparison)
    assert found.stages.kappa.value == found.slide_classes.kappa.value == 1.0
    assert found.stages.kappa.n == 100
    assert comparison.missing == ()
    write_evaluation(comparison, found, tmp_path / "evaluation", occasion=made_of(path.name))
    submission = read_labels(tmp_path / "evaluation" / "camelyon17_submission.csv")
    assert submission.stages == labels.stages
    assert Counter(slide.label for slide in submission.slides) == Counter(slide.label for slide in labels.slides)


def test_a_patient_that_was_not_read_whole_is_scored_by_what_was_found_and_named(tmp_path: Path) -> None:
    """Where that is nothing there is no stage: unread is not pN0. So it is without any slide run, and is named, too."""
    lines = [
        "patient,stage",
        "patient_001.zip,pN1mi",
        "patient_001_node_0.tif,micro",
        "patient_001_node_1.tif,negative",
    ]
    lines += [
        "patient_002.zip,pN0",
        "patient_002_node_0.tif,negative",
        "patient_003.zip,pN0",
        "patient_003_node_0.tif,negative",
    ]
    reference = write_csv(tmp_path / "stages.csv", *lines)
    run = write_run(
        tmp_path / "run",
        [
            report("patient_001_node_0", status=Status.FAILED, flags=(Flag("unreadable", "truncated"),)),
            report("patient_001_node_1"),
            report("patient_002_node_0"),
        ],
    )
    comparison = compared(run, reference)
    assert [(patient.patient_id, patient.found_stage) for patient in comparison.patients] == [
        ("patient_001", None),  # nothing was found, and not all was read
        ("patient_002", "pN0"),
    ]
    assert comparison.patients_not_run == ("patient_003",)
    found = figures(comparison)
    assert found.stages is not None
    assert (found.stages.kappa.n, found.stages.table.sum(), found.stages.table[:, 0].sum()) == (1, 2, 1)
    write_evaluation(comparison, found, tmp_path / "evaluation", occasion=made_of("stages.csv"))
    assert "patient_001.zip,pN0" in (tmp_path / "evaluation" / "camelyon17_submission.csv").read_text()
    assert "in whom nothing was found" in (tmp_path / "evaluation" / "evaluation.html").read_text()
    content = evaluation_as_json(comparison, found, occasion=made_of("stages.csv"))
    assert content["patients_not_read_whole"] == ["patient_001"]
    assert content["kappa_of"] == "patient stages"
    asked = content["operating_point"]["node_positive_patients"]
    assert (asked["positives_without_class"], asked["negatives_without_class"]) == (1, 0)
    assert (asked["true_negatives"], asked["positives_not_run"], asked["negatives_not_run"]) == (1, 0, 1)
    assert (asked["sensitivity_of_all"], asked["specificity_of_all"]) == (0.0, 1 / 2)
    assert content["node_classes"] is None  # each node has one slide


def test_real_annotations_are_drawn_and_grown_on_a_real_canvas(shared: Path) -> None:
    """Of 97,792 x 221,184 px, which no machine holds at full size."""
    for name in ("tumor_001", "tumor_009", "tumor_016"):
        file = lesion_file(shared / "data" / "camelyon16" / "annotations" / f"{name}.xml")
        assert file is not None
        assert official_lesions(file.mask((97_792, 221_184)).tumour).count > 0


def mask_file(path: Path, sizes_um: tuple[float, ...], *, side_px: int = 2000, pixel_um: float = 8.0) -> None:
    """A mask where tests' reports have their deposits, by default at level 5 of their slides."""
    rows, columns = np.mgrid[:side_px, :side_px] + 0.5
    pixels = np.zeros((side_px, side_px), dtype=np.uint8)
    for number, size in enumerate(sorted(sizes_um, reverse=True), 1):
        apart = np.hypot(columns - 3000 * number / pixel_um, rows - 3000 / pixel_um)
        pixels[apart <= size / 2 / pixel_um] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_a_mask_of_another_level_is_refused_where_the_slide_is_known(tmp_path: Path) -> None:
    """Its lesions would be of another size and place; up to a tile's filling it is the same level."""
    run, masks = write_run(tmp_path / "run", [report("s1", (900.0,))]), tmp_path / "masks"
    mask_file(masks / "s1_mask.png", (900.0,), side_px=1000, pixel_um=16.0)
    with pytest.raises(AnnotationError, match=r"s1_mask\.png: is 1000 x 1000 px, but at level 5 .* has 2000 x 2000"):
        compared(run, masks)
    mask_file(masks / "s1_mask.png", (900.0,), side_px=2017)
    with pytest.raises(AnnotationError, match="2017 x 2017"):
        compared(run, masks)
    for side in (1999, 2016):
        mask_file(masks / "s1_mask.png", (900.0,), side_px=side)
        found = compared(run, masks)
        assert figures(found).lesion_task.score.value == 1.0
    assert any("sizes of masks at level 5 are up to about 1.2 px" in note for note in found.notes)
    assert any(
        "lesions that exceed 200 um by up to 58 px of level 0 may count as isolated" in note for note in found.notes
    )


def test_points_off_the_mask_are_told(tmp_path: Path) -> None:
    """They are false positives, and most likely in another unit than level-0 pixels."""
    masks, csvs = tmp_path / "masks", tmp_path / "csv"
    mask_file(masks / "s1_mask.png", (900.0,))
    csvs.mkdir()
    for points, told in (("0.9,63999,10\n", False), ("0.9,64000,10\n", True), ("0.9,10,-1\n", True)):
        (csvs / "s1.csv").write_text(points)
        found = compare(subjects_of_challenge(csvs), read_reference(masks), EVERY, as_submitted=False, mpp_um=0.25)
        assert any("points outside of the mask" in note for note in found.notes) is told


def test_labels_and_lesion_files_may_not_contradict(tmp_path: Path) -> None:
    """A normal slide with drawn tumour, and a tumour slide with an empty mask, would each score wrongly."""
    run = write_run(tmp_path / "run", [report("s1", (900.0,)), report("s2")])
    normal = tmp_path / "normal"
    mask_file(normal / "s1_mask.png", (900.0,))
    write_csv(normal / "labels.csv", "slide_id,label", "s1,negative", "s2,negative")
    with pytest.raises(UsageError, match=r"s1_mask\.png shows tumour, but labels\.csv calls s1 normal"):
        compared(run, normal)
    empty = tmp_path / "empty"
    mask_file(empty / "s1_mask.png", ())
    write_csv(empty / "labels.csv", "slide_id,label", "s1,micro", "s2,negative")
    with pytest.raises(UsageError, match=r"s1_mask\.png shows no tumour, but s1 is labelled tumour"):
        compared(run, empty)


def test_slides_that_are_not_outlined_exhaustively_are_told(tmp_path: Path) -> None:
    """A false positive on CAMELYON16's test_114 may be tumour that nobody drew."""
    run = write_run(tmp_path / "run", [report("test_114", (900.0,)), report("test_113", (900.0,))])
    for name in ("test_114", "test_113"):
        mask_file(tmp_path / "masks" / f"{name}_mask.png", (900.0,))
    notes = compared(run, tmp_path / "masks").notes
    assert "not every lesion is outlined, so a false positive may be tumour: test_114" in notes


def test_a_patient_whose_labels_give_no_single_stage_is_named_and_not_scored(tmp_path: Path) -> None:
    """Five nodes on one slide with a macrometastasis may be pN1 or pN2; ten positive nodes have no stage at all."""
    header = "patient_id,slide_id,label,nodes_on_slide"
    many = tuple(f"C,c{number},macro,1" for number in range(10))
    reference = write_csv(tmp_path / "r.csv", header, "A,a,macro,5", "B,b,macro,3", *many)
    run = write_run(tmp_path / "run", [report(name, (2600.0,)) for name in ("a", "b", "c0")])
    comparison = compared(run, reference)
    assert [(one.patient_id, one.true_stage, one.found_stage) for one in comparison.patients] == [("B", "pN1", "pN1")]
    assert "no single stage follows from the labels of A, C, so not scored" in comparison.notes
    assert figures(comparison).stages.kappa.n == 1


def test_normal_slides_alone_give_no_agreement_of_classes(tmp_path: Path) -> None:
    """A reference of tumour and normal knows the class of its normal slides only."""
    run = write_run(tmp_path / "run", [report("a", (900.0,)), report("b"), report("c", (150.0,))])
    kinds = write_csv(tmp_path / "kinds.csv", "slide_id,label", "a,tumor", "b,normal", "c,normal")
    found = figures(compared(run, kinds))
    assert found.slide_classes is None
    assert found.slide_task.auc.n == 3


def test_stated_sizes_are_held_against_the_largest_deposit_of_each_slide(tmp_path: Path) -> None:
    """50 um too long, 30 too short, one not found: bias 10 um over two of three."""
    run = write_run(tmp_path / "run", [report("a", (950.0, 300.0)), report("b", (2570.0,)), report("c"), report("d")])
    header, rows = "slide_id,label,largest_deposit_um", ("a,micro,900", "b,macro,2600", "c,itc,150", "d,negative,")
    comparison = compared(run, write_csv(tmp_path / "sizes.csv", header, *rows))
    found = figures(comparison)
    assert found.sizes is None
    assert found.largest.agreement.bias.value == pytest.approx(10.0)
    assert [(one.true_um, one.measured_um) for one in found.largest.lesions] == [(900, 950), (2600, 2570), (150, None)]
    assert [one.measured_class for one in found.largest.lesions] == [Metastasis.MICRO, Metastasis.MACRO, None]
    content = evaluation_as_json(comparison, found, occasion=made_of("sizes.csv"))["largest_size_agreement"]
    assert (content["n_slides"], content["n_matched"], content["bias_um"]) == (3, 2, pytest.approx(10.0))
    paths = {path.name for path in write_evaluation(comparison, found, tmp_path / "out", occasion=made_of("sizes.csv"))}
    assert "largest_sizes.csv" in paths
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert page.count("<svg") == 2
    assert "Lesion task" not in page


def test_an_evaluation_leaves_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    """A submission made from another reference would pass for this one's."""
    run = write_run(tmp_path / "run", [report("patient_001_node_0", (900.0,))])
    out = tmp_path / "out"
    stages = write_csv(tmp_path / "s.csv", "patient,stage", "patient_001.zip,pN1mi", "patient_001_node_0.tif,micro")
    labels = write_csv(tmp_path / "l.csv", "slide_id,label", "patient_001_node_0,micro")
    for reference, there in ((stages, True), (labels, False)):
        comparison = compared(run, reference)
        write_evaluation(comparison, figures(comparison), out, occasion=made_of(reference.name))
        assert (out / "camelyon17_submission.csv").is_file() is there


@pytest.mark.parametrize("offset_um", [0.0, 1000.0])
def test_outlines_of_qupath_lie_where_it_shows_them(tmp_path: Path, offset_um: float) -> None:
    """Of a slide whose scanned part begins within the canvas QuPath shows that part alone, and counts from there."""
    whole = report("a", (600.0,))
    assert whole.info is not None
    bounds = replace(whole.info.bounds_um, left=Micrometers(offset_um), top=Micrometers(2 * offset_um))
    run = write_run(tmp_path / "run", [replace(whole, info=replace(whole.info, bounds_um=bounds))])
    truth = tmp_path / "truth"
    truth.mkdir()
    shutil.copy(run / "a" / "deposits.geojson", truth / "a.geojson")
    found = figures(compared(run, truth))
    assert found.lesion_task is not None
    assert found.lesion_task.score.value == 1.0
    assert found.sizes is not None
    assert [one.measured_um for one in found.sizes.lesions] == pytest.approx([600.0], abs=0.1)


def test_the_official_score_tells_which_lesions_of_coarse_slides_it_leaves_out(tmp_path: Path) -> None:
    """At four times the organisers' pixel their limit is four times 0.2 mm."""
    truth_file(tmp_path / "truth", "s1", "macro", (2600.0,))
    for spacing_um, told in ((0.25, False), (0.972, True)):
        found = report("s1", (2600.0,))
        assert found.info is not None
        info = replace(found.info, spacing=Spacing.square(spacing_um))
        run = write_run(tmp_path / f"run{spacing_um}", [replace(found, info=info)])
        notes = compared(run, tmp_path / "truth", OFFICIAL).notes
        assert any("lesions up to about 800 um count as isolated tumour cells" in note for note in notes) is told


@pytest.mark.parametrize(("mode", "lesions"), [(OFFICIAL, 1), (EVERY, 2)])
def test_the_official_score_takes_the_organisers_pixel_for_every_slides(
    tmp_path: Path, mode: FrocMode, lesions: int
) -> None:
    """At 0.972 um/px a lesion of 20 pixels of level 5 is one of 0.6 mm; to their script it is of 0.16 mm, and ITC."""
    found = report("s1", (2600.0,))
    assert found.info is not None
    info = replace(found.info, spacing=Spacing.square(0.972))
    run = write_run(tmp_path / "run", [replace(found, info=info)])
    mask_file(tmp_path / "masks" / "s1_mask.png", (900.0, 160.0))
    task = figures(compared(run, tmp_path / "masks", mode)).lesion_task
    assert task is not None
    assert task.n_lesions == lesions


def test_slides_without_a_class_end_no_evaluation(tmp_path: Path) -> None:
    """All of them failed: nothing is scored, and the list of what was left out is still told."""
    run = write_findings(tmp_path / "run", [report("a", status=Status.FAILED), report("b", status=Status.FAILED)])
    reference = write_csv(tmp_path / "r.csv", "slide_id,label", "a,micro", "b,negative")
    found = figures(compare(subjects_of_run(run), read_reference(reference), EVERY, as_submitted=False, mpp_um=None))
    assert found.slide_classes is not None
    assert found.slide_classes.accuracy.value is None


@pytest.mark.parametrize(("each", "told"), [(3, True), (30, False)])
def test_an_interval_of_few_slides_is_called_approximate(tmp_path: Path, each: int, told: bool) -> None:
    """Of the AUC: its formula is one for many slides."""
    tumour, normal = [f"t{number}" for number in range(each)], [f"n{number}" for number in range(each)]
    low = (Detection(0.3, 12_000.0, 12_000.0),)
    found = [report("t0", detections=low), *(report(name, (900.0,)) for name in tumour[1:])]
    found += [report("n0", (900.0,)), *(report(name) for name in normal[1:])]
    rows = [*(f"{name},micro" for name in tumour), *(f"{name},negative" for name in normal)]
    labels = write_csv(tmp_path / "labels.csv", "slide_id,label", *rows)
    comparison = compared(write_run(tmp_path / "run", found), labels)
    write_evaluation(comparison, figures(comparison), tmp_path / "out", occasion=made_of("labels.csv"))
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert ("the interval is approximate, because one kind has fewer than 30 slides" in page) is told


@pytest.mark.parametrize("by", ["reference", "manifest"])
def test_patients_are_known_by_the_reference_or_by_the_run(tmp_path: Path, by: str) -> None:
    """A column of the labels, or summary.csv's, which the run's manifest filled; the page says how it drew."""
    run = write_run(tmp_path / "run", [report("a", (900.0,)), report("b"), report("c", (900.0,)), report("d")])
    rows = (("a", "micro", "P1"), ("b", "negative", "P1"), ("c", "micro", "P2"), ("d", "negative", ""))
    if by == "reference":
        lines = [f"{slide},{label},{patient or 'P3'}" for slide, label, patient in rows]
        labels = write_csv(tmp_path / "r.csv", "slide_id,label,patient_id", *lines)
    else:
        labels = write_csv(tmp_path / "r.csv", "slide_id,label", *(f"{slide},{label}" for slide, label, _ in rows))
        write_csv(run / "summary.csv", "slide_id,patient_id", *(f"{slide},{patient}" for slide, _, patient in rows))
    comparison = compared(run, labels)
    found = figures(comparison)
    assert (found.by_patient, found.slide_classes.kappa.n) == (True, 3)
    write_evaluation(comparison, found, tmp_path / "out", occasion=made_of("r.csv"))
    assert json.loads((tmp_path / "out/evaluation.json").read_text())["interval"]["by"] == "patient"
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "resamples of patients (slides of one patient are drawn together)" in page
