"""A batch too large for the device's memory."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nodescan.inference.batching import answer_in_parts


class Small:
    """A device with room for so many tiles; answers each tile's first byte."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.answered: list[int] = []

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(tiles) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.answered.append(len(tiles))
        return tiles[:, :1, :1, 0].astype(np.float32)


def tiles(count: int) -> NDArray[np.uint8]:
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)


@pytest.mark.parametrize("room", [1, 2, 3, 7, 11, 32])
def test_answers_do_not_depend_on_the_room_there_is(room: int) -> None:
    """Every tile is answered once, in its place, in parts that fit."""
    device = Small(room)
    assert answer_in_parts(device.predict, tiles(11)).ravel().tolist() == list(range(11))
    assert sum(device.answered) == 11
    assert max(device.answered) <= room


def test_tile_that_does_not_fit_alone_is_an_error() -> None:
    """There is nothing left to halve."""
    with pytest.raises(torch.OutOfMemoryError):
        answer_in_parts(Small(0).predict, tiles(2))


def test_other_errors_are_not_tried_again() -> None:
    """Only want of memory is cured by halving."""
    calls: list[int] = []

    def broken(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        calls.append(len(batch))
        raise RuntimeError("CUDA error: unspecified launch failure")

    with pytest.raises(RuntimeError, match="unspecified"):
        answer_in_parts(broken, tiles(4))
    assert calls == [4]
