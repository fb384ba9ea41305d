"""Where a reader's class is not that of the size, no sentence beside it speaks of a size that isn't so."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.classification import CellCount, Metastasis
from nodescan.domain.flags import Flag
from nodescan.patients.patient_files import write_staging
from nodescan.patients.reviewed_flags import contradictions
from nodescan.patients.staging import Staging
from nodescan.patients.synoptic import ITC_ELEMENT, MACRO_ELEMENT, MICRO_ELEMENT
from tests.patients.made_reports import report, staged_by, write_run

HEAD = "slide_id,patient_id,node_id,sentinel,nodes_removed"
REPLACED = "A reader's class replaces that of the size."
READER = "the reader's class counts where it is not that of the size"

ITC = "Isolated tumour cells in the sections examined, by the reader's class."
MICRO = "Micrometastases in the sections examined; by the reader's class, none is a macrometastasis."
MACRO = "At least one macrometastasis in the sections examined, by the reader's class."


def reviewed(folder: Path, *review: str) -> Staging:
    """A patient with a node of a macrometastasis and one of a micrometastasis."""
    run = write_run(folder / "run", [report("a", (2610.0,)), report("b", (610.0,))])
    rows = ("a,A,1,yes,2", "b,A,2,yes,2")
    return staged_by(run, HEAD, *rows, review=review)


def page_of(staging: Staging, folder: Path) -> str:
    (page,) = write_staging(staging, folder)
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page.read_text(), flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


@pytest.mark.parametrize(
    ("review", "said", "untrue"),
    [
        (("a,1,,,class,itc,R",), MICRO, "none larger than 2 mm"),
        (("a,1,,,class,micro,R",), MICRO, "none larger than 2 mm"),
        (("a,1,,,class,itc,R", "b,1,,,class,itc,R"), ITC, "Isolated tumour cells only"),
        (("a,1,,,reject,,R", "b,1,,,class,macro,R"), MACRO, "deposit larger than 2 mm"),
    ],
)
def test_a_class_that_no_size_tells_is_the_readers(
    tmp_path: Path, review: tuple[str, ...], said: str, untrue: str
) -> None:
    """In the answer, beside the numbers of nodes, and below their table."""
    staging = reviewed(tmp_path, *review)
    text = page_of(staging, tmp_path / "out")
    assert said in text
    assert untrue not in text
    assert REPLACED in text
    (patient,) = json.loads((tmp_path / "out" / "patients.json").read_text())["patients"]
    notes = {element["element"]: element["note"] for element in patient["synoptic"]}
    assert {notes[element] for element in (MACRO_ELEMENT, MICRO_ELEMENT, ITC_ELEMENT)} == {READER}


def test_a_micrometastasis_by_the_readers_word_is_the_readers(tmp_path: Path) -> None:
    """Of a deposit up to 0.2 mm; but not where another node's deposit is one by its size, or by counted cells."""
    small = report("a", (150.0,))
    counted = replace(small.deposits[0], cells=CellCount(400, 50), metastasis=Metastasis.MICRO)
    by_cells = replace(
        report("b", (150.0,), flags=(Flag("cell_count_decides", "400 cells."),)),
        deposits=(counted,),
        metastasis=Metastasis.MICRO,
    )
    rows = ("a,A,1,yes,2", "b,A,2,yes,2")
    readers = {}
    for name, other in (("small", report("b", (140.0,))), ("sized", report("b", (610.0,))), ("counted", by_cells)):
        run = write_run(tmp_path / name / "run", [small, other])
        staging = staged_by(run, HEAD, *rows, review=("a,1,,,class,micro,R",))
        text = page_of(staging, tmp_path / name / "out")
        readers[name] = "Micrometastases in the sections examined, by the reader's class." in text
        assert "the reader's class counts where it is not that of the size" in text
    assert readers == {"small": True, "sized": False, "counted": False}


def test_a_class_by_counted_cells_contradicts_no_size() -> None:
    """Nobody but the count made 0.15 mm a micrometastasis; a reader who does is told, and so is one below the size."""
    (small,), (large,) = report("s", (150.0,)).deposits, report("s", (900.0,)).deposits
    micro = replace(small, cells=CellCount(400, 20), metastasis=Metastasis.MICRO)
    itc = replace(large, metastasis=Metastasis.ITC, class_given=True)
    told = [[flag.code for flag in contradictions([one])] for one in (micro, replace(micro, class_given=True), itc)]
    assert told == [[], ["micro_by_reader"], ["class_against_size"]]


def test_a_macrometastasis_by_its_size_stays_one_by_its_size(tmp_path: Path) -> None:
    """Whatever a reader says of another node; whose class that is stands below the nodes' table."""
    text = page_of(reviewed(tmp_path, "b,1,,,class,itc,R"), tmp_path / "out")
    assert "At least one deposit larger than 2 mm in the sections examined." in text
    assert REPLACED in text


@pytest.mark.parametrize(
    ("sizes_um", "row", "at_least"),
    [
        ((900.0,), "a,1,,,class,micro,R", True),
        ((900.0,), "a,1,,,accept,,R", True),
        ((900.0,), "a,1,,,resize,950,R", False),
        ((2600.0, 900.0), "a,2,,,class,micro,R", False),
    ],
)
def test_the_size_of_a_deposit_that_is_cut_off_stays_a_lower_bound_beside_a_readers_class(
    tmp_path: Path, sizes_um: tuple[float, ...], row: str, at_least: bool
) -> None:
    """The class says nothing of where the deposit ends, but a micrometastasis is no longer than 2 mm."""
    made = report("a", sizes_um)
    cut = replace(made.deposits[-1], cut_off=True)
    run = write_run(tmp_path / "run", [replace(made, deposits=(*made.deposits[:-1], cut))])
    (patient,) = staged_by(run, "slide_id,patient_id,node_id", "a,A,1", review=[row]).patients
    assert patient.staged.size_at_least is at_least


@pytest.mark.parametrize("review", [(), ("a,1,,,accept,,R",), ("a,1,,,resize,1900,R",)])
def test_sizes_alone_need_no_such_word(tmp_path: Path, review: tuple[str, ...]) -> None:
    """A review without a class, or none."""
    text = page_of(reviewed(tmp_path, *review), tmp_path / "out")
    assert "reader's class" not in text
    assert "2 mm" in text
