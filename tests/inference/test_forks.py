"""A forked process in which no model can be used says so; it doesn't wait for ever."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nodescan.inference import openvino_streams
from nodescan.inference.device import int8_precision
from nodescan.inference.random_model import random_model

CPU = torch.device("cpu")

FORKED = """
import os, signal, sys
from pathlib import Path
{opener}
from nodescan.errors import ModelError
from nodescan.inference.made_tiles import made_tiles

def opened():
    return {opening}

def tried(name, action):
    if os.fork() == 0:
        signal.alarm(30)
        try:
            action()
            print(name, "went well", flush=True)
        except ModelError as error:
            print(name, error, flush=True)
        os._exit(0)
    os.wait()

tried("a child that opens one first", opened)
predictor = opened()
tiles = made_tiles(2, predictor.geometry.input_px)
predictor.start(tiles)()
answer, in_float32 = predictor.start(tiles), getattr(predictor, "reference", predictor).start(tiles)
tried("opened:", opened)
tried("asked:", lambda: predictor.start(tiles)())
tried("asked in float32:", lambda: getattr(predictor, "reference", predictor).start(tiles)())
tried("begun before:", answer)
tried("begun before in float32:", in_float32)
print("the parent's own answers", answer().shape[0], in_float32().shape[0], predictor.start(tiles)().shape[0])
"""

WITH_TORCH = (
    "from nodescan.inference.predictor import open_predictor",
    "open_predictor(Path(sys.argv[1]), device='cpu', precision='float32', compiled=False)",
)
WITHOUT_TORCH = (
    "from nodescan.inference.without_torch import open_without_torch",
    "open_without_torch(Path(sys.argv[1]), device='cpu')",
)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are not forked, or not safely")
@pytest.mark.parametrize(("opener", "opening"), [WITH_TORCH, WITHOUT_TORCH], ids=["torch", "openvino"])
def test_a_forked_process_says_that_it_can_use_no_model(tmp_path: Path, opener: str, opening: str) -> None:
    """Neither its parent's model nor one of its own; a child of a process that opened none can, and so can the parent
    afterwards."""
    if opener == WITHOUT_TORCH[0] and (not openvino_streams.installed() or int8_precision(CPU) is None):
        pytest.skip("this machine computes nothing in int8")
    folder = random_model(tmp_path / "model", "p4m-small", core_px=64)
    script = FORKED.format(opener=opener, opening=opening)
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=200, check=True
    )
    refused = "a model was opened before this process was forked; start processes by spawn instead"
    first, *forked, last = done.stdout.splitlines()
    assert first == "a child that opens one first went well"
    tried = ("opened", "asked", "asked in float32", "begun before", "begun before in float32")
    assert forked == [f"{name}: {refused}" for name in tried]
    assert last == "the parent's own answers 2 2 2"
