"""The network compiled by OpenVINO, where it is installed: bfloat16 or int8 on a CPU, several tiles at a time.

Converting takes seconds, so what it made is kept: in $NODESCAN_CACHE, else in the user's cache folder, under the sha256
of the weights and the versions that made it. A kept file is taken only if its own sha256 is the one noted beside it.
"""

import hashlib
import json
import os
import shutil
from collections import deque
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodescan import __version__
from nodescan.errors import ModelError
from nodescan.inference.lanes import MOST_LANES, Answer

_FORM = 2
"""Counted up when what is converted changes while versions don't."""

MODEL, WEIGHTS, SUMS = "model.xml", "model.bin", "sha256.json"


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted network on disk. name: of its folder; tile_px: side of the tiles it takes."""

    name: str
    tile_px: int

    @property
    def folder(self) -> Path:
        return cache_folder() / "openvino" / self.name

    @property
    def sound(self) -> bool:
        """Whether it is there and each file is what was written."""
        try:
            sums = json.loads((self.folder / SUMS).read_text(encoding="utf-8"))
            return sums == {name: sha256_of(self.folder / name) for name in (MODEL, WEIGHTS)}
        except (OSError, ValueError):
            return False

    def discard(self) -> None:
        """Keep it no longer: whoever finds it may use it unasked (ready.py)."""
        shutil.rmtree(self.folder, ignore_errors=True)


def installed() -> bool:
    return find_spec("openvino") is not None


def cache_folder() -> Path:
    """Where what takes long to make is kept: $NODESCAN_CACHE, else nodescan in the user's cache folder."""
    own = os.environ.get("NODESCAN_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodescan"


def converted(card_sha256: str, tile_px: int, precision: str) -> Converted:
    """What a model, by its card, is called once converted for tiles of that side by the versions at hand."""
    parts = [card_sha256, str(tile_px), precision, str(_FORM), __version__, version("torch"), _openvino_version()]
    return Converted(hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32], tile_px)


class OpenVinoLanes:
    """A compiled network; as many streams of one thread as there are threads, twice as many tiles under way."""

    def __init__(self, source: Converted, *, threads: int, precision: str) -> None:
        """threads: torch.get_num_threads() of the main thread; another may be told another number.

        precision: "bfloat16"; "int8" for a network that was converted quantised, whose other layers are in float32.
        Raises ModelError where it can't be compiled.
        """
        openvino = openvino_module()
        self.count = min(threads, MOST_LANES)
        self.tile_px = source.tile_px
        self.precision = precision
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
            "NUM_STREAMS": self.count,
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            compiled = openvino.Core().compile_model(source.folder / MODEL, "CPU", options)
            self._free = [compiled.create_infer_request() for _ in range(2 * self.count)]
        except RuntimeError as error:
            raise ModelError(f"OpenVINO: the network can't be compiled ({first_line(error)})") from error
        self._under_way: deque[_Job] = deque()

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        jobs = [self._started(tile[None]) for tile in tiles]
        return lambda: np.concatenate([self._finished(job) for job in jobs])

    def _started(self, tile: NDArray[np.uint8]) -> "_Job":
        if not self._free:
            self._finished(self._under_way[0])
        job = _Job(self._free.pop(), np.ascontiguousarray(tile))
        try:
            job.request.start_async({0: job.tile}, share_inputs=True)
        except RuntimeError as error:
            self._free.append(job.request)
            raise _unanswered(error) from error
        self._under_way.append(job)
        return job

    def _finished(self, job: "_Job") -> NDArray[np.float32]:
        if job.answer is None:
            try:
                job.request.wait()
            except RuntimeError as error:
                raise _unanswered(error) from error
            job.answer = np.array(job.request.output_tensors[0].data, dtype=np.float32)
            self._under_way.remove(job)
            self._free.append(job.request)
        return job.answer


@dataclass(eq=False, slots=True)
class _Job:
    """A tile under way; it is held here because OpenVINO reads it where it lies."""

    request: Any
    tile: NDArray[np.uint8]
    answer: NDArray[np.float32] | None = None


def openvino_module() -> ModuleType:
    """Imported where it is used: it is an extra, and slow. Raises ModelError where an installed one can't be."""
    try:
        return import_module("openvino")
    except (ImportError, OSError, RuntimeError, AttributeError) as error:  # of another NumPy, say, or half removed
        raise ModelError(f"OpenVINO: installed, but it can't be imported ({first_line(error)})") from error


def _unanswered(error: RuntimeError) -> ModelError:
    return ModelError(f"OpenVINO: a tile can't be answered ({first_line(error)})")


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _openvino_version() -> str:
    try:
        return version("openvino")
    except PackageNotFoundError:
        return ""
