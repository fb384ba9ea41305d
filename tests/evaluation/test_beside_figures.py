"""What a comparison names beside its figures: slides by lists in order, and sentences where they are needed alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.deposits import Detection
from nodescan.domain.flags import Flag
from nodescan.domain.report import Status
from nodescan.domain.units import Spacing
from nodescan.errors import UsageError
from nodescan.evaluation.compare import Comparison, compare
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.reference import read_reference
from nodescan.evaluation.slide_results import subjects_of_challenge
from tests.evaluation.test_compare import compared, mask_file, truth_file
from tests.patients.made_reports import SPACING_UM, report, write_csv, write_findings, write_run

OFFICIAL, EVERY = FrocMode.OFFICIAL, FrocMode.EVERY_SLIDE


def submitted(
    folder: Path, truth: Path, *, mode: FrocMode = EVERY, mpp_um: float | None = None, as_submitted: bool = False
) -> Comparison:
    """Challenge files, of which no pixel size is known."""
    return compare(subjects_of_challenge(folder), read_reference(truth), mode, as_submitted=as_submitted, mpp_um=mpp_um)


def test_tumour_slides_whose_lesions_are_not_shown_are_refused_by_the_official_score_and_named_by_the_other(
    tmp_path: Path,
) -> None:
    """Their points can't be judged: neither as hits nor as false positives."""
    truth = tmp_path / "truth"
    for name in ("b", "a", "t"):
        truth_file(truth, name, "micro", (900.0,))
    write_csv(truth / "labels.csv", "slide_id,label", "t,micro", "b,micro", "a,micro", "n,negative")
    run = write_run(tmp_path / "run", [*(report(name, (900.0,)) for name in ("t", "b", "a")), report("n")])
    assert compared(run, truth).unscored == ()
    for name in ("b", "a"):
        (truth / f"{name}.truth.json").unlink()
    found = compared(run, truth)
    assert found.unscored == ("a", "b")
    assert {each.reference.slide_id: each.hits is not None for each in found.slides} == {
        "a": False,
        "b": False,
        "n": True,
        "t": True,
    }
    with pytest.raises(UsageError, match=r"^the reference shows no lesions of 2 tumour slides: a, b$"):
        compared(run, truth, OFFICIAL)


def test_every_list_of_slides_is_in_order(tmp_path: Path) -> None:
    """However the folders and the table list them."""
    unjudged = {"status": Status.INCOMPLETE, "flags": (Flag("not_he", "The stain does not look like H&E."),)}
    reports = [
        report("d", **unjudged),
        report("c", **unjudged),
        report("f", status=Status.INCOMPLETE),
        report("e", status=Status.INCOMPLETE),
        report("y"),
        report("x"),
    ]
    truth = tmp_path / "truth"
    truth_file(truth, "c", "micro", (900.0,))
    names = ("n", "m", "f", "e", "d", "c")
    write_csv(truth / "labels.csv", "slide_id,label", *(f"{name},micro" for name in names[:-1]), "c,micro")
    found = compared(write_run(tmp_path / "run", reports), truth)
    assert [each.reference.slide_id for each in found.slides] == sorted(names)
    assert found.missing == ("c", "d", "m", "n")
    assert not any("normal" in note for note in found.notes)  # no slide would have been assumed to be
    assert found.unknown == ("x", "y")
    assert found.not_judged == ("c", "d")
    assert [each.slide_id for each in found.unpaired] == ["c"]
    assert found.unpaired[0].reason == "incomplete, without a class; its lesions count as missed"


def test_of_a_normal_slide_without_a_class_no_lesion_is_missed(tmp_path: Path) -> None:
    """It is named; one that could not be opened, and so has no size, too."""
    truth = tmp_path / "truth"
    truth_file(truth, "t", "micro", (900.0,))
    write_csv(truth / "labels.csv", "slide_id,label", "t,micro", "n,negative")
    run = write_run(tmp_path / "run", [report("n", status=Status.INCOMPLETE), report("t", status=Status.FAILED)])
    found = compared(run, truth)
    assert [(each.slide_id, each.reason) for each in found.unpaired] == [
        ("n", "incomplete, without a class"),
        ("t", "failed, without a class"),
    ]
    assert [each.pairing for each in found.slides] == [None, None]


