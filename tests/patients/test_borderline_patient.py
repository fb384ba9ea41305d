"""A patient whose stage hangs on one size is borderline wherever the stage stands."""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.commands.stage import print_staging
from nodescan.domain.classification import CellCount, Metastasis
from nodescan.domain.flags import Flag
from nodescan.domain.patient import Node, Specimen
from nodescan.domain.patient_stage import stage
from nodescan.domain.report import SlideReport, Status
from nodescan.domain.section import Section
from nodescan.domain.staging import AJCC8, CAMELYON17
from nodescan.domain.units import Micrometers
from nodescan.patients.grouping import section_of
from nodescan.patients.patient_files import write_staging
from nodescan.patients.sentences import answer
from nodescan.patients.staging import Staging
from nodescan.patients.synoptic import MACRO_ELEMENT, MICRO_ELEMENT
from nodescan.reports.report_reader import read_reports
from tests.patients.made_reports import report, staged_by, write_run
from tests.schemas import PATIENTS, schema_of

REASON = Flag("unreadable", "the file is truncated")


def planted(size_um: float) -> SlideReport:
    """Slide a: one deposit, 30 um unsure."""
    made = report("a", (size_um,))
    unsure = tuple(replace(one, diameter_uncertainty_um=Micrometers(30.0)) for one in made.deposits)
    return replace(made, deposits=unsure, flags=(Flag("borderline", "Size within its uncertainty of a limit."),))


def staged(folder: Path, size_um: float, *rows: str, review: Sequence[str] = ()) -> Staging:
    others = [report("b", status=Status.FAILED, flags=(REASON,))]
    run = write_run(folder / "run", [planted(size_um), *others])
    return staged_by(run, "slide_id,patient_id,node_id,sentinel,nodes_removed", *rows, review=review)


def text_of(page: Path) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page.read_text(), flags=re.DOTALL).split())


def test_a_borderline_stage_is_said_on_the_page_in_the_files_and_in_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1986 +- 30 um is pN1mi or pN1a, its size has its uncertainty, and nothing says "none larger than 2 mm"."""
    found = staged(tmp_path, 1986.0, "a,A,1,yes,1")
    (page,) = write_staging(found, tmp_path / "out")
    assert '<strong class="pill">borderline: pN1mi or pN1a</strong>' in page.read_text()
    text = text_of(page)
    assert "Largest deposit 1.99 ± 0.03 mm" in text
    assert "reaches the limit of 2 mm between a micro- and a macrometastasis" in text
    assert "none larger" not in text
    assert "Macrometastases (greater than 2 mm) 0 1 borderline by size, which may or may not count here" in text
    assert "greater than 200 cells) 1 1 borderline by size, which may or may not count here" in text
    assert text.count("Micrometastasis borderline 1.99 ± 0.03 mm") == 1

    content = json.loads((tmp_path / "out" / "patients.json").read_text())
    assert [error.message for error in schema_of(PATIENTS).iter_errors(content)] == []
    (patient,) = content["patients"]
    assert (patient["stage"], patient["borderline"], patient["may_be"]) == ("pN1mi(sn)", True, ["pN1mi", "pN1a"])
    (node,) = patient["nodes"]
    for place in (patient, node, *node["slides"]):
        assert (place["borderline"], place["largest_deposit_uncertainty_um"]) == (True, 30.0)
    notes = {element["element"]: element["note"] for element in patient["synoptic"]}
    for element in (MACRO_ELEMENT, MICRO_ELEMENT):
        assert notes[element].startswith("1 borderline")
    assert notes["pN Category (node component only)"].startswith("borderline: pN1mi or pN1a. ")

    assert (patient["n_nodes_macro"], patient["n_nodes_borderline"]) == ({"lowest": 0, "highest": 0}, 1)

    (row,) = csv.DictReader((tmp_path / "out" / "patients.csv").open())
    assert (row["nodes_macro"], row["nodes_micro"], row["nodes_borderline"]) == ("0", "1", "1")
    assert (row["stage"], row["may_be"]) == ("pN1mi(sn)", "pN1mi or pN1a")
    assert (row["largest_deposit_um"], row["largest_deposit_uncertainty_um"]) == ("1986.0", "30.0")
    print_staging(found)
    told = capsys.readouterr().out
    assert "pN1mi(sn) (borderline: pN1mi or pN1a)  1 of 1          1.99 ± 0.03 mm" in told
    assert "1 of 1 determined, 1 of them borderline. pN" in told


def test_a_limit_is_reached_by_the_largest_deposit_or_by_a_deposit(tmp_path: Path) -> None:
    """1975 +- 20 um is clear of 2 mm and 1970 +- 45 um beside it isn't; alone, 1986 um is the largest."""

    def said(found: SlideReport, folder: str) -> str:
        (stored,) = read_reports(write_run(tmp_path / folder, [found]))
        return answer(stage(Specimen("A", (Node("1", (section_of(stored),)),)), AJCC8))

    both = report("a", (1975.0, 1970.0))
    unsure = zip(both.deposits, (20.0, 45.0), strict=True)
    two = tuple(replace(one, diameter_uncertainty_um=Micrometers(um)) for one, um in unsure)
    assert said(planted(1986.0), "one").startswith("Within its uncertainty, the size of the largest deposit")
    assert said(replace(both, deposits=two), "two").startswith("Within its uncertainty, the size of a deposit")


