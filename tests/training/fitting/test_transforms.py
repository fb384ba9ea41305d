"""What a network is fed as it is trained."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nodescan.inference.made_tiles import MEAN, STD
from nodescan.inference.models import P4MNet
from training.fitting.transforms import normalised


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_colours_are_normalised_by_the_nearest_numbers_of_the_images_type(dtype: torch.dtype) -> None:
    """To the bit."""
    image = torch.rand(2, 3, 5, 7, dtype=dtype)
    mean, std = (torch.tensor(values, dtype=dtype).view(1, 3, 1, 1) for values in (MEAN, STD))
    assert torch.equal(normalised(image), (image - mean) / std)


class NothingFromElsewhere(TorchDispatchMode):
    """Notes what is done with tensors that don't lie where the network does."""

    def __init__(self) -> None:
        super().__init__()
        self.strays: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, out)):
            if isinstance(value, torch.Tensor) and value.device.type != "meta":
                self.strays.add(str(func))
        return out


def test_a_training_step_takes_nothing_from_another_device() -> None:
    """On a GPU each small copy from the CPU would wait for all that the GPU has yet to do."""
    net = P4MNet((4, 6, 8, 8)).to("meta").train()
    image = torch.empty(2, 3, 112, 112, device="meta")
    with NothingFromElsewhere() as watched:
        net(normalised(image)).sum().backward()
    assert not watched.strays