def test_a_table_of_labels_alone_asks_for_no_points(tmp_path: Path) -> None:
    """A run may have been told to write none: its slides have a score. With lesions to find they are named."""
    run = write_findings(tmp_path / "run", [report("a", (900.0,)), report("b", status=Status.FAILED)])
    labels = write_csv(tmp_path / "labels.csv", "slide_id,label", "a,micro", "b,micro")
    assert compared(run, labels).missing == ("b",)
    for name in ("a", "b"):
        truth_file(tmp_path / "truth", name, "micro", (900.0,))
    found = compared(run, tmp_path / "truth")
    assert (found.missing, found.without_detections) == (("b",), ("a",))


def test_a_pixel_size_that_was_assumed_is_said(tmp_path: Path) -> None:
    """Where lesions are measured by it: not in the official score, nor with a size given, nor from reports."""
    write_csv(tmp_path / "csv" / "s1.csv", "0.9,12000,12000")
    mask_file(tmp_path / "masks" / "s1_mask.png", (900.0,))
    labels = write_csv(tmp_path / "labels.csv", "slide_id,label", "s1,micro")
    run = write_run(tmp_path / "run", [report("s1", (900.0,))])
    said = "no pixel size is known, so 0.243 um/px was used for lesions; give another with --mpp"
    for comparison, told in (
        (submitted(tmp_path / "csv", tmp_path / "masks"), True),
        (submitted(tmp_path / "csv", tmp_path / "masks", mpp_um=0.25), False),
        (submitted(tmp_path / "csv", tmp_path / "masks", mode=OFFICIAL), False),
        (submitted(tmp_path / "csv", labels), False),
        (compared(run, tmp_path / "masks"), False),
    ):
        assert (said in comparison.notes) is told


@pytest.mark.parametrize(("mpp_um", "lesions"), [(0.25, 1), (0.1, 0), (None, 1)])
def test_a_pixel_size_that_was_given_is_that_of_lesions(tmp_path: Path, mpp_um: float | None, lesions: int) -> None:
    """900 um at 0.25 um/px are 360 at 0.1, and 180 um of these are isolated tumour cells."""
    write_csv(tmp_path / "csv" / "s1.csv", "0.9,12000,12000")
    mask_file(tmp_path / "masks" / "s1_mask.png", (450.0,))
    (slide,) = submitted(tmp_path / "csv", tmp_path / "masks", mpp_um=mpp_um).slides
    assert slide.hits is not None
    assert slide.hits.n_lesions == lesions


@pytest.mark.parametrize(("spacing_um", "told"), [(0.267, False), (0.268, True)])
def test_slides_a_tenth_coarser_than_the_organisers_are_named(tmp_path: Path, spacing_um: float, told: bool) -> None:
    """Those with tumour alone; their limit is the coarsest one's, and in the other mode the limit is 0.2 mm."""
    truth = tmp_path / "truth"
    write_csv(truth / "labels.csv", "slide_id,label", "s1,micro", "s2,micro", "n,negative")
    reports = []
    for name, um in (("s1", spacing_um), ("s2", SPACING_UM), ("n", 1.0)):
        found = report(name, () if name == "n" else (900.0,))
        assert found.info is not None
        reports.append(replace(found, info=replace(found.info, spacing=Spacing.square(um))))
        if name != "n":
            truth_file(truth, name, "micro", (900.0,))
    run = write_run(tmp_path / "run", reports)
    note = (
        "the organisers' script assumes 0.243 um/px for every slide; on coarser slides, lesions up to about 221 um "
        "count as isolated tumour cells and are left out: s1"
    )
    assert (note in compared(run, truth, OFFICIAL).notes) is told
    assert not any("organisers" in said for said in compared(run, truth).notes)


@pytest.mark.parametrize("mode", [OFFICIAL, EVERY])
def test_points_lie_where_outlines_do_and_are_never_off_them(tmp_path: Path, mode: FrocMode) -> None:
    """Where a slide's size isn't known they are drawn as far as they reach; a point beyond is no error of units."""
    truth_file(tmp_path / "truth", "s1", "micro", (900.0,))
    write_csv(tmp_path / "csv" / "s1.csv", "0.9,12000,12000", "0.5,48000,48000")
    found = submitted(tmp_path / "csv", tmp_path / "truth", mode=mode, mpp_um=SPACING_UM)
    (slide,) = found.slides
    assert slide.hits is not None
    assert slide.hits.lesion_scores.max() == pytest.approx(0.9)
    assert (slide.hits.n_lesions, slide.hits.false_positives.tolist()) == (1, [0.5])
    assert not any("outside of the mask" in note for note in found.notes)


