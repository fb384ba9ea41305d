"""A patient's page on paper."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodescan.patients.correction_rows import CorrectionsFile
from nodescan.patients.patient_files import write_staging
from nodescan.reports.web_page import css_string
from tests.patients.made_reports import report, staged_by, write_findings
from tests.reports.browser import needs_printing, sheets

NODES, SLIDES = 14, 4


@needs_printing
def test_no_sheet_parts_a_node_from_its_slides(tmp_path: Path) -> None:
    """A slide's row at the top of a sheet is nobody's: "complete" there may be any node's."""
    names = [(f"node{node:02}", f"node{node:02}slide{slide}") for node in range(NODES) for slide in range(SLIDES)]
    run = write_findings(tmp_path / "run", [report(slide, (900.0,)) for _, slide in names])
    rows = [f"{slide},A,{node}" for node, slide in names]
    (page,) = write_staging(staged_by(run, "slide_id,patient_id,node_id", *rows), tmp_path / "out")
    tables = [sheet.partition("Nodes and their slides")[2] or sheet for sheet in sheets(page)]
    first = [
        (line.split()[0], number) for number, sheet in enumerate(tables) for line in sheet.splitlines() if line.strip()
    ]
    where = {word: number for word, number in first if re.match(r"node\d", word)}
    assert len(where) == NODES * (SLIDES + 1)
    assert len(set(where.values())) > 1
    assert [where[node] for node, _ in names] == [where[slide] for _, slide in names]


@needs_printing
@pytest.mark.parametrize("slide", ["s1", "TCGA-A1-A0SB-01Z-00-DX1.B34C267B-CAAD-4E2B-92AD-64FB8C3D1AA2", "n" * 100])
def test_who_corrected_what_and_why_is_whole_on_paper(tmp_path: Path, slide: str) -> None:
    """However long a slide's name is, the table of corrections ends before the sheet does."""
    run = write_findings(tmp_path / "run", [report(slide, (1900.0,))])
    review = (f"{slide},1,,,resize,2100,Dr Zweig,measured again on glass at forty times",)
    staging = staged_by(run, "slide_id,patient_id,node_id", f"{slide},A,1", review=review)
    (page,) = write_staging(staging, tmp_path / "out")
    printed = " ".join(" ".join(sheets(page)).split())
    for word in ("Micrometastasis,", "resize", "Reviewed", "Zweig", "Comment", "measured", "again", "forty", "times"):
        assert word in printed


@pytest.mark.parametrize("place", [r"<title>(.*)</title>", r"<h1>(.*)</h1>", r"@top-left \{ content: (.*); \}"])
def test_specimens_and_sides_of_one_patient_are_told_apart_on_every_sheet(tmp_path: Path, place: str) -> None:
    """Heading, title and the header of each printed sheet name patient, specimen and side."""
    run = write_findings(tmp_path / "run", [report("l"), report("r")])
    header = "slide_id,patient_id,node_id,specimen_id,laterality"
    found = staged_by(run, header, "l,P-003,1,S1,left", "r,P-003,1,S1,right")
    pages = write_staging(found, tmp_path / "out")
    named = [re.findall(place, page.read_text()) for page in pages]
    for (words,), side in zip(named, ("left", "right"), strict=True):
        plain = re.sub(r"\\([0-9a-f]+) ", lambda sign: chr(int(sign[1], 16)), words).strip('"')
        assert plain.endswith(f"P-003, specimen S1, {side}")


def test_each_sheet_of_a_patients_page_says_when_it_was_staged_and_by_which_review(tmp_path: Path) -> None:
    """Two printed pages of one patient are told apart from the second sheet on; a review of others isn't named."""
    run = write_findings(tmp_path / "run", [report("a", (900.0,)), report("b")])
    staging = staged_by(run, "slide_id,patient_id,node_id", "a,A,1", "b,B,1", review=["a,1,,,reject,,Dr A,"])
    at, review = datetime(2026, 11, 29, 21, 4, 5, tzinfo=UTC), CorrectionsFile("review.csv", "5a" * 32)
    pages = write_staging(replace(staging, staged_at=at, corrections_file=review), tmp_path / "out")
    for page, words in zip(
        pages,
        ("A \u00b7 staged 2026-11-29 21:04 UTC, corrections 5a5a5a5a", "B \u00b7 staged 2026-11-29 21:04 UTC"),
        strict=True,
    ):
        assert f"@top-left {{ content: {css_string(words)}; }}" in page.read_text()
