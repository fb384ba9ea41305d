"""Tiles are read ahead of the network: by whom, and how many."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from nodescan import tile_pass
from nodescan.tile_pass import MOST_READERS, readers_for
from tests.fakes import ColourPredictor


@pytest.mark.parametrize(("cores", "readers"), [(1, 2), (3, 3), (8, 8), (16, 16), (64, MOST_READERS)])
def test_beside_a_gpu_the_cores_read(monkeypatch: pytest.MonkeyPatch, cores: int, readers: int) -> None:
    """Those that this process may use; on a CPU they compute, and two threads read."""
    monkeypatch.setattr(tile_pass, "usable_cores", lambda: cores)
    predictor = ColourPredictor()
    monkeypatch.setattr(predictor, "device", "cuda:0 (NVIDIA H200)")
    assert readers_for(predictor) == readers
    monkeypatch.setattr(predictor, "device", "cpu (2 threads)")
    assert readers_for(predictor) == 2


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
        assert list(taken(tile_pass._ahead(pool, read, range(50), most=most))) == list(range(50))
