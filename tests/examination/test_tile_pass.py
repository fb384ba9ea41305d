"""Tiles are read ahead of the network: by whom, and how many; and what is said of cells that were not seen."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.maps import NotExamined, ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.examination import tile_batches
from nodescan.examination.tile_batches import MOST_READERS, answered, readers_for
from nodescan.examination.tile_pass import TileAnswers, _pixels_of, _ReadTile
from nodescan.imaging.untrusted_areas import SHARES
from tests.fakes import ColourPredictor


@pytest.mark.parametrize(("cores", "readers"), [(1, 2), (3, 3), (8, 8), (16, 16), (64, MOST_READERS)])
def test_beside_a_gpu_the_cores_read(monkeypatch: pytest.MonkeyPatch, cores: int, readers: int) -> None:
    """Those that this process may use, whatever it may compute on."""
    monkeypatch.setattr(tile_batches, "usable_cores", lambda: cores)
    monkeypatch.setattr(tile_batches, "computing_threads", lambda: 2)
    assert readers_for(_on("cuda:0 (NVIDIA H200)", monkeypatch)) == readers


@pytest.mark.parametrize(("threads", "readers"), [(1, 2), (2, 2), (8, 8), (64, MOST_READERS)])
def test_on_a_cpu_the_cores_that_compute_read(monkeypatch: pytest.MonkeyPatch, threads: int, readers: int) -> None:
    """Of several workers each has its share of the cores. So what `bench` says that reading takes alone is what all of
    the cores take for it, as it is of computing: else the two could not be added up."""
    monkeypatch.setattr(tile_batches, "usable_cores", lambda: 64)
    monkeypatch.setattr(tile_batches, "computing_threads", lambda: threads)
    assert readers_for(_on("cpu (x86_64)", monkeypatch)) == readers


def _on(device: str, monkeypatch: pytest.MonkeyPatch) -> ColourPredictor:
    predictor = ColourPredictor()
    monkeypatch.setattr(predictor, "device", device)
    return predictor


def test_as_many_tiles_wait_however_many_read() -> None:
    """Memory is bounded by what waits, not by the readers; results keep their order."""
    begun, most, lock = 0, 6, Lock()

    def read(item: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        return item

    def taken(results: Iterator[int]) -> Iterator[int]:
        for count, item in enumerate(results):
            with lock:
                assert begun <= count + 1 + most
            yield item

    with ThreadPoolExecutor(MOST_READERS) as pool:
        assert list(taken(tile_batches._ahead(pool, read, range(50), most=most))) == list(range(50))


def test_a_batch_keeps_its_tiles_until_it_is_answered() -> None:
    """Though batches share memory: one is handed over before the one ahead of it is looked at, and sizes differ."""
    predictor, number = Slow(), iter(range(1, 99))
    batches = [[_read_tile(next(number)) for _ in range(size)] for size in (3, 3, 1, 0, 2, 3, 4, 3)]
    batches[4].insert(1, (0, 0))  # a tile that can't be read
    for batch, (told, answers) in zip(batches, answered(batches, _pixels_of, predictor), strict=True):
        assert told is batch
        assert answers.tolist() == [float(item.pixels[0, 0, 0]) for item in batch if isinstance(item, _ReadTile)]


class Slow(ColourPredictor):
    """Looks at its tiles once its answers are wanted; each is answered with its colour."""

    def start(self, tiles: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        return lambda: tiles[:, 0, 0, 0].astype(np.float32)


def _read_tile(colour: int) -> _ReadTile:
    none, shares = np.zeros((1, 1), np.uint8), np.zeros((1, 1, SHARES), np.float16)
    return _ReadTile((colour, 0), np.full((16, 16, 3), colour, np.uint8), none, none, shares)


@pytest.mark.parametrize(("pale_too", "dark_too"), [(True, False), (False, True), (True, True), (False, False)])
@pytest.mark.parametrize(("missing_too", "hidden_too"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_cell_that_counts_for_nothing_is_told_by_one_reason(
    missing_too: bool, hidden_too: bool, pale_too: bool, dark_too: bool
) -> None:
    """Missing data are unread where the cell was wanted; what is hidden is nothing else; pale comes before dark."""
    # examined, blurred, unread, stuck lines, not wanted; neither, missing, hidden, both; and pale, dark or both
    state, case = np.indices((5, 16))
    pale, dark, case = (case % 8 >= 4) & pale_too, (case >= 8) & dark_too, case % 4
    examined, blurred, unread, stuck = (state == index for index in range(4))
    missing, hidden = ((case == 1) | (case == 3)) & missing_too, (case >= 2) & hidden_too
    map_ = ProbabilityMap(np.where(examined, np.float32(0.7), np.float32(0)), examined, Spacing.square(16.0))
    blank, shares = np.zeros((5, 16), np.uint8), np.zeros((5, 16, SHARES), np.float16)
    told = np.array([0, NotExamined.BLURRED, NotExamined.UNREAD, NotExamined.FAULTY, 0], np.uint8)[state]
    shown = TileAnswers(map_, told, blank, shares)
    found = shown.judged(missing=missing, hidden=hidden, pale=pale, dark=dark)
    seen = ~missing & ~hidden
    kept = examined & seen & ~pale & ~dark
    assert np.array_equal(found.probability.examined, kept)
    assert np.array_equal(found.probability.values, np.where(kept, np.float32(0.7), np.float32(0)))
    expected = {
        NotExamined.PALE: examined & seen & pale,
        NotExamined.FAULTY: (stuck | (examined & dark & ~pale)) & seen,
        NotExamined.BLURRED: blurred & seen,
        NotExamined.UNREAD: np.where(missing, state != 4, unread) & ~hidden,
        NotExamined.HIDDEN: hidden & (state != 4),
    }
    assert np.array_equal(found.reasons, sum(cells * np.uint8(reason) for reason, cells in expected.items()))
    assert np.array_equal(found.reasons != 0, ~kept & (state != 4))
