"""What a stage doesn't exclude is told where deposits that the model may miss would make another stage of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.flags import Flag
from nodescan.domain.report import SlideReport, Status
from nodescan.patients.patient_files import write_staging
from nodescan.patients.staging import PatientResult
from tests.patients.made_reports import WORD_SIZES, report, staged_by, write_run
from tests.patients.test_whole_readings import codes
from tests.reports.factory import read_aloud

NODES = "slide_id,patient_id,node_id"
TRUNCATED = Flag("unreadable", "the file is truncated")

Shown = tuple[SlideReport, int, int]
"""A slide, the node that it shows, and how many nodes share it."""


def limited(made: SlideReport, found_from_um: float | None) -> SlideReport:
    """By a model that finds each deposit from this size on."""
    assert made.model is not None
    return replace(made, model=replace(made.model, found_from_um=found_from_um))


def staged(folder: Path, slides: Sequence[Shown], *review: str, found_from_um: float = 400.0) -> PatientResult:
    """A patient with these slides."""
    run = write_run(folder / "run", [limited(made, found_from_um) for made, _, _ in slides])
    rows = [f"{made.slide.slide_id},A,{node},{shared}" for made, node, shared in slides]
    (patient,) = staged_by(run, f"{NODES},nodes_on_slide", *rows, review=review).patients
    return patient


def told(patient: PatientResult) -> tuple[str, bool]:
    """The stage, and whether it is said what that doesn't exclude."""
    return patient.staged.words, "detection_limit" in codes(patient)


def macro(number: int) -> Shown:
    """A node with a macrometastasis on a slide of its own."""
    return report(f"macro{number}", (2600.0,)), number, 1


def test_under_pn0_stands_what_could_have_been_missed(tmp_path: Path) -> None:
    """By the report's model, in all three files; not beside a stage of another kind, nor where no model says it."""

    def said(found_from_um: float | None) -> dict[str, list[str]]:
        reports = [report("n"), report("m", (900.0,)), report("f", status=Status.FAILED, flags=(TRUNCATED,))]
        known = [limited(one, found_from_um) for one in reports]
        found = staged_by(write_run(tmp_path / f"run {found_from_um}", known), NODES, "n,N,1", "m,M,1", "f,F,1")
        pages = write_staging(found, tmp_path / "out")
        texts = [*(read_aloud(path.read_text()) for path in pages), (tmp_path / "out" / "patients.csv").read_text()]
        return {
            "notes": [one.staged.words for one in found.patients if "detection_limit" in codes(one)],
            "texts": [text[:15] for text in texts if "Deposits up to about 0.2 mm, thin ones above all, " in text],
        }

    assert said(200.0) == {"notes": ["pN0"], "texts": ["<!doctype html>", "patient_id,spec"]}
    assert said(None) == {"notes": [], "texts": []}


@pytest.mark.parametrize(
    ("sizes_um", "review", "stage", "limit"),
    [
        ((0, 0), (), "pN0", True),
        ((150, 0), (), "pN0(i+)", True),
        ((150, None), (), "at least pN0(i+)", True),
        ((0, None), (), "cannot be determined (no tumour found, but 1 of 2 nodes not fully read)", False),
        ((900, 0, 0, 0, 0), (), "pN1mi", False),
        ((2600, 900, 0), (), "pN1a", False),
        ((2600, 900, 900, 0), (), "pN1a", True),
        ((2600, 900, 900, 150), (), "pN1a", True),
        ((2600, 900, 900), (), "pN1a", False),
        ((900,), ("s0,1,,,resize,150,Dr A",), "pN0(i+)", True),
        ((900,), ("s0,1,,,reject,,Dr A",), "pN0", True),
        ((150,), ("s0,,9000,9000,add,900,Dr A",), "pN1mi", False),
    ],
)
def test_a_missed_micrometastasis_is_not_excluded_where_it_would_make_another_stage(
    sizes_um: tuple[float | None, ...], review: tuple[str, ...], stage: str, limit: bool, tmp_path: Path
) -> None:
    """Of pN0 and pN0(i+) it makes pN1mi; of pN1a, as a positive node more, pN2a; a review decides which one stands."""
    made = [
        report(f"s{number}", status=Status.FAILED, flags=(TRUNCATED,))
        if size_um is None
        else report(f"s{number}", (size_um,) if size_um else ())
        for number, size_um in enumerate(sizes_um)
    ]
    slides = [(one, number, 1) for number, one in enumerate(made)]
    assert told(staged(tmp_path, slides, *review, found_from_um=550.0)) == (stage, limit)


@pytest.mark.parametrize(("read", "limit"), [(("m",), True), (("m", "n"), False)])
@pytest.mark.parametrize(("node", "stage"), [(2, "pN0"), (1, "pN1a")])
def test_the_detection_limit_is_of_slides_that_the_software_alone_read(
    tmp_path: Path, read: tuple[str, ...], limit: bool, node: int, stage: str
) -> None:
    """A reader is no model. The other slide is of another node; or of the same, the fourth to be positive (pN2a)."""
    positive = [macro(number) for number in (3, 4, 5)] if stage == "pN1a" else []
    slides = [(report("m"), 1, 1), (report("n"), node, 1), *positive]
    assert told(staged(tmp_path, slides, *[f"{name},,,,read,negative,R" for name in read])) == (stage, limit)


@pytest.mark.parametrize(
    "rows", [(), ("m,,,,read,macro,R", "macro2,,,,read,macro,R", "k,,,,read,micro,R")], ids=["software", "readings"]
)
def test_the_detection_limit_is_told_of_nodes_that_share_a_slide_with_a_reading(
    tmp_path: Path, rows: tuple[str, ...]
) -> None:
    """The reader said which class the slide has, and the software alone that the second node has no tumour."""
    slides = [(report("m", (3000.0,)), 1, 2), macro(2), (report("k", (900.0,)), 3, 1)]
    assert told(staged(tmp_path, slides, *rows)) == ("pN1a", True)


@pytest.mark.parametrize(("word", "limit"), [("negative", False), ("itc", False), ("micro", True)])
def test_a_reader_who_finds_no_metastasis_on_a_shared_slide_excludes_smaller_ones(
    tmp_path: Path, word: str, limit: bool
) -> None:
    """Beside two macrometastases a slide of two nodes: with micrometastases in both, they'd be four (pN2a)."""
    slides = [macro(1), macro(2), (report("m", WORD_SIZES[word]), 3, 2)]
    assert told(staged(tmp_path, slides, f"m,,,,read,{word},R")) == ("pN1a", limit)


def test_a_reading_that_leaves_the_number_of_nodes_open_has_no_limit_of_a_model(tmp_path: Path) -> None:
    """The software saw a part: four nodes may be positive, whatever it finds."""
    slide = report("m", (3000.0,), status=Status.INCOMPLETE)
    assert told(staged(tmp_path, [(slide, 1, 4)], "m,,,,read,macro,R")) == ("at least pN1a", False)
