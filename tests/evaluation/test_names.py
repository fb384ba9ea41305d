"""Slides are matched by the names that reports have, and what finds no match is never taken for normal."""

from pathlib import Path

import pytest

from nodescan.errors import UsageError
from nodescan.evaluation.compare import Comparison, compare
from nodescan.evaluation.evaluation_files import evaluation_as_json
from nodescan.evaluation.figures import figures
from nodescan.evaluation.froc import FrocMode
from nodescan.evaluation.reference import read_reference
from nodescan.evaluation.slide_results import subjects_of_challenge, subjects_of_run
from tests.evaluation.occasions import made_of
from tests.evaluation.test_compare import compared, truth_file
from tests.patients.made_reports import report, write_csv, write_run


def a_run(folder: Path, tumour: tuple[str, ...], normal: tuple[str, ...] = ("normal_1",)) -> Path:
    return write_run(folder / "run", [*(report(name, (900.0,)) for name in tumour), *map(report, normal)])


def truths(folder: Path, *names: str) -> Path:
    for name in names:
        truth_file(folder / "truth", name, "micro", (900.0,))
    return folder / "truth"


def kinds(comparison: Comparison) -> dict[str, bool | None]:
    return {outcome.reference.slide_id: outcome.reference.tumour for outcome in comparison.slides}


def test_a_folder_of_lesions_names_slides_as_their_files_are_named(tmp_path: Path) -> None:
    """S 1.tif is S_1 in reports, an accent is dropped: its lesions are its own, and it is no normal slide."""
    truth = truths(tmp_path, "S 1", "Lièvre", "b2")
    found = compared(a_run(tmp_path, ("S_1", "Lievre", "B2")), truth)
    assert kinds(found) == {"S 1": True, "Lièvre": True, "b2": True, "normal_1": False}
    assert (found.missing, found.unknown) == ((), ())
    scored = figures(found)
    assert scored.slide_task is not None
    assert (scored.slide_task.n_tumour, scored.slide_task.n_normal) == (3, 1)
    assert scored.lesion_task is not None
    assert scored.lesion_task.score.value == 1.0


@pytest.mark.parametrize("header", ["slide_id,label", "patient_id,slide_id,label"])
def test_a_table_names_slides_as_their_files_are_named(tmp_path: Path, header: str) -> None:
    """The slide keeps its result, and its patient its slide."""
    first = "P," if header.startswith("patient") else ""
    table = write_csv(tmp_path / "r.csv", header, f"{first}S 1,micro", f"{first}normal_1,negative")
    found = compared(a_run(tmp_path, ("S_1",)), table)
    assert (found.missing, found.unknown) == ((), ())
    assert [(patient.found_stage, patient.found.complete) for patient in found.patients] == [("pN1mi", True)] * len(
        first[:1]
    )


def test_nothing_is_normal_while_a_slide_of_the_reference_has_no_result(tmp_path: Path) -> None:
    """Reports of two files x.tif carry hashes: neither is x, and either may be."""
    run = a_run(tmp_path, ("x-1a2b3c", "B2"), ("x-4d5e6f", "normal_1"))
    found = compared(run, truths(tmp_path, "x", "B2"))
    assert kinds(found) == {"x": True, "B2": True}
    assert found.missing == ("x",)
    assert found.unknown == ("normal_1", "x-1a2b3c", "x-4d5e6f")
    assert any(
        "not assumed normal: 3 slides without a mask or outline (normal_1, x-1a2b3c, x-4d5e6f), because x of" in note
        for note in found.notes
    )
    content = evaluation_as_json(found, figures(found), occasion=made_of("truth"))
    assert content["slide_auc"] is None


def test_what_is_scored_as_submitted_counts_as_the_organisers_count(tmp_path: Path) -> None:
    """Their script takes whatever has no mask for normal; that is said."""
    subjects = subjects_of_run(a_run(tmp_path, ("B2",)))
    reference = read_reference(truths(tmp_path, "x", "B2"))
    found = compare(subjects, reference, FrocMode.OFFICIAL, as_submitted=True, mpp_um=None)
    assert kinds(found) == {"x": True, "B2": True, "normal_1": False}
    assert "assumed normal: 1 slide without a mask or outline: normal_1" in found.notes


def test_what_counts_nowhere_is_not_normal_for_want_of_a_mask(tmp_path: Path) -> None:
    """CAMELYON16's test_049 is another slide's duplicate, and shows tumour; its normal_086 became tumor_111."""
    reference = read_reference(truths(tmp_path, "x"))
    other = reference.find("normal_001")
    assert other is not None
    assert other.tumour is False
    assert reference.find("Test_049") is None
    assert reference.find("normal_086") is None


def test_two_names_that_are_one_are_refused(tmp_path: Path) -> None:
    """In a table, in a folder of lesions, among challenge files, among reports: none is chosen in silence."""
    table = write_csv(tmp_path / "r.csv", "slide_id,label", "S_1,micro", "S 1,negative")
    with pytest.raises(UsageError, match=r"r\.csv, line 3: 'S 1' and 'S_1' are both 'S_1' in reports; write each as"):
        read_reference(table)
    with pytest.raises(UsageError, match="both show the lesions of one slide"):
        read_reference(truths(tmp_path, "S 1", "S_1"))
    for name in ("S 1", "S_1"):
        write_csv(tmp_path / "csv" / f"{name}.csv", "0.5,1,1")
    with pytest.raises(UsageError, match=r"S_1\.csv and S 1\.csv: both are of one slide"):
        subjects_of_challenge(tmp_path / "csv")
    run = a_run(tmp_path, ("S_1", "s_1"))
    with pytest.raises(UsageError, match="the results of 'S_1' and 's_1' would both be held against one slide"):
        compared(run, write_csv(tmp_path / "q.csv", "slide_id,label", "S_1,micro"))