def test_what_is_off_the_mask_of_a_slide_with_tumour_is_said_of_that_slide(tmp_path: Path) -> None:
    """A normal slide has no mask to be off."""
    for name in ("s1", "s2", "n"):
        write_csv(tmp_path / "csv" / f"{name}.csv", "0.9,999999,999999" if name != "s2" else "0.9,9,9")
        if name != "n":
            mask_file(tmp_path / "masks" / f"{name}_mask.png", (900.0,))
    notes = submitted(tmp_path / "csv", tmp_path / "masks", mpp_um=0.25).notes
    assert "points outside of the mask count as false positives; are x and y level-0 pixels? s1" in notes


def test_sizes_of_outlines_are_not_called_too_long(tmp_path: Path) -> None:
    """Nor are isolated tumour cells in doubt; of masks both are said, where there are sizes, and lesions scored."""
    truth_file(tmp_path / "truth", "s1", "micro", (900.0,))
    mask_file(tmp_path / "masks" / "s1_mask.png", (900.0,))
    run = write_run(tmp_path / "run", [report("s1", (900.0,), detections=(Detection(0.9, 3000.0, 3000.0),))])
    too_long = (
        "sizes of masks at level 5 are up to about 1.2 px (38 of level 0) too long, because they are measured from "
        "corner to corner. The bias of size, true classes, recall by class and the table of lesions by true size "
        "include this error: a lesion just below 0.2 or 2 mm may have the next class. Outlines avoid this"
    )
    in_doubt = (
        "on masks, lesions that exceed 200 um by up to 58 px of level 0 may count as isolated tumour cells and be left "
        "out of the lesion task; outlines avoid this"
    )
    write_csv(tmp_path / "csv" / "s1.csv", "0.9,12000,12000")
    for comparison, sizes, lesions in (
        (compared(run, tmp_path / "truth"), False, False),
        (compared(run, tmp_path / "masks"), True, True),
        (submitted(tmp_path / "csv", tmp_path / "masks", mpp_um=0.25), False, True),
        (compared(run, tmp_path / "masks", OFFICIAL), True, False),
    ):
        assert (too_long in comparison.notes, in_doubt in comparison.notes) == (sizes, lesions)


def test_of_many_slides_eight_are_named(tmp_path: Path) -> None:
    """In order, and how many more there are."""
    truth_file(tmp_path / "truth", "t", "micro", (900.0,))
    names = [f"n{number}" for number in range(10)]
    run = write_run(tmp_path / "run", [report("t", (900.0,)), *map(report, reversed(names))])
    notes = compared(run, tmp_path / "truth").notes
    assert f"assumed normal: 10 slides without a mask or outline: {', '.join(names[:8])} and 2 more" in notes


@pytest.mark.parametrize("mode", [OFFICIAL, EVERY])
def test_a_reference_with_the_endings_of_files_is_told_so(mode: FrocMode, tmp_path: Path) -> None:
    """One of its slides is enough; a slide that was really called so, or one that nobody ran, is none."""
    run = write_run(tmp_path / "run", [report("s1"), report("s09", (900.0,)), report("s2.tif")])
    labels = write_csv(tmp_path / "q.csv", "slide_id,label", "s1,negative", "s09.tif,micro")
    with pytest.raises(
        UsageError, match=r"^q\.csv: names slides with the ending of a file \(s09\.tif\), .* as in s09$"
    ):
        compared(run, labels, mode)
    labels = write_csv(tmp_path / "q.csv", "slide_id,label", "s1,negative", "s2.tif,negative", "s3.tif,negative")
    assert compared(run, labels).missing == ("s3.tif",)


def test_a_reference_of_other_slides_names_three_of_its_own(tmp_path: Path) -> None:
    """The first by name, to be compared with the run's."""
    labels = write_csv(tmp_path / "q.csv", "slide_id,label", *(f"q{number},macro" for number in (4, 2, 3, 1)))
    with pytest.raises(UsageError, match=r"lists none of the slides .*; its slides are named q1, q2, q3, \.\.\.$"):
        compared(write_run(tmp_path / "run", [report("s1")]), labels)
