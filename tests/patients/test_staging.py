"""Patients staged from stored reports: grouped as the manifest says, incomplete where anything is."""

import csv
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodescan import __version__
from nodescan.domain.classification import CellCount, Metastasis
from nodescan.domain.flags import Flag
from nodescan.domain.patient import Node, Specimen
from nodescan.domain.patient_stage import stage
from nodescan.domain.report import Status
from nodescan.domain.section import Section
from nodescan.domain.slide import SlideRef
from nodescan.domain.staging import AJCC8, CAMELYON17, CountRange, StagingTable
from nodescan.domain.units import Micrometers
from nodescan.domain.versions import RELEASED_SETTINGS_SHA256, RESULT_VERSION
from nodescan.errors import UsageError
from nodescan.labels import read_labels
from nodescan.patients.correction_rows import CorrectionsFile
from nodescan.patients.earlier_stages import page_names
from nodescan.patients.grouping import section_of
from nodescan.patients.page import class_or_more_words, key_facts
from nodescan.patients.patient_files import staging_as_json, write_staging
from nodescan.patients.sentences import answer
from nodescan.patients.slide_rows import read_slide_rows
from nodescan.patients.staging import Staging, stage_labels, stage_reports
from nodescan.patients.synoptic import synoptic
from nodescan.reports.report_reader import read_reports
from nodescan.slides.files import fingerprint
from tests.patients.made_reports import (
    WORD_SIZES,
    disc,
    report,
    review_of,
    scanned,
    staged_by,
    write_csv,
    write_findings,
    write_run,
)
from tests.reports.factory import read_aloud
from tests.schemas import PATIENTS, schema_of

TRUNCATED = Flag("unreadable", "the file is truncated")
NODES = "slide_id,patient_id,node_id"
"""The header of most manifests."""


def run(folder: Path) -> Path:
    return write_run(
        folder / "run",
        [
            report("a1", (150.0,)),
            report("a2", (900.0, 800.0)),
            report("a3"),
            report("b1", (2600.0,)),
            report("b2", status=Status.FAILED, flags=(TRUNCATED,)),
            report("c1"),
            report("c2", status=Status.INCOMPLETE, flags=(Flag("unread_tissue", "9 % could not be read."),)),
            report("stray", (3000.0,)),
        ],
    )


def staged(
    folder: Path, *rows: str, header: str = NODES, review: Sequence[str] = (), table: StagingTable = AJCC8
) -> Staging:
    return staged_by(run(folder), header, *rows, review=review, table=table)


def with_page(folder: Path, slide_id: str) -> Path:
    """The folder of a run in which this slide has a page."""
    (folder / slide_id).mkdir(parents=True)
    for name in ("report.html", "report.json"):
        (folder / slide_id / name).touch()
    return folder


def words(staging: Staging) -> dict[str, str]:
    return {result.staged.specimen.patient_id: result.staged.words for result in staging.patients}


def test_sections_of_one_node_are_one_node(tmp_path: Path) -> None:
    """Two slides of node 1: ITC and a micrometastasis are one micrometastatic node; the sizes aren't added."""
    found = staged(tmp_path, "a1,A,1", "a2,A,1", "a3,A,2")
    (patient,) = found.patients
    assert patient.staged.words == "pN1mi"
    assert [node.node_id for node in patient.staged.specimen.nodes] == ["1", "2"]
    assert patient.staged.counts.positive.lowest == 1
    assert patient.staged.counts.itc.highest == 0
    assert patient.staged.specimen.nodes[0].largest_um == 900.0


def test_without_node_id_each_slide_is_a_node_and_the_report_says_so(tmp_path: Path) -> None:
    """The note stands with the patient."""
    found = staged(tmp_path, "a1,A", "a2,A", header="slide_id,patient_id")
    (patient,) = found.patients
    assert patient.staged.specimen.n_nodes == 2
    assert "no_node_id" in [note.code for note in patient.all_notes]


def test_failed_incomplete_and_missing_slides_make_the_patient_incomplete(tmp_path: Path) -> None:
    """Which and why, and what was found is a lower bound."""
    found = staged(tmp_path, "b1,B,1", "b2,B,2", "c1,C,1", "c2,C,2", "gone,D,1")
    assert words(found) == {
        "B": "at least pN1a",
        "C": "cannot be determined (no tumour found, but 1 of 2 nodes not fully read)",
        "D": "cannot be determined (no slide has a result that counts)",
    }
    said = " ".join(note.message for result in found.patients for note in result.all_notes)
    assert "Node 2, slide b2: failed (the file is truncated)." in said
    assert "Node 2, slide c2: incomplete (9 % could not be read)." in said
    assert "Node 1, slide gone: listed, but not run." in said
    assert found.not_run == ("gone",)
    assert not found.complete


def test_a_slide_of_several_nodes_that_was_not_run_is_told_as_that_alone(tmp_path: Path) -> None:
    """It would have shown all three, so none of them is missing on it."""
    (patient,) = staged(tmp_path, "gone,A,1,3", "b1,A,2,1", header=f"{NODES},nodes_on_slide").patients
    said = [note.message for note in patient.all_notes if note.code == "node_unread"]
    assert said == ["Node 1, slide gone: listed, but not run."]


