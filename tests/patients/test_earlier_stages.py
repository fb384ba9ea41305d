"""Stages that stand in a run's folder: kept beside later ones, and told apart from what a user put there."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from nodescan.domain.staging import CAMELYON17
from nodescan.errors import OutputError
from nodescan.patients import earlier_stages
from nodescan.patients.earlier_stages import places_aside, put_back, remove_unreviewed, set_aside, set_aside_before
from nodescan.patients.patient_files import write_staging
from nodescan.patients.staging import Staging
from nodescan.whole_files import write_beside
from tests.fakes import held_on_windows
from tests.patients.made_reports import report, staged_by, write_csv, write_run


def staged(folder: Path, *review: str) -> Staging:
    """Patient A, of one slide with two deposits, as reviewed."""
    if not (folder / "run").exists():
        write_run(folder / "run", [report("a2", (900.0, 800.0))])
    return staged_by(folder / "run", "slide_id,patient_id", "a2,A", review=review)


def test_only_stages_that_nobody_corrected_are_removed(tmp_path: Path) -> None:
    """A review can't be made anew from the reports; nor can what nobody can read be known to hold none."""
    folder = tmp_path / "out"
    write_staging(staged(tmp_path, "a2,1,,,reject,,Dr A,"), folder)
    remove_unreviewed(folder)
    assert (folder / "patients" / "A.html").is_file()
    content = (folder / "patients.json").read_text()
    (folder / "patients.json").write_text(content[:-9])
    remove_unreviewed(folder)
    assert (folder / "patients.csv").is_file()
    write_staging(staged(tmp_path), folder)
    (folder / "patients" / "mine.html").write_text("mine")
    remove_unreviewed(folder)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["mine.html"]


def test_stages_of_earlier_reports_are_set_aside_whole(tmp_path: Path) -> None:
    """Nothing is deleted, a second time nothing is overwritten, and links lead to the reports."""
    found = staged(tmp_path, "a2,1,,,reject,,Dr A,")
    folder = tmp_path / "out"
    (folder / "a2").mkdir(parents=True)
    for name in ("report.html", "report.json"):
        (folder / "a2" / name).touch()
    assert set_aside(tmp_path) is None
    for number in (1, 2):
        write_staging(found, folder)
        before = datetime.now(UTC).date()
        assert set_aside(folder) == folder / f"patients-before-{number}"
        days = {before, datetime.now(UTC).date()}
        assert not list(folder.glob("patients*.*"))
        page = folder / f"patients-before-{number}" / "patients" / "A.html"
        (link,) = set(re.findall(r'href="([^"#]+)"', page.read_text(encoding="utf-8")))
        assert (page.parent / link).resolve() == folder / "a2" / "report.html"
        head = page.read_text(encoding="utf-8").partition("<main>")[0]
        assert any(f"Moved aside on {day} " in head for day in days)
    assert sorted(path.name for path in folder.iterdir()) == ["a2", "patients-before-1", "patients-before-2"]


def test_a_table_that_a_spreadsheet_holds_keeps_no_newer_stage_from_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows patients.csv can't be replaced or moved then: patients.json is new, and no stages are torn apart."""
    folder = tmp_path / "out"
    write_staging(staged(tmp_path), folder)

    def held(change: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
        def refuse(source: Path, target: Path) -> object:
            if folder / "patients.csv" in (source, target):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return change(source, target)

        return refuse

    with monkeypatch.context() as patch:
        for owner, name in ((Path, "rename"), (os, "replace")):
            patch.setattr(owner, name, held(getattr(owner, name)))
        with pytest.raises(OutputError, match=r"patients\.csv: can't be written"):
            write_staging(staged(tmp_path, "a2,1,,,reject,,Dr A,"), folder)
        assert "Dr A" in (folder / "patients.json").read_text()
        with pytest.raises(OutputError, match="can't be written"):
            set_aside(folder)
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"A.html", "patients.csv", "patients.json"}
    assert (folder / "patients" / "A.html").is_file()


def test_stages_are_put_back_whatever_macos_left_beside_them(tmp_path: Path) -> None:
    """The Finder writes into each folder that it shows."""
    folder = tmp_path / "out"
    write_staging(staged(tmp_path), folder)
    aside = set_aside(folder)
    for place in (aside, aside / "patients"):
        (place / ".DS_Store").touch()
    put_back(folder, aside)
    assert sorted(path.name for path in folder.rglob("*")) == ["A.html", "patients", "patients.csv", "patients.json"]


