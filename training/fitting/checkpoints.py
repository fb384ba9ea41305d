"""Checkpoints: written whole, and read for the network's name and its weights alone, nothing that could run."""

import io
import pickle
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nodescan.errors import UsageError
from nodescan.given_files import check_is_file
from nodescan.inference.card import find_model, load_card
from nodescan.inference.predictor import load_network
from nodescan.whole_files import output_errors, written_beside

_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
"""What torch raises over files of other kinds, cut off or damaged, and what is raised where they hold other things."""


def starting_weights(source: str) -> tuple[str, dict[str, torch.Tensor]]:
    """Architecture and weights of a checkpoint (*.ckpt), or of a model by its name or folder.

    Raises UsageError and ModelError where they can't be had.
    """
    if not source.strip():
        raise UsageError("the name of a checkpoint or model to start from is empty; fill it in, or leave it out")
    if source.endswith(".ckpt"):
        return read_checkpoint(Path(source))
    folder = find_model(source)
    card = load_card(folder)
    return card.architecture, dict(load_network(card, folder).state_dict())


def read_checkpoint(checkpoint: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """The architecture's name and the network's weights; averaged ones where the run averaged them.

    Raises UsageError where it isn't there, or is no checkpoint.
    """
    with _content(checkpoint) as content:
        return _network_in(content)


STEPS = "steps_planned"
"""Where a checkpoint says how many steps its run is to make; None of a run without an end."""


def steps_of(checkpoint: Path) -> tuple[int, int | None]:
    """How many steps a checkpoint's run had made, and of how many; None where it doesn't say.

    Raises UsageError where it isn't there, is no checkpoint, or holds weights alone.
    """
    with _content(checkpoint) as content:
        if "global_step" not in content:
            raise UsageError(f"{checkpoint}: holds only weights, not a run to resume; start from it: --model.init_from")
        planned = content.get(STEPS)
        return int(content["global_step"]), None if planned is None else int(planned)


def run_settings(checkpoint: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The module's settings that a checkpoint's run was begun with, and its optimiser's groups, none without a run.

    Raises UsageError where it isn't there, or is no checkpoint.
    """
    with _content(checkpoint) as content:
        states = content.get("optimizer_states") or [{"param_groups": []}]
        return dict(content["hyper_parameters"]), list(states[0]["param_groups"])


def stored_callback(checkpoint: Path, key: str) -> dict[str, Any]:
    """What a checkpoint holds of a callback, by its state_key; nothing where it wasn't of the run.

    Raises UsageError where it isn't there, or is no checkpoint.
    """
    with _content(checkpoint) as content:
        return dict(content.get("callbacks", {}).get(key, {}))


def holds_weights_alone(file: Path) -> bool:
    """Whether a file is a checkpoint of weights and no run to go on with, as average writes it."""
    try:
        with _content(file) as content:
            _network_in(content)
            return "global_step" not in content
    except UsageError:
        return False


def write_checkpoint(content: Mapping[str, Any], path: Path) -> None:
    """Write it whole, or leave what stood there. Raises OutputError."""
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()  # into a file torch would say no reason where it can't write
    torch.save(content, buffer)
    with written_beside(path) as part:
        part.write_bytes(buffer.getvalue())  # a view that an error's traceback holds crashes Python 3.12.1


def halved(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights in half precision, which a model's are written in; whole numbers (counted batches) stay."""
    return {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}


def are_sound(weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether all weights are finite in half precision."""
    return all(bool(torch.isfinite(value).all()) for value in halved(weights).values())


def _network_in(content: Mapping[str, Any]) -> tuple[str, dict[str, torch.Tensor]]:
    """As read_checkpoint has it."""
    state = content["state_dict"]
    weights = {key.removeprefix("net."): value for key, value in state.items() if key.startswith("net.")}
    architecture = content["hyper_parameters"]["architecture"]
    if not isinstance(architecture, str) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise TypeError("no network's name, or weights that are none")
    return architecture, weights


@contextmanager
def _content(checkpoint: Path) -> Iterator[Any]:
    """What a checkpoint holds; turns what reading it raises, and what is missing, into a UsageError that names it."""
    try:
        yield _loaded(checkpoint)
    except FileNotFoundError as error:
        raise UsageError(f"{checkpoint}: no such checkpoint") from error
    except OSError as error:
        raise UsageError(f"{checkpoint}: can't be read ({error.strerror or error}); name a .ckpt file") from error
    except (EOFError, struct.error) as error:
        raise UsageError(f"{checkpoint}: is no checkpoint, or is cut off; copy it again, or name another") from error
    except _UNREADABLE as error:
        kind = type(error).__name__  # what torch says of it is how to read it unsafely
        raise UsageError(
            f"{checkpoint}: not a checkpoint of python -m training fit ({kind}); name a .ckpt file that it wrote, or "
            "copy it again"
        ) from error


def _loaded(checkpoint: Path) -> Any:
    check_is_file(checkpoint)  # torch would wait for a pipe's writer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the file is, the error says more
        return torch.load(checkpoint, map_location="cpu", weights_only=True)