def test_slides_that_are_in_no_patient_are_listed(tmp_path: Path) -> None:
    """A report that the manifest doesn't know is counted, never dropped in silence."""
    found = staged(tmp_path, "a3,A,1")
    assert found.not_listed == ("a1", "a2", "b1", "b2", "c1", "c2", "stray")


def test_specimens_and_sides_are_staged_apart(tmp_path: Path) -> None:
    """Left and right never share a count."""
    found = staged(
        tmp_path, "a2,A,1,left", "b1,A,1,right", "a3,A,2,right", header="slide_id,patient_id,node_id,laterality"
    )
    assert [(r.staged.specimen.laterality, r.staged.words) for r in found.patients] == [
        ("left", "pN1mi"),
        ("right", "pN1a"),
    ]


@pytest.mark.parametrize(
    ("rows", "removed"),
    [
        (("a2,A,1,1,left", "b1,A,1,2,right", "a3,A,2,,right"), 3),
        (("a2,A,1,1,left", "b1,A,1,,right"), None),
        ((",A,,0,left", "b1,A,1,2,right"), 2),
    ],
)
def test_the_challenge_counts_the_removed_nodes_of_all_sides(
    tmp_path: Path, rows: tuple[str, ...], removed: int | None
) -> None:
    """Stated once of each side; where one side doesn't say, the number isn't known."""
    header = "slide_id,patient_id,node_id,nodes_removed,laterality"
    (patient,) = staged(tmp_path, *rows, header=header, table=CAMELYON17).patients
    assert patient.staged.specimen.nodes_removed == removed


def test_the_challenge_names_a_node_without_a_name_by_its_slide(tmp_path: Path) -> None:
    """The side alone names no node."""
    header = "slide_id,patient_id,node_id,laterality"
    rows = ("a2,A,,left", "a3,A,,left", "b1,A,1,right")
    (patient,) = staged(tmp_path, *rows, header=header, table=CAMELYON17).patients
    assert {node.node_id for node in patient.staged.specimen.nodes} == {"a2", "a3", "right 1"}


def test_a_patient_without_nodes_is_never_without_tumour(tmp_path: Path) -> None:
    """The challenge's table has no pNX: where no node was removed, its page says that none was examined."""
    found = staged(tmp_path, "a2,A,", ",B,0", header="slide_id,patient_id,nodes_removed", table=CAMELYON17)
    page = write_staging(found, tmp_path / "out")[1].read_text()
    assert "No lymph node was examined, so this is not a negative result." in page
    assert "No tumour was found" not in page


def test_a_row_that_says_that_no_nodes_were_removed_lists_no_slide(tmp_path: Path) -> None:
    """So none of it is missing, and the patient is pNX."""
    found = staged(tmp_path, "a3,A,", ",B,0", header="slide_id,patient_id,nodes_removed")
    assert words(found) == {"A": "pN0", "B": "pNX"}
    assert (found.not_run, found.left_out) == ((), ())


def test_other_stains_are_left_to_the_pathologist(tmp_path: Path) -> None:
    """A cytokeratin slide neither stages nor blocks a node that has an H&E section; alone it leaves the node unread."""
    header = "slide_id,patient_id,node_id,stain"
    beside = staged(tmp_path / "1", "a3,A,1,HE", "stray,A,1,CK", header=header)
    assert words(beside) == {"A": "pN0"}
    assert beside.left_out == ("stray",)
    assert beside.patients[0].staged.complete
    alone = staged(tmp_path / "2", "a3,A,1,HE", "stray,A,2,CK", header=header)
    assert alone.patients[0].staged.category is None


def test_nodes_that_only_another_stain_shows_are_all_unread(tmp_path: Path) -> None:
    """Two macrometastatic nodes, and a cytokeratin slide of three others: up to five, and none without a slide."""
    header = "slide_id,patient_id,node_id,nodes_removed,nodes_on_slide,stain"
    found = staged(tmp_path, "b1,A,1,5,,", "stray,A,2,5,,", "a3,A,3,5,3,CK", header=header)
    (patient,) = found.patients
    assert patient.staged.counts.macro == CountRange(2, 5)
    assert (patient.staged.n_nodes, patient.staged.n_unread, patient.staged.n_without_slides) == (5, 3, 0)
    assert "nodes_without_slides" not in [note.code for note in patient.all_notes]


def test_nodes_that_the_he_slide_does_not_show_are_not_negative(tmp_path: Path) -> None:
    """Three nodes on the cytokeratin slide, one on the H&E slide; where both show three, all were examined."""
    header = "slide_id,patient_id,node_id,nodes_on_slide,stain"
    (one,) = staged(tmp_path / "1", "a3,A,1,,", "stray,A,1,3,CK", header=header).patients
    assert one.staged.words == "cannot be determined (no tumour found, but 2 of 3 nodes not fully read)"
    assert one.staged.specimen.n_examined == 1
    examined = next(fact for fact in synoptic(one.staged) if fact.label.startswith("Total Number"))
    assert (examined.value, examined.note) == ("1", "2 more were not read")
    (unread,) = [note.message for note in one.all_notes if note.code == "node_unread"]
    assert "3 nodes" in unread
    assert unread.endswith("only 1.")
    (all_shown,) = staged(tmp_path / "2", "a3,A,1,3,", "stray,A,1,3,CK", header=header).patients
    assert all_shown.staged.words == "pN0"


