"""Decoded tiles are shared, bounded, and never decoded by two threads at once."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nodescan.slides.tile_cache import TileCache


def tile(value: int = 0, kilobytes: int = 1) -> np.ndarray:
    return np.full(1024 * kilobytes, value, np.uint8)


@given(st.lists(st.integers(0, 12), max_size=80), st.integers(1, 8))
def test_the_tiles_used_last_are_kept(keys: list[int], capacity: int):
    """As many as fit, by the order of their last use; every answer is the key's own tile."""
    cache = TileCache(capacity * 1024)
    kept: list[int] = []
    for key in keys:
        decoded: list[int] = []
        pixels = cache.get(key, lambda key=key, decoded=decoded: decoded.append(key) or tile(key))
        assert (pixels == key).all()
        assert decoded == ([] if key in kept else [key])
        kept = [other for other in kept if other != key] + [key]
        kept = kept[-capacity:]


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=80), st.integers(1, 8))
def test_never_more_is_held_than_fits(asked: list[tuple[int, bool]], capacity: int):
    """However many last: a tile that was just asked for is there, though it may pass, and no more than the capacity."""
    cache, decoded = TileCache(capacity * 1024), Counter[int]()
    for key, lasts in asked:
        cache.get(key, lambda key=key: decoded.update([key]) or tile(key), lasts=lasts)
        assert (cache.get(key, lambda: tile(99), lasts=lasts) == key).all()
    before = decoded.total()
    for key in range(13):  # what is held isn't decoded again
        cache.get(key, lambda key=key: decoded.update([key]) or tile(key, kilobytes=0))
    assert decoded.total() - before >= 13 - capacity


def test_what_lasts_outlives_what_passes():
    """Six tiles that last, then a hundred others in a cache of eight; what is asked for again may pass from then on."""
    cache, decoded = TileCache(8 * 1024), Counter[int]()

    def get(key: int, *, lasts: bool) -> None:
        cache.get(key, lambda: decoded.update([key]) or tile(), lasts=lasts)

    for key in range(6):
        get(key, lasts=True)
    for key in range(100, 200):
        get(key, lasts=False)
    for key in range(6):
        get(key, lasts=False)
    assert max(decoded.values()) == 1
    for key in range(200, 208):
        get(key, lasts=False)
    for key in range(6):
        get(key, lasts=False)
    assert [decoded[key] for key in range(6)] == [2] * 6


def test_tiles_that_last_leave_room_for_others():
    """Two tiles that are asked for in turn stay, though what lasts would fill all."""
    cache, decoded = TileCache(16 * 1024), Counter[str]()
    for key in range(64):
        cache.get(key, tile, lasts=True)
        for beside in ("a", "b"):
            cache.get(beside, lambda beside=beside: decoded.update([beside]) or tile())
    assert decoded == {"a": 1, "b": 1}


def test_a_tile_larger_than_the_cache_is_given_and_not_kept():
    """And takes nothing of others beyond what it must."""
    cache = TileCache(1024)
    assert len(cache.get("large", lambda: tile(kilobytes=5))) == 5 * 1024
    assert (cache.get("large", lambda: tile(7)) == 7).all()


def test_eight_threads_that_want_one_tile_decode_it_once():
    """The first decodes while the others wait for it."""
    cache, calls, entered = TileCache(2**20), Counter[str](), threading.Barrier(8)

    def decode() -> np.ndarray:
        calls["decoded"] += 1
        return tile(3)

    def want(_: int) -> np.ndarray:
        entered.wait()
        return cache.get("t", decode)

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(want, range(8)))
    assert calls["decoded"] == 1
    assert all(result is results[0] for result in results)


def test_a_failure_reaches_all_who_wait_and_is_tried_again():
    """A network drive that was away for a moment doesn't spoil the tile for the rest of the run."""
    cache, entered = TileCache(2**20), threading.Barrier(8)

    def fail() -> np.ndarray:
        raise OSError("away")

    def want(_: int) -> str:
        entered.wait()
        try:
            cache.get("t", fail)
        except OSError as error:
            return str(error)
        return "read"

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(want, range(8))) == {"away"}
    assert (cache.get("t", lambda: tile(2)) == 2).all()


def test_a_cleared_cache_decodes_again():
    """Nothing of a closed slide stays in memory."""
    cache = TileCache(2**20)
    cache.get("t", lambda: tile(1))
    cache.clear()
    assert (cache.get("t", lambda: tile(4)) == 4).all()