@pytest.mark.parametrize(
    ("size_um", "removed", "said"),
    [
        (1986.0, 2, "so the true stage may be higher."),
        (2010.0, 4, "so the true stage may be higher, or lower because of the borderline size."),
        (
            2010.0,
            2,
            "No higher category than pN1a is possible, whatever that node holds; "
            "it may be lower because of the borderline size.",
        ),
    ],
)
def test_a_lower_bound_that_may_be_lower_says_so(tmp_path: Path, size_um: float, removed: int, said: str) -> None:
    """Beside a failed node, 2010 +- 30 um is pN1a only by its size as measured, and at least pN1mi; pN2a needs four."""
    rows = (f"a,A,1,yes,{removed}", f"b,A,2,yes,{removed}")
    (page,) = write_staging(staged(tmp_path, size_um, *rows), tmp_path / "out")
    headline, beside = (
        ("At least pN1mi(sn)", "borderline: at least pN1mi or pN1a")
        if size_um < 2000
        else ("pN1a(sn) as measured", "borderline: at least pN1mi")
    )
    assert f"{headline}</h2>" in page.read_text()
    assert f'<strong class="pill">{beside}</strong>' in page.read_text()
    (row,) = csv.DictReader((tmp_path / "out" / "patients.csv").open())
    assert row["may_be"] == "at least pN1mi or pN1a"
    assert said in text_of(page)


@pytest.mark.parametrize("review", ["a,1,,,resize,1960,Dr A", "a,1,,,class,micro,Dr A"])
def test_what_a_reader_measured_or_classed_is_settled(tmp_path: Path, review: str) -> None:
    """The stage is certain after the review, its size the reader's, or the software's with its uncertainty."""
    found = staged(tmp_path, 1986.0, "a,A,1,yes,1", review=[review])
    (patient,) = found.patients
    assert (patient.staged.words, patient.staged.borderline) == ("pN1mi(sn)", False)
    assert "borderline" not in [note.code for note in patient.all_notes]
    assert patient.software.borderline
    (page,) = write_staging(found, tmp_path / "out")
    assert "Reviewed. The software&#39;s own result: pN1mi(sn), borderline: pN1mi or pN1a." in text_of(page)


@pytest.mark.parametrize("size", ["1985.73", "1985.7", "1986", "1990"])
def test_a_readers_size_that_is_the_softwares_own_is_the_readers_and_is_told(tmp_path: Path, size: str) -> None:
    """The reader measured the same, so the size is exact, and the note has the "±" that no longer counts."""
    (patient,) = staged(tmp_path, 1985.73, "a,A,1,yes,1", review=[f"a,1,,,resize,{size},Dr A"]).patients
    (section,) = patient.staged.specimen.sections
    assert (section.largest_um, section.uncertainty_um) == (float(size), None)
    assert (patient.staged.words, patient.staged.borderline) == ("pN1mi(sn)", False)
    (note,) = [note.message for note in patient.all_notes if note.code == "size_by_reader"]
    assert "1.99 mm, taken as exact. The software measured 1.99 ± 0.03 mm; with this" in note