def test_nodes_on_a_slide_that_failed_alone_are_not_examined(tmp_path: Path) -> None:
    """Two nodes on the slide that failed, one on the other: its own was read, though not on every section."""
    header = "slide_id,patient_id,node_id,nodes_on_slide,sentinel"
    (one,) = staged(tmp_path, "a3,A,1,1,yes", "gone,A,1,2,yes", header=header).patients
    said = {fact.label: (fact.value, fact.note) for fact in synoptic(one.staged)}
    assert said["Total Number of Lymph Nodes Examined (sentinel and non-sentinel)"] == (
        "1",
        "1 of them read in part; 1 more was not read",
    )
    assert said["Number of Sentinel Nodes Examined"] == ("1", "1 more was not read")
    assert one.staged.n_unread == 2


def test_a_slide_of_another_stain_is_told_with_its_patient(tmp_path: Path) -> None:
    """In all three files; where nothing says whose node it shows, the patient isn't complete."""
    header = "slide_id,patient_id,laterality,node_id,stain"
    rows = ("a3,A,left,1,HE", "stray,A,left,1,CK", "c1,B,,,", "b1,B,,,IHC", "a2,A,right,,H+E", "c2,A,right,,DAB")
    found = staged(tmp_path, *rows, header=header)
    said = {
        (one.staged.specimen.patient_id, one.staged.specimen.laterality): (
            one.staged.words,
            [note.message for note in one.all_notes if note.code == "slide_left_out"],
        )
        for one in found.patients
    }
    assert said == {
        ("A", "left"): ("pN0", ["Slide stray (CK) is not H&E, so it was left to the pathologist."]),
        ("A", "right"): ("at least pN1mi", ["Slide c2 (DAB) is not H&E, so it was left to the pathologist."]),
        ("B", ""): (
            "cannot be determined (no tumour found, but 1 of 2 nodes not fully read)",
            ["Slide b1 (IHC) is not H&E, so it was left to the pathologist."],
        ),
    }
    pages = write_staging(found, tmp_path / "out")
    for text in ((tmp_path / "out" / "patients.csv").read_text(), (tmp_path / "out" / "patients.json").read_text()):
        assert "Slide b1 (IHC) is not H&E" in text
    assert "Slide b1 (IHC) is not H&amp;E" in pages[-1].read_text()


@pytest.mark.parametrize("status", [Status.FAILED, Status.INCOMPLETE])
def test_a_patient_with_tumour_on_a_slide_without_a_class_is_never_without_tumour(
    tmp_path: Path, status: Status
) -> None:
    """A macrometastasis on a slide that failed in part, or got no class: neither the files nor the page deny it."""
    seen = replace(report("m", (2624.0,)), status=status, metastasis=None, flags=(Flag("too_much_unread", "Why."),))
    folder = write_run(tmp_path / "run", [seen, report("n", (3000.0,))])
    found = staged_by(folder, NODES, "m,A,1")
    (path,) = write_staging(found, tmp_path / "out")
    for text in (path.read_text(), (tmp_path / "out" / "patients.json").read_text()):
        assert "annot be determined (tumour found on a slide that got no class: review)" in text
        assert "2.624 ± 0.004 mm" in text
    page = read_aloud(path.read_text())
    assert "A deposit of 2.624 ± 0.004 mm was found on slide m, but the slide has no class. Review it." in page
    assert page.count(">No class, but tumour found<") == 2
    fact = key_facts(found.patients[0].staged)[0]
    assert (fact.value, fact.note) == ("at least 2.624 ± 0.004 mm", "on a slide that got no class")
    for text in (path.read_text(), (tmp_path / "out" / "patients.json").read_text()):
        assert not {word for word in ("o tumour found", "none measured", "not measured") if word in text}


def test_a_slide_that_was_not_judged_is_not_read_and_shows_no_tumour(tmp_path: Path) -> None:
    """What the network marked on another stain is no tumour found, and the node was not examined."""
    brown = replace(
        report("m", (2624.0,)), status=Status.INCOMPLETE, metastasis=None, flags=(Flag("not_he", "Brown."),)
    )
    found = staged_by(write_run(tmp_path / "run", [brown]), NODES, "m,A,1")
    (patient,) = found.patients
    assert patient.staged.words == "cannot be determined (no slide has a result that counts)"
    (path,) = write_staging(found, tmp_path / "out")
    assert "<li>Meant for: regional lymph nodes, H&amp;E</li>" in path.read_text()
    assert "tumour found" not in path.read_text()
    assert "Node 1, slide m: incomplete (Brown)." in [note.message for note in patient.all_notes]


def test_a_deposit_that_nobody_rejected_stays_seen(tmp_path: Path) -> None:
    """Of two deposits on a slide without a class a reader rejects the smaller: the larger is still there to be seen."""
    seen = replace(report("m", (2624.0, 300.0)), status=Status.INCOMPLETE, metastasis=None)
    folder = write_run(tmp_path / "run", [seen])
    one, both = (
        words(staged_by(folder, NODES, "m,A,1", review=[f"m,{number},,,reject,,Dr A" for number in numbers]))["A"]
        for numbers in ((2,), (2, 1))
    )
    assert "tumour found on a slide that got no class" in one
    assert "no tumour found" in both


