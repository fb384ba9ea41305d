"""A GPU answers as the CPU does. Where there is none, the CPU takes its place in the lanes that a GPU has."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from nodescan.inference import fast
from nodescan.inference import predictor as predictor_module
from nodescan.inference.card import load_card, packed_models
from nodescan.inference.device import fast_dtype
from nodescan.inference.fast import cast
from nodescan.inference.fast_predictor import TOLERANCE, FastPredictor
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.models import MODELS
from nodescan.inference.predictor import TorchPredictor, open_predictor, plain_network
from nodescan.inference.random_model import random_model
from nodescan.inference.tile_streams import Precision
from nodescan.inference.torch_streams import CudaLanes
from tests.examination.fast_fakes import spotted
from tests.inference.gpu_fakes import without_a_gpu
from tests.inference.test_fast import as_tumour
from tests.painted import PaintedSlide, scan

RELEASED = packed_models() / "pcam-p4m"
BATCHES = (32, 7, 70, 1)
GPU, STAND_IN = "cuda", "cpu"


Opener = Callable[..., TorchPredictor | FastPredictor]


@pytest.fixture(params=[GPU, STAND_IN])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == STAND_IN:
        without_a_gpu(monkeypatch)
    elif not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


@pytest.fixture
def opened(device: str, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """open_predictor() on that device."""

    def open_(folder: Path, precision: Precision = "auto") -> TorchPredictor | FastPredictor:
        with monkeypatch.context() as patch:
            if device == STAND_IN:
                for module in (predictor_module, fast):
                    patch.setattr(module, "lanes_on", partial(CudaLanes, precision="float32"))
                patch.setattr(predictor_module, "lane_count", lambda threads: 8)
                patch.setattr(fast, "fast_dtype", lambda device: torch.float16)
            return open_predictor(folder, device=device, precision=precision, compiled=False)

    return open_


def has_float16(device: str) -> bool:
    return device == STAND_IN or fast_dtype(torch.device(GPU)) is not None


def side_px(device: str) -> int:
    """Of a slide's tiles on a GPU; of tiles of one cell on a CPU."""
    tile = load_card(RELEASED).geometry()
    return tile.input_px if device == GPU else 2 * tile.margin_px + tile.stride_px


@cache
def truth(side: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Tiles, each another one, and what the CPU says of them: something else of each."""
    tiles = made_tiles(sum(BATCHES), side)
    true = open_predictor(RELEASED, device="cpu", precision="float32").start(tiles)()
    assert np.quantile(true, 0.9) - np.quantile(true, 0.1) > 0.5
    return tiles, true


def answers(predictor: TorchPredictor | FastPredictor, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of all batches, each handed over before the first is waited for."""
    waiting = [predictor.start(part) for part in np.split(tiles, np.cumsum(BATCHES)[:-1])]
    return np.concatenate([answer() for answer in waiting])


def test_float32_is_that_of_the_cpu(device: str, opened: Opener) -> None:
    """To rounding, tile by tile, whatever the batch it came in."""
    tiles, true = truth(side_px(device))
    np.testing.assert_allclose(answers(opened(RELEASED, "float32"), tiles), true, atol=1e-4, rtol=0)


def test_float16_is_within_half_of_its_tolerance(device: str, opened: Opener) -> None:
    """And is what the released model is opened in."""
    if not has_float16(device):
        pytest.skip("this GPU has no float16")
    tiles, true = truth(side_px(device))
    predictor = opened(RELEASED)
    assert isinstance(predictor, FastPredictor)
    assert predictor.precision == "float16"
    assert 0 < np.abs(answers(predictor, tiles) - true).max() < TOLERANCE["float16"] / 2


def test_answers_are_the_same_with_room_for_three_tiles(device: str, opened: Opener) -> None:
    """Batches are halved until they fit, and no answer changes its place."""
    tiles, true = truth(side_px(device))
    predictor = opened(RELEASED, "float32")
    lanes = predictor._lanes
    assert isinstance(lanes, CudaLanes)
    lanes._net = Cramped(lanes._net)
    np.testing.assert_allclose(answers(predictor, tiles), true, atol=1e-4, rtol=0)
    assert lanes._batch_size == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_network_has_all_that_it_computes_with_on_its_gpu(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    """In its own precision, and channels last all the way to its pooled answers; torch knows it without a GPU."""
    folder = random_model(tmp_path / "model", name)
    card = load_card(folder)
    net, fed = cast(plain_network(card, folder), dtype), []
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_pre_hook(lambda _, pixels: fed.append(pixels[0]))
    side = card.geometry().input_px
    with FakeTensorMode(), torch.inference_mode():
        for layer in net.modules():
            for held in (layer._parameters, layer._buffers):
                moved = {key: torch.empty(value.shape, dtype=value.dtype, device=GPU) for key, value in held.items()}
                held.update({key: as_it_is_sent(value) for key, value in moved.items()})
        found = net(torch.empty((4, side, side, 3), dtype=torch.uint8, device=GPU).permute(0, 3, 1, 2))
        assert (found.device.type, found.dtype, found.shape[1:]) == (GPU, torch.float32, (card.geometry().cells,) * 2)
        assert found.is_contiguous()  # what isn't is copied once more before it is fetched
        assert {pixels.dtype for pixels in fed} == {dtype}
        assert all(pixels.is_contiguous(memory_format=torch.channels_last) for pixels in fed[:-1])


def as_it_is_sent(value: Tensor) -> Tensor:
    return value.to(memory_format=torch.channels_last) if value.ndim == 4 else value


class Cramped(nn.Module):
    """A network on a device with room for three tiles."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self._net = net

    def forward(self, pixels: Tensor) -> Tensor:
        if len(pixels) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return self._net(pixels)


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_findings_are_those_of_the_cpu(tmp_path: Path, device: str, opened: Opener, precision: Precision) -> None:
    """The same deposits, to a tenth of a micrometre: float32 sums in another order there. The report says in what."""
    folder = random_model(tmp_path / "model", "p4m-small", core_px=512)  # a second look has smaller tiles
    slide = PaintedSlide(spotted(2))
    as_tumour(folder, slide)
    true = scan(slide, open_predictor(folder, device="cpu", precision="float32")).report
    result = scan(slide, opened(folder, precision))
    found = result.report
    assert (found.status, found.metastasis) == (true.status, true.metastasis)
    assert len(found.deposits) == len(true.deposits)
    for one, other in zip(found.deposits, true.deposits, strict=True):
        assert one.diameter_um == pytest.approx(other.diameter_um, abs=0.1)
        assert one.centre_um == pytest.approx(other.centre_um, abs=0.1)
    fast = precision == "auto" and has_float16(device)
    assert result.precision.startswith("float16, " if fast else "float32")
