"""A reader gives the size of a deposit in one row and its class in another, for more than 200 cells make it micro."""

import json
import re
from pathlib import Path

import pytest

from nodescan.domain.classification import Metastasis
from nodescan.domain.staging import AJCC8
from nodescan.errors import UsageError
from nodescan.patients.corrections import apply_corrections
from nodescan.patients.earlier_stages import earlier_corrections, set_aside_before
from nodescan.patients.patient_files import write_staging
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import Staging, stage_reports
from nodescan.reports.report_reader import read_reports
from tests.patients.made_reports import report, review_of, staged_by, write_csv, write_run
from tests.patients.test_review_age import reviewed_run
from tests.reports.factory import read_aloud
from tests.schemas import PATIENTS, schema_of

ADD, CLASS = "a,,9000,9000,add,150,Dr A,missed", "a,,9000,9000,class,micro,Dr B,240 cells"
RESIZE, OF_THAT = "b,1,,,resize,180,Dr A,", "b,1,,,class,micro,Dr A,"


def staged(folder: Path, *review: str) -> Staging:
    """A patient with a node of nothing and one of a micrometastasis of 0.61 mm."""
    run = write_run(folder / "run", [report("a"), report("b", (610.0,))])
    return staged_by(run, "slide_id,patient_id,node_id", "a,A,1", "b,A,2", review=review)


@pytest.mark.parametrize("rows", [(ADD, CLASS), (CLASS, ADD), (RESIZE, OF_THAT), (OF_THAT, RESIZE)])
def test_a_micrometastasis_by_its_cells_keeps_its_true_size(tmp_path: Path, rows: tuple[str, ...]) -> None:
    """Of an added deposit and of one that the software measured too large, in either order of the rows."""
    slide_id = rows[0][0]
    other = "b,1,,,reject,,Dr A," if slide_id == "a" else "a,,9000,9000,add,100,Dr A,"
    found = staged(tmp_path, *rows, other)
    (patient,) = found.patients
    size_um = 150.0 if slide_id == "a" else 180.0
    assert (patient.staged.category, patient.staged.determined) == ("pN1mi", True)
    assert patient.staged.specimen.largest is not None
    assert patient.staged.specimen.largest.largest_um == size_um
    assert "micro_by_reader" in [note.code for note in patient.all_notes]


def test_both_rows_are_shown_beside_what_the_software_found(tmp_path: Path) -> None:
    """In patients.json and on the page: neither says that the software found what the other row says."""
    found = staged(tmp_path, ADD, CLASS, RESIZE, OF_THAT)
    (page,) = write_staging(found, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "patients.json").read_text())
    assert [error.message for error in schema_of(PATIENTS).iter_errors(content)] == []
    assert [(row["before"], row["after"], row["by"]) for row in content["patients"][0]["corrections"]] == [
        ("", "itc, 0.15 mm", "Dr A"),
        ("", "micro, 0.15 mm", "Dr B"),
        ("micro, 0.610 ± 0.004 mm", "itc, 0.18 mm", "Dr A"),
        ("micro, 0.610 ± 0.004 mm", "micro, 0.18 mm", "Dr A"),
    ]
    text = read_aloud(page.read_text())
    assert "Deposit 1 (0.15 mm) is a micrometastasis according to the reader, not by its size" in text
    assert "A reader's class replaces that of the size." in text
    rows = text.partition(">Review</h2>")[2]
    for cell in (
        "not found",
        "Isolated tumour cells, 0.15 mm",
        "Micrometastasis, 0.15 mm",
        "Micrometastasis, 0.610 ± ",
    ):
        assert f">{cell}" in rows


def test_a_rejected_deposit_is_removed_in_the_table_of_the_review(tmp_path: Path) -> None:
    """And one that was added was not found by the software: "none" would be a class."""
    found = staged(tmp_path, "b,1,,,reject,,Dr A,", "a,,9000,9000,add,150,Dr A,")
    (page,) = write_staging(found, tmp_path / "out")
    rows = page.read_text().partition(">Review</h2>")[2].partition("</table>")[0]
    cells = re.findall(r'data-label="(?:Software|Reviewed)">([^<]*)<', rows)
    assert cells == ["Micrometastasis, 0.610 ± 0.004 mm", "removed", "not found", "Isolated tumour cells, 0.15 mm"]


def test_the_class_at_an_added_centre_is_not_that_of_the_deposit_that_was_rejected_there(tmp_path: Path) -> None:
    """The software took tumour of 0.15 mm for 0.61 mm, and the reader put another in its place."""
    rows = ("b,1,,,reject,,Dr A,", "b,,3000,3000,add,150,Dr A,", "b,,3000,3000,class,micro,Dr A,")
    run = write_run(tmp_path / "run", [report("b", (610.0,))])
    (slide,), applied = apply_corrections(read_reports(run), review_of(tmp_path, *rows), earlier=())
    assert [(one.diameter_um, one.metastasis) for one in slide.deposits] == [(150.0, Metastasis.MICRO)]
    assert [one.deposit_id for one in applied] == [1, 2, 2]


def test_a_class_below_what_the_size_demands_is_told(tmp_path: Path) -> None:
    """As it is of a size that the software measured."""
    found = staged(tmp_path, "a,,9000,9000,add,500,Dr A,", "a,,9000,9000,class,itc,Dr A,")
    assert "class_against_size" in [note.code for note in found.patients[0].all_notes]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((ADD, CLASS, CLASS), "line 4: deposit 1 is corrected in line 3 already"),
        ((OF_THAT, "b,1,,,accept,,Dr A,"), "line 3: deposit 1 is corrected in line 2 already"),
        ((OF_THAT, "b,1,,,reject,,Dr A,"), "line 3: deposit 1 is corrected in line 2 already"),
        ((RESIZE, OF_THAT, RESIZE), "line 4: deposit 1 is corrected in line 2 already"),
        ((ADD, "a,,9001,9000,class,micro,Dr A,"), "line 3: slide 'a' has no deposit near 9001, 9000 um"),
        ((CLASS,), "line 2: slide 'a' has no deposit near 9000, 9000 um"),
    ],
)
def test_other_rows_of_one_deposit_are_refused(tmp_path: Path, rows: tuple[str, ...], message: str) -> None:
    """The later line is named first, whatever order they are applied in."""
    with pytest.raises(UsageError, match=r"review\.csv") as caught:
        staged(tmp_path, *rows)
    assert message in str(caught.value)


def test_the_class_of_an_added_deposit_means_that_one_whatever_a_new_scan_finds(tmp_path: Path) -> None:
    """Its rows are older than the scan, and its number is another now; the same review is not set aside for that."""
    manifest = read_slide_rows(write_csv(tmp_path / "m.csv", "slide_id,patient_id,node_id", "a,A,1"))
    for sizes_um in ((), (300.0,)):
        run = reviewed_run(tmp_path / "run", "10", *sizes_um)
        rows = review_of(tmp_path, ADD, CLASS, day="2026-06-01")
        found = stage_reports(read_reports(run), manifest, AJCC8, corrections=rows, earlier=earlier_corrections(run))
        corrections = found.patients[0].corrections
        assert [(one.deposit_id, one.before_scan) for one in corrections] == [(len(sizes_um) + 1, False)] * 2
        assert set_aside_before(found, run) == ""
        write_staging(found, run)