def test_paths_name_slides_as_a_run_does(tmp_path: Path) -> None:
    """A manifest made for the run needs no slide_id."""
    found = staged(tmp_path, "scans/a2.svs,A,1", header="path,patient_id,node_id")
    assert words(found) == {"A": "pN1mi"}


@pytest.mark.parametrize(
    ("first", "message"), [("a2,A,1", "line 3: patient_id is empty"), ("a2,,1", "no row has a patient_id, .*; fill in")]
)
def test_a_row_without_patient_can_not_be_staged(tmp_path: Path, first: str, message: str) -> None:
    """Whose slide it is must be said, of each row; where no row says it, not the first one alone is told of."""
    with pytest.raises(UsageError, match=message):
        staged(tmp_path, first, "a3,,1")


def test_a_review_keeps_the_software_result_beside_its_own(tmp_path: Path) -> None:
    """Rejecting the macrometastasis re-stages patient B only; both results stand in the files."""
    found = staged(tmp_path, "a2,A,1", "b1,B,1", review=("b1,1,,,reject,,Dr A",))
    by_id = {result.staged.specimen.patient_id: result for result in found.patients}
    assert by_id["B"].staged.words == "pN0"
    assert by_id["B"].software.words == "pN1a"
    assert by_id["A"].software is None
    content = json.loads(json.dumps(staging_as_json(found)))
    entry = next(patient for patient in content["patients"] if patient["patient_id"] == "B")
    assert (entry["stage"], entry["software_stage"]) == ("pN0", "pN1a")
    assert entry["corrections"][0]["by"] == "Dr A"


def test_corrections_of_slides_in_no_patient_are_listed(tmp_path: Path) -> None:
    """They change nobody's stage, so they are recorded apart, never dropped in silence."""
    found = staged(tmp_path, "a2,A,1", review=("b1,1,,,reject,,Dr A", "a2,2,,,accept,,Dr A"))
    assert [one.slide_id for one in found.unused] == ["b1"]
    content = staging_as_json(found)
    assert [one["by"] for one in content["corrections_of_no_patient"]] == ["Dr A"]
    assert [one.slide_id for one in found.patients[0].corrections] == ["a2"]


@pytest.mark.parametrize(
    ("cells", "nodes", "stage", "lowest"),
    [(40, 1, "pN1mi", 1), (40, 3, "at least pN0(i+)", 0), (66, 3, "at least pN0(i+)", 0), (67, 3, "pN1mi", 1)],
)
def test_a_dispersed_pattern_without_a_large_focus_is_staged(
    tmp_path: Path, cells: int, nodes: int, stage: str, lowest: int
) -> None:
    """A micrometastasis by its cells alone, though no single focus is one.

    Each of three nodes may hold 200 cells or fewer, unless there are clearly more than 600 (67 - 16 a focus).
    """
    foci = tuple(
        replace(disc(number, 50.0, (300.0 * number, 3000.0)), cells=CellCount(cells, 16)) for number in range(1, 13)
    )
    one = replace(report("d", (150.0,)), deposits=foci, metastasis=Metastasis.MICRO)
    folder = write_run(tmp_path / "run", [one])
    (patient,) = staged_by(folder, "slide_id,patient_id,nodes_on_slide", f"d,D,{nodes}").patients
    assert patient.staged.words == stage
    assert patient.staged.counts.micro == CountRange(lowest, nodes)
    assert patient.staged.counts.positive == CountRange(lowest, nodes)
    assert ("if more than 200 lie in one node, so the true stage may be higher" in answer(patient.staged)) is (
        lowest == 0
    )


def test_files_are_written_for_every_patient(tmp_path: Path) -> None:
    """patients.csv, patients.json and one page each; pages of patients that are gone are removed."""
    folder = tmp_path / "out"
    write_staging(staged(tmp_path / "before", "a2,Gone,1"), folder)
    assert (folder / "patients" / "Gone.html").is_file()
    (folder / "patients" / "notes.html").write_text("somebody's own")
    rows = ("a2,A,1", "b1,B,1", "b2,B,2", f"{'x' * 300},B,3")
    found = staged(tmp_path, *rows)
    with_page(folder, "b1")
    pages = write_staging(found, folder)
    assert {path.name for path in pages} == {"A.html", "B.html"}
    assert {path.name for path in (folder / "patients").iterdir()} == {"A.html", "B.html", "notes.html"}
    rows = list(csv.DictReader((folder / "patients.csv").open()))
    assert [(row["patient_id"], row["stage"], row["status"]) for row in rows] == [
        ("A", "pN1mi", "complete"),
        ("B", "at least pN1a", "incomplete"),
    ]
    assert json.loads((folder / "patients.json").read_text())["patients"][1]["at_least"] is True
    page = (folder / "patients" / "B.html").read_text()
    for text in (
        "At least pN1a",
        "the file is truncated",
        "Extranodal Extension",
        "not for clinical use",
        "../b1/report.html",
    ):
        assert text in page
    assert "../b2/report.html" not in page  # no such page was written
    assert "http" not in page.replace("http-equiv", "")


