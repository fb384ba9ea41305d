"""The bench's figures fit each other, whatever the machine."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan import machine
from nodescan.benchmarks import speed
from nodescan.benchmarks.scan_runs import ScanRun, SlideTimes
from nodescan.benchmarks.speed import Speed, measure_stages
from nodescan.config import load_config
from nodescan.domain.slide import SlideRef
from nodescan.errors import OutputError, SlideError
from nodescan.interfaces import Progress
from tests.fakes import ColourPredictor, Listener, paint_slide


class OnGpu(ColourPredictor):
    """The colour predictor, said to run beside the cores that read."""

    device = "cuda:0"
    batch_size = 32

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.sizes.append(len(tiles))
        return super().predict(tiles)


@pytest.fixture(autouse=True)
def soon_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is made up: no rate needs half a second."""
    monkeypatch.setattr(speed, "_COMPUTED_S", 0.0)


def ref(slide: Path) -> SlideRef:
    return SlideRef(slide.stem, slide)


def measured(slide: Path, predictor: ColourPredictor) -> Speed:
    return stages(ref(slide), predictor, Listener())


def stages(slide: SlideRef, predictor: ColourPredictor, progress: Listener) -> Speed:
    return measure_stages(slide, predictor, progress, lambda: 100.0)[0]


def test_no_place_for_the_phantom_is_told_before_the_model_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one line: torch asks for such a place, too, and breaks where there is none."""

    def no_folder(prefix: str) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(machine.tempfile, "TemporaryDirectory", no_folder)
    monkeypatch.setattr(speed, "open_in_slot", lambda *_, **__: pytest.fail("the model is opened"))
    with pytest.raises(OutputError, match=r"no place for temporary files .*set TMPDIR"):
        speed.measure_speed(None, model=None, device="cpu", progress=Listener())


def test_useful_share_is_tissue_over_what_is_fed(tmp_path: Path) -> None:
    """576 px of tissue both ways with the mask's own rim around them, in 3 x 3 tiles that each take 320 px."""
    found = measured(paint_slide(tmp_path / "a.tif"), ColourPredictor())
    fed_px = 9 * 320**2
    assert found.tiles == 9
    assert found.useful_share == pytest.approx(found.tissue_megapixels * 1e6 / fed_px)
    rim_px = load_config().settings.tissue.margin_um / 0.95
    assert found.useful_share == pytest.approx((576 + 2 * rim_px) ** 2 / fed_px, rel=0.06)  # a cell is 16 px


def test_efficiency_is_end_to_end_over_what_both_stages_allow(tmp_path: Path) -> None:
    """Where cores are shared the times add up; beside a GPU the slower stage alone is the limit."""
    slide = paint_slide(tmp_path / "a.tif")
    shared = measured(slide, ColourPredictor())
    seconds = 1 / shared.decode_mpx_s + 1 / shared.network_mpx_s
    assert shared.efficiency == pytest.approx(shared.end_to_end_mpx_s * seconds / shared.useful_share)
    beside = measured(slide, OnGpu())
    slower = min(beside.decode_mpx_s, beside.network_mpx_s)
    assert beside.efficiency == pytest.approx(beside.end_to_end_mpx_s / (slower * beside.useful_share))


