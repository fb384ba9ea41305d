"""The mean of several networks' weights, which generalises better than any of them where one grew from another.

Wortsman et al., Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time, ICML 2022.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from nodescan.errors import UsageError
from nodescan.overwrite_checks import check_inputs, not_ours
from training.fitting.checkpoints import holds_weights_alone, starting_weights, write_checkpoint


def average(sources: Sequence[str], to: Path) -> str:
    """Write a checkpoint of the mean weights and running statistics; its architecture's name.

    sources: checkpoints (*.ckpt), or models by name or folder. Raises UsageError for fewer than two, where they are
    of several architectures, and where `to` is one of them or another file that this didn't write; OutputError where it
    can't be written.
    """
    if len(sources) < 2:
        raise UsageError("name two checkpoints or models at least, to average them")
    check_inputs([("the source", Path(source)) for source in sources], [to])
    if to.is_file() and not holds_weights_alone(to):
        raise not_ours(to)
    architectures, weights = zip(*map(starting_weights, sources), strict=True)
    if len(set(architectures)) > 1:
        raise UsageError(f"networks of one architecture can be averaged, not {', '.join(architectures)}")
    mean = {
        f"net.{name}": torch.stack([each[name].float() for each in weights]).mean(dim=0).to(first.dtype)
        for name, first in weights[0].items()
    }
    write_checkpoint({"hyper_parameters": {"architecture": architectures[0]}, "state_dict": mean}, to)
    return architectures[0]