@pytest.mark.parametrize(
    ("size", "beside_um", "told"),
    [("900", None, True), ("904", None, True), ("950", None, False), ("900", 2600.0, False)],
)
def test_a_readers_size_that_makes_a_deposit_whole_with_the_softwares_size_is_told(
    tmp_path: Path, size: str, beside_um: float | None, told: bool
) -> None:
    """The software saw a part alone, so the size may be copied. Not beside a macrometastasis."""
    made = report("a", (900.0,))
    cut = replace(made, deposits=(replace(made.deposits[0], cut_off=True),), at_least=True)
    others = [] if beside_um is None else [report("b", (beside_um,))]
    run = write_run(tmp_path / "run", [cut, *others])
    rows = ["a,A,1", *["b,A,1" for _ in others]]
    (patient,) = staged_by(run, "slide_id,patient_id,node_id", *rows, review=[f"a,1,,,resize,{size},Dr A"]).patients
    assert patient.staged.determined
    notes = [note.message for note in patient.all_notes if note.code == "size_by_reader"]
    assert (
        notes
        == [
            "Node 1, slide a: deposit 1 has the size that Dr A gave, 0.90 mm, taken as exact and whole. The software "
            "measured the same, 0.900 ± 0.004 mm, where the deposit is cut off, and would call its class “at least”."
        ]
        * told
    )


@pytest.mark.parametrize(("others", "told"), [((), True), ((1900.0,), True), ((2600.0,), False), ((2003.0,), True)])
def test_a_size_by_a_reader_is_told_only_where_it_decides(
    tmp_path: Path, others: tuple[float, ...], told: bool
) -> None:
    """Not beside a certain macrometastasis, on the slide or on another one of the node; but of a node of its own."""
    review, head = ["a,{},,,resize,1990,Dr A"], "slide_id,patient_id,node_id,nodes_on_slide"

    def codes(run: Path, *rows: str, number: int = 1) -> list[str]:
        (patient,) = staged_by(run, head, *rows, review=[review[0].format(number)]).patients
        return [note.code for note in patient.all_notes]

    own = planted(1986.0)
    slides = [own, *[report(f"s{number}", (size,)) for number, size in enumerate(others)]]
    run = write_run(tmp_path / "run", slides)
    names = [one.slide.slide_id for one in slides]
    assert ("size_by_reader" in codes(run, *[f"{name},A,1,1" for name in names])) is told
    assert "size_by_reader" in codes(run, *[f"{name},A,{name},1" for name in names])
    assert "size_by_reader" in codes(run, *[f"{name},A,1,2" for name in names])


@pytest.mark.parametrize("slides", [((2050.0, 2040.0),), ((2050.0,), (2040.0,))])
def test_sizes_by_a_reader_that_lean_on_each_other_are_all_told(
    tmp_path: Path, slides: tuple[tuple[float, ...], ...]
) -> None:
    """On one slide, and on two of a node: with the software's "±" neither makes the other's class sure."""
    made = [report(f"s{number}", sizes) for number, sizes in enumerate(slides)]
    unsure = [
        replace(one, deposits=tuple(replace(each, diameter_uncertainty_um=Micrometers(100.0)) for each in one.deposits))
        for one in made
    ]
    names = [one.slide.slide_id for one in made]
    review = [f"{one.slide.slide_id},{each.id},,,resize,2010,Dr A" for one in made for each in one.deposits]
    found = staged_by(
        write_run(tmp_path / "run", unsure),
        "slide_id,patient_id,node_id",
        *[f"{name},A,1" for name in names],
        review=review,
    )
    (patient,) = found.patients
    assert [note.code for note in patient.all_notes].count("size_by_reader") == 2


@pytest.mark.parametrize(
    ("software_um", "review", "told"),
    [
        (2030.0, ("a,1,,,resize,2000,Dr A",), "2.00 mm, taken as exact. The software measured 2.03 ± 0.03 mm"),
        (2400.0, ("a,1,,,resize,2010,Dr A",), "2.01 mm, taken as exact. The software measured 2.40 ± 0.03 mm"),
        (2020.0, ("a,1,,,resize,1900,Dr A",), ""),
        (2020.0, ("a,1,,,resize,1990,Dr A", "a,1,,,class,micro,Dr A"), ""),
        (2020.0, ("a,1,,,class,macro,Dr A",), ""),
        (2020.0, ("a,,9000,9000,add,2010,Dr A",), ""),
    ],
)
def test_a_readers_size_near_a_limit_is_told_to_count_as_exact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], software_um: float, review: tuple[str, ...], told: str
) -> None:
    """On the page, in patients.json and on the terminal, with what the software measured; not where the reader gave the
    class, or the software's own "±" reaches no limit from there."""
    found = staged(tmp_path, software_um, "a,A,1,yes,1", review=review)
    (page,) = write_staging(found, tmp_path / "out")
    print_staging(found)
    (stored,) = json.loads((tmp_path / "out" / "patients.json").read_text())["patients"]
    notes = [note["message"] for note in stored["notes"] if note["code"] == "size_by_reader"]
    assert len(notes) == bool(told)
    assert all(told in text and "micro and macro possible" in text for text in notes)
    for text in (text_of(page), capsys.readouterr().out):
        assert ("taken as exact" in text) == bool(told)
        assert told in text.replace(" ,", ",")