def test_what_comes_after_the_first_pass_is_told_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second for each tile, three for what the guard does: it waits for the network, and the network for it."""
    slide, clock = paint_slide(tmp_path / "a.tif"), [0.0]

    def examine(reader: object, *, progress: Progress, **_: object) -> SimpleNamespace:
        for tiles in (1, 1, 1, 1, 0):  # 0: a tile that is answered again
            clock[0] += 1 if tiles else 3
            progress.tiles_done("a", tiles, 0.1 * tiles)
        return SimpleNamespace(precision="int8")

    real = speed._scan
    with monkeypatch.context() as patch:
        patch.setattr(speed, "examine", examine)
        patch.setattr(speed, "_scan", lambda *given: timed(real, *given))

        def timed(work: Callable[..., float], *given: Any) -> float:
            with pytest.MonkeyPatch.context() as clocked:
                clocked.setattr(speed.time, "perf_counter", lambda: clock[0])
                return work(*given)

        found = measured(slide, OnGpu())
    assert found.guard_s == pytest.approx(3)
    slower = min(found.decode_mpx_s, found.network_mpx_s)
    at_first = found.tissue_megapixels / 4
    assert found.first_pass_efficiency == pytest.approx(at_first / (slower * found.useful_share))


def test_the_matrix_product_takes_its_turn_in_each_round(tmp_path: Path) -> None:
    """A machine that is busy for a while slows all rates alike, so that their ratio means something."""
    rates, told = iter((300.0, 100.0, 200.0)), Listener()
    slide = ref(paint_slide(tmp_path / "a.tif"))
    _, product = measure_stages(slide, ColourPredictor(), told, lambda: next(rates))
    assert product == 200.0
    rounds = [text.split(": ")[1].rpartition(" ")[0] for text in told.notes if text.startswith("round")]
    assert [text for text in rounds if text.startswith("product")] == [
        f"product {rate}" for rate in (300.0, 100.0, 200.0)
    ]
    assert [text.split(" ")[0] for text in rounds] == ["decode", "network", "network", "product"] * 3


def test_from_file_to_report_is_the_whole_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening, the overview, deposits and reports too: what the slide took in a run, not what the command did."""
    slide, taken = paint_slide(tmp_path / "a.tif"), SlideTimes("a", "complete", 8.0, 0.4, 0.3)
    monkeypatch.setattr(speed, "_command", lambda *_: ScanRun(11.0, 2.5, 10**9, (taken,)))
    monkeypatch.setattr(speed, "open_in_slot", lambda *_, **__: (ColourPredictor(), 1))
    monkeypatch.setattr(speed, "matrix_gflop_s", lambda *_: 50.0)
    found = speed.measure_speed(ref(slide), model=None, device="cpu", progress=Listener())
    assert found.file_to_report_mpx_s == pytest.approx(found.tissue_megapixels / 8)
    assert found.limits is not None
    assert (found.limits.matrix_gflop_s, found.limits.reckoned) == (50.0, "")


def test_a_gpu_is_fed_whole_batches_and_a_slide_too_small_for_them_is_told(tmp_path: Path) -> None:
    """It computes 32 tiles though 9 are given, so 32 it is given; the scan itself hands over the 9 there are."""
    predictor, told = OnGpu(), Listener()
    stages(ref(paint_slide(tmp_path / "a.tif")), predictor, told)
    assert set(predictor.sizes) == {32, 9}
    assert "9 tiles are few for batches of 32: on a larger slide it would be faster end to end" in told.notes
    on_cpu = Listener()
    stages(ref(tmp_path / "a.tif"), ColourPredictor(), on_cpu)
    assert not any("are few" in text for text in on_cpu.notes)


def test_a_rate_is_that_of_many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 tiles at least, and as many more as half a second takes: a second goes by with every look at the clock."""
    batch = np.zeros((32, 320, 320, 3), np.uint8)
    seconds = iter(range(100))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(seconds))
    predictor = OnGpu()
    assert speed._compute(batch, predictor) == pytest.approx(2 * 32 * 0.1024 / 3)
    assert predictor.sizes == [32, 32]
    monkeypatch.setattr(speed, "_COMPUTED_S", 4.5)
    predictor, seconds = OnGpu(), iter(range(100))
    speed._compute(batch, predictor)
    assert predictor.sizes == [32] * 6


def test_a_slide_without_pixel_size_is_measured_with_the_users(tmp_path: Path) -> None:
    """As `run` does it: refused without --mpp, and the run that is timed is told of it, too."""
    slide = paint_slide(tmp_path / "a.tif", spacing_um=None)
    with pytest.raises(SlideError, match="--mpp"):
        measured(slide, ColourPredictor())
    given = SlideRef("a", slide, mpp_um=0.95)
    assert stages(given, ColourPredictor(), Listener()).tiles == 9
    run = speed._command(given, None, "cpu", Listener())
    assert [one.status for one in run.slides] == ["complete"]