def test_no_page_of_an_earlier_run_is_linked_beside_a_slide_that_failed(tmp_path: Path) -> None:
    """Of a disk that refused to replace it: the row says "failed", and the page another slide's negative."""
    folder = write_run(tmp_path / "out", [report("a1"), report("b2", status=Status.FAILED, flags=(TRUNCATED,))])
    for name in ("a1", "b2"):
        (folder / name / "report.html").touch()
    found = staged_by(folder, "slide_id,patient_id", "a1,A", "b2,B")

    def linked() -> list[bool]:
        pages = write_staging(found, folder)
        return [f"../{name}/report.html" in page.read_text() for name, page in zip(("a1", "b2"), pages, strict=True)]

    assert linked() == [True, True]
    first = [
        page.read_text().partition("Look here first")[2].partition("</ol>")[0] for page in write_staging(found, folder)
    ]
    told = "No deposit was found. The likeliest places are named on the slide&#39;s page. Look at them first:"
    assert [told in text for text in first] == [True, False]
    before = replace(report("b2"), provenance=scanned("51de" * 16))
    shutil.copy(write_run(tmp_path / "before", [before]) / "b2" / "report.json", folder / "b2")
    assert linked() == [True, False]
    (folder / "a1" / "report.json").unlink()
    assert linked() == [False, False]


def test_the_page_begins_with_what_the_stage_rests_on(tmp_path: Path) -> None:
    """The nodes that count, by class and size, and where to see it; ITC beside a micrometastasis doesn't count."""
    lines = ("a1,A,1", "a2,A,2", "b1,A,3", "a3,N,1")
    found = staged(tmp_path, *lines)
    positive, negative = (read_aloud(path.read_text()) for path in write_staging(found, tmp_path / "out"))
    assert "<li>Read as: regional lymph nodes, H&amp;E</li>" in negative
    first = positive.partition("Look here first")[2].partition("</ol>")[0]
    where = "3.00 mm from the left, 3.00 mm from the top of the slide image."
    assert re.findall(r"<li>(.*)</li>", first) == [
        f"Node 3, slide b1, deposit 1 (2.600 ± 0.004 mm): {where}",
        f"Node 2, slide a2, deposit 1 (0.900 ± 0.004 mm): {where}",
    ]
    assert "<li>No deposit was found.</li>" in negative
    assert "none found" in negative
    assert "none measured" not in negative
    assert negative.count("added up") == 1  # below the table of nodes


def test_a_page_with_a_deposit_that_is_cut_off_claims_no_largest_size(tmp_path: Path) -> None:
    """Headline, sentence, rows and files agree."""
    made = report("a", (900.0,))
    cut = replace(made, at_least=True, deposits=(replace(made.deposits[0], cut_off=True),))
    sections = [section_of(one) for one in read_reports(write_run(tmp_path / "run", [cut, report("b", (2600.0,))]))]
    for chosen, words, said in ((sections[:1], "at least pN1mi", True), (sections, "pN1a", False)):
        found = stage(Specimen("A", tuple(Node(one.slide_id, (one,)) for one in chosen)), AJCC8)
        assert found.words == words
        assert ("A deposit is cut off, so the true stage may be higher." in answer(found)) is said
        assert "none larger" not in answer(found)
        assert [node.class_at_least for node in found.specimen.nodes] == [True, False][: len(chosen)]
    (page,) = write_staging(staged_by(write_run(tmp_path / "alone", [cut]), NODES, "a,A,1"), tmp_path / "out")
    assert page.read_text().count("At least micrometastasis") == 1
    (patient,) = json.loads((tmp_path / "out" / "patients.json").read_text())["patients"]
    assert (patient["nodes"][0]["cut_off"], patient["nodes"][0]["slides"][0]["cut_off"]) == (True, True)


def test_nothing_is_at_least_a_macrometastasis() -> None:
    """No class lies above it; the slide's own page says the same."""
    said = [
        class_or_more_words(found, at_least=True) for found in (Metastasis.NONE, Metastasis.MICRO, Metastasis.MACRO)
    ]
    assert said == ["No class", "At least micrometastasis", "Macrometastasis"]


@pytest.mark.parametrize(
    ("flags", "unsure_um", "words"),
    [
        ((), 30.0, "At least micrometastasis"),
        ((), 120.0, "Micrometastasis as measured"),
        ((Flag("nuclei_out_of_scale", "Nuclei are far too large."),), 30.0, "Micrometastasis as measured"),
        ((Flag("may_be_two_foci", "A narrow waist."),), 30.0, "Micrometastasis as measured"),
        ((Flag("may_be_one_deposit", "May be parts."),), 30.0, "At least micrometastasis"),
        ((Flag("joining_gap", "Depends."),), 30.0, "At least micrometastasis"),
        ((Flag("joining_gap", "Depends."), Flag("foci_joined", "Joined.")), 30.0, "Micrometastasis as measured"),
    ],
)
def test_a_node_is_at_least_of_its_class_only_where_no_lower_one_is_possible(
    flags: tuple[Flag, ...], unsure_um: float, words: str, tmp_path: Path
) -> None:
    """0.3 mm, cut off: its own uncertainty, a wrong pixel size, or a part of it may be of isolated tumour cells."""
    made = report("a", (300.0,), flags=flags)
    cut = replace(made.deposits[0], cut_off=True, diameter_uncertainty_um=Micrometers(unsure_um))
    run = write_run(tmp_path / "run", [replace(made, at_least=True, deposits=(cut,))])
    (page,) = write_staging(staged_by(run, NODES, "a,A,1"), tmp_path / "out")
    assert len(re.findall(f">{words}[ <]", page.read_text())) == 1
    assert ("At least pN1mi" in page.read_text()) is words.startswith("At least")


