"""`nodescan manifest`: what it writes is what `read_manifest` reads."""

import sys
from pathlib import Path

import pytest

from nodescan.commands.manifest import manifest
from nodescan.errors import UsageError
from nodescan.manifest import COLUMNS, read_manifest

Capture = pytest.CaptureFixture[str]


def empty_files(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_template_is_read_back(tmp_path: Path, capsys: Capture) -> None:
    """All columns, and a row that is accepted as it stands."""
    assert manifest(template=True) == 0
    text = capsys.readouterr().out
    (tmp_path / "m.csv").write_text(text)
    (row,) = read_manifest(tmp_path / "m.csv").rows
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert (row.path, row.facts.sentinel, row.is_he) == (tmp_path / "slides" / "a.svs", True, True)


def test_draft_guesses_nothing_but_camelyon17_names(tmp_path: Path, capsys: Capture) -> None:
    """Paths that lead back to the files from the manifest's own folder; patient and node only where the name says."""
    slides = (
        tmp_path / "in" / "=x.tif",
        tmp_path / "in" / "deep" / "patient_017_node_2.tif",
        tmp_path / "in" / " b.svs",
    )
    empty_files(*slides, tmp_path / "in" / "notes.txt")
    assert manifest(str(tmp_path / "in"), to=tmp_path / "m.csv") == 0
    assert "2 of 3 rows need a patient_id" in capsys.readouterr().err
    rows = read_manifest(tmp_path / "m.csv").rows
    assert [(row.path, row.slide_id, row.facts.patient_id, row.facts.node_id) for row in rows] == [
        (slides[2], "_b", "", ""),
        (slides[0], "_x", "", ""),
        (slides[1], "patient_017_node_2", "patient_017", "2"),
    ]
    assert "\n./in" not in (tmp_path / "m.csv").read_text()
    assert manifest(str(tmp_path / "in"), to=tmp_path / "in" / "m.csv") == 0
    assert "\n./=x.tif,_x," in (tmp_path / "in" / "m.csv").read_text()
    assert {row.path for row in read_manifest(tmp_path / "in" / "m.csv").rows} == set(slides)


def test_a_draft_on_a_terminal_steers_nothing(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of files may hold what a terminal obeys; another program gets them as they are."""
    empty_files(tmp_path / "a\x1b[2J.svs")
    monkeypatch.chdir(tmp_path)
    assert manifest(".") == 0
    assert "\na\x1b[2J.svs," in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert manifest(".") == 0
    assert "\na\\x1b[2J.svs," in capsys.readouterr().out


def test_draft_without_any_patient_is_a_list_that_a_run_takes(tmp_path: Path, capsys: Capture) -> None:
    """So its note doesn't ask for patients before the table is used."""
    empty_files(tmp_path / "a.svs", tmp_path / "b.svs")
    assert manifest(str(tmp_path), to=tmp_path / "m.csv") == 0
    assert capsys.readouterr().err == ("note: no row has a patient_id: a run scans these slides, but makes no stages\n")
    assert not read_manifest(tmp_path / "m.csv").names_patients


def test_manifest_filled_in_by_hand_is_not_overwritten(tmp_path: Path) -> None:
    """Its hours of work are worth more than a draft."""
    empty_files(tmp_path / "a.svs")
    (tmp_path / "m.csv").write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        manifest(str(tmp_path), to=tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text() == "mine"


def test_a_table_without_the_slides_of_a_folder_that_cannot_be_listed_is_not_drafted(
    tmp_path: Path, closed: set[str]
) -> None:
    """What it lacks would never be scanned."""
    empty_files(tmp_path / "in" / "shut" / "a.svs", tmp_path / "in" / "b.svs")
    closed.add("shut")
    with pytest.raises(UsageError, match="shut: the folder can't be listed"):
        manifest(str(tmp_path / "in"), to=tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()
