"""What a training run met that broke is told apart, whoever raised it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch._utils import ExceptionWrapper

from nodescan.errors import DeviceError, DeviceLostError
from training.fitting.broken_runs import gpu_failure

FOUND_NO_WAY = RuntimeError("GET was unable to find an engine to execute this computation")
FAILED = RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported")


def told(error: Exception, *, device: str = "cuda:0") -> DeviceError | None:
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)))
    return gpu_failure(error, cast(Any, trainer), full="show it less", again="go on")


def by_pinning_thread(error: RuntimeError) -> RuntimeError:
    """As a data loader raises what the thread met that pins its batches."""
    try:
        raise error
    except RuntimeError:
        handed_over = ExceptionWrapper(where="in pin memory thread for device 0")
    with pytest.raises(RuntimeError, match=r"^Caught \w+ in pin memory thread") as raised:
        handed_over.reraise()
    return raised.value


@pytest.mark.parametrize("error_class", [RuntimeError, getattr(torch, "AcceleratorError", RuntimeError)])
def test_a_gpu_that_fails_is_told_whichever_thread_meets_it(error_class: type[RuntimeError]) -> None:
    """The one that pins batches may be the first, and its traceback comes as text."""
    error = error_class(*FAILED.args)
    for met in (error, by_pinning_thread(error)):
        found = told(met)
        assert isinstance(found, DeviceLostError)
        assert str(found) == (
            "the GPU failed (CUDA error: unspecified launch failure); look at it with nvidia-smi, then go on"
        )


def test_a_gpu_that_fails_while_cudnn_looks_for_a_way_is_told_from_a_full_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN says the same of both; the GPU's next call fails on one that failed, and is asked of no processor."""
    waited_for: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited_for.append)
    for device in ("cuda:0", "cpu"):
        assert str(told(FOUND_NO_WAY, device=device)) == "the GPU's memory is full: show it less"
    assert waited_for == [torch.device("cuda:0")]

    def fail(device: torch.device) -> None:
        raise FAILED

    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    assert isinstance(told(FOUND_NO_WAY), DeviceLostError)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), DeviceError("no room (CUDA out of memory)")]
)
def test_what_is_no_failure_of_the_gpu_is_passed_on(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A defect ends in a traceback; what is told in one line already is told as it is."""
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    assert told(error) is None
