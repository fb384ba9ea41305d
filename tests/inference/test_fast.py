"""Fast ways through a network: as near to float32 as they say, whatever batch, lane, cache or device."""

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nodescan.config import load_config
from nodescan.domain.report import SlideResult
from nodescan.errors import ModelError
from nodescan.inference import fast, openvino_lanes
from nodescan.inference import predictor as predictor_module
from nodescan.inference.agreement import agreement
from nodescan.inference.card import load_card, save_card
from nodescan.inference.device import fast_dtype, multiplies_int8
from nodescan.inference.fast import Compilable, cast, compilable, near_enough
from nodescan.inference.fast_predictor import TOLERANCE, FastPredictor
from nodescan.inference.folding import plain_form
from nodescan.inference.lanes import Answer, SwitchingLanes
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.models import MODELS, build
from nodescan.inference.openvino_conversion import convert
from nodescan.inference.predictor import load_network, open_predictor
from nodescan.inference.quantisation import inner_convolutions, input_ranges, quantised
from nodescan.inference.random_model import random_model
from nodescan.inference.torch_lanes import CpuLanes
from nodescan.interfaces import ApproximatePredictor, AsynchronousPredictor, TilePredictor
from nodescan.progress import Viewer
from nodescan.scan import scan_slide
from tests.test_guard import findings, spotted
from tests.test_scan import PaintedSlide