def test_stages_that_are_put_back_are_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links, too. Stopped in between, they are whole where they were aside, and what stands in the folder is moved by
    the next run. A user's page isn't written over."""
    found = staged(tmp_path, "a2,1,,,reject,,Dr A,")
    folder = tmp_path / "out"
    (folder / "a2").mkdir(parents=True)
    for name in ("report.html", "report.json"):
        (folder / "a2" / name).touch()
    write_staging(found, folder)

    def files(place: Path) -> dict[str, bytes]:
        return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.glob("**/*") if path.is_file()}

    before = files(folder)
    aside = set_aside(folder)
    kept = files(aside)
    for last in ("patients.json", "patients.csv", "A.html"):
        with monkeypatch.context() as patch:
            patch.setattr(earlier_stages, "write_beside", partial(stopped_at, last))
            with pytest.raises(KeyboardInterrupt):
                put_back(folder, aside)
        assert files(aside) == kept
        shutil.rmtree(set_aside(folder))
        assert not list(folder.glob("patients*.*")) + list(folder.glob("patients/*"))
    own = folder / "patients" / "A.html"
    own.parent.mkdir()
    own.write_text("somebody's own")
    with pytest.raises(OutputError, match="nodescan didn't write it"):
        put_back(folder, aside)
    own.unlink()
    put_back(folder, aside)
    assert files(folder) == before
    assert not aside.exists()


def test_on_windows_files_of_stages_that_are_open_for_a_moment_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where stages are moved back, where they go, and where the page of a patient who is listed no more goes."""
    folder, run = tmp_path / "out", tmp_path / "run"
    write_staging(staged(tmp_path), folder)
    aside = set_aside(folder)
    with monkeypatch.context() as patch:
        held_on_windows(patch, "A.html", "patients.csv", "patients.json")
        put_back(folder, aside)
    assert not aside.exists()
    with monkeypatch.context() as patch:
        held_on_windows(patch, "A.html")
        write_staging(staged_by(run, "slide_id,patient_id", "a2,B"), folder)
    assert [page.name for page in (folder / "patients").iterdir()] == ["B.html"]
    with monkeypatch.context() as patch:
        held_on_windows(patch, "B.html", "patients.csv", "patients.json")
        remove_unreviewed(folder)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def stopped_at(last: str, path: Path, data: bytes) -> None:
    """As write_beside, until this file was written."""
    write_beside(path, data)
    if path.name == last:
        raise KeyboardInterrupt


@pytest.mark.parametrize("content", ["", '{"patients": 3}', '{"patients": [', "[]"])
def test_stages_that_cannot_be_read_are_moved_for_they_may_be_reviewed(tmp_path: Path, content: str) -> None:
    """A disk that was full, or an editor: whether a pathologist corrected them nobody can tell."""
    folder = tmp_path / "out"
    write_staging(staged(tmp_path), folder)
    assert not set_aside_before(staged(tmp_path), folder)  # nobody corrected anything
    (folder / "patients.json").write_text(content)
    assert "moved to patients-before-1, because their patients.json can't be read" in set_aside_before(
        staged(tmp_path), folder
    )
    assert (folder / "patients-before-1" / "patients.json").read_text() == content
    assert not set_aside_before(staged(tmp_path), folder)


@pytest.mark.parametrize("damaged", [False, True])
def test_what_a_user_keeps_among_the_pages_stays(damaged: bool, tmp_path: Path) -> None:
    """Slides of a cohort that is sorted by patient, and notes: pages alone are moved, and known by what is in them."""
    folder = tmp_path / "out"
    slide, notes = folder / "patients" / "p1" / "s.tif", folder / "patients" / "notes.html"
    slide.parent.mkdir(parents=True)
    slide.write_text("a slide")
    notes.write_text("somebody's own")
    write_staging(staged(tmp_path), folder)
    if damaged:
        (folder / "patients.json").write_text("[")
    aside = set_aside(folder)
    assert sorted(path.name for path in aside.iterdir()) == ["patients", "patients.csv", "patients.json"]
    assert [path.name for path in (aside / "patients").iterdir()] == ["A.html"]
    assert (slide.read_text(), notes.read_text()) == ("a slide", "somebody's own")
    assert sorted(path.name for path in (folder / "patients").iterdir()) == ["notes.html", "p1"]


def test_a_page_is_not_written_over_a_file_of_the_users(tmp_path: Path) -> None:
    """It has a page's name, but no page is in it: nothing is written at all."""
    folder = tmp_path / "out"
    own = write_csv(folder / "patients" / "A.html", "somebody's own")
    with pytest.raises(OutputError, match=r"A\.html: is there, and nodescan didn't write it; move or rename it"):
        write_staging(staged(tmp_path), folder)
    assert own.read_text() == "somebody's own\n"
    assert [path.name for path in folder.iterdir()] == ["patients"]


