"""A user's own folder that is called as a slide stays; what nodescan itself left half done is done again."""

import shutil
from pathlib import Path

import pytest

from nodescan import whole_files
from nodescan.batch.slide_folders import check_slide_folder, hide_mark, remove_older, restore_mark, unmark
from nodescan.cli import main
from nodescan.errors import UsageError
from nodescan.reports import FILES
from tests.fakes import content, held_on_windows, paint_slide

WRITTEN = sorted(FILES)


@pytest.fixture(scope="module")
def done_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide with its run's output beside it, each report once with a page and once without."""
    folder = tmp_path_factory.mktemp("done")
    paint_slide(folder / "b.tif")
    for out, reports in (("all", "json,csv,html,geojson"), ("bare", "json")):
        assert run(folder, folder / out, "--reports", reports) != 2
    return folder


@pytest.fixture
def here(done_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done_once, tmp_path / "here"))


def run(folder: Path, out: Path, *words: str) -> int:
    return main(["run", str(folder / "b.tif"), "--out", str(out), "--slots", "0", "--device", "cpu", *words])


def nodescans(folder: Path, *, of_a_run: bool = True) -> bool:
    """Whether a run may write there."""
    try:
        check_slide_folder(folder, of_a_run=of_a_run)
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_of_the_users_stays(
    tmp_path: Path, name: str, force: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Any of the names, alone in a folder of the slide's name; nothing is written, and --force is no leave to."""
    paint_slide(tmp_path / "b.tif")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / name).write_text('{"mine": 1}')
    before = content(tmp_path)
    assert run(tmp_path, tmp_path, *force) == 2
    assert content(tmp_path) == before
    assert f"{name}: is there, and nodescan didn't write it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["report.json", "report.html", "detections.csv"])
def test_a_text_of_the_users_stays_beside_a_runs_record(here: Path, name: str) -> None:
    """A run of other slides may have used that folder for its output."""
    shutil.rmtree(here / "all" / "b")
    (here / "all" / "b").mkdir()
    (here / "all" / "b" / name).write_text("mine")
    before = content(here / "all")
    assert run(here, here / "all") == 2
    assert content(here / "all") == before


def test_other_files_in_a_slides_folder_are_no_hindrance(tmp_path: Path) -> None:
    """None of them is written over."""
    (tmp_path / "notes.txt").write_text("mine")
    assert nodescans(tmp_path, of_a_run=False)


@pytest.mark.parametrize("out", ["all", "bare"])
def test_whatever_a_killed_run_leaves_is_nodescans(here: Path, out: str) -> None:
    """Before the slide, its mark is taken away; then the files come one by one, report.json last."""
    whole, half = here / out / "b", here / "half"
    assert nodescans(whole, of_a_run=False)
    names = sorted(path.name for path in whole.iterdir() if path.name != "report.json")
    assert len(names) >= 3
    for count in range(len(names) + 1):
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        for name in names[:count]:
            shutil.copy(whole / name, half)
        assert nodescans(half)


@pytest.mark.parametrize("out", ["all", "bare"])
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_slide_left_unmarked_is_redone(here: Path, out: str, force: tuple[str, ...]) -> None:
    """With and without --force, which does what is whole again, too."""
    (here / out / "b" / "report.json").unlink()
    for again in ((), force):
        assert run(here, here / out, "--reports", "json", *again) != 2
        assert (here / out / "b" / "report.json").is_file()


@pytest.mark.parametrize("broken", [b"", b"{", bytes(50)])
def test_a_damaged_mark_beside_nodescans_page_is_redone(here: Path, broken: bytes) -> None:
    """As a disk leaves it."""
    (here / "all" / "b" / "report.json").write_bytes(broken)
    assert run(here, here / "all") != 2
    assert (here / "all" / "b" / "report.json").read_bytes().startswith(b'{\n  "schema_version"')


def test_the_mark_goes_alone(here: Path) -> None:
    """What else lies there stays for whoever stops the run before the slide is begun."""
    folder = here / "all" / "b"
    before = content(folder)
    unmarked = {name: data for name, data in before.items() if name != "report.json"}
    hide_mark(folder)
    assert content(folder) == unmarked | {".older-report.json": before["report.json"]}
    hide_mark(folder)
    restore_mark(folder)
    assert content(folder) == before
    restore_mark(folder)
    hide_mark(folder)
    unmark(folder)
    assert content(folder) == unmarked | {".replaced-report.json": before["report.json"]}
    restore_mark(folder)
    unmark(folder)
    assert content(folder) == unmarked | {".replaced-report.json": before["report.json"]}


def test_what_names_an_old_class_goes_where_nothing_can_be_written(here: Path) -> None:
    """Page and outlines; pictures stay, and the report.json that was put aside is taken back by no run."""
    folder = here / "all" / "b"
    before = set(content(folder))
    hide_mark(folder)
    remove_older(folder)
    gone = {"report.json", "report.html", "deposits.geojson"}
    assert set(content(folder)) == before - gone | {".replaced-report.json"}


@pytest.mark.parametrize("held", ["report.html", "deposits.geojson"])
@pytest.mark.parametrize("tries", [2, 10**9])
def test_a_file_that_a_viewer_holds_keeps_no_other_that_names_an_old_class(
    here: Path, held: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows: the other of page and outlines goes, and so does that file if it is closed in time."""
    held_on_windows(monkeypatch, held, tries=tries)
    monkeypatch.setattr(whole_files, "_OPEN_S", 10.0 if tries == 2 else 0.0)
    monkeypatch.setattr(whole_files, "_left_open", set())  # else files of this test stay there
    remove_older(here / "all" / "b")
    left = {"report.html", "deposits.geojson"} & set(content(here / "all" / "b"))
    assert left == (set() if tries == 2 else {held})


def test_a_page_of_the_users_and_outlines_beside_it_stay(here: Path) -> None:
    """Written over nodescan's own since the report was made."""
    folder = here / "all" / "b"
    for name in ("report.html", "deposits.geojson"):
        (folder / name).write_text("mine")
    remove_older(folder)
    assert {(folder / name).read_text() for name in ("report.html", "deposits.geojson")} == {"mine"}


def test_a_table_that_a_spreadsheet_saved_is_still_nodescans(here: Path) -> None:
    """With semicolons, in a folder that a killed run left."""
    table = here / "all" / "b" / "detections.csv"
    table.write_text("\ufeff" + table.read_text().replace(",", ";"), encoding="utf-8")
    (here / "all" / "b" / "report.json").unlink()
    assert nodescans(here / "all" / "b")
    table.write_text("slide,what\nb,mine\n")
    assert not nodescans(here / "all" / "b")


def test_of_a_whole_report_its_mark_alone_is_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of thousands looks at each of its folders before it begins."""
    opened: list[str] = []
    kept = Path.open

    def noted(path: Path, *args: object, **named: object) -> object:
        opened.append(path.name)
        return kept(path, *args, **named)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(Path, "open", noted)
    check_slide_folder(here / "all" / "b", of_a_run=True)
    assert opened == ["report.json"]
