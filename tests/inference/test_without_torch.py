"""A compiled model that answers without torch: the same findings, and nothing taken on trust."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from nodescan import machine
from nodescan.domain.geometry import TileGeometry
from nodescan.errors import ModelError
from nodescan.inference import openvino_streams, without_torch
from nodescan.inference.card import ModelCard, load_card, save_card
from nodescan.inference.device import int8_precision
from nodescan.inference.fast_predictor import SECOND_LOOK_CORE_PX, FastPredictor
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.openvino_streams import OpenVinoLanes
from nodescan.inference.predictor import open_predictor
from nodescan.inference.random_model import random_model
from nodescan.inference.slots import open_in_slot
from nodescan.inference.without_torch import open_without_torch
from nodescan.machine import computing_threads

CPU = torch.device("cpu")
pytestmark = [
    pytest.mark.skipif(not openvino_streams.installed(), reason="openvino is not installed"),
    pytest.mark.skipif(int8_precision(CPU) is None, reason="this CPU has no instructions for int8"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone says what its processor can"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return random_model(tmp_path / "model", "p4m-small", core_px=512)


def test_it_answers_as_the_model_does_and_holds_findings_to_float32(folder: Path) -> None:
    """The same int8 answers, card and words as the model opened with torch; its reference answers as torch's does, and
    as a second look does."""
    predictor = open_without_torch(folder, device="cpu")
    assert isinstance(predictor, FastPredictor)
    opened = open_predictor(folder, device="cpu")
    assert isinstance(opened, FastPredictor)
    tiles = made_tiles(5, predictor.geometry.input_px)
    assert np.array_equal(predictor.start(tiles)(), opened.start(tiles)())
    np.testing.assert_allclose(predictor.reference.start(tiles)(), opened.reference.start(tiles)(), atol=1e-5)
    closer = predictor.second_look.geometry
    assert closer == opened.second_look.geometry != predictor.geometry
    part = np.ascontiguousarray(tiles[:, 32 : 32 + closer.input_px, 16 : 16 + closer.input_px])
    for one in (predictor, opened):
        whole = one.reference.start(tiles)()[:, 2 : 2 + closer.cells, 1 : 1 + closer.cells]
        np.testing.assert_allclose(one.second_look.start(part)(), whole, atol=1e-6)
    facts = ("model", "device", "precision", "batch_size", "geometry", "decision", "spacing_range_um", "tolerance")
    assert [getattr(predictor, fact) for fact in facts] == [getattr(opened, fact) for fact in facts]


def test_a_second_look_is_compiled_beside_the_first_tiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before some batches were handed over, once, and at once where it is asked sooner; and what answers a whole
    slide in float32 not before it is asked."""
    own, asked = int8_precision(CPU), list[str]()

    def compiled(
        card: ModelCard, weights: bytes, *, threads: int, precision: str, tile: TileGeometry | None = None
    ) -> OpenVinoLanes:
        asked.append(precision if tile is None else f"{precision} {tile.core_px}")
        return OpenVinoLanes(card, weights, threads=threads, precision=precision, tile=tile)

    monkeypatch.setattr(without_torch, "OpenVinoLanes", compiled)
    predictor = open_without_torch(folder, device="cpu")
    assert predictor is not None
    tiles = made_tiles(1, predictor.geometry.input_px)
    predictor.start(tiles)()
    predictor.start(tiles)()
    assert asked == [own]
    predictor.start(tiles)()
    predictor.start(tiles)()
    closer = f"float32 {SECOND_LOOK_CORE_PX}"
    few = made_tiles(1, predictor.second_look.geometry.input_px)
    assert predictor.second_look.start(few)().shape == (1, 17, 17)
    assert asked == [own, closer]
    assert predictor.reference.start(tiles)().shape == (1, 32, 32)
    assert asked == [own, closer, "float32 512"]
    sooner = open_without_torch(folder, device="cpu")
    assert sooner is not None
    sooner.second_look.start(few)()
    assert asked[3:] == [own, closer]


