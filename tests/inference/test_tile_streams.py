"""Lanes share out the threads of a CPU."""

import pytest

from nodescan.inference.tile_streams import lane_count


@pytest.mark.parametrize(
    ("threads", "lanes"), [(1, 1), (2, 2), (8, 8), (10, 5), (12, 6), (14, 7), (16, 8), (20, 5), (28, 7), (64, 8)]
)
def test_no_thread_is_left_idle(threads: int, lanes: int) -> None:
    """PyTorch and OpenVINO give each lane as many threads as the others: of 12 threads 8 lanes would take one each."""
    assert lane_count(threads) == lanes


def test_few_threads_are_left_idle_whatever_their_number() -> None:
    """A ninth at most; of up to eight none."""
    for threads in range(1, 257):
        lanes = lane_count(threads)
        assert 1 <= lanes <= 8
        assert lanes * (threads // lanes) >= threads * 8 / 9