def test_what_the_headline_says_isn_t_said_again_below(tmp_path: Path) -> None:
    """How many nodes were not read whole stands in it; rows of the synoptic table have headers to be read aloud."""
    folder = write_run(tmp_path / "run", [report("f", status=Status.FAILED, flags=(TRUNCATED,)), report("n")])
    found = staged_by(folder, NODES, "f,A,1", "n,A,2")
    assert answer(found.patients[0].staged) == "This is not a negative result."
    (page,) = (path.read_text() for path in write_staging(found, tmp_path / "out"))
    assert "no tumour found, but 1 of 2 nodes not fully read" in page
    assert '<th scope="row">Regional Lymph Node Status</th>' in page


def test_a_slide_whose_own_page_is_as_before_the_review_says_so(tmp_path: Path) -> None:
    """The deposit that decides is the one that the reader left."""
    review = ("a2,1,,,reject,,Dr A",)
    found = staged(tmp_path, "a1,A,1", "a2,A,2", review=review)
    (path,) = write_staging(found, tmp_path / "out")
    page = read_aloud(path.read_text())
    assert page.count("<small>reviewed</small>") == 1
    assert page.count("The page of a slide that was reviewed is as before the review.") == 1
    assert re.search("<h2[^>]*>pN1mi</h2>", page)
    assert "Node 2, slide a2, deposit 2 (0.800 ± 0.004 mm): 6.00 mm from the left" in page


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    """A patient called a script neither runs in the page nor leaves its folder, nor becomes a formula."""
    name = "<script>alert(1)</script>/../x"
    found = staged(tmp_path, f"a2,{name},1", "b1,=cmd(),1")
    pages = write_staging(found, tmp_path / "out")
    assert all(page.parent == tmp_path / "out" / "patients" for page in pages)
    assert "<script>" not in "".join(page.read_text() for page in pages)
    assert "'=cmd()" in (tmp_path / "out" / "patients.csv").read_text()


def test_patients_whose_names_agree_once_safe_get_pages_of_their_own(tmp_path: Path) -> None:
    """P/a and P_a don't overwrite each other."""
    found = staged(tmp_path, "a2,P/a,1", "b1,P_a,1")
    assert len(set(page_names([result.staged.specimen.names for result in found.patients]))) == 2


@pytest.mark.parametrize(("name", "page"), [("con", "con"), ("AUX", "AUX"), ("nul.left", "nul_left"), ("Com1", "Com1")])
def test_no_patient_s_page_has_the_name_of_a_device_of_windows(name: str, page: str) -> None:
    """It gets a hash, as a slide of that name does; con.html is the device, too, and contact.html none."""
    found = page_names([(name, "", ""), ("contact", "", ""), ("P.con", "", "")])
    assert re.fullmatch(rf"{page}-[0-9a-f]{{6}}\.html", found[0])
    assert found[1:] == ("contact.html", "P.con.html")


def test_every_camelyon17_patient_gets_the_stated_stage(shared: Path) -> None:
    """From labels: 100 of 100, and by AJCC the same nodes give the same severity."""
    labels = read_labels(shared / "data" / "camelyon17" / "stage_labels.csv")
    found = stage_labels(labels, CAMELYON17).patients
    assert len(found) == 100
    assert [result.staged.words for result in found] == [result.stated for result in found]
    ajcc = {"pN1a": "pN1", "pN2a": "pN2"}
    clinical = [result.staged.words for result in stage_labels(labels, AJCC8).patients]
    assert [ajcc.get(word, word) for word in clinical] == [result.stated for result in found]


def test_a_patient_of_a_table_is_told_of_its_own_rows_alone(tmp_path: Path) -> None:
    """One of two has no node_id in its rows."""
    rows = ("a,P1,1,micro", "b,P2,,negative", "c,P2,,negative")
    labels = read_labels(write_csv(tmp_path / "labels.csv", "slide_id,patient_id,node_id,label", *rows))
    told = {one.staged.specimen.patient_id: one.notes for one in stage_labels(labels, AJCC8).patients}
    assert told["P1"] == ()
    assert [note.code for note in told["P2"]] == ["no_node_id"]


def test_every_camelyon17_patient_from_reports(shared: Path, tmp_path: Path) -> None:
    """500 reports with the true node labels, grouped by a manifest: 100 of 100."""
    labels = read_labels(shared / "data" / "camelyon17" / "stage_labels.csv")
    folder = write_findings(
        tmp_path / "run", [report(slide.slide_id, WORD_SIZES[slide.label.word]) for slide in labels.slides]
    )
    rows = [f"{slide.slide_id},{slide.facts.patient_id},{slide.facts.node_id}" for slide in labels.slides]
    assert words(staged_by(folder, NODES, *rows, table=CAMELYON17)) == labels.stages


def test_rows_that_mean_one_slide_are_refused(tmp_path: Path) -> None:
    """An id that is given and one that is made of a file's name can be one: it would count for two patients."""
    header = "path,slide_id,patient_id"
    with pytest.raises(UsageError, match="line 3: the slide_id 'a2' stands in line 2 too"):
        staged(tmp_path / "ids", ",a2,A", "elsewhere/a2.svs,,B", header=header)
    (tmp_path / "a2.svs").write_bytes(b"a slide")
    (tmp_path / "other.svs").symlink_to(tmp_path / "a2.svs")
    with pytest.raises(UsageError, match=r"line 3: other\.svs is the same file as in line 2"):
        staged(tmp_path / "files", "../a2.svs,,A", "../other.svs,,B", header=header)


