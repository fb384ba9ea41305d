"""Which reports stage a patient: those that its slides' names mean, and what is said of these alone."""

import hashlib
import json
import re
import shutil
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from nodescan.cli import main
from nodescan.domain.report import RESULT_VERSION, Asked, SlideReport, Status
from nodescan.errors import UsageError
from nodescan.patients.patient_files import write_staging
from nodescan.patients.same_files import ANOTHER_FILE, ANOTHER_PLACE
from nodescan.patients.synoptic import synoptic
from nodescan.reports.report_reader import read_reports
from nodescan.slides.files import fingerprint
from nodescan.slides.slide_ids import place_of
from tests.patients.made_reports import report, scanned, staged_by, write_csv, write_run
from tests.schemas import PATIENTS, schema_of

NODES = "slide_id,patient_id,node_id"


@pytest.mark.parametrize(("wrong", "meant"), [("7", "007"), ("s.svs", "s"), ("S.MRXS", "s")])
def test_a_slide_id_without_its_zeros_or_with_its_suffix_is_an_error(tmp_path: Path, wrong: str, meant: str) -> None:
    """A spreadsheet takes zeros from numbers; a slide is called by its file's name without suffix."""
    folder = write_run(tmp_path / "run", [report(meant, (900.0,))])
    with pytest.raises(UsageError, match=f"no report of slide '{wrong}'; did you mean '{meant}'?"):
        staged_by(folder, "slide_id,patient_id", f"{wrong},A")


def test_slides_that_only_look_alike_are_two(tmp_path: Path) -> None:
    """What follows a point may be part of a name, and so may zeros beside letters: such a slide was not run."""
    folder = write_run(tmp_path / "run", [report("S23"), report("A07"), report("B9")])
    assert staged_by(folder, "slide_id,patient_id", "S23.1,A", "A7,B", "0B9,C").not_run == ("0B9", "A7", "S23.1")


def test_a_file_that_was_not_run_or_whose_report_names_none_is_no_other_file(tmp_path: Path) -> None:
    """A slide without a report is not run; a report that says nothing of its file stages its patient."""
    other = replace(report("c"), provenance=scanned("of another"))
    folder = write_run(tmp_path / "run", [report("a", (900.0,)), other])
    for name in "abc":
        (tmp_path / f"{name}.svs").write_bytes(b"a slide")
    rows = ("a.svs,a,A,1", "b.svs,b,B,1", "c.svs,c,C,1", "gone.svs,gone,D,1")
    found = staged_by(folder, "path,slide_id,patient_id,node_id", *rows)
    reasons = {
        result.staged.specimen.patient_id: result.staged.specimen.nodes[0].sections[0].reason
        for result in found.patients
    }
    assert reasons == {"A": "", "B": "listed, but not run", "C": ANOTHER_FILE, "D": "listed, but not run"}
    assert found.patients[0].staged.words == "pN1mi"
    assert found.not_run == ("b", "c", "gone")


def test_a_report_in_a_folder_of_another_name_is_refused(tmp_path: Path) -> None:
    """Who renames a result sets it aside; it must not stage the patient as if it stood."""
    folder = write_run(tmp_path / "run", [report("a", (900.0,)), report("b")])
    (folder / "a").rename(folder / "a old")
    with pytest.raises(UsageError, match=r"a old: holds the report of slide 'a'.* name it a again, or move it out of"):
        read_reports(folder)


