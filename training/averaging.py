"""The mean of several networks' weights, which generalises better than any of them where one grew from another.

Wortsman et al., Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time, ICML 2022.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from nodescan.errors import UsageError
from nodescan.whole_files import output_errors, written_beside
from training.checkpoints import starting_weights


def average(sources: Sequence[str], to: Path) -> str:
    """Write a checkpoint of the mean weights and running statistics; its architecture's name.

    sources: checkpoints (*.ckpt), or models by name or folder. Raises UsageError for fewer than two, and where they are
    of several architectures; OutputError where `to` can't be written.
    """
    if len(sources) < 2:
        raise UsageError("name two checkpoints or models at least, to average them")
    architectures, weights = zip(*map(starting_weights, sources), strict=True)
    if len(set(architectures)) > 1:
        raise UsageError(f"networks of one architecture can be averaged, not {', '.join(architectures)}")
    mean = {
        f"net.{name}": torch.stack([each[name].float() for each in weights]).mean(dim=0).to(first.dtype)
        for name, first in weights[0].items()
    }
    with output_errors(to):
        to.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(to) as part, part.open("wb") as file:
        torch.save({"hyper_parameters": {"architecture": architectures[0]}, "state_dict": mean}, file)
    return architectures[0]
