"""A manifest's rows as slides: what a row says arrives, and two rows never mean one slide."""

from pathlib import Path

import pytest

from nodescan.domain.slide import SlideRef
from nodescan.errors import UsageError
from nodescan.patients.manifest_run import manifest_slides, other_stains
from nodescan.patients.slide_rows import read_slide_rows
from tests.patients.made_reports import write_csv


def slides(path: Path, *, mpp_um: float | None = None, override_mpp: bool = False) -> tuple[SlideRef, ...]:
    return manifest_slides(read_slide_rows(path), mpp_um=mpp_um, override_mpp=override_mpp)


def test_a_row_becomes_a_slide(tmp_path: Path) -> None:
    """Path from the manifest's folder, id given or made, patient and node, and the row's spacing before --mpp."""
    path = write_csv(
        tmp_path / "m.csv",
        "path,slide_id,patient_id,node_id,stain,mpp",
        "x/a.svs,s1,P1,2,HE,0.25",
        "x/b.svs,,P2,,,",
        "x/k.svs,,P1,2,CK,",
    )
    assert slides(path, mpp_um=0.5, override_mpp=True) == (
        SlideRef("s1", tmp_path / "x" / "a.svs", "P1", "2", 0.25, False, mpp_listed=True, renamed=True),
        SlideRef("b", tmp_path / "x" / "b.svs", "P2", None, 0.5, True),
    )
    assert other_stains(read_slide_rows(path)) == ("k (CK)",)


@pytest.mark.parametrize(
    ("file", "slide_id", "renamed"),
    [
        ("Ada 1.svs", "P7-1", True),
        ("Ada 1.svs", "Ada_1", False),
        ("Ada 1.svs", "ada_1-rescan", False),
        ("\u0410\u0434\u0430_1.svs", "P7_1", True),
        ("1.2.840.7", "1.2.840.7", False),
        ("Ada 1.svs", "", False),
    ],
)
def test_a_slide_id_that_does_not_begin_with_the_files_name_renames_the_slide(
    tmp_path: Path, file: str, slide_id: str, renamed: bool
) -> None:
    """Also where no letter of the file's name can stand in an id; ids that a run makes never do."""
    path = write_csv(tmp_path / "m.csv", "path,slide_id", f"{file},{slide_id}", f"x/{file},{slide_id and 'other'}")
    assert slides(path)[0].renamed is renamed
    assert slides(path)[1].renamed is bool(slide_id)


@pytest.mark.parametrize("header", ["path,mpp", "path,mpp,patient_id"])
def test_a_table_without_patients_is_a_list_of_slides(tmp_path: Path, header: str) -> None:
    """Whether the column is absent or empty throughout; a row's spacing stands before --mpp as in any manifest."""
    end = "," * (header.count(",") - 1)
    path = write_csv(tmp_path / "list.csv", header, f"a.svs,0.25{end}", f"b.svs,{end}")
    assert slides(path, mpp_um=0.5) == (
        SlideRef("a", tmp_path / "a.svs", mpp_um=0.25, mpp_listed=True),
        SlideRef("b", tmp_path / "b.svs", mpp_um=0.5),
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("a.svs,s,A,", "b.svs,s,A,"), "line 3: the slide_id 's' stands in line 2 too"),
        (("a.svs,s,A,", "b.svs,S,A,"), "line 3: the slide_id 'S' stands in line 2 too"),
        (("a.svs,,A,", "b.svs,a,A,"), "line 3: the slide_id 'a' stands in line 2 too"),
        (("a.svs,s,A,", "x/../a.svs,t,A,"), "line 3: a.svs is the same file as in line 2"),
        (("a.svs,../s,A,",), "line 2: the slide_id '../s' can't name a folder"),
        (("a.svs,Patients,A,",), "line 2: the slide_id 'Patients' is the name of one of the run's own files"),
        (("a.svs,Nul.2,A,",), "line 2: the slide_id 'Nul.2' is the name of a device of Windows"),
        (("a.svs,s,A,", "b.svs,t,,"), "line 3: patient_id is empty"),
        ((",s,,",), "line 2: path is empty; scanning slide 's' needs its file"),
        ((",s,A,",), "line 2: path is empty; scanning slide 's' needs its file"),
        (("a.svs,s,A,CK",), "m.csv: has no H&E slide to scan"),
    ],
)
def test_what_cannot_be_scanned_or_staged_is_refused(tmp_path: Path, rows: tuple[str, ...], message: str) -> None:
    """Before any work, and by the number of the line."""
    path = write_csv(tmp_path / "m.csv", "path,slide_id,patient_id,stain", *rows)
    with pytest.raises(UsageError) as caught:
        slides(path)
    assert message in str(caught.value)
