"""Whole commands on a GPU, with the released model. Skipped where torch has none; test_gpu.py and test_torch_lanes.py
try what can be tried without."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nodescan.cli import main
from nodescan.inference.card import packed_models
from nodescan.inference.made_tiles import made_tiles
from nodescan.inference.predictor import TorchPredictor, open_predictor
from nodescan.inference.tile_streams import GPU_BATCH
from nodescan.inference.torch_streams import CudaLanes
from nodescan.interfaces import predict
from nodescan.phantoms import make_phantom, plan_phantom

GPU, RELEASED = "cuda", packed_models() / "pcam-p4m"
ROOM_BYTES = 400_000_000
"""A quarter of what a batch of 32 tiles takes in float32, by its layers' sizes; one tile takes 40 MB."""

MOST_OFF_UM = 1.0
"""That a deposit's size may differ between number formats; docs/speed.md says so."""

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three phantoms: of a macrometastasis with a smaller deposit, of a micrometastasis, and without any."""
    folder = tmp_path_factory.mktemp("slides")
    planted = {"macro": (2600.0, 400.0), "micro": (900.0,), "none": ()}
    for seed, (name, diameters_um) in enumerate(planted.items()):
        make_phantom(folder / f"{name}.tif", plan_phantom(diameters_um, spacing_um=0.5, seed=seed))
    return [folder / f"{name}.tif" for name in planted]


def reports(slides: list[Path], out: Path, *options: str) -> dict[str, Any]:
    """What a run says of each slide."""
    assert main(["run", *map(str, slides), "--out", str(out), *options]) == 0
    return {slide.stem: json.loads((out / slide.stem / "report.json").read_text("utf-8")) for slide in slides}


def test_a_run_finds_on_a_gpu_what_it_finds_on_a_cpu(slides: list[Path], tmp_path: Path) -> None:
    """Whichever format it computes in, and with two processes on one GPU; its reports name the GPU and the format."""
    true = reports(slides, tmp_path / "cpu", "--device", "cpu", "--precision", "float32")
    for name, options in {
        "auto": ("--slots", "2"),
        "float32": ("--precision", "float32"),
        "here": ("--slots", "0"),
    }.items():
        found = reports(slides, tmp_path / name, "--device", GPU, *options)
        for slide, report in found.items():
            check_alike(report, true[slide])
            made = report["provenance"]
            assert re.match(r"cuda:0 \(.+\)$", made["device"])
            assert {"cuda", "cudnn"} <= made["versions"].keys() or {"hip"} <= made["versions"].keys()
            said = r"float32$" if name == "float32" else r"float16, [\d.]+ % of the tissue in float32$"
            assert re.match(said, made["precision"])
    assert [true[slide.stem]["metastasis"] for slide in slides] == ["macro", "micro", "negative"]


def check_alike(found: dict[str, Any], true: dict[str, Any]) -> None:
    """In all that a finding is."""
    for key in ("status", "metastasis", "n_foci", "at_least"):
        assert found[key] == true[key]
    assert [flag["code"] for flag in found["flags"]] == [flag["code"] for flag in true["flags"]]
    for one, other in zip(found["deposits"], true["deposits"], strict=True):
        assert one["class"] == other["class"]
        assert one["diameter_um"] == pytest.approx(other["diameter_um"], abs=MOST_OFF_UM)


def test_a_doctor_trusts_the_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", GPU]) == 0
    said = capsys.readouterr().out
    assert re.search(r"float16 on cuda:0 \(", said)


def test_a_bench_measures_the_gpu(slides: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Itself, in the command that it starts too, and how far off the fast format is."""
    assert main(["bench", str(slides[0]), "--device", GPU, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"].startswith("cuda:0 (")
    assert found["precision"] == "float16"
    assert found["answered"].startswith("float16, ")
    assert main(["bench", str(slides[0]), "--device", GPU, "--what", "precision", "--json"]) == 0
    for way in json.loads(capsys.readouterr().out)["differences"]:
        assert way["precision"] == "float16"
        assert 0 < way["largest"] < 0.012


def test_a_batch_that_does_not_fit_is_halved() -> None:
    """On a GPU that refuses memory by itself: the answers are those that it gave when it had room."""
    tiles = made_tiles(GPU_BATCH + 5, 576)
    predictor = open_predictor(RELEASED, device=GPU, precision="float32")
    assert isinstance(predictor, TorchPredictor)
    lanes = predictor._lanes
    assert isinstance(lanes, CudaLanes)
    true = predict(predictor, tiles)
    assert lanes._batch_size == GPU_BATCH
    lanes._resize(GPU_BATCH)
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + ROOM_BYTES) / total)
    try:
        found = predict(predictor, tiles)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert 1 <= lanes._batch_size < GPU_BATCH
    np.testing.assert_allclose(found, true, atol=1e-4, rtol=0)
