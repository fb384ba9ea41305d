"""Tiles under way in OpenVINO: one that fails costs its own answer, and no other's."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGeometry
from nodescan.errors import ModelError
from nodescan.inference import openvino_streams
from nodescan.inference.card import ModelCard
from nodescan.inference.openvino_streams import OpenVinoLanes

TILES = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
BROKEN = 3


class Request:
    """Answers a tile with its own pixels; once it met BROKEN it raises for as long as it isn't started again."""

    def start_async(self, inputs: dict[int, NDArray[np.uint8]], *, share_inputs: bool) -> None:
        self.tile = inputs[0]

    def wait(self) -> None:
        if self.tile.max() == BROKEN:
            raise RuntimeError("out of memory in a primitive\nand more")

    @property
    def output_tensors(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(data=self.tile[..., 0])]


class Compiler:
    """An openvino.Core that compiles nothing."""

    def compile_model(self, *_: object) -> "Compiler":
        return self

    def create_infer_request(self) -> Request:
        return Request()


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> OpenVinoLanes:
    """Two tiles under way at a time."""
    nothing = ModuleType("openvino")
    monkeypatch.setattr(openvino_streams, "_loaded", lambda: (nothing, Compiler()))
    monkeypatch.setattr(openvino_streams, "graph", lambda *_, steps, tile: None)
    tile = TileGeometry(core_px=16, margin_px=0, stride_px=16)
    return OpenVinoLanes(ModelCard.model_construct(), b"", threads=1, precision="int8", tile=tile)


def test_a_tile_that_fails_spoils_no_other(lanes: OpenVinoLanes) -> None:
    """Those beside it are answered, and so is whatever is asked afterwards, however often it failed."""
    for _ in range(3):
        before, broken, after = lanes.start(TILES[:BROKEN]), lanes.start(TILES[BROKEN:5]), lanes.start(TILES[5:])
        assert np.array_equal(before().ravel(), TILES[:BROKEN].ravel())
        with pytest.raises(ModelError, match=r"a tile can't be answered \(out of memory in a primitive\)$"):
            broken()
        assert np.array_equal(after().ravel(), TILES[5:].ravel())


def test_answers_that_nobody_waited_for_are_in_nobodys_way(lanes: OpenVinoLanes) -> None:
    """A slide that failed leaves tiles under way."""
    lanes.start(TILES[:5])
    assert np.array_equal(lanes.start(TILES[5:])().ravel(), TILES[5:].ravel())


def test_threads_that_ask_the_same_lanes_take_turns(lanes: OpenVinoLanes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own answers, and after that the lanes still answer."""
    wait = Request.wait

    def wait_long(request: Request) -> None:
        time.sleep(0.001)  # another thread comes in meanwhile, if it can
        wait(request)

    monkeypatch.setattr(Request, "wait", wait_long)

    def ask(shift: int) -> bool:
        tiles = TILES[4:] + np.uint8(10 * shift)
        return all(np.array_equal(lanes.start(tiles)().ravel(), tiles.ravel()) for _ in range(10))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(4)))
    assert np.array_equal(lanes.start(TILES[4:])().ravel(), TILES[4:].ravel())


@pytest.mark.skipif(not openvino_streams.installed(), reason="openvino is not installed")
def test_openvino_is_imported_where_no_signal_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its import makes an ImportError of a Ctrl-C in its midst, and the run would go on."""
    threads: set[threading.Thread] = set()

    def imported(name: str) -> ModuleType:
        threads.add(threading.current_thread())
        return import_module(name)

    monkeypatch.setattr(openvino_streams, "import_module", imported)
    openvino_streams._loaded()
    assert threads
    assert threading.main_thread() not in threads


def test_an_openvino_without_its_cpu_plugin_is_a_models_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that torch opens the model in its place."""

    def core() -> None:
        raise RuntimeError("no plugin for CPU\nand more")

    monkeypatch.setattr(openvino_streams, "_imported", lambda name: SimpleNamespace(Core=core))
    monkeypatch.setattr(openvino_streams, "_core", openvino_streams._core.__wrapped__)  # this process may have one
    with pytest.raises(ModelError, match=r"its CPU plugin can't be loaded \(no plugin for CPU\)$"):
        openvino_streams._loaded()
    assert not openvino_streams.importable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Exception from src/core.cpp:117:\nException from src/plugin.cpp:54:\nbad shape\nand more", "bad shape"),
        ("Failed to allocate aux GPR", "Failed to allocate aux GPR"),  # a register of the processor
        ("Exception from src/core.cpp:117:", "Exception from src/core.cpp:117:"),
    ],
)
def test_why_a_network_cant_be_compiled_is_told(text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO begins with lines of its own source, which help nobody."""
    with pytest.raises(ModelError) as caught:
        compiled(text, monkeypatch)
    assert str(caught.value) == f"OpenVINO: the network can't be compiled ({said})"


@pytest.mark.parametrize("said", ["std::bad_alloc", "can't alloc"])
def test_a_lack_of_memory_is_no_fault_of_the_model(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer slots help then, and another device doesn't."""
    with pytest.raises(MemoryError):
        compiled(f"Exception from src/core.cpp:117:\n{said}\n\n", monkeypatch)


def compiled(text: str, monkeypatch: pytest.MonkeyPatch) -> OpenVinoLanes:
    """text: what OpenVINO says instead of compiling."""

    def compiler(*_: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(openvino_streams, "_loaded", lambda: (ModuleType("o"), SimpleNamespace(compile_model=compiler)))
    monkeypatch.setattr(openvino_streams, "graph", lambda *_, steps, tile: None)
    tile = TileGeometry(core_px=16, margin_px=0, stride_px=16)
    return OpenVinoLanes(ModelCard.model_construct(), b"", threads=1, precision="int8", tile=tile)
