"""The eight turns and mirrors of a square patch (the group p4m), and how they follow each other."""

import numpy as np
from numpy.typing import NDArray

POSES = 8

MARGIN_PX, STRIDE_PX = 32, 16
"""How far a P4MNet sees beyond a cell on every side, and the side of a cell, which is every network's."""

FEATURES = {"p4m": (4, 16, 48, 64), "p4m-small": (2, 4, 8, 8)}
"""By architecture, how many features the four grids of a P4MNet hold, each in eight poses."""

EPS = 1e-5
"""What normalisation adds to a variance, in all networks; torch's own."""


def turned(image: NDArray[np.generic], pose: int) -> NDArray[np.generic]:
    """image : (..., k, k), mirrored where pose >= 4, then turned by pose % 4 quarters."""
    mirrored = image[..., ::-1] if pose >= 4 else image
    return np.rot90(mirrored, pose % 4, (-2, -1))


def _kernel_of() -> NDArray[np.int64]:
    poses = [turned(np.arange(4).reshape(2, 2), pose) for pose in range(POSES)]

    def followed(first: int, then: int) -> int:
        """The pose that equals `first` followed by `then`."""
        both = turned(poses[first], then)
        return next(pose for pose in range(POSES) if np.array_equal(poses[pose], both))

    # What, followed by g, is h is g^-1 h.
    return np.argsort([[followed(pose, g) for pose in range(POSES)] for g in range(POSES)], axis=1)


KERNEL_OF = _kernel_of()
"""int (8, 8): for output pose g, input pose h is read with the kernel of pose g^-1 h."""
