"""The network compiled by OpenVINO, if installed: int8, bfloat16 or float32 on a CPU; several tiles at a time."""

import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGeometry
from nodescan.errors import ModelError, first_line
from nodescan.inference.card import ModelCard
from nodescan.inference.openvino_graph import STEPS, graph
from nodescan.inference.tile_streams import Answer, lane_count
from nodescan.threads import thread_errors

_UNTOLD: dict[str, Any] = {"openvino_telemetry": None}
"""Hidden, as if it weren't installed: with it, importing openvino contacts google-analytics.com and writes into
HOME."""

_NO_MEMORY = ("std::bad_alloc", "can't alloc", "Could not allocate memory", "Failed to allocate memory")
"""In what OpenVINO 2026 says where the system refuses memory; registers are allocated, too."""


def installed() -> bool:
    return find_spec("openvino") is not None


def importable() -> bool:
    """Whether it is installed and can be loaded, which is slow: where it can't be, a model is opened without it."""
    try:
        _loaded()
    except ModelError:
        return False
    return True


class OpenVinoLanes:
    """A compiled network; as many streams of one thread as there are threads, twice as many tiles under way.

    Threads that ask take turns: two that feed OpenVINO their first arrays at once wait for each other for ever.
    """

    def __init__(
        self, card: ModelCard, weights: bytes, *, threads: int, precision: str, tile: TileGeometry | None = None
    ) -> None:
        """weights: the safetensors file, checked. precision: "float32", "bfloat16" or one of openvino_graph.STEPS.

        tile: of the size of which alone it takes tiles; None: the card's. Raises ModelError where the network can't be
        compiled, MemoryError where it is memory that it lacks.
        """
        openvino, core = _loaded()
        self.precision = precision
        streams = lane_count(threads)
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            model = graph(openvino, card, weights, steps=STEPS.get(precision), tile=tile or card.geometry())
            compiled = core.compile_model(model, "CPU", options)
            self._free = [compiled.create_infer_request() for _ in range(2 * streams)]
        except RuntimeError as error:
            if any(words in str(error) for words in _NO_MEMORY):  # no fault of the model
                raise MemoryError("OpenVINO: the network can't be compiled") from error
            raise ModelError(f"OpenVINO: the network can't be compiled ({_said(error)})") from error
        self._under_way: deque[_Job] = deque()
        self._turn = Lock()

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        with self._turn:
            jobs = [self._started(tile[None]) for tile in tiles]
        return lambda: np.concatenate([self._finished(job) for job in jobs])

    def _started(self, tile: NDArray[np.uint8]) -> "_Job":
        if not self._free:
            self._settle(self._under_way[0])
        job = _Job(self._free.pop(), np.ascontiguousarray(tile))
        try:
            job.request.start_async({0: job.tile}, share_inputs=True)
        except RuntimeError as error:
            self._free.append(job.request)
            raise _unanswered(error) from error
        self._under_way.append(job)
        return job

    def _finished(self, job: "_Job") -> NDArray[np.float32]:
        with self._turn:
            if job in self._under_way:
                self._settle(job)
        if job.answer is None:
            raise job.error or ModelError("OpenVINO: a tile has no answer")
        return job.answer

    def _settle(self, job: "_Job") -> None:
        """Wait for its answer, or error, and take its request back: one that failed answers again once restarted."""
        try:
            job.request.wait()
            job.answer = np.array(job.request.output_tensors[0].data, dtype=np.float32)
        except RuntimeError as error:
            job.error = _unanswered(error)
        finally:
            self._under_way.remove(job)
            self._free.append(job.request)


@dataclass(eq=False, slots=True)
class _Job:
    """A tile under way; it is held here because OpenVINO reads it where it lies. Settled: an answer or an error."""

    request: Any
    tile: NDArray[np.uint8]
    answer: NDArray[np.float32] | None = None
    error: ModelError | None = None


def _loaded() -> tuple[ModuleType, Any]:
    """openvino, its operations with it, and this process' one core, loaded in a thread that ends at once.

    The CPU plugin gives the thread that loads it a stack for signals, and unmaps that when whatever thread lets go of
    it (https://github.com/openvinotoolkit/openvino/pull/11894): a signal to the first thread ended the program then.
    And a Ctrl-C that the first thread hears in the midst of the import is made an ImportError there. Raises ModelError
    where what is installed can't be imported, or has no CPU plugin.
    """

    def load() -> tuple[ModuleType, Any]:
        sys.modules.update(_UNTOLD)
        openvino = _imported("openvino")
        _imported("openvino.opset13")
        return openvino, _core()

    with thread_errors(), ThreadPoolExecutor(1, thread_name_prefix="load-openvino") as loader:
        return loader.submit(load).result()


@cache
def _core() -> Any:
    try:
        core = _imported("openvino").Core()
        core.get_property("CPU", "FULL_DEVICE_NAME")  # loads the plugin
    except RuntimeError as error:
        raise ModelError(f"OpenVINO: its CPU plugin can't be loaded ({first_line(error)})") from error
    return core


def _imported(name: str) -> ModuleType:
    """Where it is used: it is slow. Raises ModelError where what is installed can't be imported."""
    try:
        return import_module(name)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:  # of another NumPy, say, or half removed
        raise ModelError(f"OpenVINO: installed, but it can't be imported ({first_line(error)})") from error


def _unanswered(error: RuntimeError) -> ModelError:
    return ModelError(f"OpenVINO: a tile can't be answered ({_said(error)})")


def _said(error: RuntimeError) -> str:
    """Why, which OpenVINO says below the places in its own source that it begins with; a lack of memory in words."""
    lines = (line.strip() for line in str(error).splitlines())
    why = next((line for line in lines if line and not line.startswith("Exception from ")), first_line(error))
    return "memory ran out" if why in _NO_MEMORY else why
