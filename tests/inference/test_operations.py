"""What a network's speed is held against."""

import pytest
import torch

from nodescan.inference import operations
from nodescan.inference.operations import matrix_gflop_s, reckoned_from

GIB = 2**30


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second goes by with every look."""
    seconds = iter(range(1000))
    monkeypatch.setattr(operations.time, "perf_counter", lambda: next(seconds))


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("products", [1, 3])
def test_each_product_counts(monkeypatch: pytest.MonkeyPatch, products: int) -> None:
    """Matrices of 64 x 64: a multiplication and an addition, 64 times for each number."""
    monkeypatch.setattr(operations, "_probe", lambda place: (64, products))
    assert matrix_gflop_s("cpu", "float32") == pytest.approx(products * 2 * 64**3 / 1e9)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("precision", "times"), [("int8", 4), ("int8-16", 2)])
def test_eight_bits_are_reckoned_and_said_to_be(monkeypatch: pytest.MonkeyPatch, precision: str, times: int) -> None:
    """torch has no such product on a CPU that all processors take."""
    monkeypatch.setattr(operations, "_probe", lambda place: (64, 1))
    assert matrix_gflop_s("cpu", precision) == pytest.approx(times * matrix_gflop_s("cpu", "float32"))
    assert reckoned_from(precision) == f"{times} x float32"
    assert reckoned_from("float32") == reckoned_from("bfloat16") == ""


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_matrices_are_of_random_numbers(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    """What is multiplied bears on how fast: a GPU that computes with ones alone draws less power."""
    used: list[torch.Tensor] = []
    multiply = torch.mm

    def noted(one: torch.Tensor, other: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        used.append(one)
        return multiply(one, other, out=out)

    monkeypatch.setattr(operations, "_probe", lambda place: (64, 2))
    monkeypatch.setattr(torch, "mm", noted)
    assert matrix_gflop_s("cpu", precision) > 0
    assert used[0].dtype is getattr(torch, precision)
    assert used[0].float().std() == pytest.approx(1, abs=0.1)


def test_a_gpu_is_tried_with_more_than_it_is_started_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its free memory; a CPU with one product of the size it always was."""
    for free_bytes, side in ((70 * GIB, 8192), (GIB, 4096)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda place, free=free_bytes: (free, 80 * GIB))
        assert operations._probe(torch.device("cuda", 1)) == (side, 8)
    assert operations._probe(torch.device("cpu")) == (2048, 1)