def test_a_report_of_another_file_of_that_name_stages_nobody(tmp_path: Path) -> None:
    """Slides called 1.svs recur: a report says which file it is of, and where that file is there it is compared."""
    (tmp_path / "1.svs").write_bytes(b"the slide of another patient")
    (stored, *_) = read_reports(run(tmp_path))
    named = replace(stored, slide=SlideRef("1", Path("1")))
    made = scanned("ab" * 32)
    reports = [replace(named, provenance=made)]
    manifest = read_slide_rows(write_csv(tmp_path / "m.csv", "path,patient_id", "1.svs,A"))
    (patient,) = stage_reports(reports, manifest, AJCC8).patients
    assert patient.staged.words.startswith("cannot be determined")
    (section,) = patient.staged.specimen.nodes[0].sections
    assert section.reason == "the report of that name is of another file: scan this one"
    with pytest.raises(UsageError, match=r"line 2: slide '1' has no part .*: the report of that name is of another fi"):
        stage_reports(reports, manifest, AJCC8, corrections=review_of(tmp_path, "1,1,,,accept,,Dr A"))
    same = replace(named, provenance=replace(made, slide_fingerprint=fingerprint(tmp_path / "1.svs")))
    assert stage_reports([same], manifest, AJCC8).patients[0].staged.complete


def test_a_manifests_name_may_be_no_text(tmp_path: Path) -> None:
    """File names are bytes; what isn't UTF-8 in them ends no staging half way."""
    found = replace(staged(tmp_path, "a2,A", header="slide_id,patient_id"), source="m\udcff.csv")
    write_staging(found, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "patients.json").read_bytes())["patients"]


def test_a_slide_id_that_means_a_report_by_another_spelling_is_an_error(tmp_path: Path) -> None:
    """The slide would count as not run; where the other is listed itself, the row is of a slide that wasn't run."""
    folder = write_run(tmp_path / "run", [report("A_1", (900.0,)), report("c")])
    for wrong in ("A 1", "a_1"):
        said = f"m\\.csv, line 2: there is no report of slide '{wrong}'; did you mean 'A_1'?"
        with pytest.raises(UsageError, match=said):
            staged_by(folder, NODES, f"{wrong},A,1", "c,A,2")
    assert staged_by(folder, NODES, "A 1,A,1", "A_1,B,1").not_run == ("A 1",)


def test_reports_that_were_not_made_alike_are_told_with_their_patient(tmp_path: Path) -> None:
    """Two models on the slides of one patient: in patients.json, in the table, and first on the page."""
    other = report("a2")
    other = replace(other, model=replace(other.model, name="mine", weights_sha256="12" * 32))
    folder = write_run(tmp_path / "run", [report("a1"), other, report("b1"), report("b2")])
    rows = ("a1,A,1", "a2,A,2", "b1,B,1", "b2,B,2")
    found = staged_by(folder, NODES, *rows)
    mine, own = "model mine (weights 121212121212, threshold 0.5)", "model m (weights abababababab, threshold 0.5)"
    assert found.mixed == f"{own}: a1, b1, b2; {mine}: a2"
    notes = {
        one.staged.specimen.patient_id: [n for n in one.all_notes if n.code == "mixed_reports"]
        for one in found.patients
    }
    assert notes["B"] == []
    assert f"{own}: a1; {mine}: a2" in notes["A"][0].message
    pages = write_staging(found, folder)
    content = json.loads((folder / "patients.json").read_text())
    assert content["mixed_reports"] == found.mixed
    assert "not made alike" in pages[0].read_text().partition("Synoptic")[0]
    assert "not made alike" in (folder / "patients.csv").read_text()
    assert staged_by(folder, NODES, *rows[2:]).mixed == ""


STAYS = "The category stays pN1a whatever"


def test_only_unread_nodes_that_could_raise_the_category_are_said_to() -> None:
    """One macrometastasis in 1 to 3 nodes is pN1a whatever the unread ones hold; with 4 it may be pN2a."""
    macro = Section("m", Status.COMPLETE, Metastasis.MACRO)
    for removed, said in (
        (2, f"1 of 2 nodes has no slide here. {STAYS} that node holds; only counts and sizes may change."),
        (3, f"2 of 3 nodes have no slide here. {STAYS} those nodes hold; only counts and sizes may change."),
        (4, "3 of 4 nodes have no slide here, so the true stage may be higher."),
    ):
        found = stage(Specimen("A", (Node("1", (macro,)),), nodes_removed=removed), AJCC8)
        assert found.words == "at least pN1a"
        assert answer(found).endswith(f". {said}")
    part = Section("m", Status.INCOMPLETE, Metastasis.MACRO)
    alone = stage(Specimen("A", (Node("1", (part,)),)), AJCC8)
    assert answer(alone).endswith(f". {STAYS} that node holds; only counts and sizes may change.")


