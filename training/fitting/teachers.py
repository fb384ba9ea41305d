"""Networks that were trained before, asked about the pictures that another one learns from.

Hinton, Vinyals, Dean: Distilling the knowledge in a neural network, 2015. Teachers and learner see the very same
picture, changed and blended alike (Beyer et al., Knowledge distillation: a good teacher is patient and consistent, CVPR
2022).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.fitting.checkpoints import starting_weights
from training.fitting.rivals import build_any


def patch_logit(cells: Tensor) -> Tensor:
    """The answer to a lone patch, float (N,), from its cells, float (N, n, n): the mean logit of the central 2 x 2, of
    which the label speaks; of the one in the middle where n is odd."""
    edge = (cells.shape[-1] - 1) // 2
    return cells[:, edge : cells.shape[1] - edge, edge : cells.shape[2] - edge].flatten(1).mean(dim=1)


class Teachers:
    """No module: what teaches is neither trained, averaged nor kept in the learner's checkpoints.

    sources: checkpoints (*.ckpt), or models by name or folder. Raises UsageError and ModelError where one can't be had.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self.nets = [_network(source) for source in sources]

    @torch.no_grad()
    def probability(self, image: Tensor) -> Tensor:
        """float (N, 3, H, W), normalised -> float32 (N,) in [0, 1]: of the teachers' mean logit."""
        logits = [patch_logit(net.to(image.device)(image).float()) for net in self.nets]
        return torch.stack(logits).mean(dim=0).sigmoid()


def _network(source: str) -> nn.Module:
    architecture, weights = starting_weights(source)
    net = build_any(architecture)
    net.load_state_dict(weights)
    return net.eval()
