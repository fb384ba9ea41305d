"""Fast ways through a network: as near to float32 as they say, whatever batch, lane, cache or device."""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nodescan import machine
from nodescan.errors import DeviceError, DeviceLostError, ModelError
from nodescan.inference import device, fast, openvino_streams
from nodescan.inference import predictor as predictor_module
from nodescan.inference.card import ModelCard, checked_weights, load_card, save_card
from nodescan.inference.device import Device, fast_dtype, int8_precision, precision_words
from nodescan.inference.fast import cast, distrust
from nodescan.inference.fast_predictor import TOLERANCE, FastPredictor
from nodescan.inference.folding import Plain
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.models import MODELS, build
from nodescan.inference.openvino_graph import LAYOUTS
from nodescan.inference.openvino_streams import OpenVinoLanes
from nodescan.inference.predictor import load_network, open_predictor, plain_network
from nodescan.inference.quantisation import inner_convolutions, input_ranges
from nodescan.inference.random_model import random_model
from nodescan.inference.tile_streams import Answer, Lanes
from nodescan.inference.torch_streams import CpuLanes
from nodescan.interfaces import ApproximatePredictor, TilePredictor
from tests.examination.fast_fakes import findings, spotted
from tests.painted import PaintedSlide, scan

CPU = torch.device("cpu")
needs_bfloat16 = pytest.mark.skipif(fast_dtype(CPU) is None, reason="this CPU has no bfloat16")
OWN = int8_precision(CPU)
EIGHT_BITS = sorted({OWN or "int8-16", "int8-16"})
"""What this processor computes right: pairs summed in 16 bits are small enough for those with 32, too."""