def test_a_patient_is_told_of_its_own_models_and_limits_alone(tmp_path: Path) -> None:
    """Another patient's, or a slide's of no patient, may be quite different."""

    def by(slide_id: str, name: str, found_from_um: float, version: int) -> SlideReport:
        one = report(slide_id)
        model = replace(one.model, name=name, found_from_um=found_from_um)
        return replace(one, model=model, provenance=scanned(version=version))

    reports = [by("a", "net-a", 600.0, RESULT_VERSION), by("b", "net-b", 800.0, 1), by("stray", "net-c", 3000.0, 2)]
    folder = write_run(tmp_path / "run", reports)
    found = staged_by(folder, NODES, "a,A,1", "b,B,1")
    notes = {r.staged.specimen.patient_id: {note.code: note.message for note in r.all_notes} for r in found.patients}
    assert "0.6 mm" in notes["A"]["detection_limit"]
    assert "0.8 mm" in notes["B"]["detection_limit"]
    assert "older_reports" not in notes["A"]
    assert f"result version 1, but nodescan now gives other results ({RESULT_VERSION})" in notes["B"]["older_reports"]
    page_a, page_b = (page.read_text() for page in write_staging(found, tmp_path / "out"))
    assert ("net-a" in page_a, "net-b" in page_a) == (True, False)
    assert ("net-a" in page_b, "net-b" in page_b) == (False, True)
    assert "result version 1" in page_b.partition("Look here first")[2].partition("</section>")[0]
    assert len(found.models) == 2


def test_reports_of_two_versions_are_mixed_and_not_called_older(tmp_path: Path) -> None:
    """One remedy is told, once."""
    versions = {"a": RESULT_VERSION - 1, "b": RESULT_VERSION}
    reports = [replace(report(name), provenance=scanned(version=version)) for name, version in versions.items()]
    found = staged_by(write_run(tmp_path / "run", reports), NODES, "a,P,1", "b,P,2")
    codes = {note.code for note in found.patients[0].all_notes}
    assert codes & {"mixed_reports", "older_reports"} == {"mixed_reports"}
    assert (bool(found.mixed), found.older) == (True, "")


@pytest.mark.parametrize("others", [RESULT_VERSION, RESULT_VERSION + 1])
def test_nobody_is_sent_to_replace_newer_results_by_older_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], others: int
) -> None:
    """Of a newer nodescan are all reports of the patient, or one: the page and the terminal say to use that one."""
    versions = {"a": RESULT_VERSION + 1, "b": others}
    reports = [replace(report(name), provenance=scanned(version=version)) for name, version in versions.items()]
    folder = write_run(tmp_path / "run", reports)
    assert main(["stage", str(folder), "--manifest", str(write_csv(tmp_path / "m.csv", NODES, "a,P,1", "b,P,2"))]) == 0
    told = "".join(capsys.readouterr())
    page = (folder / "patients" / "P.html").read_text(encoding="utf-8").partition("Look here first")[2]
    for text in (told, page.partition("</section>")[0]):
        assert f"result version {RESULT_VERSION + 1}" in text
        assert "newer nodescan" in text
        assert "run the slides again" not in text.replace("do not run the slides again", "")
    (patient,) = json.loads((folder / "patients.json").read_text(encoding="utf-8"))["patients"]
    codes = {note["code"] for note in patient["notes"]}
    told_by = "newer_reports" if others > RESULT_VERSION else "mixed_reports"
    assert codes & {"mixed_reports", "older_reports", "newer_reports"} == {told_by}


def test_a_slide_of_which_nothing_was_examined_is_no_node_examined(tmp_path: Path) -> None:
    """No tissue was found, or all of it is out of focus: the node was not seen."""
    bare = replace(report("n", status=Status.INCOMPLETE), examined_fraction=0.0)
    folder = write_run(tmp_path / "run", [bare, report("m")])
    (both,) = staged_by(folder, NODES, "n,A,1", "m,A,2").patients
    assert both.staged.specimen.n_examined == 1
    elements = {fact.label: (fact.value, fact.note) for fact in synoptic(both.staged)}
    assert elements["Total Number of Lymph Nodes Examined (sentinel and non-sentinel)"] == (
        "1",
        "1 more was not read",
    )