CPU = torch.device("cpu")
needs_bfloat16 = pytest.mark.skipif(fast_dtype(CPU) is None, reason="this CPU has no bfloat16")
needs_int8 = pytest.mark.skipif(not multiplies_int8(CPU), reason="this CPU has no instructions for int8")
needs_openvino = pytest.mark.skipif(not openvino_lanes.installed(), reason="openvino is not installed")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is kept from test to test, or taken from the user's own cache."""
    monkeypatch.setenv("NODESCAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return random_model(tmp_path / "model", "p4m-small", core_px=128)


def as_tumour(folder: Path, slide: PaintedSlide) -> None:
    """Thresholds in the midst of what the model answers on the slide, so that many cells lie near one."""
    predictor = open_predictor(folder, device="cpu", precision="float32")
    values = scanned(slide, predictor).probability
    assert values is not None
    low, high = np.quantile(values.values[values.examined], (0.4, 0.9)).tolist()
    card = load_card(folder)
    decision = card.decision.model_copy(update={"threshold": low, "seed_threshold": high, "smoothing_um": 0.0})
    save_card(card.model_copy(update={"decision": decision}), folder)


def scanned(slide: PaintedSlide, predictor: TilePredictor) -> SlideResult:
    settings = load_config().settings
    return scan_slide(slide.ref, open_slide=lambda _: slide, predictor=predictor, settings=settings, progress=Viewer())


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
        plain = plain_form(net, mean=mean, std=std, temperature=2.0)(pixels)
        torch.testing.assert_close(plain, torch.sigmoid(net(shown) / 2.0), atol=2e-5, rtol=0)


def test_the_margin_of_a_padded_network_is_the_cards(tmp_path: Path) -> None:
    """A wider margin leaves more out and answers the same cells, which then see more."""
    wide = open_predictor(random_model(tmp_path / "a", "resnet18-c4", core_px=64, margin_px=64), precision="float32")
    narrow = open_predictor(random_model(tmp_path / "b", "resnet18-c4", core_px=64, margin_px=16), precision="float32")
    tile = made_tiles(1, wide.geometry.input_px)
    seen, less = wide.predict(tile), narrow.predict(np.ascontiguousarray(tile[:, 48:-48, 48:-48]))
    assert seen.shape == less.shape == (1, 4, 4)
    assert 0 < np.abs(seen - less).max() < 0.5


def test_a_random_model_is_the_same_again_and_low(tmp_path: Path) -> None:
    """To measure speed, answers must differ from cell to cell and reach no threshold."""
    first, again = (random_model(tmp_path / name, "p4m-small", core_px=64) for name in "ab")
    assert load_card(first).weights_sha256 == load_card(again).weights_sha256
    answers = open_predictor(first, precision="float32").predict(made_tiles(3, 128))
    assert answers.max() < 0.5
    assert np.ptp(answers) > 0.001


def test_an_answer_does_not_depend_on_its_batch() -> None:
    """A tile alone, or among others, is answered by the same bits: it has a lane's turn of its own."""
    torch.manual_seed(1)
    net = plain_form(build("p4m-small").eval(), mean=(0.7,) * 3, std=(0.2,) * 3, temperature=1.0)
    lanes, tiles = CpuLanes(net), made_tiles(3, 640)
    together = lanes.start(tiles)()
    for index in range(3):
        assert np.array_equal(lanes.start(tiles[index : index + 1])()[0], together[index])
    small = made_tiles(5, 96)
    np.testing.assert_allclose(lanes.start(small)()[3], lanes.start(small[3:4])()[0], atol=1e-6)


@needs_bfloat16
def test_bfloat16_stays_within_its_tolerance(folder: Path) -> None:
    """Measured on tiles made up for it, with half of the tolerance to spare."""
    predictor = open_predictor(folder, device="cpu")
    assert isinstance(predictor, FastPredictor)
    assert isinstance(predictor, ApproximatePredictor)
    assert isinstance(predictor, AsynchronousPredictor)
    found = agreement(predictor, made_tiles(4, predictor.geometry.input_px))
    assert 0 < found.largest < predictor.tolerance / 2


@needs_bfloat16
def test_findings_in_bfloat16_are_those_of_float32(folder: Path) -> None:
    """A slide whose answers crowd about the thresholds has the same deposits, bit for bit, in both."""
    slide = PaintedSlide(spotted(2))
    as_tumour(folder, slide)
    true = scanned(slide, open_predictor(folder, device="cpu", precision="float32"))
    found = scanned(slide, open_predictor(folder, device="cpu"))
    assert true.report.deposits
    assert findings(found.report) == findings(true.report)
    assert found.report.provenance is not None
    assert found.report.provenance.precision.startswith("bfloat16, ")


@needs_gpu
def test_findings_on_a_gpu_are_those_of_the_cpu(folder: Path) -> None:
    """The same deposits, to a tenth of a micrometre: float32 sums in another order there."""
    slide = PaintedSlide(spotted(2))
    as_tumour(folder, slide)
    true = scanned(slide, open_predictor(folder, device="cpu", precision="float32")).report
    for precision in ("auto", "float32"):
        found = scanned(slide, open_predictor(folder, device="cuda", precision=precision)).report
        assert (found.status, found.metastasis) == (true.status, true.metastasis)
        assert len(found.deposits) == len(true.deposits)
        for one, other in zip(found.deposits, true.deposits, strict=True):
            assert one.diameter_um == pytest.approx(other.diameter_um, abs=0.1)
            assert one.centre_um == pytest.approx(other.centre_um, abs=0.1)


class Counting:
    """Lanes that answer their own number."""

    count = 2
    precision = "fast"

    def __init__(self, number: float) -> None:
        self.number = number

    def start(self, tiles: NDArray[np.uint8]) -> Answer:
        return lambda: np.full((len(tiles), 1, 1), self.number, np.float32)


def said(lanes: SwitchingLanes, tiles: int = 2) -> float:
    return float(lanes.start(np.zeros((tiles, 8, 8, 3), np.uint8))()[0, 0, 0])


def test_making_a_faster_way_waits_until_it_repays_itself() -> None:
    """Not before so many tiles were answered, never twice, and nobody waits for it."""
    made, may_finish = threading.Event(), threading.Event()

    def make() -> Counting:
        made.set()
        assert may_finish.wait(10)
        return Counting(2)

    lanes = SwitchingLanes(Counting(1), make, after_tiles=4)
    assert [said(lanes), said(lanes)] == [1, 1]
    assert not made.is_set()
    assert said(lanes) == 1
    assert made.wait(10)
    assert said(lanes) == 1
    may_finish.set()
    wait_until(lambda: lanes.switched)
    assert said(lanes) == 2


@pytest.mark.parametrize("fails", [True, False])
def test_where_no_faster_way_can_be_made_the_first_goes_on(fails: bool) -> None:
    """Whether it says so or breaks."""

    def make() -> None:
        if fails:
            raise RuntimeError

    lanes = SwitchingLanes(Counting(1), make, after_tiles=0)
    said(lanes)
    wait_until(lambda: lanes._better is not None and lanes._better.done())
    assert said(lanes) == 1


def wait_until(true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if true():
            return
        waiting.wait(0.01)
    raise AssertionError


@needs_bfloat16
def test_a_model_that_is_far_off_in_bfloat16_runs_in_float32(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried when it is opened: more than half of the tolerance, or no number, is too much."""
    save_card(load_card(folder).model_copy(update={"int8_ranges": None}), folder)
    monkeypatch.setattr(predictor_module, "cast", broken)
    predictor = open_predictor(folder, device="cpu")
    assert not isinstance(predictor, FastPredictor)
    assert predictor.precision == "float32"


def broken(net: nn.Module, dtype: torch.dtype) -> nn.Module:
    narrow = cast(net, dtype)
    for weights in narrow.parameters():
        weights.data = weights.data * torch.nan
    return narrow


@pytest.mark.parametrize(("off", "enough"), [(0.029, True), (0.031, False), (float("nan"), False)])
def test_half_of_the_tolerance_is_near_enough(off: float, enough: bool, folder: Path) -> None:
    """The other half is left for the tiles of real slides."""
    reference = open_predictor(folder, device="cpu", precision="float32")

    class Off:
        count = 1
        precision = "fast"

        def start(self, tiles: NDArray[np.uint8]) -> Answer:
            return lambda: reference.predict(tiles) + np.float32(off)

    assert near_enough(Off(), reference, "bfloat16") == enough


def test_float16_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU without bfloat16 computes in float32: nobody has measured how far float16 is off."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert fast_dtype(torch.device("cuda")) is None


def test_openvino_that_cannot_be_imported_stops_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half removed, or made for another Python: what goes on without it goes on."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    card = load_card(folder)
    net = plain_form(build("p4m-small").eval(), mean=card.mean, std=card.std, temperature=1.0).eval()
    monkeypatch.setattr(openvino_lanes.Converted, "sound", True)
    kept = Compilable(net, openvino_lanes.converted(card.sha256(), 192, "bfloat16"), 2, "bfloat16")
    eager = CpuLanes(net)
    assert kept.lanes(eager, tolerance=0.06) is eager
    with pytest.raises(ModelError, match="can't be imported"):
        convert(net, kept.kept)


def test_a_faster_way_has_the_threads_of_the_main_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made ready in a thread of its own, which torch tells of as many as a lane has."""
    if not openvino_lanes.installed():
        monkeypatch.setattr(fast, "installed", lambda: True)
    monkeypatch.setattr(fast, "multiplies_int8", lambda _device: True)
    card = load_card(folder)
    net = plain_form(build("p4m-small").eval(), mean=card.mean, std=card.std, temperature=1.0).eval()
    to_compile = compilable(net, card, tile_px=192, device=CPU)
    assert to_compile is not None
    told: list[int] = []

    def compiled(_source: object, *, threads: int, precision: str) -> Counting:
        told.append(threads)
        raise ModelError("enough")

    monkeypatch.setattr(fast, "OpenVinoLanes", compiled)
    monkeypatch.setattr(fast, "convert", lambda *_: None)
    lanes = to_compile.lanes(CpuLanes(net), tolerance=0.06)
    assert isinstance(lanes, SwitchingLanes)
    lanes._left = 0
    lanes.start(made_tiles(1, 192))()
    wait_until(lambda: lanes._better is not None and lanes._better.done())
    assert told == [torch.get_num_threads()]


@needs_openvino
@needs_bfloat16
def test_openvino_answers_within_the_tolerance_and_is_kept(folder: Path, cache: Path) -> None:
    """Converted once; read back from the cache where its sha256 is right, and left alone where a byte has changed."""
    card = load_card(folder).model_copy(update={"int8_ranges": None})
    net = plain_form(build("p4m-small").eval(), mean=card.mean, std=card.std, temperature=1.0).eval()
    to_compile = compilable(net, card, tile_px=192, device=CPU)
    assert to_compile is not None
    eager = CpuLanes(cast(net, torch.bfloat16))
    assert isinstance(to_compile.lanes(eager, tolerance=0.06), SwitchingLanes)
    convert(net, to_compile.kept)
    assert to_compile.kept.sound
    assert str(to_compile.kept.folder).startswith(str(cache))
    lanes = to_compile.lanes(eager, tolerance=0.06)
    assert isinstance(lanes, openvino_lanes.OpenVinoLanes)
    tiles = made_tiles(7, 192)
    answers = [lanes.start(tiles[:4]), lanes.start(tiles[4:])]
    found = np.concatenate([answer() for answer in answers[::-1]][::-1])
    np.testing.assert_allclose(found, CpuLanes(net).start(tiles)(), atol=0.03)
    assert to_compile.lanes(eager, tolerance=0.0) is eager, "what is further off is not used"
    assert not to_compile.kept.sound, "and not kept, as it would be used unasked"
    convert(net, to_compile.kept)
    binary = to_compile.kept.folder / "model.bin"
    binary.write_bytes(binary.read_bytes()[:-1] + b"\x01")
    assert not to_compile.kept.sound
    convert(net, to_compile.kept)
    assert to_compile.kept.sound
    assert set(json.loads((to_compile.kept.folder / "sha256.json").read_text())) == {"model.xml", "model.bin"}


def test_eight_bits_are_near_float32_and_cut_off_what_is_beyond_their_range(folder: Path) -> None:
    """Quantised with ranges of like tiles it answers within half of the tolerance; with far smaller ones it doesn't."""
    card = load_card(folder)
    net = plain_form(build("p4m-small").eval(), mean=card.mean, std=card.std, temperature=1.0).eval()
    ranges = input_ranges(net, made_tiles(4, 192, seed=1))
    assert len(ranges) == len(inner_convolutions(net))
    lanes, tiles = CpuLanes(net), made_tiles(4, 192, seed=2)
    true = lanes.start(tiles)()
    apart = np.abs(CpuLanes(quantised(net, ranges)).start(tiles)() - true)
    assert 0 < apart.max() < TOLERANCE["int8"] / 2
    cut = CpuLanes(quantised(net, tuple(value / 20 for value in ranges))).start(tiles)()
    assert np.abs(cut - true).max() > 2 * apart.max()
    assert np.array_equal(CpuLanes(net).start(tiles)(), true), "the network itself is left as it was"


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
    for wrong in ((1.0,), (1.0, 0.0), (1.0, 2.0, 3.0)):
        with pytest.raises(ValueError, match="2 positive ranges"):
            quantised(shown, wrong)


class _ToFloat(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.float()


@needs_openvino
@needs_int8
def test_openvino_computes_in_eight_bits_what_was_rounded(folder: Path) -> None:
    """Compiled, the quantised network answers as it does in PyTorch, and the predictor says what it computed in."""
    card = load_card(folder)
    assert card.int8_ranges is not None
    net = plain_form(load_network(card, folder), mean=card.mean, std=card.std, temperature=1.0).eval()
    to_compile = compilable(net, card, tile_px=192, device=CPU)
    assert to_compile is not None
    assert to_compile.precision == "int8"
    convert(to_compile.net, to_compile.kept)
    lanes = to_compile.lanes(CpuLanes(net), tolerance=TOLERANCE["int8"])
    tiles = made_tiles(5, 192)
    found = lanes.start(tiles)()
    np.testing.assert_allclose(found, CpuLanes(to_compile.net).start(tiles)(), atol=0.02)
    assert np.abs(found - CpuLanes(net).start(tiles)()).max() > 0
    predictor = open_predictor(folder, device="cpu")
    assert predictor.precision == "int8"
    assert predictor.reference.precision == "float32"


@needs_openvino
@needs_int8
def test_findings_in_eight_bits_are_those_of_float32(folder: Path) -> None:
    """A slide whose answers crowd about the thresholds has the same deposits, bit for bit, in both."""
    slide = PaintedSlide(spotted(2))
    as_tumour(folder, slide)
    card = load_card(folder)
    net = plain_form(load_network(card, folder), mean=card.mean, std=card.std, temperature=1.0).eval()
    card = card.model_copy(update={"int8_ranges": input_ranges(net, spotted(2)[None])})
    save_card(card, folder)
    to_compile = compilable(net, card, tile_px=card.geometry().input_px, device=CPU)
    assert to_compile is not None
    convert(to_compile.net, to_compile.kept)
    true = scanned(slide, open_predictor(folder, device="cpu", precision="float32"))
    found = scanned(slide, open_predictor(folder, device="cpu"))
    assert true.report.deposits
    assert findings(found.report) == findings(true.report)
    assert found.report.provenance is not None
    assert found.report.provenance.precision.startswith("int8, ")


def test_another_card_or_tile_is_another_conversion() -> None:
    """So nothing that is kept answers for weights, colours or a shape that it wasn't made of."""
    names = {
        openvino_lanes.converted(card, px, how).name for card in ("a", "b") for px in (192, 576) for how in ("x", "y")
    }
    assert len(names) == 8
    kept = openvino_lanes.converted("a" * 64, 192, "int8")
    assert not replace(kept, name="none").sound
