"""Pieces of a file come whole and right to every thread, or not at all."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodescan.slides.tile_file import TileFile

CONTENT = os.urandom(100_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "s.tif").write_bytes(CONTENT)
    return tmp_path / "s.tif"


@pytest.mark.parametrize("has_pread", [True, False])
def test_eight_threads_get_their_own_pieces(path: Path, monkeypatch: pytest.MonkeyPatch, has_pread: bool):
    """With and without pread, which Windows hasn't."""
    if not has_pread:
        monkeypatch.delattr(os, "pread")
    file = TileFile(path)
    with ThreadPoolExecutor(8) as threads:
        pieces = list(threads.map(lambda place: file.read(place, 997), range(0, 99_000, 50)))
    assert all(piece == CONTENT[50 * index : 50 * index + 997] for index, piece in enumerate(pieces))


@pytest.mark.parametrize("name", ["pread", "read"])
def test_a_disk_that_gives_a_part_is_asked_for_the_rest(path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    """As some file systems of networks do. One that gives nothing more is an error, and isn't asked for ever."""
    whole, ends_at = getattr(os, name), 100_000

    def some(number: int, length: int, *place: int) -> bytes:
        at = place[0] if place else os.lseek(number, 0, os.SEEK_CUR)
        return whole(number, min(length, 300, max(0, ends_at - at)), *place)

    if name == "read":
        monkeypatch.delattr(os, "pread")
    monkeypatch.setattr(os, name, some)
    file = TileFile(path)
    assert file.read(1_000, 1_000) == CONTENT[1_000:2_000]
    ends_at = 1_700
    with pytest.raises(OSError, match="the file ended before its data did"):
        file.read(1_000, 1_000)


@pytest.mark.parametrize("place", [99_999, 100_000, 2**40, 2**63, 2**64 - 1])
def test_a_piece_that_reaches_beyond_the_end_is_an_error(path: Path, place: int):
    """Also by one byte; what reaches exactly to the end is whole."""
    file = TileFile(path)
    with pytest.raises(OSError, match="beyond the end"):
        file.read(place, 2)
    assert file.read(99_998, 2) == CONTENT[-2:]


def test_closing_waits_for_the_reads_under_way(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Else the next file opened could get the number, and its bytes be taken for this one's."""
    file, entered, go_on, order = TileFile(path), threading.Event(), threading.Event(), list[str]()

    def slow(*_: int) -> bytes:
        entered.set()
        go_on.wait(10)
        order.append("read")
        return b"x"

    monkeypatch.setattr(os, "pread", slow)
    with ThreadPoolExecutor(2) as threads:
        reading = threads.submit(file.read, 0, 1)
        entered.wait(10)
        closing = threads.submit(lambda: (file.close(), order.append("closed")))
        go_on.set()
        assert reading.result() == b"x"
        closing.result()
    assert order == ["read", "closed"]
    with pytest.raises(ValueError, match=r"s\.tif is closed"):
        file.read(0, 1)