needs_int8 = pytest.mark.skipif(OWN is None, reason="this CPU has no instructions for int8")
needs_openvino = pytest.mark.skipif(not openvino_streams.installed(), reason="openvino is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return random_model(tmp_path / "model", "p4m-small", core_px=128)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Of tiles larger than those of a second look."""
    return random_model(tmp_path / "large", "p4m-small", core_px=256)


def as_tumour(folder: Path, slide: PaintedSlide) -> None:
    """Thresholds in the midst of what the model answers on the slide, so that many cells lie near one."""
    predictor = open_predictor(folder, device="cpu", precision="float32")
    values = scan(slide, predictor).probability
    assert values is not None
    low, high = np.quantile(values.values[values.examined], (0.4, 0.9)).tolist()
    card = load_card(folder)
    decision = card.decision.model_copy(update={"threshold": low, "seed_threshold": high, "smoothing_um": 0.0})
    save_card(card.model_copy(update={"decision": decision}), folder)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_plain_form_answers_as_the_network(name: str) -> None:
    """Every architecture has one, and fed with bytes it answers as the network fed with normalised colours."""
    torch.manual_seed(0)
    net = build(name).eval()
    with torch.no_grad():
        for tensor in net.state_dict().values():  # running statistics that something can go wrong with
            if tensor.dtype is torch.float32 and tensor.ndim == 1:
                tensor.add_(0.1 * torch.rand_like(tensor))
    mean, std = (0.7, 0.5, 0.6), (0.2, 0.3, 0.25)
    pixels = torch.from_numpy(made_tiles(1, 2 * net.margin_px + 64)).permute(0, 3, 1, 2)
    shown = (pixels / 255 - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    with torch.inference_mode():
        plain = Plain(net, mean=mean, std=std, temperature=2.0)(pixels)
        torch.testing.assert_close(plain, torch.sigmoid(net(shown) / 2.0), atol=2e-5, rtol=0)


def test_the_margin_of_a_padded_network_is_the_cards(tmp_path: Path) -> None:
    """A wider margin leaves more out and answers the same cells, which then see more."""
    wide = open_predictor(random_model(tmp_path / "a", "resnet18", core_px=64, margin_px=64), precision="float32")
    narrow = open_predictor(random_model(tmp_path / "b", "resnet18", core_px=64, margin_px=16), precision="float32")
    tile = made_tiles(1, wide.geometry.input_px)
    seen, less = wide.start(tile)(), narrow.start(np.ascontiguousarray(tile[:, 48:-48, 48:-48]))()
    assert seen.shape == less.shape == (1, 4, 4)
    assert 0 < np.abs(seen - less).max() < 0.5


def test_a_random_model_is_the_same_again_and_low(tmp_path: Path) -> None:
    """To measure speed, answers must differ from cell to cell and reach no threshold."""
    first, again = (random_model(tmp_path / name, "p4m-small", core_px=64) for name in "ab")
    assert load_card(first).weights_sha256 == load_card(again).weights_sha256
    answers = open_predictor(first, precision="float32").start(made_tiles(3, 128))()
    assert answers.max() < 0.5
    assert np.ptp(answers) > 0.001


def test_an_answer_does_not_depend_on_its_batch() -> None:
    """A tile alone, or among others, is answered by the same bits: it has a lane's turn of its own."""
    torch.manual_seed(1)
    net = Plain(build("p4m-small").eval(), mean=(0.7,) * 3, std=(0.2,) * 3, temperature=1.0)
    lanes, tiles = CpuLanes(net, precision="float32"), made_tiles(3, 640)
    together = lanes.start(tiles)()
    for index in range(3):
        assert np.array_equal(lanes.start(tiles[index : index + 1])()[0], together[index])
    small = made_tiles(5, 96)
    np.testing.assert_allclose(lanes.start(small)()[3], lanes.start(small[3:4])()[0], atol=1e-6)


@needs_bfloat16
def test_bfloat16_stays_within_its_tolerance(folder: Path) -> None:
    """Measured on tiles made up for it, with half of the tolerance to spare."""
    predictor = open_predictor(folder, device="cpu", compiled=False)
    assert isinstance(predictor, FastPredictor)
    assert isinstance(predictor, ApproximatePredictor)
    tiles = made_tiles(4, predictor.geometry.input_px)
    assert 0 < np.abs(predictor.start(tiles)() - predictor.reference.start(tiles)()).max() < predictor.tolerance / 2


def check_same_findings(slide: PaintedSlide, folder: Path, precision: str, *, compiled: bool = True) -> None:
    """What the fast way finds is what the slow one finds, and the report says which way it was."""
    true = scan(slide, open_predictor(folder, device="cpu", precision="float32"))
    found = scan(slide, open_predictor(folder, device="cpu", compiled=compiled))
    assert true.report.deposits
    assert findings(found.report) == findings(true.report)
    assert found.precision.startswith(f"{precision}, ")


@needs_bfloat16
def test_findings_in_bfloat16_are_those_of_float32(large: Path) -> None:
    """A slide whose answers crowd about the thresholds has the same deposits, bit for bit, in both."""
    slide = PaintedSlide(spotted(2))
    as_tumour(large, slide)
    check_same_findings(slide, large, "bfloat16", compiled=False)  # a processor with both computes in int8


@needs_bfloat16
def test_a_model_that_is_far_off_in_bfloat16_runs_in_float32(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried when it is opened: more than half of the tolerance, or no number, is too much."""
    save_card(load_card(folder).model_copy(update={"int8_ranges": None}), folder)
    monkeypatch.setattr(fast, "cast", broken)
    predictor = open_predictor(folder, device="cpu", compiled=False)
    assert not isinstance(predictor, FastPredictor)
    assert predictor.precision.startswith("float32 (")


def broken(net: nn.Module, dtype: torch.dtype) -> nn.Module:
    narrow = cast(net, dtype)
    for weights in narrow.parameters():
        weights.data = weights.data * torch.nan
    return narrow


@dataclass
class Off:
    """Lanes that answer as the reference does, but for so much in one cell."""

    reference: TilePredictor
    off: float
    precision: str

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        answers = self.reference.start(tiles)()
        answers[-1, 0, 0] += self.off
        return lambda: answers


NO_NUMBERS = (float("nan"), float("inf"), float("-inf"))


@pytest.mark.parametrize(
    ("precision", "off", "enough"),
    [
        *(("bfloat16", off, abs(off) < 0.03) for off in (0.029, 0.031, -0.031, *NO_NUMBERS)),
        *(("float16", off, abs(off) < 0.006) for off in (0.0059, 0.0061, -0.0061, *NO_NUMBERS)),
    ],
)
def test_half_of_the_tolerance_is_near_enough(precision: str, off: float, enough: bool, folder: Path) -> None:
    """In the worst cell, which may be no number; the other half is left for the tiles of real slides."""
    reference = open_predictor(folder, device="cpu", precision="float32")
    assert (distrust(Off(reference, off, precision), reference, made_tiles(4, 96)) == "") == enough


@pytest.mark.parametrize(
    ("off", "said"), [(0.25, "float16 was off by 0.25, more than 0.006"), (np.nan, "float16 was off by nan")]
)
def test_a_fast_way_that_is_refused_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, off: float, said: str
) -> None:
    """In the words for the precision, which the first line of a run, its record and its reports show."""
    reference = open_predictor(folder, device="cpu", precision="float32")

    def lanes_on(net: nn.Module, device: torch.device, *, batch_size: int, precision: str = "float32") -> Lanes:
        return CpuLanes(net, precision="float32") if precision == "float32" else Off(reference, off, precision)

    monkeypatch.setattr(fast, "fast_dtype", lambda device: torch.float16)
    monkeypatch.setattr(fast, "lanes_on", lanes_on)
    predictor = open_predictor(folder, device="cpu", compiled=False)
    assert predictor.precision.startswith(f"float32 ({said}")
    slide = PaintedSlide(spotted(2))
    assert scan(slide, predictor).precision == predictor.precision
    assert open_predictor(folder, device="cpu", compiled=False, rough=True).precision == "float32"


def test_a_gpu_computes_in_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer ones have bfloat16 too, but what they round twice is too far off in it."""
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.version, "hip", None)
    for able in ((7, 0), (7, 5), (9, 0)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, able=able: able)
        assert fast_dtype(gpu) is torch.float16
    assert precision_words(Device(gpu, "")).startswith("float16 where it is faster")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    assert precision_words(Device(gpu, "")) == "float32, as there are no instructions for float16"


def test_a_processor_that_nodescan_uses_in_float32_alone_is_said_to_lack_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An ARM processor may well have instructions for bfloat16."""
    for what in ("int8_precision", "fast_dtype"):
        monkeypatch.setattr(device, what, lambda device: None)
    said = precision_words(Device(torch.device("cpu"), ""))
    assert said == "float32, as nodescan uses no narrower type on this processor"


def test_each_gpu_is_judged_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the first one beside it."""
    able = {0: (6, 1), 1: (8, 0)}
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: able[device.index])
    monkeypatch.setattr(torch.version, "hip", None)
    assert [fast_dtype(torch.device("cuda", index)) for index in able] == [None, torch.float16]


@pytest.mark.parametrize("error", [RuntimeError("CUDA error"), DeviceError("the GPU has no room for one tile")])
def test_a_fast_way_that_fails_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """As on a GPU that has no room for a second network: float32 goes on."""

    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(fast, "fast_dtype", lambda device: torch.bfloat16)
    monkeypatch.setattr(fast, "distrust", fail)
    assert open_predictor(folder, device="cpu", compiled=False).precision == f"float32 (bfloat16 failed: {error})"


def test_a_gpu_that_fails_in_float32_too_is_an_error_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with the first tile of each slide: while a model is opened another device can still be taken."""
    lost = DeviceLostError("the GPU failed (CUDA error: launch failure)")

    def lanes(net: nn.Module, device: torch.device, **_: object) -> CpuLanes:
        broken = CpuLanes(net, precision="float32")
        monkeypatch.setattr(broken, "start", raising)
        return broken

    def raising(tiles: NDArray[np.uint8]) -> Answer:
        raise lost

    monkeypatch.setattr(nn.Module, "to", lambda net, *_, **__: net)
    monkeypatch.setattr(predictor_module, "choose_device", lambda device: Device(torch.device(device), device))
    for module in (predictor_module, fast):
        monkeypatch.setattr(module, "lanes_on", lanes)
    monkeypatch.setattr(fast, "fast_dtype", lambda device: torch.bfloat16)
    with pytest.raises(DeviceLostError, match="launch failure"):
        open_predictor(folder, device="cuda", compiled=False)


@pytest.mark.parametrize(("device", "side_px"), [("cuda", 192), ("cpu", 128)])
def test_a_gpu_is_tried_with_tiles_of_a_slides_size(
    folder: Path, monkeypatch: pytest.MonkeyPatch, device: str, side_px: int
) -> None:
    """It may compute small ones in another way; a CPU doesn't, and they are quicker there."""
    tried: list[int] = []

    def far(lanes: object, reference: object, tiles: NDArray[np.uint8]) -> str:
        tried.append(tiles.shape[1])
        return "too far off"

    monkeypatch.setattr(nn.Module, "to", lambda net, *_, **__: net)
    monkeypatch.setattr(predictor_module, "choose_device", lambda device: Device(torch.device(device), device))
    for module in (predictor_module, fast):
        monkeypatch.setattr(module, "lanes_on", lambda net, device, **_: CpuLanes(net, precision="float32"))
    monkeypatch.setattr(fast, "fast_dtype", lambda device: torch.bfloat16)
    monkeypatch.setattr(fast, "_TRIED_CELLS", 4)
    monkeypatch.setattr(fast, "distrust", far)
    open_predictor(folder, device=device, compiled=False)
    assert tried == [side_px]


def test_the_way_without_openvino_is_not_compiled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bench --what precision compares it beside the compiled one; where torch has no fast type there is none."""
    monkeypatch.setattr(predictor_module, "compiled_lanes", lambda *_: pytest.fail("it is compiled"))
    monkeypatch.setattr(fast, "fast_dtype", lambda device: None)
    assert open_predictor(folder, device="cpu", rough=True, compiled=False).precision == "float32"


@needs_openvino
@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_graph_for_openvino_answers_as_the_network(name: str, tmp_path: Path) -> None:
    """Every architecture has one, built without torch; in float32 both are equal to rounding."""
    assert LAYOUTS.keys() == MODELS.keys()
    folder = random_model(tmp_path / "model", name, core_px=64)
    reference = open_predictor(folder, device="cpu", precision="float32")
    tiles = made_tiles(3, reference.geometry.input_px)
    found = compiled(folder, "float32").start(tiles)()
    np.testing.assert_allclose(found, reference.start(tiles)(), atol=1e-5)


def compiled(folder: Path, precision: str, card: ModelCard | None = None) -> OpenVinoLanes:
    card = card or load_card(folder)
    return OpenVinoLanes(card, checked_weights(card, folder), threads=2, precision=precision)


@needs_openvino
def test_weights_of_another_network_are_refused(folder: Path) -> None:
    """Too few, too many, or ranges for another number of layers."""
    card = load_card(folder)
    for update in (
        {"architecture": "resnet18"},
        {"int8_ranges": (card.int8_ranges or ())[:-1]},
        {"int8_ranges": (*(card.int8_ranges or ()), 1.0)},
    ):
        with pytest.raises(ModelError, match="not the weights of a"):
            compiled(folder, "int8", card.model_copy(update=update))


@needs_openvino
def test_answers_come_back_to_whom_they_are_for(folder: Path) -> None:
    """Several starts under way, waited for in any order."""
    lanes = compiled(folder, "float32")
    tiles = made_tiles(7, 192)
    answers = [lanes.start(tiles[:4]), lanes.start(tiles[4:])]
    found = np.concatenate([answer() for answer in answers[::-1]][::-1])
    np.testing.assert_allclose(
        found, open_predictor(folder, device="cpu", precision="float32").start(tiles)(), atol=1e-5
    )


def test_openvino_that_cannot_be_imported_stops_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half removed, or made for another Python: what goes on without it goes on."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(fast, "installed", lambda: True)
    monkeypatch.setattr(fast, "int8_precision", lambda _device: "int8-16")
    reference = open_predictor(folder, precision="float32")
    lanes, why = fast.compiled_lanes(load_card(folder), folder, reference, CPU)
    assert (lanes, why) == (None, "int8-16 failed: OpenVINO: installed, but it can't be imported")
    with pytest.raises(ModelError, match="can't be imported"):
        compiled(folder, "int8")


@needs_openvino
def test_what_answers_too_far_off_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried when the model is opened: ranges far too small cut off what layers are fed."""
    monkeypatch.setattr(fast, "int8_precision", lambda _device: "int8-16")
    reference = open_predictor(folder, device="cpu", precision="float32")
    card = load_card(folder)
    lanes, why = fast.compiled_lanes(card, folder, reference, CPU)
    assert isinstance(lanes, OpenVinoLanes)
    assert lanes.precision == "int8-16"
    assert why == ""
    monkeypatch.setitem(TOLERANCE, "int8-16", 1e-6)
    lanes, why = fast.compiled_lanes(card, folder, reference, CPU)
    assert (lanes, why.partition(" by ")[0]) == (None, "int8-16 was off")


@needs_openvino
@needs_int8
@pytest.mark.parametrize("precision", EIGHT_BITS)
def test_eight_bits_are_near_float32_and_cut_off_what_is_beyond_their_range(folder: Path, precision: str) -> None:
    """With ranges of like tiles it answers within half of the tolerance; with far smaller ones it says little."""
    card, tiles = load_card(folder), made_tiles(4, 192, seed=2)
    true = open_predictor(folder, device="cpu", precision="float32").start(tiles)()
    apart = np.abs(compiled(folder, precision).start(tiles)() - true)
    assert 0 < apart.max() < TOLERANCE[precision] / 2
    small = card.model_copy(update={"int8_ranges": tuple(value / 100 for value in card.int8_ranges or ())})
    found = [compiled(folder, precision, one).start(tiles)() for one in (card, small)]
    alike = [np.corrcoef(answers.ravel(), true.ravel())[0, 1] for answers in found]
    assert alike[0] > alike[1] + 0.2


def test_ranges_are_the_largest_inputs() -> None:
    """Of a network whose inner convolutions are fed with what is known."""
    net = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    with torch.no_grad():
        for layer, factor in zip(net, (0.5, 0.1, 3.0, 1.0), strict=True):
            layer.weight.fill_(factor)
            layer.bias.zero_()
    shown = nn.Sequential(_ToFloat(), net)
    tiles = np.full((2, 4, 4, 3), 20, np.uint8)
    tiles[1, 2, 2] = 100
    assert input_ranges(shown, tiles) == pytest.approx((150.0, 15.0))
    assert [name for name, _ in inner_convolutions(shown)] == ["1.1", "1.2"]


class _ToFloat(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.float()


@needs_openvino
@needs_int8
def test_findings_in_eight_bits_are_those_of_float32(large: Path) -> None:
    """A slide whose answers crowd about the thresholds has the same deposits, bit for bit, in both."""
    slide = PaintedSlide(spotted(2))
    as_tumour(large, slide)
    card = load_card(large)
    net = Plain(load_network(card, large), mean=card.mean, std=card.std, temperature=1.0).eval()
    card = card.model_copy(update={"int8_ranges": input_ranges(net, spotted(2)[None])})
    save_card(card, large)
    check_same_findings(slide, large, str(OWN))


def test_a_torch_that_says_nothing_of_vnni_computes_in_int8_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As torch before 2.6: a scan, which asks the processor alone, and doctor are to compute in one precision."""
    monkeypatch.setattr(device, "_cpu_has", lambda *names: False)
    monkeypatch.setattr(machine, "processor_flags", lambda: frozenset({"avx2", "avx512_vnni"}))
    assert int8_precision(CPU) == "int8"
    monkeypatch.setattr(machine, "processor_flags", lambda: frozenset({"avx2"}))
    assert int8_precision(CPU) != "int8"


def test_a_gpu_is_trusted_by_batches_as_a_scan_has_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its number and its size of tiles, since the GPU may compute others in another way."""
    asked: list[tuple[int, ...]] = []

    class Noted(CpuLanes):
        def start(self, tiles: NDArray[np.uint8]) -> Answer:
            asked.append(tiles.shape)
            return super().start(tiles)

    monkeypatch.setattr(fast, "fast_dtype", lambda _: torch.float16)
    monkeypatch.setattr(fast, "cast", lambda net, _: SimpleNamespace(to=lambda *_, **__: net))
    monkeypatch.setattr(fast, "lanes_on", lambda net, _, batch_size, precision: Noted(net, precision=precision))
    reference = open_predictor(folder, device="cpu", precision="float32")
    reference.batch_size = 6
    lanes, why = fast.narrow_lanes(plain_network(load_card(folder), folder), reference, torch.device("cuda"))
    assert (lanes is not None, why) == (True, "")
    side = reference.geometry.input_px
    assert asked == [(6, side, side, 3)]
