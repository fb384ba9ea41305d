"""A file is whole or not there, and what went wrong is said."""

import errno
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from nodescan import whole_files
from nodescan.errors import OutputError
from nodescan.whole_files import write_beside, write_current, write_set, written_beside


def test_a_written_file_holds_the_bytes_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """After write_beside the folder holds that file alone, with those bytes."""
    write_beside(tmp_path / "a.json", b"one")
    write_beside(tmp_path / "a.json", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"two"


def test_a_full_disk_keeps_the_old_file_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disk full while writing: the old bytes stay, no part is left, the error names path, cause and remedy."""
    path = tmp_path / "report.json"
    path.write_bytes(b"old")

    def refuse(part: Path, data: bytes) -> int:
        with part.open("wb") as file:
            file.write(data[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputError) as caught:
        write_beside(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]
    assert path.read_text() == "old"
    assert str(caught.value) == (
        f"{path}: can't be written (No space left on device); free some space or choose another output folder, "
        "then run again"
    )


@pytest.mark.parametrize("fails", [1, 2, 3])
def test_a_set_that_cannot_all_be_written_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    """Whichever file the disk becomes full at, even if it says so only when it is told to hurry."""
    names, flush, flushed = ("a.json", "b.csv", "c.csv", "old.csv"), os.fsync, []
    for name in names:
        (tmp_path / name).write_bytes(b"old")

    def full(number: int) -> None:
        flushed.append(number)
        if len(flushed) == fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=rf"{names[fails - 1]}: can't be written \(No space left on device\)"):
        write_set({tmp_path / name: b"new" for name in names[:3]}, obsolete=[tmp_path / "old.csv"])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(names, b"old")


def test_the_first_file_of_a_set_is_replaced_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is new, so are the others, and what they replace is gone."""
    names, replace, replaced = ("a.json", "b.csv", "c.csv"), os.replace, []
    (tmp_path / "old.csv").write_bytes(b"old")

    def note(source: Path, target: Path) -> None:
        assert not (tmp_path / "old.csv").exists()
        replaced.append(target.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", note)
    write_set({tmp_path / name: b"new" for name in names}, obsolete=[tmp_path / "old.csv", tmp_path / "none.csv"])
    assert replaced == ["c.csv", "b.csv", "a.json"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(names, b"new")


def test_what_holds_no_longer_goes_where_the_new_one_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older file would be taken for the new one, so it is removed, and that is said; where none is, nothing is."""
    path = tmp_path / "summary.html"
    path.write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputError, match=r"No space left on device.*\(the older one was removed"):
        write_current(path, b"new")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match=r"then run again$"):
        write_current(path, b"new")


def test_a_disk_that_became_read_only_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There even removing what isn't there is refused."""

    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match="Read-only file system"):
        write_beside(tmp_path / "a.csv", b"x")


@pytest.mark.parametrize(("number", "written"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_disk_that_cannot_be_told_to_hurry_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, written: bool
) -> None:
    """One that fails to take the bytes is."""

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with nullcontext() if written else pytest.raises(OutputError, match="Input/output error"):
        write_beside(tmp_path / "a.csv", b"x")
    assert (tmp_path / "a.csv").exists() is written


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    """Where the folder isn't there the error names the file asked for, not the part."""
    with pytest.raises(OutputError, match=r"gone.a\.csv: can't be written \(No such file"):
        write_beside(tmp_path / "gone" / "a.csv", b"x")


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """Any error inside the block passes through, and neither file nor part is touched or left."""
    path = tmp_path / "map.tif"
    path.write_bytes(b"old")

    def write_half() -> None:
        with written_beside(path) as part:
            part.write_bytes(b"half")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        write_half()
    assert [file.name for file in tmp_path.iterdir()] == ["map.tif"]
    assert path.read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt", reason="permission bits are POSIX")
def test_a_written_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    """The bits are what the umask gives, so that a colleague can read the report."""
    (tmp_path / "plain").write_bytes(b"")
    write_beside(tmp_path / "report.html", b"")
    assert (tmp_path / "report.html").stat().st_mode == (tmp_path / "plain").stat().st_mode


class OpenElsewhere:
    """os.replace on Windows, while another program has the file open for so many tries."""

    def __init__(self, tries: int, patch: pytest.MonkeyPatch) -> None:
        self.tries, self.asked, self._replace = tries, 0, os.replace
        patch.setattr(sys, "platform", "win32")
        patch.setattr(os, "replace", self)

    def __call__(self, source: Path, target: Path) -> None:
        self.asked += 1
        if self.asked <= self.tries:
            raise PermissionError(errno.EACCES, "Access is denied")
        self._replace(source, target)


def test_on_windows_a_file_that_is_open_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virus scanner costs no report."""
    OpenElsewhere(2, monkeypatch)
    write_beside(tmp_path / "report.html", b"new")
    assert (tmp_path / "report.html").read_bytes() == b"new"


def test_on_windows_a_file_that_stays_open_is_told_and_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each slide of a run writes summary.csv: once closed, it is written again."""
    path, spreadsheet = tmp_path / "summary.csv", OpenElsewhere(10**9, monkeypatch)
    monkeypatch.setattr(whole_files, "_OPEN_S", 0.0)
    with pytest.raises(OutputError, match=r"Access is denied.*open \(a viewer, a spreadsheet\): close it there"):
        write_beside(path, b"x")
    monkeypatch.setattr(whole_files, "_OPEN_S", 10.0)
    with pytest.raises(OutputError, match="close it there"):
        write_beside(path, b"x")
    assert spreadsheet.asked == 2
    spreadsheet.tries = 0
    write_beside(path, b"x")
    assert path.read_bytes() == b"x"
    assert not whole_files._left_open
