"""What holds for every writer, and for a slide's folder as a whole."""

import errno
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from nodescan import reports
from nodescan.domain.classification import Metastasis
from nodescan.domain.report import SlideResult
from nodescan.errors import OutputError
from nodescan.reports import ALWAYS, CHOICES, FILES, OLDER_JSON, REPORTS, Report, write_reports
from tests.reports.factory import FOLDER, ITC, VARIANTS, result

EVERY_FILE = sorted(FILES)

TEXTS = (".csv", ".geojson", ".html", ".json")
"""What words may stand in."""


def _old_report(folder: Path) -> Path:
    """A slide's folder with every file of an earlier report."""
    place = folder / "slide"
    place.mkdir()
    for name in EVERY_FILE:
        (place / name).write_bytes(b"old")
    return place


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_whole_run_writes_the_files_that_are_promised(macro_folder: Path) -> None:
    """Those of the table, and nothing beside the folder."""
    assert sorted(path.name for path in macro_folder.iterdir()) == EVERY_FILE
    assert [path.name for path in macro_folder.parent.iterdir()] == [macro_folder.name]


@pytest.mark.parametrize("name", REPORTS)
def test_a_writer_writes_its_own_files_only(name: str, tmp_path: Path) -> None:
    """Alone in an empty folder, each writer leaves exactly the files REPORTS gives it."""
    REPORTS[name].write(result((ITC,)), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(REPORTS[name].files)


@dataclass(frozen=True, slots=True)
class Written:
    """What one writer made of one result: name, in `folder`, which lies far below `root`."""

    name: str
    result: SlideResult
    root: Path
    folder: Path


@pytest.fixture(scope="module", params=product(REPORTS, VARIANTS), ids="-".join)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Of every writer, however a slide can end."""
    name, variant = request.param
    root = tmp_path_factory.mktemp("written")
    folder = root / "DOE-JANE-1950" / "run" / "slide"
    folder.mkdir(parents=True)
    REPORTS[name].write(VARIANTS[variant](), folder)
    return Written(name, VARIANTS[variant](), root, folder)


def test_a_writer_keeps_to_its_folder_and_tells_no_other(written: Written) -> None:
    """All that is written lies in the folder, and says neither where that nor the slide is."""
    files = {path for path in written.root.rglob("*") if path.is_file()}
    assert files <= {written.folder / file for file in REPORTS[written.name].files}
    for file in files:
        content = file.read_bytes()
        assert b"DOE-JANE" not in content, file.name
        assert str(FOLDER).encode() not in content, file.name


def test_only_a_negative_slide_is_called_so(written: Written) -> None:
    """A writer has its words of the class from wording.class_words: no class is not negative."""
    for file in written.folder.iterdir():
        if file.suffix in TEXTS:
            text = re.sub(r"(?s)<style>.*?</style>", "", file.read_text(encoding="utf-8")).lower()
            called = "negative" in text.replace("not a negative result", "")
            assert not called or written.result.report.metastasis is Metastasis.NONE, file.name


def test_every_file_is_a_text_that_was_looked_through_or_a_picture() -> None:
    """A new kind of file has its place in TEXTS, or is none."""
    assert {Path(file).suffix for file in FILES} == {*TEXTS, ".jpg", ".png", ".tif"}


@pytest.mark.parametrize("name", REPORTS)
def test_a_writer_that_is_refused_leaves_old_files_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the last step is refused, the file of an earlier run keeps its bytes and no part stays."""
    for file in REPORTS[name].files:
        (tmp_path / file).write_bytes(b"old")

    def refuse(_source: Path, _target: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match=r"can't be written \(Permission denied\); get write permission"):
        REPORTS[name].write(result((ITC,)), tmp_path)
    assert _snapshot(tmp_path) == dict.fromkeys(REPORTS[name].files, b"old")


@pytest.mark.parametrize("name", REPORTS)
def test_one_failing_writer_leaves_the_whole_folder_as_it_was(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier report stays readable to the last byte, and the error names the user's own path."""
    folder = _old_report(tmp_path)

    def refuse(_result: SlideResult, part: Path, **_: object) -> None:
        raise OutputError(f"{part / REPORTS[name].files[0]}: can't be written")

    def write(_result: SlideResult, part: Path, **_: object) -> None:
        (part / "report.json").write_bytes(b"new")

    others = {other: Report(write, report.files) for other, report in REPORTS.items()}
    monkeypatch.setattr(reports, "REPORTS", others | {name: Report(refuse, REPORTS[name].files)})
    with pytest.raises(OutputError) as caught:
        write_reports(VARIANTS["failed"](), folder, may_move=lambda: None)
    assert str(caught.value) == f"{folder / REPORTS[name].files[0]}: can't be written"
    assert _snapshot(folder) == dict.fromkeys(EVERY_FILE, b"old")
    assert [path.name for path in tmp_path.iterdir()] == ["slide"]


def test_files_of_an_earlier_run_don_t_stand_beside_a_new_report(tmp_path: Path) -> None:
    """A slide that now fails keeps no heat map or deposits from before; a stranger's file stays."""
    folder = tmp_path / "slide"
    folder.mkdir()
    for file in (*EVERY_FILE, "my notes.txt"):
        (folder / file).write_bytes(b"old")
    write_reports(VARIANTS["failed"](), folder, may_move=lambda: None)
    assert sorted(path.name for path in folder.iterdir()) == ["my notes.txt", "report.html", "report.json"]
    assert (folder / "report.html").read_bytes() != b"old"


def test_the_mark_goes_first_and_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At no moment does report.json stand beside files of another run."""
    folder = tmp_path / "slide"
    folder.mkdir()
    (folder / "report.json").write_bytes(b"old")
    moved: list[str] = []
    replace = os.replace

    def watch(source: Path, target: Path) -> None:
        if Path(target).parent == folder:
            assert not (folder / "report.json").exists()
            moved.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    write_reports(VARIANTS["failed"](), folder, may_move=lambda: None)
    assert moved == ["report.html", "report.json"]


@pytest.mark.parametrize("name", EVERY_FILE)
def test_where_a_file_cannot_be_moved_the_old_report_stays_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a viewer has it open, on Windows."""
    folder = _old_report(tmp_path)
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if source == folder / name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        write_reports(VARIANTS["failed"](), folder, may_move=lambda: None)
    assert _snapshot(folder) == dict.fromkeys(EVERY_FILE, b"old")
    assert [path.name for path in tmp_path.iterdir()] == ["slide"]


@pytest.mark.parametrize("at", range(1, 2 * len(EVERY_FILE) + 1))
def test_a_signal_between_two_moves_leaves_the_old_report_whole(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes just after a file was moved, which is undone all the same."""
    folder = _old_report(tmp_path)
    replace, moved = os.replace, list[Path]()

    def interrupted(source: Path, target: Path) -> None:
        replace(source, target)
        if folder in {target.parent, source.parent}:
            moved.append(target)
            if len(moved) == at:
                raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_reports(VARIANTS["macro"](), folder, may_move=lambda: None)
    assert _snapshot(folder) == dict.fromkeys(EVERY_FILE, b"old")


def test_where_a_file_cannot_go_back_the_folder_is_unmarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report.json beside files that are gone would be taken for a result."""
    folder = _old_report(tmp_path)
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if source == folder / "report.html" or (target.parent == folder and target.name != "report.json"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        write_reports(VARIANTS["failed"](), folder, may_move=lambda: None)
    there = _snapshot(folder)
    assert "report.json" not in there or there == dict.fromkeys(EVERY_FILE, b"old")


def test_an_older_report_that_was_put_aside_goes_once_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays while the new one can't be moved in; then its files are no more."""
    folder = tmp_path / "slide"
    folder.mkdir()
    (folder / OLDER_JSON).write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", partial(_refuse_new, os.replace, folder / "report.json"))
        with pytest.raises(OutputError, match="Permission denied"):
            write_reports(VARIANTS["failed"](), folder, may_move=lambda: None)
    assert _snapshot(folder) == {OLDER_JSON: b"old"}
    write_reports(VARIANTS["failed"](), folder, may_move=lambda: None)
    assert sorted(_snapshot(folder)) == ["report.html", "report.json"]


def _refuse_new(replace: Callable[[Path, Path], None], new: Path, source: Path, target: Path) -> None:
    if target == new:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    replace(source, target)


def test_a_user_s_folder_of_a_report_s_name_stays(tmp_path: Path) -> None:
    """The error says to move it away, and the old report is whole."""
    own = tmp_path / "slide" / "heatmap.png" / "own.txt"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"own")
    (tmp_path / "slide" / "report.json").write_bytes(b"old")
    with pytest.raises(OutputError, match=r"slide/heatmap\.png: .*move the folder of that name out of the way"):
        write_reports(VARIANTS["failed"](), tmp_path / "slide", may_move=lambda: None)
    assert own.read_bytes() == b"own"
    assert (tmp_path / "slide" / "report.json").read_bytes() == b"old"


def test_only_what_is_asked_for_and_what_is_always_written(tmp_path: Path) -> None:
    """Asking for csv gives detections.csv, and report.json because it marks the whole."""
    write_reports(VARIANTS["no_tissue"](), tmp_path / "slide", ["csv"], may_move=lambda: None)
    written = {path.name for path in (tmp_path / "slide").iterdir()}
    assert written == {"detections.csv", "overview.jpg", "report.json"}
    assert {*ALWAYS, *CHOICES} == {*REPORTS}


def test_the_leftovers_of_a_stopped_run_go_with_the_next(tmp_path: Path) -> None:
    """Only parts of the same slide are removed: another slide's may be in the making."""
    (tmp_path / ".slide.0123456789ab.part").mkdir()
    (tmp_path / ".slide.b.0123456789ab.part").mkdir()
    write_reports(VARIANTS["failed"](), tmp_path / "slide", [], may_move=lambda: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".slide.b.0123456789ab.part", "slide"]


def test_a_folder_that_can_t_be_made_is_an_output_error(tmp_path: Path) -> None:
    """A file where a folder should be: the text names the slide's folder."""
    (tmp_path / "run").write_bytes(b"")
    with pytest.raises(OutputError, match=r"run.slide: can't be written"):
        write_reports(VARIANTS["failed"](), tmp_path / "run" / "slide", may_move=lambda: None)
