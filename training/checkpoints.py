"""What is taken from a checkpoint: the network's name and its weights, nothing that could run."""

import pickle
from pathlib import Path

import torch

from nodescan.errors import UsageError
from nodescan.inference.card import find_model, load_card
from nodescan.inference.predictor import load_network

_UNREADABLE = (KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError)


def starting_weights(source: str) -> tuple[str, dict[str, torch.Tensor]]:
    """Architecture and weights of a checkpoint (*.ckpt), or of a model by its name or folder."""
    if source.endswith(".ckpt"):
        return read_checkpoint(Path(source))
    folder = find_model(source)
    card = load_card(folder)
    return card.architecture, dict(load_network(card, folder).state_dict())


def read_checkpoint(checkpoint: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """The architecture's name and the network's weights; averaged ones where the run averaged them."""
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        architecture = content["hyper_parameters"]["architecture"]
        state = content["state_dict"]
    except FileNotFoundError as error:
        raise UsageError(f"{checkpoint}: no such checkpoint") from error
    except (*_UNREADABLE, OSError, RuntimeError) as error:
        kind = type(error).__name__  # what torch says of it is how to read it unsafely
        raise UsageError(f"{checkpoint}: not a checkpoint of python -m training fit ({kind})") from error
    return architecture, {key.removeprefix("net."): value for key, value in state.items() if key.startswith("net.")}