def test_it_is_told_how_many_nodes_have_no_slide_were_not_read_or_in_part(tmp_path: Path) -> None:
    """And how many are positive, and that nobody said how many were removed."""
    part = report("p", (900.0,), status=Status.INCOMPLETE)
    run = write_run(
        tmp_path / "run", [part, report("f", status=Status.FAILED, flags=(TRUNCATED,)), report("m", (610.0,))]
    )
    rows, header = ("p,A,1", "f,A,2", "m,A,3"), f"{NODES},nodes_removed"
    found = staged_by(run, header, *(f"{row},8" for row in rows))
    counted = (
        "5 of 8 nodes have no slide here, 1 was not read, 1 was read only in part, so the true stage may be higher."
    )
    assert answer(found.patients[0].staged).endswith(counted)
    (page,) = write_staging(found, tmp_path / "out")
    text = read_aloud(page.read_text())
    assert "<dt>Positive nodes</dt><dd>2 to 8<small>with macro- or micrometastases</small>" in text
    assert "<dt>Nodes examined</dt><dd>2<small>of 8 removed; 1 only in part</small>" in text
    (row,) = csv.DictReader((tmp_path / "out" / "patients.csv").open())
    assert row["nodes_positive"] == "2 to 8"
    (page,) = write_staging(staged_by(run, NODES, *rows), tmp_path / "out")
    assert "<dd>2<small>number removed not stated; 1 only in part</small>" in read_aloud(page.read_text())


def test_borderline_sizes_can_raise_the_category_where_unread_nodes_alone_cannot() -> None:
    """Two macrometastases and one unread node are pN1a; with two ITC that may be micrometastases they may be pN2a."""

    def node(name: str, found: Metastasis, highest: Metastasis) -> Node:
        return Node(name, (Section(name, Status.COMPLETE, found, class_range=(found, highest)),))

    sure = tuple(node(name, Metastasis.MACRO, Metastasis.MACRO) for name in "12")
    near = tuple(node(name, Metastasis.ITC, Metastasis.MICRO) for name in "34")
    alone, both = (stage(Specimen("A", nodes, nodes_removed=len(nodes) + 1), AJCC8) for nodes in (sure, (*sure, *near)))
    assert answer(alone).endswith(f". {STAYS} that node holds; only counts and sizes may change.")
    assert (both.lowest, both.words) == (both.highest, "at least pN1a")
    assert answer(both).endswith("1 of 5 nodes has no slide here, so the true stage may be higher.")


def test_a_micrometastasis_by_a_readers_count_is_said_to_be_one(tmp_path: Path) -> None:
    """0.15 mm beside "larger than 0.2 mm" would look like a fault: the table names the rule, the note the reader."""
    found = staged(tmp_path, "a1,A,1", review=["a1,1,,,class,micro,Dr A"])
    (page,) = write_staging(found, tmp_path / "out")
    text = read_aloud(page.read_text())
    assert "(greater than 0.2 mm to 2 mm and / or greater than 200 cells)" in text
    first = text.partition("Look here first")[2].partition("</ol>")[0]
    assert "Deposit 1 (0.150 ± 0.004 mm) is a micrometastasis according to the reader, not by its size" in first


def test_a_patient_s_page_says_that_settings_were_a_users_own(tmp_path: Path) -> None:
    """Of the patient's own slides; patients.json names those of all."""
    own = replace(scanned("f1"), config_sha256="c0ff" * 16)
    released = replace(scanned("f2"), config_sha256=RELEASED_SETTINGS_SHA256)
    reports = [replace(report("a1"), provenance=own), replace(report("b1"), provenance=released)]
    found = staged_by(write_run(tmp_path / "run", reports), "slide_id,patient_id,node_id", "a1,A,1", "b1,B,1")
    said, other = (page.read_text() for page in write_staging(found, tmp_path / "out"))
    assert "<li>Own settings (c0ffc0ff)</li>" in said.partition("</header>")[0]
    assert f"{'c0ff' * 16}<small>own settings, not the released ones</small>" in said
    assert "wn settings" not in other
    assert "not the released" not in other
    made = json.loads((tmp_path / "out" / "patients.json").read_text())
    assert made["own_settings"] == ["c0ff" * 16]
    assert schema_of(PATIENTS).is_valid(made)


def test_a_page_says_when_and_by_which_version_and_review_it_was_made(tmp_path: Path) -> None:
    """Two printed pages of one patient are told apart; a page that no correction changed names no file of them."""
    found = staged(tmp_path, "a1,A,1", "b1,B,1", review=["a1,1,,,reject,,Dr A"])
    at = datetime(2026, 11, 29, 21, 4, 5, tzinfo=UTC)
    named = replace(found, staged_at=at, corrections_file=CorrectionsFile("review 2.csv", "5a" * 32))
    pages = write_staging(named, tmp_path / "out")
    reviewed, other = (read_aloud(page.read_text()).partition("Provenance</h2>")[2] for page in pages)
    for text in (reviewed, other):
        assert "2026-11-29T21:04:05+00:00" in text
        assert f"{__version__}, result version {RESULT_VERSION}" in text
    made = json.loads((tmp_path / "out" / "patients.json").read_text())
    assert (made["nodescan_version"], made["result_version"]) == (__version__, RESULT_VERSION)
    assert "review 2.csv<small>sha256 " + "5a" * 32 in reviewed
    assert "review 2.csv" not in other
    assert "T21:04" not in (write_staging(found, tmp_path / "out")[0]).read_text()