def test_what_memory_ran_out_for_is_compiled_once_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slide after the one that failed may have the memory; it has no other predictor."""
    predictor = open_without_torch(folder, device="cpu")
    assert predictor is not None
    tiles = made_tiles(1, predictor.geometry.input_px)

    def refused(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as now:
        now.setattr(without_torch, "OpenVinoLanes", refused)
        with pytest.raises(MemoryError):
            predictor.reference.start(tiles)()
    assert predictor.reference.start(tiles)().shape == (1, 32, 32)


def test_a_slide_is_answered_without_torch(folder: Path) -> None:
    """Importing it takes longer than all the rest, and most of the memory."""
    program = (
        "import sys; from pathlib import Path; import numpy as np; from nodescan.inference.slots import open_in_slot; "
        f"predictor, _ = open_in_slot(Path({str(folder)!r}), device='cpu', slot=0); "
        "side = predictor.geometry.input_px; tile = np.zeros((1, side, side, 3), np.uint8); "
        "answers = predictor.reference.start(tile)(); "
        "print(answers.shape, 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[0] == "(1, 32, 32) False"


def test_a_signal_is_heard_after_models_are_let_go(folder: Path) -> None:
    """OpenVINO's stacks for signals, unmapped with a model, are not those of the thread that hears them."""
    program = (
        "import gc, signal; from pathlib import Path; from nodescan.inference.without_torch import open_without_torch\n"
        "def opened():\n"
        f"    predictor = open_without_torch(Path({str(folder)!r}), device='cpu')\n"
        "    predictor.second_look.begin().result()\n"
        "    return predictor\n"
        "first, second = opened(), opened()\n"
        "del first; gc.collect()\n"
        "del second; gc.collect()\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: print('heard'))\n"
        "signal.raise_signal(signal.SIGTERM)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "heard\n"), said.stderr


def test_nothing_is_ready_that_does_not_suit_the_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a GPU was asked for or may be, and where the processor has nothing faster, torch opens the model."""

    def found(device: str = "cpu") -> FastPredictor | None:
        return open_without_torch(folder, device=device)

    assert found() is not None
    assert found("cuda") is None
    monkeypatch.setattr(without_torch, "_GPU_DRIVERS", (str(folder),))
    assert found("auto") is None
    assert open_in_slot(folder, device="cpu", slot=0, precision="float32")[0].precision == "float32"
    monkeypatch.setattr(without_torch, "_GPU_DRIVERS", ())
    assert found("auto") is not None
    monkeypatch.setattr(machine, "_EIGHT_BITS", {"no such": "int8"})
    assert found() is None


def test_the_driver_that_doctor_sees_may_be_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaded, but without its device files yet: torch is asked, and says why it can't use it."""
    monkeypatch.setattr("os.path.exists", lambda path: path == "/proc/driver/nvidia/version")
    assert not without_torch._on_cpu("auto")
    assert without_torch._on_cpu("cpu")


def test_what_cannot_be_compiled_is_left_to_torch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of another network, or an OpenVINO that can't be imported: torch says what is wrong, or goes on."""
    card = load_card(folder)
    save_card(card.model_copy(update={"int8_ranges": (card.int8_ranges or ())[1:]}), folder)
    assert open_without_torch(folder, device="cpu") is None
    save_card(card, folder)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert open_without_torch(folder, device="cpu") is None


def test_damaged_weights_are_refused(folder: Path) -> None:
    """Before anything is answered."""
    weights = folder / load_card(folder).weights
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError, match="damaged"):
        open_without_torch(folder, device="cpu")


@pytest.mark.parametrize(("said", "threads"), [("3", 3), ("1,2", 1), ("", None), ("none", None), ("\u00b2", None)])
def test_threads_are_those_that_torch_would_take(
    said: str, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's word, else one for each core."""
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert computing_threads() == threads or (threads is None and computing_threads() >= 1)


@pytest.mark.parametrize(
    ("made", "change"),
    [
        ("p4m-small", {"architecture": "p4m"}),
        ("p4m-small", {"architecture": "resnet18"}),
        ("resnet18", {"architecture": "p4m-small"}),
        ("p4m-small", {"margin_px": 48}),
        ("p4m-small", {"stride_px": 32}),
    ],
)
def test_a_card_that_tells_of_another_network_is_refused(made: str, change: dict[str, object], tmp_path: Path) -> None:
    """Answers of other widths, or of cells that lie elsewhere, would be taken for this network's."""
    folder = random_model(tmp_path / "model", made, core_px=64)
    save_card(load_card(folder).model_copy(update=change), folder)
    with pytest.raises(ModelError, match=r"not (the weights|those) of a"):
        open_in_slot(folder, device="cpu", slot=0)


def test_weights_that_no_layer_asks_for_are_refused(folder: Path) -> None:
    """They are another network's."""
    card = load_card(folder)
    weights = safetensors.numpy.load_file(folder / card.weights)
    larger = safetensors.numpy.save({**weights, "last.weight": weights["answer.weight"]})
    with pytest.raises(ModelError, match=r"not the weights of a p4m-small network \(too many: last\.weight\)"):
        OpenVinoLanes(card, larger, threads=1, precision="float32")


@pytest.mark.parametrize("change", [{"stride_px": 8, "margin_px": 96}, {"margin_px": 39}])
def test_a_card_with_another_margin_or_stride_is_refused_by_every_way(folder: Path, change: dict[str, object]) -> None:
    """The answers would lie elsewhere on the slide, whichever way the model is opened."""
    save_card(load_card(folder).model_copy(update=change), folder)
    for precision in ("auto", "float32"):
        opener = open_in_slot if precision == "auto" else open_predictor
        with pytest.raises(ModelError, match="margin and stride on the card are not"):
            opener(folder, device="cpu", **({"slot": 0} if precision == "auto" else {}))


@pytest.mark.parametrize(("name", "value"), [("middle.0.conv.weight", np.nan), ("middle.0.norm.running_var", -1.0)])
def test_weights_that_are_no_numbers_are_refused_by_every_way(folder: Path, name: str, value: float) -> None:
    """OpenVINO's layers make numbers of them, and its float32 the same as its int8: nothing would be noticed."""
    file = folder / load_card(folder).weights
    weights = dict(safetensors.numpy.load_file(file))
    weights[name] = weights[name].copy()
    weights[name].flat[0] = value
    safetensors.numpy.save_file(weights, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    save_card(load_card(folder).model_copy(update={"weights_sha256": digest}), folder)
    for opener in (open_in_slot, open_predictor):
        with pytest.raises(ModelError, match=r"no finite numbers|negative variance"):
            opener(folder, device="cpu", **({"slot": 0} if opener is open_in_slot else {}))
