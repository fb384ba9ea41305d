"""Opens a model without torch: compiled by OpenVINO in eight bits, and in float32 while the first tiles are answered.

Importing torch takes longer than everything else before the first tile's answer, and half a gigabyte of memory.
"""

import os
import platform
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGeometry
from nodescan.errors import ModelError
from nodescan.inference.card import CardFacts, ModelCard, checked_weights, load_card
from nodescan.inference.fast_predictor import FastPredictor, second_look_tile
from nodescan.inference.openvino_streams import OpenVinoLanes, installed
from nodescan.inference.tile_streams import Answer, Lanes, check_not_forked, lane_count, started
from nodescan.machine import computing_threads, eight_bit_precision

_GPU_DRIVERS = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg", "/dev/kfd")

_ANSWERED_FIRST = 3
"""After so many batches were handed over, the second look is compiled beside them. By then the first one is
answered."""


def open_without_torch(folder: Path, *, device: str) -> FastPredictor | None:
    """The model in eight bits, without torch; None where that can't be, or the machine isn't known to suit it.

    A card has ranges for eight bits where these were tried (training/tuning/eight_bits.py), and answers are
    compared with the reference's on every slide (examination/second_look/). Raises ModelError for a bad card or
    damaged weights, and as check_not_forked does.
    """
    check_not_forked()
    card = load_card(folder)
    precision = eight_bit_precision()
    if card.int8_ranges is None or precision is None or not _on_cpu(device) or not installed():
        return None
    weights, threads = checked_weights(card, folder), computing_threads()
    try:
        lanes = OpenVinoLanes(card, weights, threads=threads, precision=precision)
    except (ModelError, MemoryError):  # torch may do better, or says what is wrong
        return None

    def in_float32(tile: TileGeometry) -> LaterPredictor:
        def compiled() -> Lanes:
            return OpenVinoLanes(card, weights, threads=threads, precision="float32", tile=tile)

        return LaterPredictor(card, f"cpu ({platform.machine()}, {threads} threads)", compiled, tile)

    reference, second_look = in_float32(card.geometry()), in_float32(second_look_tile(card))
    return FastPredictor(reference, second_look, CallingLanes(lanes, second_look.begin))


class LaterPredictor(CardFacts):
    """A card's model in float32, opened in a thread of its own; whoever asks it something waits until it is open."""

    precision = "float32"

    def __init__(self, card: ModelCard, device: str, open_: Callable[[], Lanes], tile: TileGeometry) -> None:
        super().__init__(card, tile)
        self.device, self.batch_size = device, lane_count(computing_threads())
        self._open, self._lock = open_, Lock()
        self._opened: Future[Lanes] | None = None

    def begin(self) -> Future[Lanes]:
        """Begin to open it, unless that was begun already; the future is done when it is open.

        Tries again if memory ran out the first time: another slide may have freed it.
        """
        with self._lock:
            if self._opened is None or (self._opened.done() and isinstance(self._opened.exception(), MemoryError)):
                opener = ThreadPoolExecutor(1, thread_name_prefix="open-reference")
                self._opened = opener.submit(self._open)
                opener.shutdown(wait=False)
            return self._opened

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        """As TilePredictor's. Raises ModelError or MemoryError where the network can't be compiled."""
        check_not_forked()  # before it is waited for
        return started(self.begin().result(), tiles)


class CallingLanes:
    """Lanes that call something once, after the first batches were handed over."""

    def __init__(self, lanes: Lanes, call: Callable[[], object]) -> None:
        self._lanes, self._call, self._left = lanes, call, _ANSWERED_FIRST
        self.precision = lanes.precision

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        self._left -= 1
        if self._left == 0:
            self._call()
        return self._lanes.start(tiles)


def _on_cpu(device: str) -> bool:
    """Whether torch would choose the CPU. False wherever there may be a GPU: torch has to be asked then."""
    return device == "cpu" or (device == "auto" and not any(map(os.path.exists, _GPU_DRIVERS)))
