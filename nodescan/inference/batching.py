"""A batch that doesn't fit into the GPU's memory is answered in parts; the answers are the same."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray


def answer_in_parts(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]], tiles: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """What `predict` says of `tiles`, uint8 (N, h, w, 3); halved, and halved again, while the GPU's memory is short.

    Each tile is answered by itself, so that its answer doesn't depend on its neighbours in the batch. Raises
    torch.OutOfMemoryError where not even one tile fits.
    """
    try:
        return predict(tiles)
    except torch.OutOfMemoryError:
        if len(tiles) < 2:
            raise
    # Outside of the except: the error holds on to the tensors of the batch that didn't fit.
    torch.cuda.empty_cache()
    half = len(tiles) // 2
    return np.concatenate([answer_in_parts(predict, part) for part in (tiles[:half], tiles[half:])])