def test_pages_behind_a_link_are_not_moved(tmp_path: Path) -> None:
    """What the link leads to is not of this run's folder."""
    folder = tmp_path / "out"
    write_staging(staged(tmp_path), folder)
    (folder / "patients").rename(tmp_path / "elsewhere")
    (folder / "patients").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert set_aside(folder) == folder / "patients-before-1"
    assert (tmp_path / "elsewhere" / "A.html").is_file()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a2,,9000,9000,add,2600,Dr A,", "a2,,12000,9000,add,150,Dr B,"),
        ("a2,,9000,9000,add,2600,Dr A,", "a2,,12000,9000,add,2600,Dr A,"),
        ("a2,1,,,class,macro,Dr A,", "a2,1,,,accept,,Dr A,"),
        ("a2,1,,,resize,2100,Dr A,", "a2,1,,,resize,2200,Dr A,"),
        ("a2,1,,,accept,,Dr A,", "a2,1,,,accept,,Dr B,"),
        ("a2,1,,,accept,,Dr A,seen twice", "a2,1,,,accept,,Dr A,"),
    ],
)
def test_a_correction_that_a_later_review_does_not_repeat_is_kept(first: str, second: str, tmp_path: Path) -> None:
    """Another's word, or another word, on a deposit of the same number doesn't take its place in silence."""
    folder = tmp_path / "out"
    write_staging(staged(tmp_path, first), folder)
    told = set_aside_before(staged(tmp_path, second), folder)
    assert "moved to patients-before-1, because some of its corrections of a2 were not given unchanged" in told
    assert "Dr A" in (folder / "patients-before-1" / "patients" / "A.html").read_text(encoding="utf-8")


def test_a_review_that_repeats_all_corrections_takes_the_earlier_ones_place(tmp_path: Path) -> None:
    """In another order, too, which gives added deposits other numbers, and with more of them."""
    folder = tmp_path / "out"
    rows = ("a2,,9000,9000,add,2600,Dr A,", "a2,,12000.1,9000,add,150,Dr B,", "a2,1,,,class,macro,Dr \u00c4,so")
    write_staging(staged(tmp_path, *rows), folder)
    assert not set_aside_before(staged(tmp_path, "a2,2,,,reject,,Dr C,", *reversed(rows)), folder)


def test_a_class_is_repeated_whatever_size_another_row_gives_its_deposit(tmp_path: Path) -> None:
    """The size is the other row's word, and without that row its own is lost."""
    folder, class_, size = tmp_path / "out", "a2,1,,,class,macro,Dr A,", "a2,1,,,resize,2500,Dr A,"
    write_staging(staged(tmp_path, class_), folder)
    both = staged(tmp_path, class_, size)
    assert not set_aside_before(both, folder)
    write_staging(both, folder)
    assert "some of its corrections of a2" in set_aside_before(staged(tmp_path, class_), folder)


def test_corrections_without_effect_are_kept_too(tmp_path: Path) -> None:
    """Their slide was in no patient when they were made: they are a reader's work all the same."""
    folder = tmp_path / "out"
    write_staging(staged(tmp_path), folder)
    stages = json.loads((folder / "patients.json").read_bytes())
    correction = {"slide_id": "x", "deposit_id": 1, "action": "reject", "by": "Dr A"}
    (folder / "patients.json").write_text(json.dumps({**stages, "corrections_of_no_patient": [correction]}))
    assert "the reviewed stages were moved to patients-before-1" in set_aside_before(staged(tmp_path), folder)


def test_stages_by_another_table_are_kept(tmp_path: Path) -> None:
    """CAMELYON17's with their submission, before those of AJCC, and the other way round; the same table takes over."""
    folder, ajcc8 = tmp_path / "out", staged(tmp_path)
    camelyon17 = replace(ajcc8, table=CAMELYON17)
    write_staging(camelyon17, folder)
    assert not set_aside_before(camelyon17, folder)
    submission = (folder / "camelyon17_submission.csv").read_text()
    told = set_aside_before(ajcc8, folder)
    assert told == (
        "the stages by the table camelyon17 were moved to patients-before-1, because this command stages by ajcc8; "
        "nodescan stage --mode camelyon17 makes them again"
    )
    assert (folder / "patients-before-1" / "camelyon17_submission.csv").read_text() == submission
    write_staging(ajcc8, folder)
    assert not (folder / "camelyon17_submission.csv").exists()
    assert "moved to patients-before-2" in set_aside_before(camelyon17, folder)


def test_folders_of_earlier_stages_are_in_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    """The tenth comes after the second."""
    names = [f"patients-before-{number}" for number in range(1, 13)]
    for name in reversed(names):
        (tmp_path / name).mkdir()
    assert [place.name for place in places_aside(tmp_path)] == names