@pytest.mark.parametrize(("beside_um", "words"), [(None, "pN1mi as measured"), (300.0, "at least pN1mi")])
def test_a_stage_that_an_estimated_count_of_cells_makes_is_no_bound_that_holds(
    tmp_path: Path, beside_um: float | None, words: str
) -> None:
    """0.15 mm with 300 ± 60 cells on a slide that was read in part; beside 0.3 mm the count decides nothing."""
    sizes = (150.0,) if beside_um is None else (beside_um, 150.0)
    made = report("a", sizes, status=Status.INCOMPLETE)
    many = replace(made.deposits[-1], cells=CellCount(300, 60), metastasis=Metastasis.MICRO)
    found = replace(made, metastasis=Metastasis.MICRO, deposits=(*made.deposits[:-1], many))
    (patient,) = staged_by(write_run(tmp_path, [found]), "slide_id,patient_id,node_id", "a,A,1").patients
    assert patient.staged.words == words


@pytest.mark.parametrize(
    ("code", "bound"), [("nuclei_out_of_scale", False), ("may_be_two_foci", False), ("ink_over_tissue", True)]
)
def test_a_size_that_may_be_shorter_than_its_uncertainty_tells_is_no_lower_bound(
    tmp_path: Path, code: str, bound: bool
) -> None:
    """On a slide that was read in part, wherever its size stands: twice, and at its node; where the slide
    has no class, among the numbers and at the slide."""
    found = report("a", (610.0,), status=Status.INCOMPLETE, flags=(Flag(code, "Look."), REASON))
    staging = staged_by(write_run(tmp_path / "run", [found]), "slide_id,patient_id,node_id", "a,A,1")
    (page,) = write_staging(staging, tmp_path / "out")
    sizes = re.findall(r"(at least )?0\.610 ± 0\.004 mm( as measured)?(?! \))", text_of(page))
    said = ("at least ", "") if bound else ("", " as measured")
    assert sizes == [said] * 3
    classless = replace(found, status=Status.FAILED, metastasis=None, at_least=False)
    staging = staged_by(write_run(tmp_path / "failed", [classless]), "slide_id,patient_id,node_id", "a,A,1")
    text = text_of(write_staging(staging, tmp_path / "out")[0])
    assert f"Largest deposit {said[0]}0.610 ± 0.004 mm{said[1]} on a slide that got no class" in text
    assert text.count(f"{said[0]}0.610 ± 0.004 mm{said[1]}") >= 2


def test_a_clear_size_leaves_no_doubt(tmp_path: Path) -> None:
    """Neither badge nor field."""
    (page,) = write_staging(staged(tmp_path, 1900.0, "a,A,1,yes,1"), tmp_path / "out")
    assert "none larger than 2 mm" in text_of(page)
    (patient,) = json.loads((tmp_path / "out" / "patients.json").read_text())["patients"]
    assert (patient["borderline"], patient["may_be"], patient["n_nodes_borderline"]) == (False, [], 0)
    assert "borderline by size" not in text_of(page)


def test_more_nodes_than_the_table_knows_are_no_error() -> None:
    """Ten macrometastases have no place in the challenge's table, so no category is there to be borderline."""
    sections = [Section(f"s{number}", Status.COMPLETE, Metastasis.MACRO) for number in range(10)]
    unread = Section("f", Status.FAILED, None, reason="truncated")
    nodes = tuple(Node(section.slide_id, (section,)) for section in (*sections, unread))
    staged_ = stage(Specimen("P", nodes), CAMELYON17)
    assert (staged_.may_be, staged_.borderline) == ((), False)
    assert answer(staged_).endswith("so the true stage may be higher.")


@pytest.mark.parametrize(("size_um", "told"), [(190.0, True), (215.0, True), (1986.0, False), (900.0, False)])
def test_a_count_of_positive_nodes_is_borderline_where_a_size_may_change_it(
    tmp_path: Path, size_um: float, told: bool
) -> None:
    """At 0.2 mm a node is positive or not; at 2 mm it is in any case."""
    (page,) = write_staging(staged(tmp_path, size_um, "a,A,1,yes,1"), tmp_path / "out")
    fact = text_of(page).partition("Positive nodes ")[2].partition(" Nodes examined")[0]
    beside = "; 1 borderline by size" if told else ""
    assert fact == f"{int(size_um > 200)} with macro- or micrometastases{beside}"
