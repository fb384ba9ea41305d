"""A patient's page on paper."""

import shutil
import subprocess
from pathlib import Path

import pytest

from nodescan.patients.patient_files import write_staging
from tests.patients.made_reports import report, staged_by, write_findings

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
NODES, SLIDES = 14, 4


def printed(page: Path, folder: Path) -> list[str]:
    """The text of each sheet."""
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={folder / 'page.pdf'}", page.as_uri()]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    text = subprocess.run(["pdftotext", "-layout", folder / "page.pdf", "-"], capture_output=True, check=True).stdout
    return text.decode().split("\f")[:-1]


@pytest.mark.skipif(BROWSER is None or shutil.which("pdftotext") is None, reason="no chromium or pdftotext here")
def test_no_sheet_parts_a_node_from_its_slides(tmp_path: Path) -> None:
    """A slide's row at the top of a sheet is nobody's: "complete" there may be any node's."""
    names = [(f"node{node:02}", f"node{node:02}slide{slide}") for node in range(NODES) for slide in range(SLIDES)]
    run = write_findings(tmp_path / "run", [report(slide, (900.0,)) for _, slide in names])
    rows = [f"{slide},A,{node}" for node, slide in names]
    (page,) = write_staging(staged_by(run, "slide_id,patient_id,node_id", *rows), tmp_path / "out")
    sheets = [sheet.partition("Nodes and their slides")[2] or sheet for sheet in printed(page, tmp_path)]
    first = [
        (line.split()[0], number) for number, sheet in enumerate(sheets) for line in sheet.splitlines() if line.strip()
    ]
    where = {word: number for word, number in first if word.startswith("node")}
    assert len(where) == NODES * (SLIDES + 1)
    assert len(set(where.values())) > 1
    assert [where[node] for node, _ in names] == [where[slide] for _, slide in names]