def two_sites(folder: Path, *, scanned_at: str) -> Path:
    """A negative report of slide 1, whose file lay at `scanned_at`; siteA holds a file of that name, siteB is away."""
    (folder / "siteA").mkdir()
    (folder / "siteA" / "1.tif").write_bytes(b"a slide of site A")
    asked = Asked("", place_of(folder / scanned_at), None, False, 5.0, ())
    made = replace(scanned(fingerprint(folder / "siteA" / "1.tif")), asked=asked)
    return write_run(folder / "run", [replace(report("1"), provenance=made), report("2")])


PATHS = "path,slide_id,patient_id,node_id"


@pytest.mark.parametrize("row", ["siteB/1.tif,1,P,1", "far/off/1.tif,1,P,1"])
def test_a_file_that_is_away_is_not_staged_by_the_report_of_one_elsewhere(tmp_path: Path, row: str) -> None:
    """Two sites have a slide 1. The report's file lies where it was, in a folder beside or by another row's word."""
    folder = two_sites(tmp_path, scanned_at="siteA/1.tif")
    rows = (row, "siteA/1.tif,2,Q,1") if row.startswith("far") else (row,)
    patient = staged_by(folder, PATHS, *rows).patients[0].staged
    assert patient.category is None
    assert patient.specimen.sections[0].reason == ANOTHER_PLACE


