"""A network made wider from a trained narrower one: it starts where the other ended, with new features to learn with.

After Chen, Goodfellow and Shlens, Net2Net: accelerating learning via knowledge transfer, ICLR 2016; but the new
features are drawn afresh, not copied, and hardly heard at first.
"""

from pathlib import Path

import torch
from torch import Tensor

from nodescan.errors import UsageError
from training.checkpoints import starting_weights
from training.rivals import build_any

_HEARD = 0.1
"""How loud a new feature is at first to those that were there, of what it would be in a new network."""


def grow(source: str, architecture: str, to: Path) -> None:
    """Write a checkpoint of a wider network that answers nearly as a trained one does.

    source: a checkpoint (*.ckpt), or a model by name or folder. Raises UsageError where a layer of the wider network is
    missing in the other or narrower than there.
    """
    found, weights = starting_weights(source)
    wider = build_any(architecture).state_dict()
    if weights.keys() != wider.keys():
        raise UsageError(f"{source}: {found} has other layers than {architecture}")
    grown = {f"net.{name}": _grown(name, weights[name], wider[name]) for name in wider}
    to.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"hyper_parameters": {"architecture": architecture}, "state_dict": grown}, to)


def _grown(name: str, trained: Tensor, fresh: Tensor) -> Tensor:
    if any(old > new for old, new in zip(trained.shape, fresh.shape, strict=True)):
        raise UsageError(f"{name}: {tuple(trained.shape)} doesn't fit into {tuple(fresh.shape)}; only wider ones grow")
    grown = fresh.clone()
    if fresh.ndim > 1:
        grown[: len(trained), trained.shape[1] :] *= _HEARD
    grown[tuple(slice(size) for size in trained.shape)] = trained
    return grown