def test_a_file_that_is_away_and_was_scanned_elsewhere_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An archive that was moved whole and is unmounted still stages; page, table, JSON and terminal say what is not
    known. Back again it is compared; one that was only unmounted needs no word."""
    folder = two_sites(tmp_path, scanned_at="old/1.tif")
    manifest = write_csv(tmp_path / "m.csv", PATHS, "new/1.tif,1,P,1")
    assert main(["stage", str(folder), "--manifest", str(manifest)]) == 0
    page = (folder / "patients" / "P.html").read_text(encoding="utf-8").partition("Look here first")[2]
    files = [(folder / name).read_text(encoding="utf-8") for name in ("patients.csv", "patients.json")]
    for text in (capsys.readouterr().out, page.partition("</section>")[0].replace("&#39;", "'"), *files):
        assert "Any of this patient's slides may be of another file than the report of that name." in text

    def noted(row: str) -> bool:
        found = staged_by(folder, PATHS, row, ",2,P,2").patients[0]
        notes = {one.code: one.message for one in found.all_notes}
        return "These slides: 1 may be" in notes.get("file_not_compared", "")

    assert noted("new/1.tif,1,P,1")
    assert not noted("old/1.tif,1,P,1")
    assert not noted(",1,P,1")
    (tmp_path / "new").mkdir()
    shutil.copy(tmp_path / "siteA" / "1.tif", tmp_path / "new")
    assert not noted("new/1.tif,1,P,1")


def test_a_stage_says_of_which_scans_and_of_which_manifest_it_is(tmp_path: Path) -> None:
    """For programs all of it; on the page, where the link may lead to a later scan, the time and the file of the scan.

    A slide that was not run has none of it."""
    made = replace(scanned("ab" * 32, started="2026-11-30T18:49:51+00:00"), config_sha256="cd" * 32)
    folder = write_run(tmp_path / "run", [replace(report("a", (900.0,)), provenance=made)])
    manifest = write_csv(tmp_path / "m.csv", NODES, "a,P,1", "gone,P,2")
    main(["stage", str(folder), "--manifest", str(manifest)])
    content = json.loads((folder / "patients.json").read_text(encoding="utf-8"))
    first, second = (node["slides"][0] for node in content["patients"][0]["nodes"])
    keys = ("slide_fingerprint", "started", "config_sha256", "result_version", "report_sha256")
    report_sha256 = hashlib.sha256((folder / "a" / "report.json").read_bytes()).hexdigest()
    assert tuple(map(first.get, keys)) == (
        made.slide_fingerprint,
        made.started,
        "cd" * 32,
        RESULT_VERSION,
        report_sha256,
    )
    assert {second[key] for key in keys} == {None}
    assert content["source_sha256"] == hashlib.sha256(manifest.read_bytes()).hexdigest()
    assert [error.message for error in schema_of(PATIENTS).iter_errors(content)] == []
    page = (folder / "patients" / "P.html").read_text(encoding="utf-8")
    assert "<small>scanned 2026-11-30 18:49 UTC, file abababababab</small>" in page
    assert page.count("<small>scanned ") == 1
    assert content["source_sha256"] in page


def of_file(slide_id: str, fingerprint: str, area_mm2: float = 40.0) -> SlideReport:
    return replace(report(slide_id, (2600.0,)), provenance=scanned(fingerprint), tissue_area_mm2=area_mm2)


def test_copies_of_one_file_are_no_two_nodes(tmp_path: Path) -> None:
    """One of them is mistaken, and which is not known: neither node was read. Within one node a copy does no harm."""
    names = {"a": "1", "b": "1", "c": "1", "d": "2", "e": "2", "f": "3"}
    reports = [of_file(slide_id, fingerprint) for slide_id, fingerprint in names.items()]
    reports += [of_file("g", "3", 41.0), report("h", (900.0,))]  # g: of other pixels, whose ends are alike
    folder = write_run(tmp_path / "run", reports)
    rows = ("a,A,1", "b,A,2", "c,B,1", "d,C,1", "e,C,1", "f,D,1", "g,E,1", "h,A,3")
    found = staged_by(folder, NODES, *rows)
    words = {result.staged.specimen.patient_id: result.staged.words for result in found.patients}
    assert words == {
        "A": "at least pN1mi",
        "B": "cannot be determined (no slide has a result that counts)",
        **dict.fromkeys("CDE", "pN1a"),
    }
    told = [note.message for note in found.patients[1].all_notes if note.code == "node_unread"]
    assert told == [
        "Node 1, slide c: its file is a copy of that of another patient's slide, so one of the two is the wrong file: "
        "put the right one there and run it."
    ]


def test_a_copy_names_the_other_patient_on_the_terminal_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A patient's page and row are handed on; of another one they hold neither id nor slide."""
    folder = write_run(tmp_path / "run", [of_file(slide_id, "1") for slide_id in ("a", "anna_1950", "c")])
    rows = ("a,OTHER,1", "anna_1950,ANNA,1", "c,OTHER,2")
    path = write_csv(tmp_path / "m.csv", NODES, *rows)
    assert main(["stage", str(folder), "--manifest", str(path)]) == 1
    page = (folder / "patients" / "OTHER.html").read_text(encoding="utf-8")
    (row,) = [line for line in (folder / "patients.csv").read_text(encoding="utf-8").splitlines() if "OTHER" in line]
    assert "a copy of that of another patient&#39;s slide" in page
    assert not {"ANNA", "anna_1950"} & set(re.findall(r"\w+", page + row))
    told = capsys.readouterr().err
    assert "slide a, node 1 of patient OTHER; slide anna_1950, node 1 of patient ANNA; slide c" in told


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_no_order_of_the_rows_makes_a_copy_count(order: tuple[str, ...], tmp_path: Path) -> None:
    """Two copies within a node and one in another's: none of the three counts, and whose each is is told."""
    folder = write_run(tmp_path / "run", [of_file(slide_id, "1") for slide_id in "abc"])
    rows = {"a": "a,p1,1", "b": "b,p1,1", "c": "c,p2,1"}
    found = staged_by(folder, NODES, *(rows[slide_id] for slide_id in order))
    staged = {result.staged.specimen.patient_id: result.staged for result in found.patients}
    assert {one.words for one in staged.values()} == {"cannot be determined (no slide has a result that counts)"}
    sections = [section for one in staged.values() for section in one.specimen.sections]
    reasons = {section.slide_id: section.reason.partition(", so one")[0] for section in sections}
    assert reasons == dict.fromkeys("abc", "its file is a copy of that of another patient's slide")
    whose = {slide_id: f"slide {slide_id}, node 1 of patient p{'112'['abc'.index(slide_id)]}" for slide_id in order}
    assert found.copies == (f"copies of one file: {'; '.join(whose.values())}",)
